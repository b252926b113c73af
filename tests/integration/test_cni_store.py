"""host-local's store between others' hands: lease files that somebody empties, restores or forbids, folders that are
none or may not be read."""

import pytest

from cni_host import ipam_config

pytestmark = pytest.mark.slow


def config(subnet="10.1.2.0/30", **keys):
    """Of the network's two addresses one is the gateway's: a second container finds no address."""
    return {"cniVersion": "1.1.0", "name": "net1", "type": "host-local", "ipam": ipam_config(subnet, **keys)}


def call(host, command, settings, container="first", **how):
    return host.call(command, settings, container=container, netns="/run/netns/none", **how)


def collect(host, settings, *valid):
    keep = [{"containerID": container, "ifname": "eth0"} for container in valid]
    return call(host, "GC", {**settings, "cni.dev/valid-attachments": keep}, container="")


@pytest.fixture
def emptied(host):
    """The only lease there is room for has been emptied in place, which leaves no mark on its folder."""
    assert call(host, "ADD", config()).code == 0
    (host.leases / "net1" / "10.1.2.2").write_bytes(b"")
    return host


@pytest.mark.parametrize("folder", ["not/there/yet", "/run/netns/leases/not/there/yet", "none"])
def test_status_of_a_folder_that_an_add_would_make(host, folder):
    """A relative one begins where the plugin is started."""
    assert call(host, "STATUS", config(dataDir=folder)).code == 0


@pytest.mark.parametrize("args", [None, "IP=10.1.2.2"], ids=["any address", "the very address"])
def test_an_emptied_lease_is_free(emptied, args):
    assert call(emptied, "STATUS", config()).code == 0
    answer = call(emptied, "ADD", config(), container="second", args=args)
    assert answer.code == 0, answer
    assert emptied.lease_files()["10.1.2.2"] == "second\r\neth0"
    assert call(emptied, "STATUS", config()).json["code"] == 50
    assert "no IP addresses available" in call(emptied, "ADD", config(), container="third").message


def test_status_before_the_first_add_knows_that_the_only_address_is_the_gateways(host):
    full = config([{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.1", "rangeEnd": "10.1.2.1"}])
    assert call(host, "STATUS", full).json["code"] == 50
    assert call(host, "ADD", full).code == 1
    assert call(host, "STATUS", full).json["code"] == 50


def test_what_is_said_is_utf8_whatever_was_given(host):
    assert call(host, "ADD", config(), container="\udcff").json["details"] == "\ufffd"
    assert call(host, "\udcff", config()).message == "unknown CNI_COMMAND: \ufffd"
    assert call(host, "ADD", config(), args="F=\udcff").message == 'ARGS: unknown args ["F=\\xff"]'
    (host.leases / "resolv.conf").write_bytes(b"search \xff\xfe\n")
    answer = call(host, "ADD", config(resolvConf="/run/netns/leases/resolv.conf"))
    assert answer.json["dns"] == {"search": ["\ufffd\ufffd"]}


def test_gc_goes_on_after_a_lease_that_cannot_be_freed_and_says_so(host):
    wide = config("10.1.2.0/24")
    for container in ("first", "second", "third"):
        assert call(host, "ADD", wide, container=container).code == 0
    busy = "/run/netns/leases/net1/10.1.2.3"
    host.run("mount", "--bind", busy, busy)
    answer = collect(host, wide)
    assert (answer.json["code"], answer.message) == (5, f"remove {busy}: device or resource busy")
    assert host.leased() == ["10.1.2.3"]
    assert call(host, "DEL", wide, container="second").message == answer.message
    assert call(host, "CHECK", {**wide, "prevResult": {}}, container="second").code == 0
    host.run("umount", busy)
    assert collect(host, wide).code == 0
    assert host.leased() == []


def test_what_cannot_be_written_is_not_collected(host):
    host.run("sh", "-c", "mkdir /run/netns/leases/own && mount -t tmpfs none /run/netns/leases/own")
    own = config(dataDir="/run/netns/leases/own")
    assert call(host, "ADD", own).code == 0
    host.run("mount", "-o", "remount,ro", "/run/netns/leases/own")
    answer = collect(host, own)
    assert (answer.json["code"], answer.message) == (
        5, "remove /run/netns/leases/own/net1/10.1.2.2: read-only file system")


@pytest.mark.parametrize("command", ["DEL", "CHECK", "GC", "STATUS"])
def test_a_store_that_cannot_be_opened_is_not_one_that_is_empty(host, command):
    assert call(host, "ADD", config()).code == 0
    (host.leases / "net1").chmod(0)
    settings = {**config(), "prevResult": {}, "cni.dev/valid-attachments": []}
    nobody = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    answer = call(host, command, settings, wrapper=nobody)
    assert answer.message == "open /run/netns/leases/net1: permission denied"
    (host.leases / "file").write_text("")
    in_the_way = {**settings, "ipam": ipam_config("10.1.2.0/30", dataDir="/run/netns/leases/file")}
    assert call(host, command, in_the_way).message == (
        "dataDir /run/netns/leases/file cannot be written" if command == "STATUS" else
        "mkdir /run/netns/leases/file: not a directory")
    assert host.leased() == ["10.1.2.2"]


def test_a_zero_byte_does_not_end_a_path(host):
    for command in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
        cut = {**config(dataDir="/run/netns/leases\0/x"), "prevResult": {}, "cni.dev/valid-attachments": []}
        assert call(host, command, cut).message == "mkdir /run/netns/leases\0/x: invalid argument"
    assert host.lease_files() == {}
    (host.leases / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    cut = config(resolvConf="/run/netns/leases/resolv.conf\0")
    assert call(host, "ADD", cut).message == "open /run/netns/leases/resolv.conf\0: invalid argument"
    assert call(host, "DEL", cut).code == 0


@pytest.mark.parametrize("key", ["type", "name"])
def test_an_ipam_section_of_the_wrong_type(host, key):
    answer = call(host, "ADD", config(**{key: 5}))
    assert answer.message == f"ipam.{key}: expected a string, got the number 5"


@pytest.mark.parametrize("keys, message", [
    ({"ipam": ipam_config([None])}, "invalid range set 0: IP <nil> not v4 nor v6"),
    ({"ipam": ipam_config(ranges=[None])}, "invalid range set 0: empty range set"),
    ({"runtimeConfig": {"ipRanges": [None]}}, "invalid range set 0: empty range set"),
    ({"runtimeConfig": {"ips": [""]}}, "cannot understand ip: IP <nil> not v4 nor v6"),
    ({"args": {"cni": {"ips": [""]}}}, "cannot understand ip: IP <nil> not v4 nor v6"),
])
def test_what_is_empty_is_refused_in_the_references_words(host, keys, message):
    assert call(host, "ADD", {**config(), **keys}).message == message
    assert host.leased() == []
