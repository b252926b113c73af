"""What this machine is, which limits it sets, and the packages a run needs."""

import datetime
import os
import platform
import re
import resource
import shutil
import subprocess
from pathlib import Path

PACKAGES = {  # what is looked for -> Debian package
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream",
    "socat": "socat",
    "postgres": "postgresql",
    "perf": "linux-perf",
    "strace": "strace",
}
DESCRIPTORS = 65536
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"  # a Go module, for `go install`
PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"


def postgres_bin():
    """The newest PostgreSQL's bin folder, or None. Debian keeps it out of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    return folders[-1].parent if folders else None


def is_present(name):
    if name == "postgres":
        return postgres_bin() is not None
    return os.path.exists(name) if name.startswith("/") else shutil.which(name, path=search_path()) is not None


def search_path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def find(name):
    return shutil.which(name, path=search_path())


def install_missing(say):
    missing = [package for name, package in PACKAGES.items() if not is_present(name)]
    if not missing:
        return
    if os.geteuid() != 0:
        say(f"missing: {' '.join(missing)}; rows that need them are skipped (as root, or: apt-get install ...)")
        return
    say(f"installing from apt: {' '.join(missing)} (their services are not started)")
    # Debian's way to say "start nothing": what is measured is started here, with its own configuration.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for command in (["apt-get", "update", "-qq"],
                        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=900, check=False)
    finally:
        if ours:
            policy.unlink()
    still = [package for name, package in PACKAGES.items() if not is_present(name)]
    if still:
        say(f"could not install: {' '.join(still)}; rows that need them are skipped")


def toxiproxy():
    """The path of toxiproxy's server, or None. `weir` goes by that name too, so PATH is not asked."""
    path = PEERS / "server"
    return str(path) if path.exists() else None


def install_toxiproxy(say):
    """By Go's own client, from whatever registry it is set up for."""
    if toxiproxy() is not None:
        return
    if find("go") is None:
        say("go is not installed: toxiproxy is not measured")
        return
    say(f"go install {TOXIPROXY}")
    try:
        run = subprocess.run(["go", "install", TOXIPROXY], env=dict(os.environ, GOBIN=str(PEERS)), timeout=600,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        failed = run.returncode != 0 and (run.stderr.strip().splitlines() or ["it says nothing"])[-1]
    except subprocess.TimeoutExpired:
        failed = "no end after 10 minutes"
    if failed:
        say(f"toxiproxy is not measured: {failed}")


def raise_descriptor_limit():
    """Returns the soft limit that children may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def best_nice():
    """The highest priority this process may give its children; 0 if none above normal."""
    return -20 if os.geteuid() == 0 else 0


def kernel_workers():
    """ksoftirqd of every CPU: loopback work that the kernel puts off lands there and is not foreign."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                name = Path(f"/proc/{entry}/comm").read_text()
            except OSError:
                continue
            if name.startswith("ksoftirqd/"):
                found.append(int(entry))
    return found


def _first_line(command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "not installed"
    lines = (run.stdout + run.stderr).strip().splitlines()
    return lines[0] if lines else "says nothing"


def _haproxy():
    path = find("haproxy")
    if path is None:
        return "not installed"
    told = subprocess.run([path, "-vv"], capture_output=True, text=True, timeout=20, check=False).stdout
    version = told.splitlines()[0].split(" - ")[0]
    debug = re.search(r"^\s*DEBUG\s*=\s*(\S.*)$", told, re.MULTILINE)
    return f"{version}; built with {debug.group(1)}" if debug else version


def _socat():
    path = find("socat")
    if path is None:
        return "not installed"
    told = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=20, check=False).stdout
    return next((line for line in told.splitlines() if line.startswith("socat version")), "socat").split(" on ")[0]


def _commit(root):
    run = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True,
                         text=True, timeout=20, check=False)
    return run.stdout.strip() or "unknown"


def facts(root, weir):
    """Name -> text, for the head of every table."""
    with open("/proc/cpuinfo") as info:
        models = re.findall(r"^model name\s*:\s*(.*)$", info.read(), re.MULTILINE)
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) / 1024 / 1024
    postgres = postgres_bin()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(root),
        "machine": f"{len(models)} x {models[0] if models else platform.machine()}, {memory:.0f} GiB, "
                   f"{_hypervisor()}",
        "kernel": platform.release(),
        "congestion control": _congestion_control(),
        "weir": _first_line([weir, "--version"]) if weir else "not measured",
        "HAProxy": _haproxy(),
        "nginx": _first_line([find("nginx") or "nginx", "-v"]).replace("nginx version: ", ""),
        "socat": _socat(),
        "PostgreSQL": _first_line([postgres / "postgres", "--version"]) if postgres else "not installed",
    }


def _congestion_control():
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _hypervisor():
    with open("/proc/cpuinfo") as info:
        return "virtual" if "hypervisor" in info.read() else "no hypervisor"
