"""`weir why` as a process, and peers on loopback that lose time in ways of their own."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading

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


class Peer:
    """Gives each connection to a function, in a thread; it goes with the process."""

    def __init__(self, talk, nodelay=True):
        self._talk, self._nodelay = talk, nodelay
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        """Takes no more connections; those that there are go on."""
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self._nodelay))
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client):
        with client, contextlib.suppress(OSError):
            self._talk(client)


def found(report, name):
    """The report's row of a cause, or none."""
    rows = [each for each in report["causes"] + report["undecided"] if each["cause"] == name]
    return rows[0] if rows else None


def names(report):
    return {each["cause"] for each in report["causes"]}
