"""More of what the reference plugins do wrong, told twice as in test_cni_faults.py: what an address leaves behind for
the next who has it, and how much work a call is. The work is counted in system calls, so that no clock decides."""

import ipaddress
import json
import re
import shutil
import sys

import pytest

import cni_host
from cni_host import OURS, REFERENCE, CniHost, bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

GATEWAY = bridge_config(isGateway=True)
MASQUERADE = bridge_config(isGateway=True, ipMasq=True)
V6 = {**GATEWAY, "ipam": ipam_config([{"subnet": "fd00:9::/64", "rangeStart": "fd00:9::5", "rangeEnd": "fd00:9::5"}])}


def ping(host, address, namespace=None):
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    return host.run(*inside, "ping", "-c", "1", "-W", "1", address, check=False).returncode == 0


def the_next_owner_of_an_ipv6_address_is_reached_at_once(host):
    """The host talked to the last one, so that it knows another MAC for the address. A third container keeps the
    bridge's carrier, without which the kernel would forget."""
    host.add({**GATEWAY, "ipam": ipam_config([{"subnet": "fd00:9::/64", "rangeStart": "fd00:9::7"}])}, "c7")
    host.add(V6, "c1")
    assert any(ping(host, "fd00:9::5") for _ in range(10))
    assert host.call("DEL", V6, container="c1").code == 0
    host.add(V6, "c2")
    assert ping(host, "fd00:9::5")


def connections(host, address):
    """Lines of /proc/net/nf_conntrack, where an IPv6 address has all its zeros."""
    spelled = ipaddress.ip_address(address).exploded
    text = host.run("cat", "/proc/net/nf_conntrack").stdout
    return [line for line in text.splitlines() if re.search(rf"src={re.escape(spelled)}\b", line)]


def a_world_outside(host):
    host.run("ip", "link", "add", "wire", "type", "bridge")
    for address in ("192.0.2.2/24", "2001:db8::2/64"):
        host.run("ip", "addr", "add", address, "dev", "wire", *(["nodad"] if ":" in address else []))
    host.run("ip", "link", "set", "wire", "up")
    ipam = ipam_config("10.1.0.0/24", "fd00:9::/64", routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])
    return {**MASQUERADE, "cniVersion": "1.1.0", "ipam": ipam}


def say_something(host, container):
    """A datagram of the container's to a world that its host reaches makes an entry, which nothing ends but time."""
    host.run("ip", "netns", "exec", container, sys.executable, "-c", "import socket; "
             "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9)); "
             "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('2001:db8::1', 9))")


def connections_do_not_outlive_the_address(host):
    config = {**a_world_outside(host), "cniVersion": "1.0.0"}
    result = host.add(config, "c1")
    host.add(config, "c2")
    for container in ("c1", "c2"):
        say_something(host, container)
    first, second = ("10.1.0.2", "fd00:9::2"), ("10.1.0.3", "fd00:9::3")
    assert all(connections(host, address) for address in first + second)
    assert host.call("DEL", with_result(config, result), container="c1").code == 0
    assert not any(connections(host, address) for address in first)
    assert all(connections(host, address) for address in second), "somebody else's connections ended"


def check_sees_a_route_through_another_interface(host):
    config = {**GATEWAY, "ipam": ipam_config("10.1.0.0/24", routes=[{"dst": "10.9.0.0/16", "gw": "10.1.0.1"}])}
    known = with_result(config, host.add(config))
    assert host.call("CHECK", known).code == 0
    for words in ("link add other type bridge", "addr add 10.1.7.1/16 dev other", "link set other up",
                  "route del 10.9.0.0/16", "route add 10.9.0.0/16 via 10.1.0.1 dev other onlink"):
        host.run("ip", "-n", "c1", *words.split())
    assert "Dst:{IP:10.9.0.0 Mask:ffff0000}" in host.call("CHECK", known).message


def traced(host, command, config, what, **how):
    trace = host.leases / "trace"
    answer = host.call(command, config, wrapper=("strace", "-f", "-qq", "-e", f"trace={what}", "-o",
                                                 "/run/netns/leases/trace"), **how)
    assert answer.code == 0, answer
    text = trace.read_text()
    trace.unlink()
    return text


def a_full_store_is_not_read_whole(host):
    config = {"cniVersion": "1.0.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.0.0/16")}
    assert host.call("ADD", config, container="first").code == 0
    for number in range(500):
        (host.leases / "net1" / f"10.1.{number // 250 + 5}.{number % 250 + 1}").write_text(f"x{number}\r\neth0")
    assert host.call("ADD", config, container="second").code == 0
    for command in ("ADD", "DEL"):
        assert traced(host, command, config, "openat,open", container="third").count("\n") < 100


def masquerading_both_families_runs_two_programs(host):
    config = {**MASQUERADE, "ipam": ipam_config("10.1.0.0/24", "fd00:9::/64")}
    host.container("c1")
    runs = re.findall(r'execve\("[^"]*/(ip6?tables[^"/]*)".* = 0', traced(host, "ADD", config, "execve"))
    assert len(runs) <= 2, runs


