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
