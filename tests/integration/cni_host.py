"""A host of its own for CNI plugins: a private network and mount namespace with a folder of containers'
namespaces and a folder of leases. Needs root; nothing outside changes, and it is gone at the end."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from weir_process import BINARY

# Where ours stand; the build puts them beside the room's library.
OURS = Path(os.environ.get("WEIR_CNI_DIR", BINARY.resolve().parents[1] / "cni"))
# Debian's containernetworking-plugins, version 1.1.1.
REFERENCE = Path("/usr/lib/cni")


@functools.cache
def why_unavailable():
    """None where a CniHost can be made, else the reason, for pytest's skip."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    for tool in ("unshare", "nsenter", "ip", "bridge", "nft", "iptables-save"):
        if shutil.which(tool) is None and not Path("/usr/sbin", tool).exists():
            return f"needs `{tool}`, which is not installed"
    if not (OURS / "bridge").exists():
        return f"{OURS}/bridge is missing: build the target weir_cni_plugins"
    try:
        with CniHost() as host:
            host.run("ip", "link", "add", "probe", "type", "bridge")
            host.run("nft", "add", "table", "bridge", "nat")
            host.run("iptables-save", "-t", "nat")
            host.container("probe")
    except (subprocess.CalledProcessError, RuntimeError, OSError) as failure:
        return f"this machine does not let root make bridges, nftables and namespaces: {failure}"
    return None


def why_no_reference():
    if reason := why_unavailable():
        return reason
    if not (REFERENCE / "bridge").exists():
        return "needs Debian's containernetworking-plugins, to compare with"
    return None


class Answer:
    """What a plugin said: its exit code and its output."""

    def __init__(self, done):
        self.code = done.returncode
        self.text = done.stdout
        self.stderr = done.stderr

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def message(self):
        return self.json["msg"] if self.code else ""

    def __repr__(self):
        return f"code {self.code}: {self.text} {self.stderr}"


class CniHost:
    """Use as a context manager."""

    def __init__(self, plugins=OURS):
        self.plugins = Path(plugins)
        # The folder of namespaces and that of leases are new file systems, seen in here only.
        self._holder = subprocess.Popen(
            ["unshare", "-mn", "--propagation", "private", "sh", "-c",
             "mkdir -p /run/netns && mount -t tmpfs none /run/netns && mkdir /run/netns/leases && "
             "mount -t sysfs none /sys; ip link set lo up && echo ready && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError(self._holder.communicate()[1].strip() or "unshare failed")
        self.enter = ["nsenter", "-t", str(self._holder.pid), "-m", "-n", "--"]
        self._root = Path(f"/proc/{self._holder.pid}/root")
        self.leases = self._root / "run/netns/leases"

    def run(self, *command, check=True, **options):
        return subprocess.run([*self.enter, *map(str, command)], check=check, capture_output=True, text=True, **options)

    def json(self, *command, namespace=None):
        """What `ip -j` or `bridge -j` says, in the host or in a container."""
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        out = self.run(*inside, *command).stdout
        return json.loads(out) if out.strip() else []

    def container(self, name):
        """A container's namespace; returns its path as the plugin is told it."""
        self.run("ip", "netns", "add", name)
        return f"/run/netns/{name}"

    def links(self, namespace=None):
        return {link["ifname"]: link for link in self.json("ip", "-j", "-d", "addr", namespace=namespace)}

    def environment(self, command, container="c1", ifname="eth0", netns=None, args=None, plugins=None, **more):
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CNI_COMMAND": command, "CNI_CONTAINERID": container,
                     "CNI_IFNAME": ifname, "CNI_NETNS": f"/run/netns/{container}" if netns is None else netns,
                     "CNI_PATH": str(plugins or self.plugins)}
        variables.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ})
        if args is not None:
            variables["CNI_ARGS"] = args
        variables.update(more)
        return {name: value for name, value in variables.items() if value is not None}

    def call(self, command, config, plugin=None, wrapper=(), **environment):
        """Runs a plugin; `config` is a dict, or the text of stdin."""
        folder = environment.get("plugins") or self.plugins
        text = config if isinstance(config, str) else json.dumps(config)
        name = plugin or (config.get("type", "bridge") if isinstance(config, dict) else "bridge")
        variables = self.environment(command, **environment)
        if "strace" in wrapper:  # LeakSanitizer is a tracer itself, and of those a program can have one
            variables["ASAN_OPTIONS"] = variables.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        done = subprocess.run([*self.enter, *wrapper, str(Path(folder) / name)], input=text, capture_output=True,
                              text=True, env=variables, check=False)
        return Answer(done)

    def add(self, config, container="c1", **how):
        """ADD that has to succeed; makes the container's namespace if it is not there. Returns the result."""
        if not (self._root / "run/netns" / container).exists():
            self.container(container)
        answer = self.call("ADD", config, container=container, **how)
        assert answer.code == 0, answer
        return answer.json

    def rules(self, *tables):
        """All of iptables' nat rules and of nftables' bridge and inet tables, as they print themselves."""
        out = ""
        for program in ("iptables-save", "ip6tables-save"):
            text = self.run(program, "-t", "nat").stdout
            out += "".join(line.split(" [")[0] + "\n" for line in text.splitlines() if not line.startswith("#"))
        for family in tables or ("bridge", "inet"):
            out += self.run("nft", "list", "tables", family).stdout
            for line in self.run("nft", "list", "tables", family).stdout.splitlines():
                out += self.run("nft", "list", *line.split()).stdout
        return out

    def veths(self):
        return sorted(name for name, link in self.links().items() if link.get("linkinfo", {}).get("info_kind") == "veth")

    def lease_files(self, network="net1"):
        folder = self.leases / network
        return {file.name: file.read_bytes().decode() for file in folder.iterdir()} if folder.is_dir() else {}

    def leased(self, network="net1"):
        return sorted(name for name in self.lease_files(network) if name[0] in "0123456789f")

    def close(self):
        self._holder.stdin.close()
        try:
            self._holder.wait(5)
        finally:
            self._holder.kill()
            self._holder.wait()
            self._holder.stdout.close()
            self._holder.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def bridge_config(version="1.0.0", ipam=None, **keys):
    """A network `net1` of type bridge on 10.1.0.0/24, or with the given ipam section (None: this one)."""
    if ipam is None:
        ipam = ipam_config("10.1.0.0/24")
    config = {"cniVersion": version, "name": "net1", "type": "bridge", "bridge": "br1", "ipam": ipam}
    config.update(keys)
    return {key: value for key, value in config.items() if value is not None}


def ipam_config(*subnets, **keys):
    ranges = [[{"subnet": subnet}] if isinstance(subnet, str) else subnet for subnet in subnets]
    return {"type": "host-local", "dataDir": "/run/netns/leases", "ranges": ranges, **keys}


def legacy_programs(host):
    """Puts iptables-legacy in front of the other in PATH: the variables to call a plugin with. Skips without it."""
    if not os.path.exists("/usr/sbin/xtables-legacy-multi"):
        pytest.skip("needs iptables-legacy")
    if host.run("iptables-legacy-save", "-t", "nat", check=False).returncode != 0:
        pytest.skip("this kernel has no x_tables (iptables-legacy)")
    folder = "/run/netns/leases/legacy"
    host.run("mkdir", folder)
    for name in ("iptables", "ip6tables"):
        for what in ("-restore", "-save", ""):
            host.run("ln", "-s", "/usr/sbin/xtables-legacy-multi", f"{folder}/{name}{what}")
    return {"PATH": f"{folder}:/usr/sbin:/usr/bin"}


def with_result(config, result):
    return {**config, "prevResult": result}