STORIES = [the_next_owner_of_an_ipv6_address_is_reached_at_once, connections_do_not_outlive_the_address,
           check_sees_a_route_through_another_interface, a_full_store_is_not_read_whole,
           masquerading_both_families_runs_two_programs]
TOOLS = {the_next_owner_of_an_ipv6_address_is_reached_at_once: "ping",
         a_full_store_is_not_read_whole: "strace", masquerading_both_families_runs_two_programs: "strace"}


def skip_without_tool(story):
    tool = TOOLS.get(story)
    if tool and shutil.which(tool) is None:
        pytest.skip(f"needs `{tool}`, which is not installed")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_ours_tells_it_well(story):
    if reason := cni_host.why_unavailable():
        pytest.skip(reason)
    skip_without_tool(story)
    with CniHost(OURS) as host:
        story(host)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_reference_fails(story):
    if reason := cni_host.why_no_reference():
        pytest.skip(reason)
    skip_without_tool(story)
    with CniHost(REFERENCE) as host, pytest.raises((AssertionError, KeyError, IndexError, json.JSONDecodeError)):
        story(host)


@pytest.mark.parametrize("count", [1, 20])
def test_gc_ends_the_connections_of_what_it_frees(host, count):
    """One address by one, or all from one list."""
    config = a_world_outside(host)
    names = [f"c{number}" for number in range(count)]
    for container in ("kept", *names):
        host.add(config, container)
        say_something(host, container)
    addresses = [(f"10.1.0.{number + 2}", f"fd00:9::{number + 2:x}") for number in range(count + 1)]
    assert all(connections(host, v4) and connections(host, v6) for v4, v6 in addresses)
    keep = {"cni.dev/valid-attachments": [{"containerID": "kept", "ifname": "eth0"}]}
    assert host.call("GC", {**config, **keep}, container="").code == 0
    for family in (0, 1):
        assert [pair for pair in addresses if connections(host, pair[family])] == addresses[:1]


def test_a_del_that_comes_late_ends_nothing_of_the_next_owner(host):
    """A runtime may call DEL as often as it likes, with the prevResult that it has kept."""
    config = {**a_world_outside(host), "cniVersion": "1.0.0"}
    late = with_result(config, host.add(config, "c1"))
    assert host.call("DEL", late, container="c1").code == 0
    host.add({**config, "runtimeConfig": {"ips": ["10.1.0.2", "fd00:9::2"]}}, "c2")
    say_something(host, "c2")
    assert host.call("DEL", late, container="c1").code == 0
    assert connections(host, "10.1.0.2") and connections(host, "fd00:9::2")


def test_the_bridge_goes_with_its_last_port_where_it_is_asked_for(host):
    config = {**MASQUERADE, "cniVersion": "1.1.0", "removeEmptyBridge": True}
    for container in ("c1", "c2"):
        host.add(config, container)
    assert host.call("DEL", config, container="c1").code == 0
    assert "br1" in host.links()
    assert host.call("DEL", config, container="c2", netns="").code == 0
    assert "br1" not in host.links() and host.leased() == []
    assert host.call("DEL", config, container="c2").code == 0
    host.add(config, "c3")
    assert host.call("GC", {**config, "cni.dev/valid-attachments": []}, container="").code == 0
    assert "br1" not in host.links()


def test_a_bridge_with_somebody_elses_port_stays(host):
    config = {**GATEWAY, "removeEmptyBridge": True}
    host.add(config)
    host.run("ip", "link", "add", "theirs", "type", "veth", "peer", "name", "others")
    host.run("ip", "link", "set", "theirs", "master", "br1")
    assert host.call("DEL", config).code == 0
    assert host.links()["theirs"]["master"] == "br1"


def test_a_lease_that_was_written_over_in_place_is_found(host):
    """Which leaves the folder's time as it was: an older plugin's content, of a container without an interface."""
    config = {"cniVersion": "1.0.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.0.0/24")}
    result = host.call("ADD", config).json
    lease = host.leases / "net1" / "10.1.0.2"
    lease.write_text("c1")
    assert host.call("CHECK", with_result(config, result)).code == 0
    lease.write_text("c9")
    assert host.call("CHECK", with_result(config, result)).code == 1
    assert host.call("DEL", config, container="c9").code == 0
    assert host.leased() == []


def test_a_bridge_of_links_that_stay_down_has_its_link_local_address(host):
    host.add(bridge_config(ipam={}, disableContainerInterface=True))
    bridge = host.links()["br1"]
    assert [each["scope"] for each in bridge["addr_info"]] == ["link"]
    host.run("ip", "link", "add", "port", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "other")
    host.run("ip", "link", "set", "port", "master", "br1")
    assert host.links()["br1"]["address"] == bridge["address"]
