"""CHECK against what ADD made: everything that is as it was passes, in whatever spelling it was asked for; everything
that an ADD sets up and somebody has taken away since is named."""

import subprocess
import sys

import pytest

from cni_host import bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

V6 = "1100:200::/64"


def checked(host, config, result, **how):
    answer = host.call("CHECK", with_result(config, result), **how)
    return "" if answer.code == 0 else answer.message


ROUTES = {
    "host bits, IPv6": {"dst": "1100:200::1/24"},
    "host bits, IPv4": {"dst": "10.9.1.7/16"},
    "default with host bits": {"dst": "10.9.1.7/0"},
    "default with host bits, IPv6": {"dst": "2001:db8::7/0"},
    "default of zeros": {"dst": "0:0:0:0::0/000"},
    "IPv4-mapped": {"dst": "::ffff:10.9.0.0/112", "gw": "::ffff:10.1.0.1"},
    "IPv4-mapped default": {"dst": "::ffff:0.0.0.0/96"},
    "upper case and zeros": {"dst": "2001:0DB8:0000::/48", "gw": "1100:0200:0::0001"},
    "one address": {"dst": "2001:db8::1/128"},
    "metrics": {"dst": "10.9.0.0/16", "mtu": 1300, "advmss": 1200, "priority": 7},
    "metrics, IPv6": {"dst": "2001:db8::/48", "mtu": 1300, "advmss": 1200, "priority": 7},
    "metrics that the kernel cuts": {"dst": "10.9.0.0/16", "mtu": 65535, "advmss": 65535},
    "table": {"dst": "10.9.0.0/16", "table": 1000},
    "table, IPv6": {"dst": "2001:db8::/48", "table": 100},
    "scope": {"dst": "10.9.0.0/16", "scope": 0},
    "scope, IPv6": {"dst": "2001:db8::/48", "scope": 200},
}


@pytest.mark.parametrize("what", ROUTES)
def test_a_route_in_any_spelling_is_found(host, what):
    config = bridge_config("1.1.0", isGateway=True, ipam=ipam_config("10.1.0.0/24", V6, routes=[ROUTES[what]]))
    result = host.add(config)
    assert checked(host, config, result) == ""


@pytest.mark.parametrize("what, change", [
    ("host bits, IPv6", "-6 route del 1100:200::/24"),
    ("metrics", "route change 10.9.0.0/16 via 10.1.0.1 dev eth0 metric 7 mtu 1200 advmss 1200"),
    ("metrics", "route change 10.9.0.0/16 via 10.1.0.1 dev eth0 metric 7 mtu 1300"),
    ("table", "route del 10.9.0.0/16 table 1000"),
    ("host bits, IPv4", "route change 10.9.0.0/16 via 10.1.0.77 dev eth0"),
])
def test_a_route_that_was_changed_is_missed(host, what, change):
    config = bridge_config("1.1.0", isGateway=True, ipam=ipam_config("10.1.0.0/24", V6, routes=[ROUTES[what]]))
    result = host.add(config)
    host.run("ip", "-n", "c1", *change.split())
    assert "Expected Route" in checked(host, config, result)


def test_a_default_route_that_is_asked_for_with_host_bits_is_not_added_twice(host):
    config = bridge_config(isDefaultGateway=True, ipam=ipam_config(
        "10.1.0.0/24", routes=[{"dst": "10.9.9.9/0", "gw": "10.1.0.1"}]))
    result = host.add(config)
    assert len(result["routes"]) == 1
    assert checked(host, config, result) == ""


@pytest.mark.parametrize("spelled", [str.upper, lambda mac: mac.replace(":", "-"),
                                     lambda mac: ".".join(mac.replace(":", "")[at:at + 4] for at in (0, 4, 8))])
def test_a_mac_in_any_spelling_is_found(host, spelled):
    """As a runtime or a chained plugin may write it; DEL too knows a link of the reference's by it."""
    mac = "02:00:00:00:AA:FF"
    config = bridge_config(isGateway=True, runtimeConfig={"mac": spelled(mac)})
    result = host.add(config)
    for each in result["interfaces"]:
        each["mac"] = spelled(each["mac"])
    assert checked(host, config, result) == ""
    result["interfaces"][2]["mac"] = spelled("02:00:00:00:aa:fe")
    assert "Mac" in checked(host, config, result)


def test_a_namespace_by_another_path_is_the_same(host):
    config = bridge_config(isGateway=True)
    result = host.add(config)
    host.run("ln", "-s", "/run/netns/c1", "/run/netns/leases/other")
    assert checked(host, config, result, netns="/run/netns/leases/other") == ""
    host.container("c2")
    assert "Sandbox in prevResult" in checked(host, config, result, netns="/run/netns/c2")


