"""A failed ADD on a bridge that others made or use: it is as it was before."""

import concurrent.futures

import pytest

from cni_host import bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

NOWHERE = [{"dst": "10.5.0.0/16", "gw": "172.30.0.1"}]  # a route that the kernel refuses


def made_by_hand(host, *addresses, up=True):
    host.run("ip", "link", "add", "br1", "type", "bridge")
    host.run("ip", "link", "set", "br1", "mtu", "1450")  # one that nobody set follows the ports
    for address in addresses:
        host.run("ip", "addr", "add", address, "dev", "br1", *(["nodad"] if ":" in address else []))
    if up:
        host.run("ip", "link", "set", "br1", "up")


def bridge(host):
    """What an ADD may change of it; without the link-local address, which comes and goes with the link."""
    link = host.links()["br1"]
    addresses = {(each["local"], each["prefixlen"]) for each in link["addr_info"] if each["scope"] == "global"}
    return link["mtu"], "PROMISC" in link["flags"], "UP" in link["flags"], addresses


@pytest.mark.parametrize("settings", [{}, {"promiscMode": True, "mtu": 1400}], ids=["plain", "promiscuous"])
def test_what_the_container_refuses_costs_the_bridge_nothing(host, settings):
    made_by_hand(host, "10.9.0.1/24", "fd00:8::1/64", "fd00:9::5/64")
    before = bridge(host)
    subnets = ipam_config("10.1.0.0/24", "fd00:9::/64", routes=NOWHERE)
    config = bridge_config(isGateway=True, forceAddress=True, ipam=subnets, **settings)
    host.container("c1")
    answer = host.call("ADD", config)
    assert answer.code == 1 and "failed to add route '{10.5.0.0 ffff0000} via 172.30.0.1 dev eth0" in answer.message
    assert "(Scope: universe, Table: 0)'" in answer.message
    assert bridge(host) == before and host.veths() == [] and host.leased() == []

    host.add({**config, "ipam": ipam_config("10.1.0.0/24", "fd00:9::/64")})
    addresses = bridge(host)[3]
    assert ("10.1.0.1", 24) in addresses and ("10.9.0.1", 24) not in addresses and ("fd00:8::1", 64) in addresses


def test_what_iptables_refuses_costs_the_bridge_nothing(host):
    made_by_hand(host, "10.9.0.1/24")
    before = bridge(host)
    config = bridge_config(isGateway=True, forceAddress=True, ipMasq=True, ipMasqBackend="iptables")
    host.container("c1")
    answer = host.call("ADD", config, PATH=broken_iptables(host))
    assert answer.code == 1 and "running iptables-restore: exit status 4: boom" in answer.message
    assert bridge(host) == before and host.veths() == [] and host.leased() == []


def test_a_neighbour_keeps_its_gateway(host):
    """Two networks on one bridge: what fails for one costs the other nothing, and leaves no address for it."""
    other = bridge_config(name="net2", isGateway=True, ipam=ipam_config("10.9.0.0/24"))
    host.add(other, "c2")
    before = bridge(host)
    host.container("c1")
    failing = bridge_config(isGateway=True, forceAddress=True, ipam=ipam_config("10.1.0.0/24", routes=NOWHERE))
    assert host.call("ADD", failing).code == 1
    assert bridge(host) == before
    assert host.run("ip", "netns", "exec", "c2", "ping", "-c1", "-W2", "10.9.0.1").returncode == 0

    late = bridge_config(isGateway=True, ipMasq=True, ipMasqBackend="iptables", ipam=ipam_config("fd00:9::/64"))
    assert host.call("ADD", late, PATH=broken_iptables(host)).code == 1
    assert bridge(host) == before


