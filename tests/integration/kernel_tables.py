"""What the kernel says about this network namespace's TCP sockets (proc(5), /proc/net/tcp)."""

from pathlib import Path

SYN_SENT = "02"
LISTEN = "0A"


def tcp_sockets(local_port, state):
    """(local port, remote port) of every IPv4 socket in `state`, at `local_port` unless that is None."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, its_state = line.split()[:4]
        ports = int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)
        if its_state == state and local_port in (None, ports[0]):
            found.append(ports)
    return found