def test_a_network_of_all_addresses_is_masqueraded_and_found(host):
    """The programs of iptables leave it out."""
    config = bridge_config("1.1.0", ipMasq=True, ipMasqBackend="iptables", ipam=ipam_config(
        [{"subnet": "0.0.0.0/0", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.9"}]))
    assert checked(host, config, host.add(config)) == ""


def test_addresses_in_any_spelling_are_found(host):
    config = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/24", V6))
    result = host.add(config)
    result["ips"][0].update(address="::ffff:10.1.0.2/120", gateway="::ffff:10.1.0.1")
    result["ips"][1].update(address="1100:0200:0:0:0::0002/064", gateway="1100:0200::0001")
    assert checked(host, config, result) == ""


def test_a_program_that_listens_on_the_bridge_changes_nothing(host):
    """It makes the kernel take all packets, as promiscMode does; but nobody has set that."""
    plain, promiscuous = bridge_config(isGateway=True), bridge_config(isGateway=True, promiscMode=True)
    result = host.add(plain)
    program = "import socket, struct\n" \
              "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n" \
              "s.setsockopt(263, 1, struct.pack('IHH8s', socket.if_nametoindex('br1'), 1, 0, b''))\n" \
              "print('listens', flush=True); input()\n"
    listener = subprocess.Popen([*host.enter, sys.executable, "-c", program], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
    assert listener.stdout.readline() == "listens\n"
    assert checked(host, plain, result) == ""
    known = host.add(promiscuous, "c2")
    listener.communicate("\n")
    assert "PROMISC" in host.links()["br1"]["flags"]
    assert checked(host, promiscuous, known, container="c2") == ""


BOTH = bridge_config("1.1.0", isGateway=True, mtu=1400, ipam=ipam_config("10.1.0.0/24", V6))
# What is done to the host ({port}: the host's end), what CHECK says of it, and the configuration if it is another.
TAKEN_AWAY = {
    "bridge down": ("ip link set br1 down", "Interface br1 is down", BOTH),
    "port down": ("ip link set {port} down", "", BOTH),
    "port in no bridge": ("ip link set {port} nomaster", "was not found", BOTH),
    "port in another bridge": ("ip link add br2 type bridge; ip link set {port} master br2", "was not found", BOTH),
    "gateway, IPv4": ("ip addr del 10.1.0.1/24 dev br1", "Gateway 10.1.0.1/24 is not an address of interface br1",
                      BOTH),
    "gateway, IPv6": ("ip addr del 1100:200::1/64 dev br1", "Gateway 1100:200::1/64 is not", BOTH),
    "gateway of another length": ("ip addr del 10.1.0.1/24 dev br1; ip addr add 10.1.0.1/16 dev br1",
                                  "Gateway 10.1.0.1/24", BOTH),
    "forwarding, IPv4": ("echo 0 >/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward has to be 1", BOTH),
    "forwarding, IPv6": ("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding",
                         "/proc/sys/net/ipv6/conf/all/forwarding has to be 1", BOTH),
    "MTU of the port": ("ip link set {port} mtu 1300", "configured 1400, is 1300", BOTH),
    "MTU of the bridge": ("ip link set br1 mtu 1300", "Interface br1 MTU", BOTH),
    "MTU inside": ("ip -n c1 link set eth0 mtu 1300", "Interface eth0 MTU", BOTH),
    "container's end down": ("ip -n c1 link set eth0 down", "", BOTH),
    "hairpin": ("bridge link set dev {port} hairpin off", "hairpin mode", {**BOTH, "hairpinMode": True}),
    "no hairpin": ("bridge link set dev {port} hairpin on", "hairpin mode", BOTH),
    "isolation": ("bridge link set dev {port} isolated off", "port isolation", {**BOTH, "portIsolation": True}),
    "promiscuity": ("ip link set br1 promisc off", "Promisc Mode", {**BOTH, "promiscMode": True}),
    "no promiscuity": ("ip link set br1 promisc on", "Promisc Mode", BOTH),
    "bridge's MAC": ("ip link set br1 address 02:00:00:00:00:09", "Mac doesn't match", BOTH),
    "masquerade for another address": (
        "nft -a list chain inet cni_plugins_masquerade masq_checks | sed -n 's/.*10.1.0.2 .*handle //p' | "
        "xargs nft delete rule inet cni_plugins_masquerade masq_checks handle; "
        "nft add rule inet cni_plugins_masquerade masq_checks ip saddr 10.1.0.9 ip daddr != 10.1.0.0/24 masquerade "
        "comment '\"8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1\"'",
        "Masquerade rules", {**BOTH, "ipMasq": True, "ipMasqBackend": "nftables"}),
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_what_was_taken_away_is_missed(host, what):
    change, words, config = TAKEN_AWAY[what]
    result = host.add(config)
    assert checked(host, config, result) == ""
    host.run("sh", "-ec", change.format(port=host.veths()[0]))
    said = checked(host, config, result)
    assert said and words in said
    assert host.call("DEL", with_result(config, result)).code == 0


def test_without_a_gateway_of_ours_nobody_asks_for_forwarding(host):
    config = bridge_config("1.1.0")
    result = host.add(config)
    host.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    assert checked(host, config, result) == ""


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_the_forwarding_of_a_family_without_addresses_is_nobodys(host, backend):
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend=backend)
    result = host.add(config)
    host.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding")
    assert checked(host, config, result) == ""
