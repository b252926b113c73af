"""DEL of what an ADD made under another configuration, in several ADDs, or on a host that refuses: nothing is left, or
the DEL says what is."""

import pytest

from cni_host import bridge_config, ipam_config, legacy_programs, with_result

pytestmark = pytest.mark.slow

EVERYTHING = bridge_config("1.1.0", isGateway=True, ipMasq=True, macspoofchk=True, hairpinMode=True, portIsolation=True,
                           ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
OFF = {
    "nothing": {},
    "ipMasq": {"ipMasq": False},
    "macspoofchk": {"macspoofchk": False},
    "all filters": {"ipMasq": False, "macspoofchk": False, "portIsolation": False, "hairpinMode": False},
    "the other backend": {"ipMasqBackend": "{other}"},
    "an unknown backend": {"ipMasqBackend": "pf"},
    "isGateway": {"isGateway": False, "ipMasq": False},
    "another bridge": {"bridge": "br9", "ipMasq": False, "macspoofchk": False},
    "another mtu": {"mtu": 100, "ipMasq": False},
}


def left(host):
    rules = [line for line in host.rules().splitlines()
             if "CNI-" in line or "masquerade comment" in line or "cni-br-iface" in line]
    return host.veths(), host.leased(), rules


@pytest.mark.parametrize("backend, other", [("iptables", "nftables"), ("nftables", "iptables")])
@pytest.mark.parametrize("how", ["prevResult", "no namespace"])
@pytest.mark.parametrize("what", OFF)
def test_rules_go_whatever_the_configuration_says_by_now(host, backend, other, how, what):
    config = {**EVERYTHING, "ipMasqBackend": backend}
    result = host.add(config)
    changes = {key: value.format(other=other) if isinstance(value, str) else value for key, value in OFF[what].items()}
    changed = {**config, **changes}
    answer = (host.call("DEL", with_result(changed, result)) if how == "prevResult" else
              host.call("DEL", changed, netns=""))
    assert answer.code == 0, answer
    assert left(host) == ([], [], [])


def test_rules_of_x_tables_go_without_ipmasq(host):
    legacy = legacy_programs(host)
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True)
    host.add(config, **legacy)
    assert host.call("DEL", {**config, "ipMasq": False}, **legacy).code == 0
    assert "CNI-" not in host.run("iptables-legacy-save", "-t", "nat").stdout


def test_the_next_owner_is_not_masqueraded(host):
    fixed = ipam_config([{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.5"}])
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipam=fixed)
    host.add(config)
    plain = {**config, "ipMasq": False}
    assert host.call("DEL", plain).code == 0
    assert host.add(plain, "c2")["ips"][0]["address"] == "10.1.0.5/24"
    assert "10.1.0.5" not in host.rules()


def static(host, address):
    """An IPAM plugin that keeps no leases and gives what it is told to."""
    folder = host.leases / "plugins"
    folder.mkdir(exist_ok=True)
    script = folder / "script"
    script.write_text('#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = ADD ] || exit 0\n'
                      f'echo \'{{"cniVersion":"1.0.0","ips":[{{"address":"{address}/24"}}]}}\'\n')
    script.chmod(0o755)
    return {"CNI_PATH": f"{host.plugins}:/run/netns/leases/plugins"}


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
@pytest.mark.parametrize("how", ["prevResult", "nothing known", "no namespace"])
def test_rules_of_an_earlier_add_for_another_address_go_too(host, backend, how):
    """The namespace is lost in a crash, and the same attachment is added again; a second interface stays as it is."""
    config = bridge_config("1.0.0", isGateway=True, ipMasq=True, ipMasqBackend=backend, ipam={"type": "script"})
    host.add(config, **static(host, "10.1.0.5"))
    host.run("ip", "netns", "del", "c1")
    result = host.add(config, **static(host, "10.1.0.6"))
    host.add(config, ifname="eth1", **static(host, "10.1.0.7"))
    assert all(f"10.1.0.{last}" in host.rules() for last in (5, 6, 7))
    answer = host.call("DEL", with_result(config, result) if how == "prevResult" else config,
                       netns="" if how == "no namespace" else None, **static(host, "10.1.0.8"))
    assert answer.code == 0, answer
    assert [f"10.1.0.{last}" in host.rules() for last in (5, 6, 7)] == [False, False, True]
    assert host.call("DEL", config, ifname="eth1", **static(host, "10.1.0.8")).code == 0
    assert left(host) == ([], [], [])


def test_the_rules_of_an_interface_that_only_its_lease_knows_stay(host):
    """As of one that the reference made: its link has no alias; and the namespace is not told."""
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="iptables")
    host.add(config)
    host.add(config, ifname="eth1")
    second = next(name for name, link in host.links().items() if "if=eth1" in link.get("ifalias", ""))
    host.run("ip", "link", "set", second, "alias", "")
    assert host.call("DEL", config, netns="").code == 0
    assert "10.1.0.2/32" not in host.rules() and "10.1.0.3/32" in host.rules()


STORE = {"cniVersion": "1.1.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.2.0/24")}


