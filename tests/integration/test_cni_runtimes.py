"""Real runtimes with our plugins in their CNI folders: podman with its own generated network (portmap, firewall
and tuning from Debian's containernetworking-plugins) and containerd's `ctr run --cni` with its stock one.

Each story is one shell script in namespaces of its own; it prints a heading before what it finds, and the test reads
what stands below the headings. Another namespace, `outside`, plays the world beyond the host."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import cni_host
from cni_host import OURS, REFERENCE

pytestmark = pytest.mark.slow

# A host of its own, with a world outside of it at 192.0.2.1 that can answer only the host's own address.
HOST = r"""
set -e
mkdir -p /run/netns /sys/fs/cgroup /var/lib/cni
mount -t tmpfs none /run/netns
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup || true
mount -t tmpfs none /var/lib/cni
ip link set lo up
ip netns add outside
ip link add wire type veth peer name wire netns outside
ip addr add 192.0.2.2/24 dev wire; ip link set wire up
ip -n outside addr add 192.0.2.1/24 dev wire; ip -n outside link set wire up; ip -n outside link set lo up
mkdir -p $WORK/bin $WORK/rootfs/bin $WORK/rootfs/etc $WORK/rootfs/proc $WORK/rootfs/sys $WORK/rootfs/dev \
  $WORK/rootfs/tmp $WORK/rootfs/run /run/netns/s
