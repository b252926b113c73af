"""A failed ADD on a bridge that others made or use: it is as it was before."""

import pytest

from cni_host import bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

NOWHERE = [{"dst": "10.5.0.0/16", "gw": "172.30.0.1"}]  # a route that the kernel refuses


def made_by_hand(host, *addresses, up=True):
    host.run("ip", "link", "add", "br1", "mtu", "1450", "type", "bridge")
    for address in addresses:
        host.run("ip", "addr", "add", address, "dev", "br1", *(["nodad"] if ":" in address else []))
    if up:
        host.run("ip", "link", "set", "br1", "up")


def bridge(host):
    """What an ADD may change of it; without the link-local address, which comes and goes with the link."""
    link = host.links()["br1"]
    addresses = {(each["local"], each["prefixlen"]) for each in link["addr_info"] if each["scope"] == "global"}
    return link["mtu"], "PROMISC" in link["flags"], "UP" in link["flags"], addresses


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("settings", [{}, {"promiscMode": True, "mtu": 1400}], ids=["plain", "promiscuous"])
def test_addresses_that_had_to_go_come_back(host, settings, up):
    made_by_hand(host, "10.9.0.1/24", "fd00:8::1/64", "fd00:9::5/64", up=up)
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


def test_addresses_come_back_where_the_failure_is_late(host):
    """iptables' programs are asked last."""
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
    assert bridge(host) == before, "the new gateway went, though the bridge is in use"

    same = bridge_config(isGateway=True, ipMasq=True, ipMasqBackend="iptables", ipam=ipam_config("10.9.0.0/24"))
    host.run("ip", "addr", "del", "10.9.0.1/24", "dev", "br1")
    assert host.call("ADD", same, PATH=broken_iptables(host)).code == 1
    assert bridge(host) == before, "but one in whose network the neighbour is stays"


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
