"""How large things may be: what an ADD takes every later call can read, and what is too large is refused in a sentence
before anything is made. No time is measured; what takes too long runs into the limit of the call."""

import json

import pytest

from cni_host import bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

STORE = {"cniVersion": "1.1.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.2.0/24")}
SOON = ("timeout", "30")  # seconds; each call takes less than two


def call(host, command, config, container="c1", **how):
    more = {"prevResult": {}} if command == "CHECK" else {"cni.dev/valid-attachments": []} if command == "GC" else {}
    whose = "" if command in ("GC", "STATUS") else container
    return host.call(command, {**config, **more}, container=whose, netns="/run/netns/none", wrapper=SOON, **how)


@pytest.mark.parametrize("mtu", [68, 500, 1279])
@pytest.mark.parametrize("gateway", [False, True])
def test_a_small_mtu_and_ipv6(host, mtu, gateway):
    """The kernel has no IPv6 on such a link."""
    config = bridge_config("1.1.0", mtu=mtu, isGateway=gateway, ipMasq=True,
                           ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
    rules = host.rules()
    answer = host.call("ADD", config, netns=host.container("c1"))
    assert answer.code == 1
    assert answer.message.startswith(
        f"mtu: {mtu} is too small for IPv6, which needs links of at least 1280 (RFC 8200, section 5)")
    assert (host.veths(), host.lease_files(), "br1" in host.links(), host.rules()) == ([], {}, False, rules)
    assert host.call("STATUS", config, container="").message == answer.message
    assert host.call("DEL", config).code == 0
    host.add({**config, "mtu": 1280})


def test_a_small_mtu_and_ipv6_of_another_ipam_plugin(host):
    folder = host.leases / "plugins"
    folder.mkdir()
    (folder / "script").write_text('#!/bin/sh\ncat >/dev/null\n[ $CNI_COMMAND = ADD ] || exit 0\n'
                                   'echo \'{"cniVersion":"1.0.0","ips":[{"address":"fd00:9::2/64"}]}\'\n')
    (folder / "script").chmod(0o755)
    config = bridge_config(mtu=1000, ipam={"type": "script"})
    answer = host.call("ADD", config, netns=host.container("c1"), CNI_PATH=f"{host.plugins}:/run/netns/leases/plugins")
    assert "RFC 8200, section 5" in answer.message and (host.veths(), "br1" in host.links()) == ([], False)


def test_ipv6_on_a_bridge_that_has_a_small_mtu(host):
    host.run("ip", "link", "add", "br1", "mtu", "1000", "type", "bridge")
    config = bridge_config(isGateway=True, ipam=ipam_config("fd00:9::/64"))
    answer = host.call("ADD", config, netns=host.container("c1"))
    assert answer.message.startswith("mtu: the 1000 of bridge br1 is too small for IPv6")
    assert host.veths() == [] and host.leased() == []
    host.add({**config, "mtu": 1500})


def test_ipv4_takes_a_small_mtu_and_no_smaller(host):
    assert host.add(bridge_config("1.1.0", mtu=68, isGateway=True))["interfaces"][2]["mtu"] == 68
    answer = host.call("ADD", bridge_config(mtu=67), container="c2", netns=host.container("c2"))
    assert answer.message == "mtu: 67 is too small: a link takes at least 68 (RFC 791, section 3.2)"


def test_a_container_id_has_a_limit_when_it_is_added(host):
    for plugin in (STORE, bridge_config("1.1.0", ipam={})):
        answer = host.call("ADD", plugin, container="c" * 1025, netns=host.container("x" + plugin["type"]))
        assert (answer.json["code"], answer.message) == (4, "containerID is too long")
    assert host.leased() == [] and host.veths() == []
    longest = "c" * 1024
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True)
    netns = host.container("c1")
    result = host.call("ADD", config, container=longest, netns=netns).json
    assert host.call("CHECK", with_result(config, result), container=longest, netns=netns).code == 0
    assert host.call("DEL", config, container=longest, netns="").code == 0
    assert (host.veths(), host.leased(), "CNI-" in host.rules()) == ([], [], False)


