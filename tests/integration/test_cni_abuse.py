"""Plugins that are killed at every system call, called all at once, and given anything at all."""

import json
import os
import subprocess

import pytest

from cni_host import OURS, REFERENCE, bridge_config, ipam_config
from killing import run_until

pytestmark = pytest.mark.slow

CONFIG = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="nftables", macspoofchk=True,
                       ipam=ipam_config("10.1.0.0/24", "fd00:9::/64"))
IPTABLES = {**CONFIG, "ipMasqBackend": "iptables"}
# An IPAM plugin that is another program: it is called when the link is there. Debian's knows no 1.1.0, and so no GC.
STATIC = {**IPTABLES, "cniVersion": "1.0.0", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}}
PATHS = {"CNI_PATH": f"{OURS}:{REFERENCE}"}
NONE_VALID = {"cni.dev/valid-attachments": []}


def left(host):
    rules = [line for line in host.rules().splitlines() if "CNI-" in line or "comment \"" in line and "net1" in line
             or "cni-br-iface" in line]
    return {"veths": host.veths(), "leases": host.leased(), "rules": rules,
            "inside": [name for name in host.links("c1") if name != "lo"]}


NOTHING = {"veths": [], "leases": [], "rules": [], "inside": []}

ENDS = {
    "DEL": lambda host, config: host.call("DEL", config, **PATHS),
    "DEL without namespace": lambda host, config: host.call("DEL", config, netns="", **PATHS),
    "GC": lambda host, config: host.call("GC", {**config, **NONE_VALID}, container="", **PATHS),
}


def forget_everything(host):
    """The host as it was before the first ADD, so that an ADD makes bridge, tables and folders again."""
    host.run("sh", "-c", "ip link del br1 2>/dev/null; nft flush ruleset; "
                         "rm -rf /run/netns/leases/net1 /run/netns/leases/.weir")


@pytest.mark.parametrize("state", ["first", "later"])
@pytest.mark.parametrize("command", ["ADD", "DEL"])
@pytest.mark.parametrize("config", [CONFIG, IPTABLES, STATIC], ids=["nftables", "iptables", "another IPAM plugin"])
def test_killed_at_every_system_call(host, command, config, state):
    """The next DEL or GC, in turn, leaves no lease, no link and no rule: after a kill at the first call, at the
    second, and so on until the plugin comes to its end, on a host that is new and on one that has other containers."""
    if command == "DEL" and state == "first":
        pytest.skip("a DEL finds what an ADD made")
    if config is STATIC and not (REFERENCE / "static").exists():
        pytest.skip("needs static of Debian's containernetworking-plugins")
    host.container("c1")
    pid = host.enter[2]
    inside = [f"/proc/{pid}/ns/mnt", f"/proc/{pid}/ns/net"]
    number = 0
    while True:
        number += 1
        if state == "first":
            forget_everything(host)
        if command == "DEL":
            assert host.call("ADD", config, **PATHS).code == 0
        was_killed = run_until(number, [str(OURS / "bridge")], host.environment(command, **PATHS), json.dumps(config),
                               inside)
        ends = [end for end in ENDS if config is not STATIC or end != "GC"]
        how = ends[number % len(ends)] if was_killed else "DEL"
        answer = ENDS[how](host, config)
        assert answer.code == 0, (number, how, answer)
        assert left(host) == NOTHING, (command, number, how)
        if not was_killed:
            break
    assert number > 50


def start(host, plugin, command, config, **environment):
    process = subprocess.Popen([*host.enter, str(plugin)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=host.environment(command, **environment))
    process.stdin.write(json.dumps(config))
    process.stdin.close()
    process.stdin = None
    return process


def test_64_at_once_never_get_the_same_address(host):
    """Ours and the reference's on one store, as far as it is installed."""
    config = {"cniVersion": "1.0.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.0.0/24")}
    plugins = [OURS / "host-local"]
    if (REFERENCE / "host-local").exists():
        plugins.append(REFERENCE / "host-local")
    for turn in range(3):
        running = [start(host, plugins[number % len(plugins)], "ADD", config, container=f"c{turn}-{number}")
                   for number in range(64)]
        results = [process.communicate() for process in running]
        addresses = [json.loads(out)["ips"][0]["address"].split("/")[0] for out, _ in results]
        assert len(set(addresses)) == 64
        assert sorted(addresses) == host.leased()
        ending = [start(host, plugins[(number + 1) % len(plugins)], "DEL", config, container=f"c{turn}-{number}")
                  for number in range(64)]
        assert [process.wait() for process in ending if process.communicate() is not None] == [0] * 64
        assert host.leased() == []


