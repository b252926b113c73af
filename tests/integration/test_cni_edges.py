"""Attachments at the edges of what is allowed: names and lists as long as they may be, a full disk, a configuration
that was refused or changed, somebody else's result, a link with another name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cni_host import REFERENCE, bridge_config, ipam_config, legacy_programs, why_no_reference, with_result

pytestmark = pytest.mark.slow

MASQUERADE = bridge_config("1.1.0", isGateway=True, ipMasq=True)


@pytest.mark.parametrize("count", [270, 3000])
def test_many_routes(host, count):
    """More messages than a socket's buffers hold answers for."""
    routes = [{"dst": f"100.{number // 250 + 64}.{number % 250}.0/24"} for number in range(count)]
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", routes=routes))
    result = host.add(config)
    assert len(result["routes"]) == count
    assert host.run("ip", "-n", "c1", "route").stdout.count("via 10.1.0.1") == count
    assert host.call("CHECK", with_result(config, result)).code == 0


def test_many_addresses(host):
    sets = [[{"subnet": f"10.{number // 250 + 1}.{number % 250}.0/24"}] for number in range(300)]
    assert len(host.add(bridge_config(ipam=ipam_config(*sets)))["ips"]) == 300


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
@pytest.mark.parametrize("end", ["DEL", "GC"])
def test_long_names(host, backend, end):
    """A comment of iptables ends at 255 bytes, one of nftables at 128."""
    config = {**MASQUERADE, "name": "n" * 60, "ipMasqBackend": backend, "macspoofchk": True}
    kept = {"container": "c" * 199 + "d", "netns": host.container("c2"), "ifname": "e" * 15}
    names = {"container": "c" * 200, "netns": host.container("c1"), "ifname": "e" * 15}
    assert host.call("ADD", config, **kept).code == 0
    before = host.rules()
    answer = host.call("ADD", config, **names)
    assert answer.code == 0, answer
    assert host.call("CHECK", with_result(config, answer.json), **names).code == 0
    if end == "DEL":
        assert host.call("DEL", config, **{**names, "netns": ""}).code == 0
    else:
        keep = [{"containerID": kept["container"], "ifname": kept["ifname"]}]
        assert host.call("GC", {**config, "cni.dev/valid-attachments": keep}, container="").code == 0
    assert host.rules() == before and len(host.veths()) == 1
    assert host.call("DEL", config, **{**kept, "netns": ""}).code == 0
    assert not [line for line in host.rules().splitlines()
                if "CNI-" in line or "cni-br-iface" in line or "masquerade comment" in line]


@pytest.mark.parametrize("length", [236, 243, 250, 300])
def test_a_networks_name_as_long_as_a_comment(host, length):
    config = {**MASQUERADE, "name": "n" * length, "ipam": ipam_config("10.1.0.0/24")}
    if length > 255:
        config["ipam"] = {}  # no folder has such a name
    known = with_result(config, host.add(config))
    assert host.call("CHECK", known).code == 0
    assert host.call("DEL", config).code == 0
    assert "CNI-" not in host.rules()


@pytest.mark.parametrize("length", [233, 234, 237, 255])
def test_a_containers_id_as_long_as_a_chains_name(host, length):
    config = bridge_config(ipam={}, macspoofchk=True)
    long_one = {"container": "c" * length, "netns": host.container("c1")}
    answer = host.call("ADD", config, **long_one)
    assert answer.code == (0 if length <= 233 else 1)
    assert answer.code == 0 or "too long for the name of a chain" in answer.message
    assert host.call("DEL", config, **long_one).code == 0
    assert "cni-br-iface" not in host.rules() and host.veths() == []


WRONG_FOR_ADD = {
    "mac": {"args": {"cni": {"mac": "zz"}}},
    "hairpin and promiscuous": {"hairpinMode": True, "promiscMode": True},
    "no interface but addresses": {"disableContainerInterface": True},
    "backend": {"ipMasq": True, "ipMasqBackend": "pf"},
    "mtu": {"mtu": 70000},
    "bridge": {"bridge": "a-name-that-is-too-long"},
    "bridge with a number": {"bridge": "br%d"},
    "bridge that is to be removed": {"bridge": "a-name-that-is-too-long", "removeEmptyBridge": True},
}


@pytest.mark.parametrize("what", WRONG_FOR_ADD)
def test_what_an_add_refuses_a_del_takes(host, what):
    """libcni stops at the first DEL that fails, and what came before it in the chain would leak."""
    config = bridge_config("1.1.0", isGateway=True)
    changed = {**config, **WRONG_FOR_ADD[what]}
    host.container("c2")
    refused = host.call("ADD", changed, container="c2")
    assert refused.code == 1
    assert host.call("STATUS", changed, container="").message == refused.message
    assert host.veths() == [] and host.leased() == []
    assert host.call("DEL", changed, container="c2").code == 0
    host.add(config)
    assert host.call("DEL", changed).code == 0
    assert host.veths() == [] and host.leased() == []
    assert host.call("GC", {**changed, "cni.dev/valid-attachments": []}, container="").code == 0