@pytest.mark.parametrize("force", [False, True])
def test_an_address_that_the_bridge_refuses_costs_it_none(host, force):
    """Two families, and no IPv6 on the bridge: what was put there for the first goes, what had to go stays."""
    made_by_hand(host, *(["10.9.0.1/24"] if force else []))
    host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/br1/disable_ipv6")
    before = bridge(host)
    host.container("c1")
    config = bridge_config(isGateway=True, forceAddress=force, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    answer = host.call("ADD", config)
    assert answer.code == 1 and "could not add IP address fd00:9::1/64" in answer.message, answer
    assert bridge(host) == before and host.veths() == [] and host.leased() == []


@pytest.mark.parametrize("old", ["10.1.0.77/24", "10.1.0.1/16", "10.1.0.77/16"])
def test_an_address_of_the_same_subnet_is_replaced(host, old):
    made_by_hand(host, old, "10.1.0.78/24", "fd00:9::1/48")
    config = bridge_config(isGateway=True, forceAddress=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    host.add(config)
    assert bridge(host)[3] == {("10.1.0.1", 24), ("fd00:9::1", 64)}
    assert "10.1.0.0/24 dev br1 proto kernel scope link src 10.1.0.1" in host.run("ip", "route").stdout
    assert host.run("ip", "netns", "exec", "c1", "ping", "-c1", "-W2", "10.1.0.1").returncode == 0


@pytest.mark.parametrize("how", [{"ipam": ipam_config("10.1.0.0/24", routes=NOWHERE)},
                                 {"ipMasq": True, "ipMasqBackend": "iptables"}], ids=["early", "late"])
def test_of_many_that_all_fail_nothing_is_left(host, how):
    """The one that made the bridge may be done while others are on it: the last one takes it away."""
    path = broken_iptables(host)
    config = bridge_config(isGateway=True, **how)
    for number in range(8):
        host.container(f"c{number}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: host.call("ADD", config, container=f"c{number}", PATH=path), range(8)))
    assert [answer.code for answer in answers] == [1] * 8
    assert host.veths() == [] and "br1" not in host.links() and host.leased() == []


def test_a_bridge_that_an_attachment_succeeded_on_stays(host):
    config = bridge_config(isGateway=True)
    host.add(config)
    assert host.links()["br1"].get("ifalias", "") == ""
    assert host.call("DEL", config).code == 0
    assert host.call("ADD", {**config, "ipam": ipam_config("10.1.0.0/24", routes=NOWHERE)}).code == 1
    assert "br1" in host.links()


def test_a_result_that_cannot_be_written_is_undone(host):
    host.container("c1")
    answer = host.call("ADD", bridge_config(isGateway=True, ipMasq=True), wrapper=("sh", "-c", 'exec "$0" >/dev/full'))
    assert answer.code == 1
    assert host.veths() == [] and host.leased() == [] and "CNI-" not in host.rules()


def test_a_conflict_is_found_before_anything_is_changed(host):
    made_by_hand(host, "10.9.0.1/24", up=False)
    before, rules = bridge(host), host.rules()
    host.container("c1")
    answer = host.call("ADD", bridge_config(isGateway=True, promiscMode=True, mtu=1400, macspoofchk=True))
    assert answer.code == 1 and "already has an IP address different from 10.1.0.1/24" in answer.message
    assert bridge(host) == before and host.rules() == rules and host.leased() == []


def broken_iptables(host):
    """A PATH whose iptables fails as one does that finds no table in the kernel."""
    folder = "/run/netns/leases/broken"
    host.run("mkdir", "-p", folder)
    for program in ("iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save"):
        host.run("sh", "-c", f"printf '#!/bin/sh\\ncat >/dev/null\\necho boom >&2\\nexit 4\\n' >{folder}/{program}; "
                             f"chmod 755 {folder}/{program}")
    return f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"


def test_iptables_may_fail_for_one_family(host):
    """As where the kernel has no ip6table_nat."""
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    path = broken_iptables(host)
    host.run("sh", "-c", "rm /run/netns/leases/broken/iptables-*")
    host.container("c1")
    answer = host.call("ADD", config, PATH=path)
    assert answer.code == 0, answer
    known = with_result(config, answer.json)
    assert "10.1.0.2/32" in host.run("iptables-save", "-t", "nat").stdout
    assert host.run("nft", "list", "chain", "inet", "cni_plugins_masquerade", "masq_checks").stdout.count(" masquerade ") == 1
    assert host.call("CHECK", known, PATH=path).code == 0
    host.run("nft", "flush", "chain", "inet", "cni_plugins_masquerade", "masq_checks")
    assert "Masquerade rules of container c1 not found" in host.call("CHECK", known, PATH=path).message
    assert host.call("DEL", config, PATH=path).code == 0
    assert "CNI-" not in host.rules()


def test_without_a_backend_of_choice_the_one_that_works_is_taken(host):
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    path = broken_iptables(host)
    host.container("c1")
    answer = host.call("ADD", config, PATH=path)
    assert answer.code == 0, answer
    assert host.run("nft", "list", "chain", "inet", "cni_plugins_masquerade", "masq_checks").stdout.count(" masquerade ") == 2
    assert host.call("CHECK", with_result(config, answer.json), PATH=path).code == 0
    assert host.call("DEL", config, PATH=path).code == 0
    assert "masquerade comment" not in host.rules()
