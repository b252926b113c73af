"""How the rules of iptables go: by one transaction where nf_tables holds them, by its own programs where x_tables
does; many at once; and nothing of anybody else's."""

import hashlib
import json
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cni_host import bridge_config, ipam_config, legacy_programs, with_result
from deadline import wait_until

pytestmark = pytest.mark.slow

BOTH = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))


def traced(host, calls, command, config, **how):
    if shutil.which("strace") is None:
        pytest.skip("needs `strace`, which is not installed")
    answer = host.call(command, config, wrapper=("strace", "-f", "-qq", "-e", f"trace={calls}", "-o",
                                                 "/run/netns/leases/trace"), **how)
    assert answer.code == 0, answer
    return (host.leases / "trace").read_text()


def test_a_del_runs_no_other_program(host):
    result = host.add(BOTH)
    trace = traced(host, "execve,fork,vfork,clone", "DEL", with_result(BOTH, result))
    assert re.findall(r'execve\("[^"]*/([^"/]+)".* = 0', trace) == ["bridge"]
    assert "CNI-" not in host.rules()


def chain_of(host):
    return re.findall(r"^:(CNI-[0-9a-f]{24})", host.rules(), re.MULTILINE)


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_an_add_updates_and_deletes_nothing(host, backend):
    """A transaction that does waits for a grace period of the kernel when its socket is closed."""
    config = bridge_config(isGateway=True, ipMasq=True, ipMasqBackend=backend, macspoofchk=True,
                           ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    host.add(config, "c1")  # makes the tables
    host.container("c2")
    messages = re.findall(r"NFT_MSG_(NEW|DEL|DESTROY)([A-Z]+)", traced(host, "sendto,sendmsg", "ADD", config, container="c2"))
    assert ("NEW", "RULE") in messages
    assert {verb for verb, _ in messages} == {"NEW"}, messages
    assert ("NEW", "TABLE") not in messages or backend == "iptables", "whose program names its table each time"


NFTABLES = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="nftables", ipam=ipam_config("10.1.0.0/24"))
NFTABLES_TABLE = ("inet", "cni_plugins_masquerade")
SKELETON = ("ip daddr 224.0.0.0/4 return", "ip6 daddr ff00::/8 return", "goto masq_checks")


def way_in(host):
    text = host.run("nft", "list", "chain", "inet", "cni_plugins_masquerade", "postrouting").stdout
    # Somebody's packets may pass meanwhile: what a rule has counted is not a part of it.
    return [re.sub(r"packets \d+ bytes \d+", "packets", line.strip()) for line in text.splitlines()[3:-2]]


@pytest.mark.parametrize("lost", [("flush", "table"), ("flush", "chain"), *SKELETON])
def test_the_way_to_masquerading_is_missed_and_mended(host, lost):
    result = host.add(NFTABLES, "c1")
    known = with_result(NFTABLES, result)
    assert host.call("CHECK", known, container="c1").code == 0
    place = [*NFTABLES_TABLE, "postrouting"]
    host.run("nft", "add", "rule", *place, "counter", "comment", '"somebody"')
    theirs = "ip saddr 192.0.2.0/24 jump masq_checks"
    host.run("nft", "insert", "rule", *place, *theirs.split())
    for _ in SKELETON:  # what looks like a part of ours, and is not
        host.run("nft", "insert", "rule", *place, "ip", "saddr", "192.0.2.7", "return")
    assert host.call("CHECK", known, container="c1").code == 0
    if lost[0] == "flush":
        host.run("nft", *lost, *(place[:2] if lost[1] == "table" else place))
    else:
        listed = host.run("nft", "-a", "list", "chain", *place).stdout
        handle = re.search(rf"{re.escape(lost)} # handle (\d+)", listed)[1]
        host.run("nft", "delete", "rule", *place, "handle", handle)
    assert "Masquerade rules" in host.call("CHECK", known, container="c1").message
    host.add(NFTABLES, "c2")
    rules = way_in(host)
    positions = [max(at for at, rule in enumerate(rules) if rule == wanted) for wanted in SKELETON]
    assert positions == sorted(positions) and rules.count("goto masq_checks") == 1, rules
    assert lost[0] == "flush" or any("somebody" in rule for rule in rules) and theirs in rules
    assert host.call("CHECK", known, container="c1").code == (1 if lost == ("flush", "table") else 0)
    host.container("c3")
    before = rules
    host.add(NFTABLES, "c3")
    assert way_in(host) == before


