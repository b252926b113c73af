"""bridge with IPAM plugins other than its own: what they may rely on, what they may answer, and how they may fail."""

import concurrent.futures
import json
import shutil
import subprocess

import pytest

from cni_host import OURS, REFERENCE, bridge_config, ipam_config, with_result
from deadline import wait_until

pytestmark = pytest.mark.slow

FOLDER = "/run/netns/leases/plugins"
PATH = f"{OURS}:{FOLDER}"
V4 = '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.5/24","gateway":"10.9.0.1"}]}'


@pytest.fixture(autouse=True)
def folder_and_container(host):
    host.run("mkdir", "-p", FOLDER)
    host.container("c1")


def script(host, add, other=""):
    """An IPAM plugin `script`: shell code for ADD and for everything else. It notes its calls in `calls`."""
    file = host.leases / "plugins" / "script"
    file.write_text(f'#!/bin/sh\ninput=$(cat)\necho "$CNI_COMMAND" >>{FOLDER}/calls\n'
                    f'if [ "$CNI_COMMAND" = ADD ]; then\n:\n{add}\nelse\n:\n{other}\nfi\n')
    file.chmod(0o755)


def calls(host):
    return (host.leases / "plugins" / "calls").read_text().split()


def config(version="1.0.0", **keys):
    return bridge_config(version, ipam={"type": "script"}, isGateway=True, **keys)


def test_the_interface_is_there_when_it_is_asked_for_an_address(host):
    """As dhcp needs it, which sends from the interface."""
    script(host, f'nsenter --net="$CNI_NETNS" ip link show "$CNI_IFNAME" >/dev/null || exit 1; echo \'{V4}\'')
    answer = host.call("ADD", config(), CNI_PATH=PATH)
    assert answer.code == 0, answer
    alias = host.links()[host.veths()[0]]["ifalias"]
    assert alias == "cni net=net1 if=eth0 id=c1 ip=10.9.0.5"
    assert host.call("DEL", config(), CNI_PATH=PATH).code == 0
    assert host.veths() == []


