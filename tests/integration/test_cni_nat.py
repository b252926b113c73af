"""How the rules of iptables go: by one transaction where nf_tables holds them, by its own programs where x_tables
does; many at once; and nothing of anybody else's."""

import hashlib
import os
import re
import shutil

import pytest

import cni_host
from cni_host import OURS, CniHost, bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

BOTH = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
LEGACY = "/run/netns/leases/legacy"


@pytest.fixture
def host():
    if reason := cni_host.why_unavailable():
        pytest.skip(reason)
    with CniHost(OURS) as it:
        yield it


def traced_programs(host, command, config, **how):
    trace = host.leases / "trace"
    answer = host.call(command, config, wrapper=("strace", "-f", "-qq", "-e", "trace=execve,fork,vfork,clone", "-o",
                                                 "/run/netns/leases/trace"), **how)
    assert answer.code == 0, answer
    return re.findall(r'execve\("[^"]*/([^"/]+)".* = 0', trace.read_text())


def test_a_del_runs_no_other_program(host):
    if shutil.which("strace") is None:
        pytest.skip("needs `strace`, which is not installed")
    result = host.add(BOTH)
    assert traced_programs(host, "DEL", with_result(BOTH, result)) == ["bridge"]
    assert "CNI-" not in host.rules()


def chain_of(host):
    return re.findall(r"^:(CNI-[0-9a-f]{24})", host.rules(), re.MULTILINE)


def test_a_chain_that_lost_its_rules_goes(host):
    """As a program that was killed half way leaves it."""
    result = host.add(BOTH)
    chain = chain_of(host)[0]
    for program in ("iptables", "ip6tables"):
        host.run(program, "-t", "nat", "-F", "POSTROUTING")
        host.run(program, "-t", "nat", "-F", chain)
    assert host.call("DEL", with_result(BOTH, result)).code == 0
    assert not chain_of(host)


def test_a_chain_that_somebody_else_jumps_to_stays(host):
    result = host.add(BOTH)
    chain = chain_of(host)[0]
    host.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "lo", "-j", chain)
    assert host.call("DEL", with_result(BOTH, result)).code == 0
    assert chain_of(host) == [chain] and "POSTROUTING -s" not in host.rules()
    assert f"-A POSTROUTING -o lo -j {chain}" in host.rules()


def test_jumps_of_another_shape_go_too(host):
    """Very old plugins named the whole subnet, and other versions of iptables compare it in other ways."""
    result = host.add(BOTH)
    chain = chain_of(host)[0]
    rule = f'-A POSTROUTING -s %s -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j {chain}\n'
    mine = "".join(rule % source for source in ("10.1.0.0/24", "10.1.0.0/20", "10.0.0.0/8"))
    host.run("iptables-restore", "--noflush", input=f"*nat\n{mine}{rule % '10.9.0.0/20'}COMMIT\n")
    host.run("ip6tables-restore", "--noflush", input=f"*nat\n{rule % 'fd00:9::/64'}{rule % 'fd00:8::/60'}COMMIT\n")
    assert host.call("DEL", with_result(BOTH, result)).code == 0
    jumps = [line.split()[3] for line in host.rules().splitlines() if line.startswith("-A POSTROUTING -s")]
    assert jumps == ["10.9.0.0/20", "fd00:8::/60"]
    assert chain_of(host) == [chain, chain]


@pytest.fixture
def legacy(host):
    """iptables-legacy in front of the other in PATH; the variables to call a plugin with."""
    if not os.path.exists("/usr/sbin/xtables-legacy-multi"):
        pytest.skip("needs iptables-legacy")
    if host.run("iptables-legacy-save", "-t", "nat", check=False).returncode != 0:
        pytest.skip("this kernel has no x_tables (iptables-legacy)")
    host.run("mkdir", LEGACY)
    for name in ("iptables", "ip6tables"):
        for what in ("-restore", "-save", ""):
            host.run("ln", "-s", "/usr/sbin/xtables-legacy-multi", f"{LEGACY}/{name}{what}")
    return {"PATH": f"{LEGACY}:/usr/sbin:/usr/bin"}


def legacy_rules(host):
    return "".join(host.run(f"{name}-legacy-save", "-t", "nat").stdout for name in ("iptables", "ip6tables"))


@pytest.mark.parametrize("how", ["DEL", "DEL by the other iptables", "GC"])
def test_rules_that_x_tables_holds_go(host, legacy, how):
    result = host.add(BOTH, **legacy)
    host.add(BOTH, "c2", **legacy)
    assert legacy_rules(host).count("-j CNI-") == 4 and not chain_of(host)
    assert host.call("CHECK", with_result(BOTH, result), **legacy).code == 0
    if how == "GC":
        keep = {"cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]}
        assert host.call("GC", {**BOTH, **keep}, container="", **legacy).code == 0
    else:
        assert host.call("DEL", with_result(BOTH, result), **(legacy if how == "DEL" else {})).code == 0
    assert legacy_rules(host).count("-j CNI-") == 2 and 'id: \\"c1\\"' not in legacy_rules(host)


def iptables_chain(network, container):
    return "CNI-" + hashlib.sha512((network + container).encode()).hexdigest()[:24]


def test_gc_of_many_containers_is_one_transaction(host):
    """Whose messages and answers are more than a socket's buffers hold by default."""
    many = 1000
    host.add(BOTH, "kept")
    lines = "*nat\n"
    for number in range(many):
        chain = iptables_chain("net1", f"x{number}")
        comment = f'-m comment --comment "name: \\"net1\\" id: \\"x{number}\\""'
        lines += (f"-N {chain}\n-A {chain} -d 10.1.0.0/24 {comment} -j ACCEPT\n"
                  f"-A POSTROUTING -s 10.1.{number // 250 + 4}.{number % 250}/32 {comment} -j {chain}\n")
    host.run("iptables-restore", "--noflush", input=lines + "COMMIT\n")
    assert host.rules().count(" -j CNI-") == many + 2
    keep = {"cni.dev/valid-attachments": [{"containerID": "kept", "ifname": "eth0"}]}
    answer = host.call("GC", {**BOTH, **keep}, container="")
    assert answer.code == 0, answer
    assert host.rules().count(" -j CNI-") == 2 and len(chain_of(host)) == 2