def test_16_attachments_at_once_agree_on_the_bridge(host):
    for number in range(16):
        host.container(f"c{number}")
    running = [start(host, OURS / "bridge", "ADD", IPTABLES, container=f"c{number}") for number in range(16)]
    results = []
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)
        results.append(json.loads(out))
    assert {result["interfaces"][0]["mac"] for result in results} == {host.links()["br1"]["address"]}
    assert len({result["ips"][0]["address"] for result in results}) == 16
    ending = [start(host, OURS / "bridge", "DEL", IPTABLES, container=f"c{number}") for number in range(16)]
    for process in ending:
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)
    assert (host.veths(), host.leased()) == ([], []) and "CNI-" not in host.rules()


HOSTILE = {
    "nothing": "",
    "half": '{"cniVersion":"1.0.0","name":"net1","type":"bri',
    "no object": "[1,2]",
    "deep": '{"name":"net1","x":' + "[" * 100_000 + "]" * 100_000 + "}",
    "invalid UTF-8": b'{"cniVersion":"1.0.0","name":"net\xff1","type":"bridge"}'.decode("latin-1"),
    "path as name": '{"cniVersion":"1.0.0","name":"../../etc","type":"bridge"}',
    "name of a number": '{"cniVersion":"1.0.0","name":5,"type":"bridge"}',
    "ipam of a string": '{"cniVersion":"1.0.0","name":"net1","type":"bridge","ipam":"host-local"}',
    "huge mtu": json.dumps(bridge_config(mtu=10**30)),
    "bridge with slash": json.dumps(bridge_config(bridge="../br1")),
    "prevResult of a number": json.dumps({**bridge_config(), "prevResult": 7}),
    "routes of null": json.dumps(bridge_config(ipam=ipam_config("10.1.0.0/24", routes=[None]))),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("plugin", ["bridge", "host-local"])
def test_hostile_input_is_refused_and_changes_nothing(host, plugin, name):
    host.container("c1")
    answer = host.call("ADD" if "prevResult" not in name else "CHECK", HOSTILE[name], plugin=plugin)
    if answer.code != 0:
        assert answer.json["msg"], answer
        assert answer.code == 1
    if plugin == "bridge":
        assert answer.code == 1
        assert host.veths() == [] and "br1" not in host.links() and host.leased() == []


def test_reclaim_after_a_reboot_touches_only_our_own_stamped_leases(host):
    """Another boot is played by another boot id over the kernel's, in the host's own mount namespace."""
    config = {"cniVersion": "1.0.0", "name": "net1", "type": "host-local",
              "ipam": ipam_config("10.1.0.0/24", reclaimAfterReboot=True)}
    plain = {**config, "ipam": ipam_config("10.1.0.0/24")}
    host.run("sh", "-c", "echo 0123456789abcdef >/run/netns/machine && mount --bind /run/netns/machine /etc/machine-id")
    assert host.call("ADD", config, container="stamped").code == 0
    if not os.getxattr(host.leases / "net1" / "10.1.0.2", "user.weir.boot"):
        pytest.skip("this file system keeps no user attributes")
    assert host.call("ADD", plain, container="plain").code == 0
    host.run("sh", "-c", "echo other-boot >/run/netns/boot && "
                         "mount --bind /run/netns/boot /proc/sys/kernel/random/boot_id")
    assert host.call("ADD", plain, container="later").code == 0
    assert host.leased() == ["10.1.0.2", "10.1.0.3", "10.1.0.4"]
    assert host.call("ADD", config, container="now").code == 0
    assert host.leased() == ["10.1.0.3", "10.1.0.4", "10.1.0.5"]
