"""running_at_once.py NETNS INTERFACE PROGRAM...: runs the program, and says on stderr whether the interface is
running (IFF_RUNNING) as soon as the program has ended; its exit code is the program's.

Run it with `chrt -f 1 taskset -c 0`: the kernel's own task for that flag then gets no turn in between.
"""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS = 0x8913  # linux/sockios.h
IFF_RUNNING = 0x40     # linux/if.h
CLONE_NEWNET = 0x40000000


def socket_in(netns):
    """A socket keeps the namespace in which it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(netns, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if libc.setns(here, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        return made
    finally:
        os.close(here)
        os.close(there)


def main(netns, interface, *command):
    with socket_in(netns) as asks:
        code = subprocess.run(command, check=False).returncode
        request = fcntl.ioctl(asks, SIOCGIFFLAGS, struct.pack("16sH14x", interface.encode(), 0))
    running = struct.unpack("16sH14x", request)[1] & IFF_RUNNING
    print("running" if running else "not running", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
