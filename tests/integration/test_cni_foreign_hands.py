"""What others have put where host-local keeps its leases: links, FIFOs, folders that anybody may write to. A plugin
that root runs follows, waits for and writes to none of it. And every wait has an end."""

import json
import os
import subprocess
import time

import pytest

from cni_host import OURS, bridge_config, ipam_config

pytestmark = pytest.mark.slow

CONFIG = {"cniVersion": "1.1.0", "name": "net1", "type": "host-local", "ipam": ipam_config("10.1.2.0/24")}
STORE = "/run/netns/leases/net1"
STRANGER = 4321
ENDS = 300  # seconds that no test is to take; a wait without end takes them all


def call(host, command, config=None, container="c1", **how):
    more = {"prevResult": {}} if command == "CHECK" else {"cni.dev/valid-attachments": []} if command == "GC" else {}
    whose = "" if command in ("GC", "STATUS") else container
    return host.call(command, {**(config or CONFIG), **more}, container=whose, netns="/run/netns/none",
                     wrapper=("timeout", str(ENDS)), **how)


def leased(host):
    """By their names alone: some of the files are FIFOs."""
    folder = host.leases / "net1"
    return sorted(name for name in os.listdir(folder) if name[0].isdigit()) if folder.is_dir() else []


@pytest.fixture
def store(host):
    assert call(host, "ADD").code == 0
    return host


IN_ITS_PLACE = {
    "a link": ("ln -s /run/netns/leases/secret {file}", "it is a symbolic link, and is not followed: delete it"),
    "a link to nothing": ("ln -s /run/netns/leases/nothing {file}", "it is a symbolic link, and is not followed"),
    "a FIFO": ("mkfifo {file}", "it is no regular file: delete it"),
    "a folder": ("mkdir {file}", ""),
    "a stranger's": (f"touch {{file}} && chown {STRANGER} {{file}}", f"it belongs to user {STRANGER}: delete it"),
}


@pytest.mark.parametrize("file", ["lock", "last_reserved_ip.0"])
@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_nothing_is_followed_or_waited_for(store, what, file):
    command, words = IN_ITS_PLACE[what]
    secret = store.leases / "secret"
    secret.write_text("kept")
    store.run("rm", f"{STORE}/{file}")
    store.run("sh", "-ec", command.format(file=f"{STORE}/{file}"))
    answer = call(store, "ADD", container="c2")
    assert answer.code == 1 and file in answer.message and words in answer.message, answer
    assert leased(store) == ["10.1.2.2"], "the lease that it could not finish"
    assert secret.read_text() == "kept" and not (store.leases / "nothing").exists()
    for other in ("DEL", "CHECK", "GC", "STATUS"):
        answer = call(store, other)
        assert answer.code == (1 if file == "lock" else 0 if other != "CHECK" else answer.code), (other, answer)
    if what != "a folder":
        store.run("rm", f"{STORE}/{file}")
        assert call(store, "DEL").code == 0
        assert leased(store) == []


@pytest.mark.parametrize("what", ["a link", "a FIFO", "a folder"])
def test_what_is_named_as_a_lease_and_is_no_file(store, what):
    (store.leases / "secret").write_text("c1\r\neth0")
    store.run("sh", "-ec", IN_ITS_PLACE[what][0].format(file=f"{STORE}/10.1.2.3"))
    assert call(store, "DEL").code == 0
    assert leased(store) == ["10.1.2.3"] and (store.leases / "secret").exists()
    assert call(store, "ADD", container="c2").json["ips"][0]["address"] == "10.1.2.4/24"
    assert call(store, "GC").code == 0
    assert leased(store) == ["10.1.2.3"]


FOLDERS = {
    "a stranger's link": f"mv {STORE} /run/netns/leases/moved && ln -s moved {STORE} && chown -h {STRANGER} {STORE}",
    "a stranger's": f"chown {STRANGER} {STORE}",
    "open to all": f"chmod 777 {STORE}",
    "open to a group": f"chmod 775 {STORE}",
    "open to all, sticky": f"chmod 1777 {STORE}",
    "dataDir a stranger's": f"chown {STRANGER} /run/netns/leases",
    "dataDir open to all": "chmod 777 /run/netns/leases",
}


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
@pytest.mark.parametrize("what", FOLDERS)
def test_a_folder_in_which_others_may_do_as_they_like_is_refused(store, what, command):
    store.run("sh", "-ec", FOLDERS[what])
    answer = call(store, command, container="c2" if command == "ADD" else "c1")
    words = "is a symbolic link of user" if "link" in what else "belongs to user" if "stranger" in what else \
        "may be written to by others"
    assert answer.code == 1 and words in answer.message, answer
    if "open" in what:
        assert "chmod go-w /run/netns/leases" in answer.message


def test_links_of_roots_lead_where_they_say(host):
    """As /var/lib/cni may be one to another disk."""
    host.run("sh", "-ec", "mkdir -p /run/netns/leases/disk/deep && ln -s disk/deep /run/netns/leases/a && "
                          "ln -s /run/netns/leases/a /run/netns/leases/b && ln -s round /run/netns/leases/round")
    linked = {**CONFIG, "ipam": ipam_config("10.1.2.0/24", dataDir="/run/netns/leases/b/../deep/new")}
    assert call(host, "ADD", linked).code == 0
    assert (host.leases / "disk/deep/new/net1/10.1.2.2").exists()
    assert call(host, "CHECK", linked).code == 0
    assert call(host, "DEL", linked).code == 0
    endless = {**CONFIG, "ipam": ipam_config("10.1.2.0/24", dataDir="/run/netns/leases/round/x")}
    assert "too many levels of symbolic links" in call(host, "ADD", endless).message


