"""What the reference plugins do wrong, measured: one story each. Every story is told twice: with ours it
ends well, and with Debian's (1.1.1) it has to fail, else it would prove nothing. Stories that only 1.9.1
or no plugin of Debian's can be asked for are told with ours alone."""

import json

import pytest

import cni_host
from cni_host import OURS, REFERENCE, CniHost, bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

GATEWAY = bridge_config(isGateway=True)
MASQUERADE = bridge_config(isGateway=True, ipMasq=True)
V6 = "fd00:9::/64"


def jumps(host):
    return [line for line in host.rules().splitlines() if line.startswith("-A POSTROUTING")]


def chains(host):
    return [line for line in host.rules().splitlines() if line.startswith(":CNI-")]


def bridge_gets_a_gateway_after_it_lost_its_last_port(host):
    plain = bridge_config(ipam={})
    host.add(plain, "c1")
    assert host.call("DEL", plain, container="c1").code == 0
    host.add(GATEWAY, "c2")


def bridge_keeps_its_mac_as_ports_come_and_go(host):
    plain = bridge_config(ipam={})
    macs = set()
    for number in range(6):
        macs.add(host.add(plain, f"c{number}")["interfaces"][0]["mac"])
        macs.add(host.links()["br1"]["address"])
    host.call("DEL", plain, container="c0")
    macs.add(host.links()["br1"]["address"])
    assert len(macs) == 1


def two_interfaces_of_one_container_are_masqueraded_apart(host):
    first = host.add(MASQUERADE)
    second = host.add(MASQUERADE, ifname="eth1")
    assert host.call("DEL", with_result(MASQUERADE, first)).code == 0
    address = second["ips"][0]["address"].split("/")[0]
    assert [address in line for line in jumps(host)] == [True]
    assert len([line for line in host.rules().splitlines() if "-j MASQUERADE" in line]) == 1
    assert host.call("DEL", with_result(MASQUERADE, second), ifname="eth1").code == 0
    assert not jumps(host) and not chains(host)


def del_without_namespace_leaves_nothing(host):
    result = host.add(MASQUERADE)
    assert host.call("DEL", with_result(MASQUERADE, result), netns="").code == 0
    assert (host.veths(), jumps(host), chains(host), host.leased()) == ([], [], [], [])


def del_without_namespace_and_prev_result_leaves_nothing(host):
    host.add(MASQUERADE)
    assert host.call("DEL", MASQUERADE, netns=None, CNI_NETNS=None).code == 0
    assert (host.veths(), jumps(host), chains(host), host.leased()) == ([], [], [], [])


def del_after_the_namespace_went_leaves_nothing(host):
    result = host.add(MASQUERADE)
    host.run("ip", "netns", "delete", "c1")
    assert host.call("DEL", with_result(MASQUERADE, result)).code == 0
    assert (jumps(host), chains(host), host.leased()) == ([], [], [])


def del_after_the_link_went_leaves_nothing(host):
    result = host.add(MASQUERADE)
    host.run("ip", "netns", "exec", "c1", "ip", "link", "delete", "eth0")
    assert host.call("DEL", with_result(MASQUERADE, result)).code == 0
    assert (jumps(host), chains(host), host.leased()) == ([], [], [])