def test_dhcp(host):
    """Debian's dhcp plugin with its daemon, and busybox's server on the bridge."""
    if not (REFERENCE / "dhcp").exists():
        pytest.skip("needs dhcp of Debian's containernetworking-plugins")
    if shutil.which("busybox") is None or "udhcpd" not in subprocess.run(
            ["busybox", "--list"], capture_output=True, text=True, check=False).stdout.split():
        pytest.skip("needs busybox with its udhcpd")
    for words in ("link add br1 type bridge", "addr add 10.9.0.1/24 dev br1", "link set br1 up"):
        host.run("ip", *words.split())
    (host.leases / "udhcpd.conf").write_text("start 10.9.0.50\nend 10.9.0.60\ninterface br1\nlease_file /dev/null\n"
                                             "opt subnet 255.255.255.0\nopt router 10.9.0.1\n")
    server = subprocess.Popen([*host.enter, "busybox", "udhcpd", "-f", "/run/netns/leases/udhcpd.conf"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    daemon = subprocess.Popen([*host.enter, str(REFERENCE / "dhcp"), "daemon", "-socketpath", "/run/netns/leases/dhcp.sock"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until((host.leases / "dhcp.sock").exists, "the dhcp daemon listens")
        dhcp = bridge_config(ipam={"type": "dhcp", "daemonSocketPath": "/run/netns/leases/dhcp.sock"})
        answer = host.call("ADD", dhcp, CNI_PATH=f"{OURS}:{REFERENCE}")
        assert answer.code == 0, answer
        assert answer.json["ips"][0]["address"].startswith("10.9.0.")
        known = with_result(dhcp, answer.json)
        assert host.call("CHECK", known, CNI_PATH=f"{OURS}:{REFERENCE}").code == 0
        assert host.call("DEL", known, CNI_PATH=f"{OURS}:{REFERENCE}").code == 0
        assert host.veths() == []
    finally:
        for process in (server, daemon):
            process.kill()
            process.wait()


@pytest.mark.parametrize("said", ["0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", ""])
@pytest.mark.parametrize("wanted", ["0.2.0", "0.4.0", "1.1.0"])
def test_a_result_is_read_by_its_own_version(host, said, wanted):
    if (said or wanted) == "0.2.0":
        result = {"cniVersion": said, "ip4": {"ip": "10.9.0.5/24", "gateway": "10.9.0.1"}}
    else:
        result = {"cniVersion": said, "ips": [{"version": "4", "address": "10.9.0.5/24", "gateway": "10.9.0.1"}]}
    script(host, f"echo '{json.dumps(result)}'")
    answer = host.call("ADD", config(wanted), CNI_PATH=PATH)
    assert answer.code == 0, answer
    got = answer.json
    assert (got["ip4"]["ip"] if wanted == "0.2.0" else got["ips"][0]["address"]) == "10.9.0.5/24"


def test_an_old_results_routes_are_printed_as_they_came(host):
    script(host, 'echo \'{"cniVersion":"0.2.0","ip4":{"ip":"10.9.0.5/24","gateway":"10.9.0.1",'
                 '"routes":[{"dst":"10.8.0.0/16"}]}}\'')
    answer = host.call("ADD", config("0.2.0"), CNI_PATH=PATH)
    assert answer.json["ip4"]["routes"] == [{"dst": "10.8.0.0/16"}]
    assert "10.8.0.0/16 via 10.9.0.1" in host.run("ip", "-n", "c1", "route").stdout


FAILURES = {
    "error": ('echo \'{"code": 11, "msg": "later", "details": "why"}\'; exit 1', (11, "later")),
    "words": ("echo oops >&2; exit 3", (999, 'netplugin failed: "oops\\n"')),
    "garbled error": ("printf '\\377'; exit 3", (999, 'error parsing its diagnostic message "\\xff"')),
    "nothing": ("exit 3", (999, "netplugin failed with no error message")),
    "garbage": ("echo garbage", (999, "failed to unmarshal raw result: invalid character 'g'")),
    "no result": ("", (999, "failed to unmarshal raw result: unexpected end of JSON input")),
    "null": ("echo null", (999, "IPAM plugin returned missing IP config")),
    "no address": ('echo \'{"cniVersion":"1.0.0"}\'', (999, "IPAM plugin returned missing IP config")),
    "unknown version": ('echo \'{"cniVersion":"7.0.0"}\'', (999, 'unsupported CNI result version "7.0.0"')),
    "killed": ("kill -9 $$", (999, "signal: killed")),
}


@pytest.mark.parametrize("how", FAILURES)
def test_it_fails_and_nothing_is_left(host, how):
    """It is also told to take back what it may have done."""
    code, (number, words) = FAILURES[how]
    script(host, code)
    answer = host.call("ADD", config(ipMasq=True), CNI_PATH=PATH)
    assert answer.code == 1 and answer.json["code"] == number and words in answer.json["msg"], answer
    assert "exit status" not in answer.message or how == "nothing"  # as version 1.9.1 of the reference has it
    assert calls(host) == ["ADD", "DEL"]
    assert (host.veths(), "br1" in host.links(), "CNI-" in host.rules()) == ([], False, False)
    assert [name for name in host.links("c1") if name != "lo"] == []


def test_addresses_that_only_the_alias_knows(host):
    """host-local's leases are ours to read; of another plugin's the link's alias says enough."""
    (host.leases / "plugins" / "next").write_text("5")
    script(host, f'n=$(cat {FOLDER}/next); echo $((n+1)) >{FOLDER}/next; '
                 'echo "{\\"cniVersion\\":\\"1.0.0\\",\\"ips\\":[{\\"address\\":\\"10.9.0.$n/24\\",\\"gateway\\":\\"10.9.0.1\\"}]}"')
    masquerade = config("1.1.0", ipMasq=True)
    for ifname in ("eth0", "eth1"):
        assert host.call("ADD", masquerade, ifname=ifname, CNI_PATH=PATH).code == 0
    keep = {"cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}
    assert host.call("GC", {**masquerade, **keep}, container="", CNI_PATH=PATH).code == 0
    rules = host.rules()
    assert "-s 10.9.0.5/32" in rules and "-s 10.9.0.6/32" not in rules and len(host.veths()) == 1
    assert host.call("DEL", masquerade, netns="", CNI_PATH=PATH).code == 0
    assert "CNI-" not in host.rules() and host.veths() == []


def test_a_plugin_that_cannot_be_run(host):
    (host.leases / "plugins" / "script").write_text("not a program")
    answer = host.call("ADD", config(), CNI_PATH=PATH)
    assert "netplugin failed with no error message: fork/exec" in answer.message


def test_a_plugin_that_is_just_being_installed_is_waited_for(host):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    script(host, f"echo '{V4}'")
    trace = host.leases / "trace"
    with (open(host.leases / "plugins" / "script", "r+b") as written,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        adding = pool.submit(host.call, "ADD", config(), CNI_PATH=PATH, wrapper=(
            "strace", "-f", "-qq", "-e", "trace=execve", "-o", "/run/netns/leases/trace"))
        wait_until(lambda: trace.exists() and "ETXTBSY" in trace.read_text(), "it has been tried")
        written.close()
        assert adding.result().code == 0, adding.result()


def test_gc_hands_on_its_error_with_its_code(host):
    script(host, "", 'echo \'{"code": 7, "msg": "nope"}\'; exit 1')
    answer = host.call("GC", {**config("1.1.0"), "cni.dev/valid-attachments": []}, container="", CNI_PATH=PATH)
    assert (answer.json["code"], answer.json["msg"]) == (7, "nope")


def test_status_names_what_an_add_would_miss(host):
    def status(**keys):
        return host.call("STATUS", {**config("1.1.0"), **keys}, container="", CNI_PATH=PATH).json
    assert (status(ipam={"type": "nowhere"})["code"]) == 50
    assert status(ipam=ipam_config("10.1.0.0/24", resolvConf="/nope"))["code"] == 50
    assert status(ipam=ipam_config("10.1.0.0/24", dataDir="/proc/version/x"))["code"] == 50


@pytest.mark.parametrize("name", ["bridge", "another-name", "host-local\0", "bridge\0"])
def test_a_network_plugin_is_no_ipam_plugin(host, name):
    """It would call itself, and that one itself, until the machine has no process left: a limit is set, all the same."""
    host.run("cp", OURS / "bridge", f"{FOLDER}/bridge")
    host.run("ln", f"{FOLDER}/bridge", f"{FOLDER}/another-name")
    host.run("ln", f"{FOLDER}/bridge", f"{FOLDER}/host-local")
    own = bridge_config("1.1.0", isGateway=True, ipam={**ipam_config("10.1.0.0/24"), "type": name})
    answer = host.call("ADD", own, plugins=FOLDER, wrapper=("timeout", "-s", "KILL", "3"))
    assert ("failed to find plugin" if "\0" in name else "is the plugin that calls it") in answer.message, answer
    assert (host.veths(), host.leased(), "br1" in host.links()) == ([], [], False)


def test_the_builtin_under_a_longer_name(host):
    host.run("cp", OURS / "bridge", f"{FOLDER}/bridge")
    host.run("ln", f"{FOLDER}/bridge", f"{FOLDER}/weir-host-local")
    longer = bridge_config(ipam={**ipam_config("10.1.0.0/24"), "type": "weir-host-local"})
    assert host.call("ADD", longer, plugins=FOLDER).json["ips"][0]["address"] == "10.1.0.2/24"
    assert host.call("DEL", longer, plugins=FOLDER).code == 0
    assert (host.veths(), host.leased()) == ([], [])


def test_the_two_as_copies(host):
    """bridge then runs host-local as it would any other plugin."""
    for name in ("bridge", "host-local"):
        host.run("mkdir", "-p", f"{FOLDER}/{name}-only")
        host.run("cp", OURS / "bridge", f"{FOLDER}/{name}-only/{name}")
    both = f"{FOLDER}/bridge-only:{FOLDER}/host-local-only"
    plain = bridge_config("0.2.0", isGateway=True, ipam=ipam_config("10.1.0.0/24", routes=[{"dst": "10.8.0.0/16"}]))
    answer = host.call("ADD", plain, plugins=f"{FOLDER}/bridge-only", CNI_PATH=both)
    assert answer.code == 0, answer
    assert answer.json["ip4"]["routes"] == [{"dst": "10.8.0.0/16"}]
    assert host.call("DEL", plain, plugins=f"{FOLDER}/bridge-only", CNI_PATH=both).code == 0
    assert host.leased() == []