@pytest.mark.parametrize("plugin", ["host-local", "bridge"])
def test_a_lease_that_cannot_be_removed_is_said(host, plugin):
    config = STORE if plugin == "host-local" else bridge_config("1.1.0", ipam=ipam_config("10.1.2.0/24"))
    host.add(config)
    lease = "/run/netns/leases/net1/10.1.2.2"
    host.run("mount", "--bind", lease, lease)
    for _ in range(2):
        answer = host.call("DEL", config)
        assert (answer.code, answer.json["code"], answer.message) == (1, 5, f"remove {lease}: device or resource busy")
    host.run("umount", lease)
    assert host.call("DEL", config).code == 0
    assert host.leased() == []
    assert host.call("DEL", config).code == 0, "what is gone is no error"


def test_of_two_leases_the_second_goes_though_the_first_cannot(host):
    two = {**STORE, "ipam": ipam_config("10.1.2.0/24", "10.1.3.0/24")}
    host.add(two)
    lease = "/run/netns/leases/net1/10.1.2.2"
    host.run("mount", "--bind", lease, lease)
    assert lease in host.call("DEL", two).message
    assert host.leased() == ["10.1.2.2"]


def test_a_folder_that_cannot_be_written_to_is_said(host):
    host.run("sh", "-c", "mkdir /run/netns/leases/own && mount -t tmpfs -o mode=755 none /run/netns/leases/own")
    own = {**STORE, "ipam": ipam_config("10.1.2.0/24", dataDir="/run/netns/leases/own")}
    host.add(own)
    host.run("mount", "-o", "remount,ro", "/run/netns/leases/own")
    answer = host.call("DEL", own)
    assert (answer.code, answer.message) == (1, "remove /run/netns/leases/own/net1/10.1.2.2: read-only file system")


def test_a_lease_that_cannot_be_read_may_be_the_one(host):
    host.add(STORE)
    host.add(STORE, "c2")
    lease = host.leases / "net1" / "10.1.2.2"
    lease.chmod(0)
    nobody = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    answer = host.call("DEL", STORE, wrapper=nobody)
    assert (answer.code, answer.message) == (1, "read /run/netns/leases/net1/10.1.2.2: permission denied")
    assert host.call("DEL", STORE, container="c2", wrapper=nobody).code == 0
    assert host.leased() == ["10.1.2.2"]


def test_what_a_failed_add_cannot_take_back_it_says(host):
    """The lease is made unremovable between its making and its undoing, by the program that fails."""
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="iptables",
                           ipam=ipam_config("10.1.2.0/24"))
    lease = "/run/netns/leases/net1/10.1.2.2"
    folder = host.leases / "broken"
    folder.mkdir()
    for name in ("iptables-restore", "iptables-save"):
        (folder / name).write_text(f"#!/bin/sh\nmountpoint -q {lease} || mount --bind {lease} {lease}\nexit 4\n")
        (folder / name).chmod(0o755)
    path = "/run/netns/leases/broken:/usr/sbin:/usr/bin:/bin"
    answer = host.call("ADD", config, netns=host.container("c1"), PATH=path)
    assert answer.code == 1
    assert "running iptables-restore" in answer.message
    assert f"; and not all could be taken back: remove {lease}: device or resource busy" in answer.message
    host.run("umount", lease)
    assert host.call("DEL", config).code == 0
    assert left(host) == ([], [], [])