@pytest.mark.parametrize("size", [1024, 65_000, 100_000])
def test_a_lease_as_long_as_any_is_found(host, size):
    """As older plugins wrote it."""
    container = "c" * size
    assert call(host, "ADD", STORE).code == 0
    (host.leases / "net1" / "10.1.2.9").write_bytes(f"{container}\r\neth0".encode())
    assert call(host, "CHECK", STORE, container=container).code == 0
    assert call(host, "DEL", STORE, container=container).code == 0
    assert host.leased() == ["10.1.2.2"]


def test_a_file_larger_than_any_lease_is_nobodys(host):
    assert call(host, "ADD", STORE).code == 0
    (host.leases / "net1" / "10.1.2.9").write_bytes(b"c2\r\neth0" + b" " * 1_000_000)
    assert call(host, "DEL", STORE, container="c2").code == 0
    assert host.leased() == ["10.1.2.2", "10.1.2.9"]


@pytest.mark.parametrize("length", [250, 255, 256, 5000])
def test_a_network_without_room_for_its_name(host, length):
    """What an ADD cannot make a DEL finds gone."""
    config = {**STORE, "name": "n" * length}
    assert call(host, "ADD", config).code == (0 if length <= 255 else 1)
    assert call(host, "DEL", config).code == 0


def test_a_result_that_no_check_could_read_is_refused(host):
    """Both come back together, and are then more than 16 MiB."""
    config = {**STORE, "padding": ""}
    config["padding"] = "x" * (16 * 2**20 - 50 - len(json.dumps(config)))
    answer = host.call("ADD", config, container="c1")
    assert answer.json["code"] == 7 and "larger than 16 MiB" in answer.message
    assert host.leased() == []


def sets(number):
    return [[{"subnet": f"10.{at // 16384}.{at // 64 % 256}.{at % 64 * 4}/30"}] for at in range(number)]


def test_60000_range_sets(host):
    config = {**STORE, "ipam": ipam_config(*sets(60_000))}
    for command in ("ADD", "STATUS"):
        answer = call(host, command, config)
        assert answer.json["code"] == 7 and answer.message == (
            "ipam.ranges: 60000 are too many: an interface gets an address of each range set, and at most 1024")
    for command, code in (("DEL", 0), ("GC", 0), ("CHECK", 1)):
        assert call(host, command, config).code == code
    overlapping = {**STORE, "ipam": ipam_config(*sets(60_000), "10.0.0.0/30")}
    assert call(host, "DEL", overlapping).message == "range set 0 overlaps with 60000"


def test_as_many_range_sets_as_there_may_be(host):
    config = {**STORE, "ipam": ipam_config(*sets(1024))}
    assert len(call(host, "ADD", config).json["ips"]) == 1024
    assert call(host, "CHECK", config).code == 0
    assert call(host, "STATUS", config).json["code"] == 50  # each has one address
    assert call(host, "DEL", config).code == 0
    assert host.leased() == []


def test_60000_ranges_of_one_set(host):
    ranges = [each[0] for each in sets(60_000)]
    config = {**STORE, "ipam": ipam_config(ranges)}
    for container in ("c1", "c2", "c3"):
        assert call(host, "ADD", config, container=container).code == 0
    assert call(host, "STATUS", config).code == 0
    assert call(host, "DEL", config).code == 0
    overlapping = {**STORE, "ipam": ipam_config([*ranges, {"subnet": "10.0.0.0/30"}])}
    assert "subnets 10.0.0.1-10.0.0.2 and 10.0.0.1-10.0.0.2 overlap" in call(host, "ADD", overlapping).message