def test_the_table_beside_is_not_a_strangers_to_write(store):
    """Without it everything works, only slower."""
    secret = store.leases / "secret"
    secret.mkdir()
    store.run("sh", "-ec", f"rm -r /run/netns/leases/.weir && ln -s secret /run/netns/leases/.weir && "
                           f"chown -h {STRANGER} /run/netns/leases/.weir")
    assert call(store, "ADD", container="c2").json["ips"][0]["address"] == "10.1.2.3/24"
    assert list(secret.iterdir()) == []
    store.run("sh", "-ec", "rm /run/netns/leases/.weir && mkdir /run/netns/leases/.weir && "
                           "mkfifo /run/netns/leases/.weir/net1")
    assert call(store, "ADD", container="c3").json["ips"][0]["address"] == "10.1.2.4/24"
    assert call(store, "DEL").code == 0


def holder(host, file):
    """Somebody who holds a lock; ends when its stdin does."""
    process = subprocess.Popen([*host.enter, "flock", file, "sh", "-c", "echo held; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
def test_a_store_that_somebody_keeps_locked(store, command):
    keeper = holder(store, f"{STORE}/lock")
    answer = call(store, command, container="c2" if command == "ADD" else "c1")
    keeper.communicate()
    assert answer.code == 1 and answer.message == f"lock {STORE}/lock: somebody has held it for 10 s: try again later"
    assert answer.json["code"] == (50 if command == "STATUS" else 11)
    assert call(store, "DEL").code == 0


@pytest.mark.parametrize("what", ["FIFO", "folder", "device", "endless"])
def test_a_resolv_conf_that_is_none(host, what):
    file = "/run/netns/leases/resolv.conf"
    host.run("sh", "-ec", {"FIFO": f"mkfifo {file}", "folder": f"mkdir {file}", "device": f"ln -s /dev/zero {file}",
                           "endless": f"head -c 2000000 /dev/zero >{file}"}[what])
    config = {**CONFIG, "ipam": ipam_config("10.1.2.0/24", resolvConf=file)}
    answer = call(host, "ADD", config)
    assert answer.code == 1 and "resolvConf" in answer.message and leased(host) == []
    assert call(host, "STATUS", config).json["code"] == 50
    assert call(host, "DEL", config).code == 0


def programs(host, *names, code):
    folder = host.leases / "programs"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\n{code}\n")
        (folder / name).chmod(0o755)
    return "/run/netns/leases/programs"


HANGS = {
    "sleeps": "exec sleep 1234567",
    "its child does": "sleep 1234567; true",
    "deaf to signals": "trap '' TERM INT HUP; while :; do sleep 1234567; done",
    "hangs up first": "exec </dev/null >/dev/null 2>&1; sleep 1234567; true",
}


@pytest.mark.parametrize("how", HANGS)
def test_an_ipam_plugin_that_never_ends(host, how):
    folder = programs(host, "script", code=HANGS[how])
    config = bridge_config("1.1.0", isGateway=True, ipam={"type": "script"})
    began = time.monotonic()
    answer = host.call("ADD", config, netns=host.container("c1"), CNI_PATH=f"{OURS}:{folder}",
                       wrapper=("timeout", str(ENDS)))
    assert answer.json["code"] == 11
    assert answer.message == 'IPAM plugin "script": it had not ended after 30 s and was killed: try again later'
    assert time.monotonic() - began > 5, "it was not given the time that it has"
    assert (host.veths(), "br1" in host.links()) == ([], False)


@pytest.mark.parametrize("how", ["sleeps", "its child does"])
def test_iptables_that_never_ends(host, how):
    folder = programs(host, "iptables-restore", "iptables-save", code=HANGS[how])
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="iptables")
    answer = host.call("ADD", config, netns=host.container("c1"), PATH=f"{folder}:/usr/sbin:/usr/bin:/bin",
                       wrapper=("timeout", str(ENDS)))
    assert answer.json["code"] == 11
    assert answer.message == "running iptables-restore: it had not ended after 20 s and was killed: try again later"
    assert (host.veths(), leased(host), "br1" in host.links()) == ([], [], False)


def test_what_an_ipam_plugin_leaves_running_is_not_waited_for(host):
    """Its streams stay open for as long as that runs."""
    folder = programs(host, "script", code="cat >/dev/null\nsleep 1000 & echo $! >>/run/netns/leases/left\n"
                      "[ $CNI_COMMAND = ADD ] || exit 0\n"
                      'echo \'{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.5/24"}]}\'')
    config = bridge_config(ipam={"type": "script"})
    answer = subprocess.Popen([*host.enter, str(OURS / "bridge")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=host.environment("ADD", netns=host.container("c1"),
                                                              CNI_PATH=f"{OURS}:{folder}"))
    out, _ = answer.communicate(json.dumps(config))
    assert answer.returncode == 0, out
    assert json.loads(out)["ips"][0]["address"] == "10.9.0.5/24"
    left = (host.leases / "left").read_text().split()
    assert left, "it was left running"
    host.run("kill", *left)


def test_stdin_that_never_ends(host):
    config = '{"cniVersion":"1.0.0",'
    process = subprocess.Popen([*host.enter, "timeout", str(ENDS), str(OURS / "bridge")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=host.environment("ADD"))
    process.stdin.write(config)
    process.stdin.flush()
    out = process.stdout.read()
    assert process.wait() == 1 and "stdin: it has not ended after 60 s" in out
    process.stdin.close()