def test_somebody_elses_result_deletes_nothing(host):
    config = bridge_config(isGateway=True)
    result = host.add(config)
    before = host.veths()
    for how in ({"container": "other", "ifname": "eth5"}, {"ifname": "eth5"}, {"container": "other", "netns": ""},
                {"container": "other", "netns": "/run/netns/c1"}):
        assert host.call("DEL", with_result(config, result), **how).code == 0
    assert host.veths() == before and host.leased() == ["10.1.0.2"]


@pytest.mark.parametrize("config", [bridge_config(ipam={}, macspoofchk=True), bridge_config(
    isGateway=True, ipMasq=True, macspoofchk=True)], ids=["without addresses", "with"])
def test_a_second_attachment_of_the_name_leaves_the_first_whole(host, config):
    result = host.add(config)
    host.container("c2")
    for _ in range(2):
        assert host.call("ADD", config, netns="/run/netns/c2").code == 1
    assert host.call("CHECK", with_result(config, result)).code == 0
    assert [name for name in host.links("c2") if name != "lo"] == []


@pytest.mark.parametrize("end", ["DEL", "DEL without namespace", "GC"])
def test_a_renamed_link_is_found(host, end):
    host.add(MASQUERADE)
    host.run("ip", "link", "set", host.veths()[0], "name", "renamed0")
    if end != "GC":
        assert host.call("DEL", MASQUERADE, netns="" if "without" in end else None).code == 0
    else:
        assert host.call("GC", {**MASQUERADE, "cni.dev/valid-attachments": []}, container="").code == 0
    assert (host.veths(), host.leased(), "CNI-" in host.rules()) == ([], [], False)


def test_a_valid_attachment_with_a_renamed_link_is_kept(host):
    host.add(MASQUERADE)
    host.run("ip", "link", "set", host.veths()[0], "name", "renamed0")
    keep = {"cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}
    assert host.call("GC", {**MASQUERADE, **keep}, container="").code == 0
    assert (host.veths(), host.leased()) == (["renamed0"], ["10.1.0.2"])


def test_check_takes_either_backends_rules(host):
    for backend, other in (("iptables", "nftables"), ("nftables", "iptables")):
        config = {**MASQUERADE, "ipMasqBackend": backend}
        result = host.add(config)
        assert host.call("CHECK", with_result({**config, "ipMasqBackend": other}, result)).code == 0
        assert host.call("DEL", config).code == 0


@pytest.mark.parametrize("backend", ["nf_tables", "x_tables"])
def test_check_misses_every_rule(host, backend):
    """Two addresses, so that the chain has two ACCEPT and one MASQUERADE; and the two jumps to it."""
    config = {**MASQUERADE, "ipam": ipam_config("10.1.0.0/24", "10.2.0.0/24")}
    program, variables = "iptables", {}
    if backend == "x_tables":
        variables = legacy_programs(host)
        program = "iptables-legacy"
    known = with_result(config, host.add(config, **variables))
    assert host.call("CHECK", known).code == 0  # whichever programs come first
    rules = [line for line in host.run(f"{program}-save", "-t", "nat").stdout.splitlines() if line.startswith("-A")]
    assert len(rules) == 5
    for rule in rules:
        host.run(f"{program}-restore", "--noflush", input=f"*nat\n-D{rule[2:]}\nCOMMIT\n")
        assert "Masquerade rules" in host.call("CHECK", known).message, rule
        host.run(f"{program}-restore", "--noflush", input=f"*nat\n{rule}\nCOMMIT\n")
        assert host.call("CHECK", known).code == 0, rule


def test_a_route_in_the_table_of_number_0(host):
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", routes=[{"dst": "10.9.0.0/16", "table": 0}]))
    assert host.call("CHECK", with_result(config, host.add(config))).code == 0


def test_an_existing_bridge_takes_no_routes_from_its_containers(host):
    host.run("ip", "link", "add", "br1", "type", "bridge")
    host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/br1/accept_ra")
    host.add(bridge_config())
    assert host.run("cat", "/proc/sys/net/ipv6/conf/br1/accept_ra").stdout == "0\n"


def test_a_full_disk_is_said_and_leases_can_still_be_deleted(host):
    """The table of leases is mapped: a hole in it that finds no block would be a SIGBUS."""
    host.run("sh", "-c", "mkdir /run/netns/leases/small && mount -t tmpfs -o size=64k none /run/netns/leases/small")
    config = {"cniVersion": "1.1.0", "name": "net1", "type": "host-local",
              "ipam": ipam_config("10.1.0.0/24", dataDir="/run/netns/leases/small")}
    assert host.call("ADD", config, container="first").code == 0
    host.run("sh", "-c", "cat /dev/zero >/run/netns/leases/small/fill 2>/dev/null || true")
    host.run("rm", "-rf", "/run/netns/leases/small/.weir")
    answer = host.call("ADD", config, container="second")
    assert answer.code in (0, 1) and answer.json
    # All of this on a disk where not one byte can be written any more.
    host.run("sh", "-c", "cat /dev/zero >>/run/netns/leases/small/fill 2>/dev/null || true")
    for number in range(60):
        answer = host.call("ADD", config, container=f"c{number}")
        assert answer.code in (0, 1), answer
    assert "no space left on device" in answer.message
    for command, more in (("STATUS", {}), ("CHECK", {}), ("DEL", {}), ("GC", {"cni.dev/valid-attachments": []})):
        answer = host.call(command, {**config, **more}, container="first")
        assert answer.code == 0, (command, answer)
    assert not [file for file in (host.leases / "small" / "net1").iterdir() if file.name[0] == "1"]


@pytest.mark.parametrize("route", [{"dst": "10.5.0.0/16", "priority": -1}, {"gw": "10.1.0.1"}, {"dst": "10.5.0.0/16", "scope": 300}])
def test_a_lease_is_freed_whatever_its_routes_say(host, route):
    """The reference takes them, and a lease of its has to be found and freed."""
    config = {"cniVersion": "1.0.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.0.0/24")}
    host.add(config)
    odd = {**config, "ipam": {**config["ipam"], "routes": [route]}}
    assert host.call("ADD", odd, container="c2", netns="/run/netns/c1").code == 1
    assert host.call("CHECK", with_result(odd, {"cniVersion": "1.0.0"})).code == 0
    assert host.leased() == ["10.1.0.2"]
    assert host.call("DEL", odd).code == 0
    assert host.leased() == []