def empty_lease_is_free(host):
    config = {**GATEWAY, "ipam": ipam_config([{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.5"}])}
    (host.leases / "net1").mkdir()
    (host.leases / "net1" / "10.1.0.5").touch()
    assert host.add(config)["ips"][0]["address"] == "10.1.0.5/24"


def failed_add_leaves_nothing(host):
    full = {**MASQUERADE, "ipam": ipam_config([{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.5"}])}
    host.add(full, "c1")
    before = (host.veths(), jumps(host), host.leased())
    host.container("c2")
    assert host.call("ADD", full, container="c2").code != 0
    assert (host.veths(), jumps(host), host.leased()) == before
    assert "eth0" not in host.links("c2")


def failed_add_after_everything_leaves_nothing(host):
    """The route cannot be added: its gateway is on no network of the container."""
    config = {**MASQUERADE, "ipam": ipam_config("10.1.0.0/24", routes=[{"dst": "10.9.0.0/16", "gw": "172.16.0.1"}])}
    host.container("c1")
    assert host.call("ADD", config).code != 0
    assert (host.veths(), jumps(host), chains(host), host.leased()) == ([], [], [], [])
    assert "br1" not in host.links() and "eth0" not in host.links("c1")


def ipv6_works_at_once(host):
    host.add({**GATEWAY, "ipam": ipam_config(V6)})
    tentative = [each for link in (host.links()["br1"], host.links("c1")["eth0"]) for each in link["addr_info"]
                 if each.get("tentative") and not each["local"].startswith("fe80")]
    assert not tentative


def well_known_arguments_are_known_to_both(host):
    result = host.add(GATEWAY, args="MAC=02:00:00:00:00:07;IP=10.1.0.77")
    assert result["interfaces"][2]["mac"] == "02:00:00:00:00:07"
    assert result["ips"][0]["address"] == "10.1.0.77/24"


def check_works_without_addresses(host):
    plain = bridge_config(ipam={})
    result = host.add(plain)
    assert host.call("CHECK", with_result(plain, result)).code == 0


def two_range_sets_of_a_family_have_two_gateways(host):
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", "10.2.0.0/24"))
    host.add(config, "c1")
    host.add(config, "c2")
    local = sorted(each["local"] for each in host.links()["br1"]["addr_info"] if each["family"] == "inet")
    assert local == ["10.1.0.1", "10.2.0.1"]


def routes_have_their_mtu(host):
    host.add({**GATEWAY, "ipam": ipam_config("10.1.0.0/24", routes=[{"dst": "10.9.0.0/16", "mtu": 1300, "advmss": 1200}])})
    out = host.run("ip", "netns", "exec", "c1", "ip", "route", "show", "10.9.0.0/16").stdout
    assert "mtu 1300" in out and "advmss 1200" in out


def loopback_is_up(host):
    host.add(GATEWAY)
    assert "UP" in host.links("c1")["lo"]["flags"]


def existing_bridge_gets_the_mtu(host):
    host.add(GATEWAY, "c1")
    host.add({**GATEWAY, "mtu": 9000}, "c2")
    assert host.links()["br1"]["mtu"] == 9000


def old_version_without_addresses_touches_nothing(host):
    host.container("c1")
    assert host.call("ADD", bridge_config("0.2.0", ipam={})).code != 0
    assert "br1" not in host.links() and host.veths() == []


def links_keep_their_transmit_queue(host):
    host.add(GATEWAY)
    assert host.links()[host.veths()[0]].get("txqlen") == 1000


def own_namespace_is_refused_before_anything_is_done(host):
    answer = host.call("ADD", GATEWAY, netns="/proc/self/ns/net")
    assert answer.json["code"] == 8
    assert "br1" not in host.links() and host.leased() == [] and "eth0" not in host.links()
    known = with_result(GATEWAY, host.add(GATEWAY, "c1"))
    assert host.call("CHECK", known, netns="/proc/self/ns/net").json["code"] == 8
    assert host.call("DEL", GATEWAY, netns="/proc/self/ns/net").code == 0, "as if it were gone"
    assert host.veths() == [] and host.leased() == []


def gc_frees_what_is_not_valid(host):
    config = {**MASQUERADE, "cniVersion": "1.1.0"}
    host.add(config, "c1")
    host.add(config, "c2")
    keep = {**config, "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]}
    assert host.call("GC", keep, container="").code == 0
    assert host.leased() == ["10.1.0.3"] and len(host.veths()) == 1 and len(jumps(host)) == 1


def status_says_that_the_pool_is_empty(host):
    config = bridge_config("1.1.0", ipam=ipam_config([{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.2"}]))
    assert host.call("STATUS", config, container="").code == 0
    host.add(config)
    assert host.call("STATUS", config, container="").json["code"] == 50


STORIES = [bridge_gets_a_gateway_after_it_lost_its_last_port, bridge_keeps_its_mac_as_ports_come_and_go,
           two_interfaces_of_one_container_are_masqueraded_apart, del_without_namespace_leaves_nothing,
           del_without_namespace_and_prev_result_leaves_nothing, del_after_the_namespace_went_leaves_nothing,
           del_after_the_link_went_leaves_nothing, empty_lease_is_free, failed_add_leaves_nothing,
           failed_add_after_everything_leaves_nothing, ipv6_works_at_once, well_known_arguments_are_known_to_both,
           check_works_without_addresses, two_range_sets_of_a_family_have_two_gateways, routes_have_their_mtu,
           loopback_is_up, existing_bridge_gets_the_mtu, old_version_without_addresses_touches_nothing,
           links_keep_their_transmit_queue, own_namespace_is_refused_before_anything_is_done, gc_frees_what_is_not_valid,
           status_says_that_the_pool_is_empty]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_ours_tells_it_well(story):
    if reason := cni_host.why_unavailable():
        pytest.skip(reason)
    with CniHost(OURS) as host:
        story(host)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_reference_fails(story):
    if reason := cni_host.why_no_reference():
        pytest.skip(reason)
    with CniHost(REFERENCE) as host, pytest.raises((AssertionError, KeyError, IndexError, json.JSONDecodeError)):
        story(host)


# Where Debian's plugin has nothing to compare: the nftables backend came with 1.6.0, and its DEL fails with
# Debian's nft in 1.9.1, as nft's words are not those it looks for.


def test_del_of_the_nftables_backend_removes_exactly_its_rules(host):
    config = {**MASQUERADE, "ipMasqBackend": "nftables", "ipam": ipam_config("10.1.0.0/24", V6)}
    first = host.add(config, "c1")
    host.add(config, "c2")
    rules = host.rules("inet")
    assert rules.count("masquerade comment") == 4
    assert '"8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1"' in rules
    assert host.call("DEL", with_result(config, first)).code == 0
    rules = host.rules("inet")
    assert rules.count("masquerade comment") == 2 and "id: c1" not in rules
    assert host.call("DEL", config, container="c2", netns="").code == 0
    assert host.call("DEL", config, container="c2", netns="").code == 0
    assert "masquerade comment" not in host.rules("inet") and "goto masq_checks" in host.rules("inet")


def test_check_sees_missing_masquerade_spoof_check_and_port_settings(host):
    config = {**MASQUERADE, "macspoofchk": True, "hairpinMode": True}
    known = with_result(config, host.add(config))
    assert host.call("CHECK", known).code == 0
    port = host.veths()[0]
    for spoil, word in ((["ip", "link", "set", port, "type", "bridge_slave", "hairpin", "off"], "hairpin"),
                        (["iptables", "-t", "nat", "-F", "POSTROUTING"], "Masquerade")):
        host.run(*spoil)
        assert word in host.call("CHECK", known).message
        host.run("ip", "link", "set", port, "type", "bridge_slave", "hairpin", "on")
    assert host.call("DEL", known).code == 0
    known = with_result(config, host.add(config))
    host.run("nft", "flush", "chain", "bridge", "nat", "PREROUTING")
    assert "Spoof-check" in host.call("CHECK", known).message


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_strangers_rules_stay_as_they_are(host, backend):
    """Rules that look like ours, of net10, of container c10 and of nobody, in every table we touch."""
    config = {**MASQUERADE, "cniVersion": "1.1.0", "ipMasqBackend": backend, "macspoofchk": True}
    other = {**config, "name": "net10"}
    host.add(other, "c1", ifname="eth7")
    host.add(config, "c10")
    host.run("iptables-restore", "--noflush", input="""*nat
:STRANGER - [0:0]
-A STRANGER -s 10.1.0.2/32 -j RETURN
-A POSTROUTING -s 10.1.0.3/32 -m comment --comment "name: \\"net1\\" id: \\"c1\\" and more" -j ACCEPT
-A POSTROUTING -s 10.1.0.3/32 -j STRANGER
COMMIT
""")
    host.run("nft", "-f", "-", input="""
        add rule bridge nat PREROUTING iifname "vethabc" ether saddr 02:00:00:00:00:01 accept comment "macspoofchk-c1"
        add table inet stranger
        add chain inet stranger masq_checks
        add rule inet stranger masq_checks ip saddr 10.1.0.3 masquerade comment "8e48f37d5de60467-x"
        add table inet cni_plugins_masquerade
        add chain inet cni_plugins_masquerade masq_checks
        add rule inet cni_plugins_masquerade masq_checks ip saddr 10.1.0.3 masquerade comment "8e48f37d5de60467 mine"
    """)
    keep = [{"containerID": "c10", "ifname": "eth0"}]

    def all_rules():
        return host.rules("bridge", "inet", "ip", "ip6")

    host.add(config, "c1")  # makes the tables that are still missing
    assert host.call("DEL", config).code == 0
    before = all_rules()
    links = host.veths()
    result = host.add(config, "c1")
    assert all_rules() != before
    assert host.call("DEL", with_result(config, result)).code == 0
    assert all_rules() == before
    host.add(config, "c1")
    assert host.call("GC", {**config, "cni.dev/valid-attachments": keep}, container="").code == 0
    assert all_rules() == before and host.veths() == links


def test_strangers_links_stay(host):
    """A veth of that name that is not ours, and one of the container's that the reference made."""
    config = bridge_config(isGateway=True)
    host.add(config)
    name = host.veths()[0]
    assert host.call("DEL", config).code == 0
    host.run("ip", "link", "add", name, "type", "veth", "peer", "name", "stranger")
    assert host.call("DEL", config).code == 0
    assert host.call("GC", {**config, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}, container="").code == 0
    assert name in host.links()


def test_links_that_the_reference_made_go_by_prev_result_only(host):
    if reason := cni_host.why_no_reference():
        pytest.skip(reason)
    config = {**MASQUERADE}
    result = host.add(config, plugins=REFERENCE)
    assert host.call("DEL", config, netns="").code == 0
    assert len(host.veths()) == 1
    assert host.call("DEL", with_result(config, result), netns="").code == 0
    assert (host.veths(), jumps(host), chains(host), host.leased()) == ([], [], [], [])


@pytest.mark.parametrize("lists", [{}, {"cni.dev/valid-attachments": None}, {"cni.dev/valid-attachments": "all"}])
def test_gc_without_a_list_touches_nothing(host, lists):
    config = {**MASQUERADE, "cniVersion": "1.1.0"}
    host.add(config)
    before = (host.rules(), host.veths(), host.lease_files())
    assert host.call("GC", {**config, **lists}, container="").json["code"] == 7
    assert (host.rules(), host.veths(), host.lease_files()) == before


def test_gc_of_one_network_leaves_the_other_on_the_same_bridge(host):
    one, other = ({**MASQUERADE, "cniVersion": "1.1.0", "name": name} for name in ("net1", "net10"))
    host.add(one, "c1")
    host.add({**other, "ipam": ipam_config("10.1.0.0/24")}, "c2", ifname="eth0")
    assert host.call("GC", {**one, "cni.dev/attachments": []}, container="").code == 0
    assert host.leased("net1") == [] and host.leased("net10") == ["10.1.0.2"]
    assert len(host.veths()) == 1 and len(jumps(host)) == 1


def test_vlans_need_a_kernel_that_filters_them(host):
    """A clear error and nothing left, or where the kernel can, the VLAN on the port."""
    host.container("c1")
    answer = host.call("ADD", bridge_config(vlan=7))
    if answer.code == 0:
        assert "7" in host.run("bridge", "vlan", "show", "dev", host.veths()[0]).stdout
    else:
        assert "CONFIG_BRIDGE_VLAN_FILTERING" in answer.message
        assert host.veths() == [] and "br1" not in host.links() and host.leased() == []