@pytest.mark.parametrize("number, code", [(2000, 7), (500_000, 7)])
def test_many_requested_addresses(host, number, code):
    ips = [f"10.{at // 65536}.{at // 256 % 256}.{at % 256}" for at in range(number)]
    config = {**STORE, "runtimeConfig": {"ips": ips}}
    answer = call(host, "ADD", config)
    assert answer.json["code"] == code and "are too many" in answer.message
    assert call(host, "DEL", config).code == 0


def test_too_many_routes(host):
    routes = [{"dst": f"2001:db8:{at >> 16:x}:{at & 65535:x}::/64"} for at in range(70_000)]
    config = {**STORE, "ipam": ipam_config("10.1.2.0/24", routes=routes)}
    assert "ipam.routes: 70000 are too many" in call(host, "ADD", config).message
    assert call(host, "DEL", config).code == 0


def test_20000_routes(host):
    routes = [{"dst": f"2001:db8:{at >> 16:x}:{at & 65535:x}::/64"} for at in range(20_000)]
    config = bridge_config(isGateway=True, ipam=ipam_config("fd00:9::/64", routes=routes))
    result = host.add(config, wrapper=SOON)
    assert host.call("CHECK", with_result(config, result), wrapper=SOON).code == 0
    assert host.call("DEL", with_result(config, result), wrapper=SOON).code == 0


def test_a_huge_vlan_trunk(host):
    trunk = [{"minID": 1, "maxID": 4094}] * 300_000
    config = bridge_config("1.1.0", ipam={}, vlanTrunk=trunk)
    assert host.call("DEL", config, wrapper=SOON).code == 0


def test_a_gc_that_keeps_50000(host):
    host.add(bridge_config("1.1.0", isGateway=True, ipMasq=True))
    host.add(bridge_config("1.1.0", isGateway=True, ipMasq=True), "c2")
    for number in range(100):
        host.run("ip", "link", "add", f"veth{number}", "type", "veth", "peer", "name", f"peer{number}")
    keep = [{"containerID": f"x{number}", "ifname": "eth0"} for number in range(50_000)]
    keep.append({"containerID": "c2", "ifname": "eth0"})
    config = {**bridge_config("1.1.0", isGateway=True, ipMasq=True), "cni.dev/valid-attachments": keep}
    assert host.call("GC", config, container="", wrapper=SOON).code == 0
    assert host.leased() == ["10.1.0.3"]


def test_a_large_range_that_is_nearly_full(host):
    """Every address of 65534 but the last is leased, one after the other."""
    range_ = [{"subnet": "fd00::/112", "rangeStart": "fd00::2", "rangeEnd": "fd00::ffff"}]
    config = {**STORE, "ipam": ipam_config(range_)}
    assert call(host, "ADD", config, container="first").code == 0
    folder = host.leases / "net1"
    for number in range(3, 0xffff):
        (folder / f"fd00::{number:x}").write_text(f"x{number}\r\neth0")
    assert call(host, "ADD", config, container="last").json["ips"][0]["address"] == "fd00::ffff/112"
    assert "no IP addresses available" in call(host, "ADD", config, container="none").message
    assert call(host, "STATUS", config).json["code"] == 50


@pytest.mark.parametrize("plugin", ["bridge", "host-local"])
@pytest.mark.parametrize("text", [
    pytest.param('{"name":"net1","cniVersion":"1.0.0","x":' + "[" * 65 + "]" * 65 + "}", id="65 levels"),
    pytest.param('{"name":"net1","cniVersion":"1.0.0","x":' + "[" * 5_000_000, id="millions of levels"),
    pytest.param('{"name":"net1","cniVersion":"1.0.0","x":"' + "y" * (17 << 20) + '"}', id="17 MiB"),
    pytest.param('{"name":"net1","cniVersion":"1.0.0","ipam":"' + "y" * (15 << 20) + '"}', id="a long string"),
])
def test_what_is_too_large_is_refused_in_few_words(host, plugin, text):
    answer = host.call("ADD", text, plugin=plugin, wrapper=SOON)
    assert answer.code == 1 and len(answer.text) < 2000, len(answer.text)
    assert json.loads(answer.text)["msg"]