def test_an_old_result_has_no_routes_of_a_family_without_address(host):
    """There is no place in it for them, and what is not said is not done."""
    result = host.add(bridge_config("0.2.0", ipam=ipam_config("10.1.0.0/24", routes=[{"dst": "::/0"}, {"dst": "0.0.0.0/0"}])))
    assert result["ip4"]["routes"] == [{"dst": "0.0.0.0/0"}] and "ip6" not in result
    assert host.run("ip", "-n", "c1", "-6", "route", "show", "default").stdout == ""


def test_check_names_what_is_missing_as_the_reference_does(host):
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", routes=[{"dst": "10.99.0.0/16"}]))
    result = host.add(config)
    known = with_result(config, result)
    assert host.call("CHECK", known).code == 0
    assert "unmarshalled CNIVersion is \"0.2.0\"" in host.call("CHECK", with_result(config, {**result, "cniVersion": "0.2.0"})).message
    host.run("ip", "-n", "c1", "route", "del", "10.99.0.0/16")
    assert host.call("CHECK", known).message == (
        "Expected Route {Dst:{IP:10.99.0.0 Mask:ffff0000} GW:<nil> MTU:0 AdvMSS:0 Priority:0 Table:<nil> Scope:<nil>} "
        "not found in routing table")
    host.run("ip", "-n", "c1", "route", "del", "10.1.0.0/24")
    assert host.call("CHECK", known).message == "Failed to find Gateway 10.1.0.1 for interface eth0"


