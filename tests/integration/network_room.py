"""A private network and mount namespace: a loopback of its own where packets can be made to vanish,
names to resolve elsewhere, and low ports to need a permission. Needs root; nothing outside changes."""

import ctypes
import functools
import os
import shutil
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def why_unavailable():
    """None where such rooms can be made, else the reason, for pytest's skip."""
    if os.geteuid() != 0:
        return "needs root, to make a network namespace"
    for tool in ("unshare", "nsenter", "ip", "nft"):
        if shutil.which(tool) is None:
            return f"needs `{tool}`, which is not installed"
    try:
        with NetworkRoom() as room:
            room.drop_packets_of(1)
    except (subprocess.CalledProcessError, RuntimeError, OSError) as failure:
        return f"this machine does not let root make a network namespace with nftables: {failure}"
    return None


class NetworkRoom:
    """Use as a context manager; `enter` goes before a command that shall run inside."""

    def __init__(self):
        self._holder = subprocess.Popen(
            ["unshare", "-mn", "sh", "-c", "ip link set lo up && echo ready && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError(self._holder.communicate()[1].strip() or "unshare failed")
        self._network = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def enter(self):
        return ["nsenter", "-t", str(self._holder.pid), "-m", "-n", "--"]

    def run(self, *command, **options):
        return subprocess.run([*self.enter, *command], check=True, capture_output=True, text=True, **options)

    def socket(self, family, kind):
        """A socket that lives in this room, for peers that live outside."""
        made = []

        def make():
            try:
                if _libc.setns(self._network, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.socket(family, kind))
            except OSError as failure:
                made.append(failure)

        thread = threading.Thread(target=make)  # setns moves one thread only, and this one ends at once
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def drop_packets_of(self, port):
        """From now on no TCP packet from or to `port` arrives. They are dropped where they come in:
        the sender's kernel cannot know."""
        self.drop(f"tcp sport {port}", f"tcp dport {port}")

    def drop(self, *matches):
        rules = " ".join(f"{match} drop;" for match in matches)
        self.run("nft", "-f", "-", input=f"""
            table inet weir_test {{
              chain arriving {{ type filter hook input priority 0; {rules} }}
            }}""")

    def deliver_packets(self):
        self.run("nft", "delete", "table", "inet", "weir_test")

    def put_file(self, path, source):
        """Makes `path` read as the file `source`, in this room only."""
        self.run("mount", "--bind", str(source), path)

    def close(self):
        self._holder.stdin.close()
        try:
            self._holder.wait(5)
        finally:
            self._holder.kill()
            self._holder.wait()
            self._holder.stdout.close()
            self._holder.stderr.close()
            os.close(self._network)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