cp /bin/busybox $WORK/rootfs/bin/
for name in sh ping sleep ip nc cat; do ln -s busybox $WORK/rootfs/bin/$name; done
for plugin in /usr/lib/cni/*; do ln -s $plugin $WORK/bin/; done
rm -f $WORK/bin/bridge $WORK/bin/host-local
ln $OURS/bridge $WORK/bin/bridge 2>/dev/null || cp $OURS/bridge $WORK/bin/bridge
ln $WORK/bin/bridge $WORK/bin/host-local
set +e
left() { echo "== veths"; ip -br link show type veth | grep -v '^wire@'; echo "== rules"; iptables-save -t nat | grep CNI-
  ip6tables-save -t nat | grep CNI-; echo "== leases"; find /var/lib/cni -name '[0-9f]*[.:]*'; echo "== end"; }
"""

PODMAN = r"""
cat >$WORK/containers.conf <<X
[network]
network_backend="cni"
cni_plugin_dirs=["$WORK/bin"]
network_config_dir="$WORK/net.d"
[engine]
cgroup_manager="cgroupfs"
events_logger="none"
X
export CONTAINERS_CONF=$WORK/containers.conf
P="podman --runtime crun --root /run/netns/s/root --runroot /run/netns/s/run --storage-driver vfs"
O="--cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --security-opt seccomp=unconfined --network weirnet"
mkdir -p $WORK/net.d
$P network create --subnet 10.60.0.0/24 --ipv6 --subnet fd60::/64 weirnet
echo "== config"; cat $WORK/net.d/weirnet.conflist; echo
echo "== run"
$P run -d --name a $O -p 8080:80 --rootfs $WORK/rootfs sh -c 'while true; do echo published | nc -l -p 80; done'
$P run --rm --name b $O --rootfs $WORK/rootfs sh -c '
  for at in 10.60.0.2 10.60.0.1 192.0.2.1; do ping -c 1 -W 5 $at >/dev/null && echo ping $at; done
  for at in fd60::2 fd60::1; do ping -6 -c 1 -W 5 $at >/dev/null && echo ping $at; done'
echo "== published"; ip netns exec outside busybox nc -w 5 192.0.2.2 8080 </dev/null
echo "== while running"; ip -br link show type veth | grep -c '^veth'
$P rm -f -t 0 a >/dev/null
left
"""

CTR = r"""
mkdir -p /opt/cni/bin /etc/cni/net.d
mount --bind $WORK/bin /opt/cni/bin
mount -t tmpfs none /etc/cni/net.d
cat >/etc/cni/net.d/10-containerd-net.conflist <<X
{"cniVersion": "1.0.0", "name": "containerd-net", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "promiscMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "2001:4860:4860::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
X
cat >$WORK/containerd.toml <<X
version = 2
root = "/run/netns/s/root"
state = "/run/netns/s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/netns/s/containerd.sock"
X
containerd -c $WORK/containerd.toml >$WORK/containerd.log 2>&1 &
DAEMON=$!
C="ctr -a /run/netns/s/containerd.sock"
tries=0; until $C version >/dev/null 2>&1 || [ $tries -ge 300 ]; do tries=$((tries+1)); sleep 0.1; done
echo "== run"
$C run --cpu-shares 0 -d --cni --rootfs $WORK/rootfs a /bin/sleep 1000
$C run --cpu-shares 0 --rm --cni --rootfs $WORK/rootfs b /bin/sh -c '
  for at in 10.88.0.2 10.88.0.1 192.0.2.1; do ping -c 1 -W 5 $at >/dev/null && echo ping $at; done
  for at in 2001:4860:4860::2 2001:4860:4860::1; do ping -6 -c 1 -W 5 $at >/dev/null && echo ping $at; done'
echo "== while running"; ip -br link show type veth | grep -c '^veth'
$C task kill -s KILL a
tries=0; until $C task ls | grep -q STOPPED || [ $tries -ge 300 ]; do tries=$((tries+1)); sleep 0.1; done
$C task rm a >/dev/null; $C container rm a
# ctr gives a detached container no DEL of its own: the runtime's next GC does it.
printf '{"cniVersion":"1.1.0","name":"containerd-net","type":"bridge","bridge":"cni0","ipMasq":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.88.0.0/16"}],[{"subnet":"2001:4860:4860::/64"}]]},"cni.dev/valid-attachments":[]}' |
  CNI_COMMAND=GC CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge
left
kill $DAEMON; wait $DAEMON
"""


def play(tmp_path, script):
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(["unshare", "-mnp", "--propagation", "private", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
                           HOST + script], capture_output=True, text=True, timeout=180, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(work), "WORK": str(work), "OURS": str(OURS)})
    sections = dict(re.findall(r"^== (.*)\n((?:(?!== ).*\n)*)", done.stdout, re.MULTILINE))
    return sections, f"{done.stdout}\n{done.stderr}"


def skip_without(*tools):
    if reason := cni_host.why_unavailable():
        pytest.skip(reason)
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs `{tool}`, which is not installed")
    if not (REFERENCE / "portmap").exists():
        pytest.skip("needs portmap of Debian's containernetworking-plugins")
    if "cgroup2" not in Path("/proc/filesystems").read_text() or not os.access("/bin/busybox", os.X_OK):
        pytest.skip("needs cgroup2 and /bin/busybox")


def test_podman(tmp_path):
    skip_without("podman", "crun")
    found, everything = play(tmp_path, PODMAN)
    for plugin in ("bridge", "portmap", "firewall", "tuning"):
        assert f'"type": "{plugin}"' in found["config"], everything
    for at in ("10.60.0.2", "10.60.0.1", "192.0.2.1", "fd60::2", "fd60::1"):
        assert f"ping {at}\n" in found["run"], everything
    assert "published" in found["published"], everything
    assert found["while running"] == "1\n", everything
    assert (found["veths"], found["leases"]) == ("", ""), everything
    assert "name: \\\"weirnet\\\"" not in found["rules"], everything


def test_ctr(tmp_path):
    skip_without("ctr", "containerd", "runc")
    found, everything = play(tmp_path, CTR)
    for at in ("10.88.0.2", "10.88.0.1", "192.0.2.1", "2001:4860:4860::2", "2001:4860:4860::1"):
        assert f"ping {at}\n" in found["run"], everything
    assert found["while running"] == "1\n", everything
    assert (found["veths"], found["leases"]) == ("", ""), everything
    assert "name: \\\"containerd-net\\\"" not in found["rules"], everything