@pytest.mark.parametrize("ipam", [None, {}], ids=["addresses", "none"])
def test_an_interface_is_running_when_an_add_has_ended(host, ipam):
    """Programs look for that flag when they start; the kernel sets it a moment after packets pass."""
    script = Path(__file__).with_name("running_at_once.py")
    if subprocess.run(["chrt", "-f", "1", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody have a real-time priority")
    for number in range(5):
        netns = host.container(f"c{number}")
        alone = ["chrt", "-f", "1", "taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, str(script), netns, "eth0"]
        answer = host.call("ADD", bridge_config(ipam=ipam), container=f"c{number}", wrapper=alone)
        assert (answer.code, answer.stderr.strip()) == (0, "running"), answer


def test_an_add_leaves_the_bridges_neighbours_alone(host):
    """Also what other programs have put there for good."""
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    host.add(config, "c1")
    for address in ("10.1.0.9", "fd00:9::9"):
        host.run("ip", "neigh", "add", address, "lladdr", "02:00:00:00:00:05", "dev", "br1", "nud", "permanent")
    host.add(config, "c2")
    kept = host.run("ip", "neigh", "show", "nud", "permanent", "dev", "br1").stdout
    assert "10.1.0.9" in kept and "fd00:9::9" in kept


@pytest.mark.parametrize("made_by", ["the reference", "somebody"])
def test_the_mac_of_a_bridge_that_was_there_follows_no_port(host, made_by):
    plain = bridge_config()
    if made_by == "somebody":
        host.run("ip", "link", "add", "br1", "type", "bridge")
    elif reason := why_no_reference():
        pytest.skip(reason)
    else:
        host.add(plain, "c0", plugins=REFERENCE)
    macs = set()
    for number in range(1, 9):
        macs.add(host.add(plain, f"c{number}")["interfaces"][0]["mac"])
    for number in range(1, 9):
        assert host.call("DEL", plain, container=f"c{number}").code == 0
        macs.add(host.links()["br1"]["address"])
    assert len(macs) == 1


@pytest.mark.parametrize("address", ["10.1.0.5", "fd00:9::5"])
def test_a_neighbour_learns_of_the_next_owner(host, address):
    """It talked to the last one, so that it knows another MAC for the address."""
    subnet = "10.1.0.0/24" if "." in address else "fd00:9::/64"
    host.add(bridge_config(isGateway=True, ipam=ipam_config(subnet)), "peer")
    fixed = ipam_config([{"subnet": subnet, "rangeStart": address, "rangeEnd": address}])
    config = {**bridge_config(isGateway=True, ipam=fixed), "name": "net2"}
    for container in ("c1", "c2", "c3"):
        mac = host.add(config, container)["interfaces"][2]["mac"]
        host.run("ip", "netns", "exec", "peer", "ping", "-c", "1", "-W", "2", address)
        assert mac in host.run("ip", "-n", "peer", "neigh", "show", address).stdout
        assert host.call("DEL", config, container=container).code == 0


def test_an_address_that_somebody_has_is_found(host):
    config = bridge_config(isGateway=True, enabledad=True, ipam=ipam_config("fd00:9::/64"))
    host.add(config, "c1")
    answer = host.call("ADD", {**config, "name": "net2"}, container="c2", netns=host.container("c2"))
    assert answer.message == ('failed to settle addresses for "eth0": link eth0 has address fd00:9::2 in DADFAILED state')
    assert host.leased("net2") == [] and len(host.veths()) == 1


@pytest.mark.parametrize("why", ["a route", "the bridge's address"])
def test_an_add_that_fails_leaves_the_container_as_it_was(host, why):
    """It may be somebody's who goes on without this network."""
    def state():
        return host.run("ip", "-n", "c1", "addr").stdout + host.run("ip", "-n", "c1", "route", "show", "table", "all").stdout
    refused = bridge_config(isGateway=True, ipMasq=True, ipam=ipam_config("10.1.0.0/24"))
    if why == "a route":
        refused["ipam"]["routes"] = [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]
    else:
        host.run("ip", "link", "add", "br1", "up", "type", "bridge")
        host.run("ip", "addr", "add", "172.16.0.1/24", "dev", "br1")
    netns = host.container("c1")
    before, links = state(), host.run("ip", "link").stdout
    message = host.call("ADD", refused, netns=netns).message
    assert ("failed to add route" if why == "a route" else "already has an IP address") in message
    assert state() == before
    assert why == "a route" or host.run("ip", "link").stdout == links, "not even a link was made"


def test_routing_rules_in_front_of_the_kernels_own_hold_nobody_up(host):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    netns = host.container("c1")
    for words in ("rule add pref 50 lookup 100", "rule add pref 60 lookup local", "rule del pref 0",
                  "route add blackhole default table 100"):
        host.run("ip", "-n", "c1", "-6", *words.split())
    config = bridge_config(isGateway=True, ipam=ipam_config("fd00:9::/64"))
    trace = ("strace", "-f", "-qq", "-e", "trace=clock_nanosleep,nanosleep", "-o", "/run/netns/leases/trace")
    assert host.call("ADD", config, netns=netns, wrapper=trace).code == 0
    assert (host.leases / "trace").read_text().count("nanosleep") < 1000, "it waited for what it cannot see"


def test_check_knows_a_default_route_that_is_shared(host):
    """Of two IPv6 routes that differ in their next hop only the kernel makes one."""
    known = {}
    for number in (1, 2):
        config = bridge_config("1.1.0", isDefaultGateway=True, ipam=ipam_config(f"10.{number}.0.0/24", f"fd00:{number}::/64"))
        config.update(name=f"net{number}", bridge=f"br{number}")
        known[f"eth{number}"] = with_result(config, host.add(config, ifname=f"eth{number}"))
    for ifname, config in known.items():
        assert host.call("CHECK", config, ifname=ifname).code == 0
    host.run("ip", "-n", "c1", "-6", "route", "del", "default", "via", "fd00:2::1", "dev", "eth2")
    assert host.call("CHECK", known["eth1"], ifname="eth1").code == 0
    assert "Expected Route" in host.call("CHECK", known["eth2"], ifname="eth2").message