IN_THE_WAY = {
    "a chain without hook": "table inet cni_plugins_masquerade { chain postrouting { }; }",
    "another type": "table inet cni_plugins_masquerade { chain postrouting { type filter hook postrouting priority 0; }; }",
    "dormant": "table inet cni_plugins_masquerade { flags dormant; }",
    "a chain without hook, MAC": "table bridge nat { chain PREROUTING { }; }",
    "another hook, MAC": "table bridge nat { chain PREROUTING { type filter hook input priority 0; }; }",
    "dormant, MAC": "table bridge nat { flags dormant; }",
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_rules_that_would_do_nothing_are_refused(host, what):
    """Somebody has the names of our tables and chains for something else."""
    config = bridge_config("1.1.0", macspoofchk=True) if "MAC" in what else NFTABLES
    result = host.add(config)
    known = with_result(config, result)
    host.run("nft", "delete", "table", *(("bridge", "nat") if "MAC" in what else NFTABLES_TABLE))
    host.run("nft", IN_THE_WAY[what])
    before = host.rules()
    answer = host.call("ADD", config, container="c2", netns=host.container("c2"))
    assert ("dormant" if "dormant" in what else "is not of type") in answer.message
    assert host.rules() == before and len(host.veths()) == 1
    assert "not found" in host.call("CHECK", known).message
    assert host.call("DEL", known).code == 0


@pytest.mark.parametrize("how", ["flush chain bridge nat cni-br-iface-c1-eth0",
                                 "flush chain bridge nat cni-br-iface-c1-eth0-mac",
                                 "another MAC"])
def test_a_spoof_check_that_lost_its_rules_is_missed(host, how):
    config = bridge_config("1.1.0", macspoofchk=True)
    known = with_result(config, host.add(config))
    assert host.call("CHECK", known).code == 0
    if how == "another MAC":
        chain = ["bridge", "nat", "cni-br-iface-c1-eth0-mac"]
        host.run("nft", "flush", "chain", *chain)
        host.run("nft", "add", "rule", *chain, "ether", "saddr", "02:00:00:00:00:01", "return")
        host.run("nft", "add", "rule", *chain, "drop")
    else:
        host.run("nft", *how.split())
    assert "Spoof-check rules" in host.call("CHECK", known).message


def test_nobody_waits_for_an_address_that_is_being_probed(host):
    """Duplicate address detection takes a second or two, and the rules of iptables are added in turns."""
    config = {**BOTH, "enabledad": True}
    for container in ("c1", "c2"):
        host.container(container)
    host.add(BOTH, "c0")
    probing = subprocess.Popen([*host.enter, str(host.plugins / "bridge")], env=host.environment("ADD", container="c1"),
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    probing.stdin.write(json.dumps(config))
    probing.stdin.close()
    wait_until(lambda: "tentative" in host.run("ip", "-n", "c1", "addr", "show").stdout, "an address is probed")
    host.add(BOTH, "c2")
    was_first = probing.poll() is None
    assert probing.wait() == 0
    assert was_first, "it waited for the other"


def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(host):
    """A plugin that was stopped holds up the others for ten seconds, and no longer. The lock is this host's own."""
    host.run("sh", "-c", "touch /run/netns/leases/lock /run/weir-cni.nat.lock && "
             "mount --bind /run/netns/leases/lock /run/weir-cni.nat.lock")
    keeper = subprocess.Popen([*host.enter, "flock", "/run/weir-cni.nat.lock", "sh", "-c", "echo kept; exec cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdout.readline() == "kept\n"
    began = time.monotonic()
    host.add(BOTH)
    assert time.monotonic() - began > 5, "it did not wait at all"
    assert keeper.poll() is None
    keeper.communicate()
    assert "CNI-" in host.rules()


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


@pytest.mark.parametrize("end", ["DEL", "GC"])
def test_a_chain_that_a_map_leads_to_stays_and_blocks_nothing(host, end):
    """No rule shows who uses it; the kernel refuses to delete it."""
    host.add(BOTH)
    chain = chain_of(host)[0]
    host.run("nft", "add", "rule", "ip", "nat", "POSTROUTING", f"ip saddr vmap {{ 10.77.0.1 : jump {chain} }}")
    host.add(BOTH, "c2")
    keep = {"cni.dev/valid-attachments": []}
    for container in ("c1", "c2"):
        config, whose = (BOTH, container) if end == "DEL" else ({**BOTH, **keep}, "")
        assert host.call(end, config, container=whose).code == 0
    assert (chain_of(host), host.veths(), host.leased()) == ([chain], [], [])
    assert "-A POSTROUTING -s" not in host.rules()


def large_table(host):
    """As kube-proxy's is: a list of it is long, and interrupted by each change of others."""
    lines = "".join(f"-A SERVICES -d 172.16.{number // 250}.{number % 250}/32 -j RETURN\n" for number in range(4000))
    host.run("iptables-restore", "--noflush", input=f"*nat\n:SERVICES - [0:0]\n{lines}COMMIT\n")


@pytest.mark.parametrize("command", ["DEL", "CHECK"])
@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_a_large_table_is_not_read_whole(host, backend, command):
    large_table(host)
    config = {**BOTH, "ipMasqBackend": backend}
    known = with_result(config, host.add(config))
    read = sum(map(int, re.findall(r"\) = (\d+)$", traced(host, "recvfrom", command, known), re.MULTILINE)))
    assert 1000 < read < 100_000  # bytes; the table is a megabyte


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_many_at_once_beside_a_large_table(host, backend):
    large_table(host)
    config = {**BOTH, "ipMasqBackend": backend}
    names = [f"c{number}" for number in range(8)]
    for name in names:
        host.container(name)

    def come_and_go(name):
        for _ in range(4):
            for command in ("ADD", "DEL"):
                answer = host.call(command, config, container=name)
                assert answer.code == 0, answer

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, names))
    rules = host.run("iptables-save", "-t", "nat").stdout
    assert (host.leased(), host.veths(), "CNI-" in rules, rules.count("SERVICES -d")) == ([], [], False, 4000)


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


def legacy_rules(host):
    return "".join(host.run(f"{name}-legacy-save", "-t", "nat").stdout for name in ("iptables", "ip6tables"))


@pytest.mark.parametrize("how", ["DEL", "DEL by the other iptables", "GC"])
def test_rules_that_x_tables_holds_go(host, how):
    legacy = legacy_programs(host)
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


def test_gc_of_many_containers(host):
    """Its messages and their answers are more than a socket's buffers hold by default."""
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
