"""`weir why` as a process, and peers on loopback that lose time in ways of their own."""
import json
import os
import re
import signal
import socket
import subprocess

from deadline import PATIENCE
from weir_process import BINARY


class Why:
    """`weir why --json OPTIONS 127.0.0.1:0 UPSTREAM` in front of an upstream; a context manager."""

    def __init__(self, upstream, *options, enter=()):
        read_end, write_end = os.pipe()
        words = [*enter, str(BINARY), "why", "--json", "--ready-fd", str(write_end), *options, "127.0.0.1:0", upstream]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[write_end])
        os.close(write_end)
        with open(read_end, encoding="utf-8") as ready:
            found = re.search(r":(\d+), upstream", ready.readline())
        assert found, self._process.communicate()
        self.address = ("127.0.0.1", int(found[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def client(self):
        made = socket.create_connection(self.address, timeout=10 * PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def report(self):
        """Ends it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=20 * PATIENCE)
        assert self._process.returncode == 0, err
        return json.loads(out)


def found(report, name):
    """The report's row of a cause, or none."""
    rows = [each for each in report["causes"] + report["undecided"] if each["cause"] == name]
    return rows[0] if rows else None


def names(report):
    return {each["cause"] for each in report["causes"]}
