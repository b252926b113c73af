"""Driving weir-load: the peer behind the proxies, and one run of the client."""

import json
import select
import subprocess
import time

from .processes import Process, StartError


class LoadFailed(Exception):
    """A load did not come to its end; the sentence says what weir-load said."""


class Peer:
    """`weir-load echo-server`: the server behind every subject but PostgreSQL's."""

    def __init__(self, place):
        self.process = place.load([place.weir_load, "echo-server", "127.0.0.1:0", "--descriptors",
                                   str(min(place.descriptors, 32768))], "peer", stdout=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.popen.stdout], [], [], 10)
        line = self.process.popen.stdout.readline() if ready else ""
        if not line:
            raise StartError(f"weir-load echo-server does not listen: {self.process.last_words()}")
        self.address = json.loads(line)["listening"]

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.stop()


def watch_arguments(place, proxy_pid, server_pid):
    words = []
    if proxy_pid is not None:
        words += ["--watch", f"proxy={proxy_pid}"]
    if server_pid is not None:
        words += ["--watch", f"server={server_pid}"]
    if place.kernel_workers:
        words += ["--watch", "kernel=" + ",".join(map(str, place.kernel_workers))]
    return words


def run(place, arguments, limit):
    """One weir-load to its end; its JSON. `limit` seconds, then it is killed and the load has failed."""
    client = GatedLoad(place, arguments)
    return client.finish(limit)


class GatedLoad:
    """A weir-load that stops at gates (--gate, idle) and waits to be let through."""

    def __init__(self, place, arguments):
        self.arguments = [str(word) for word in arguments]
        self.process = place.load([place.weir_load, *self.arguments], "client", stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_gate(self, name, limit):
        deadline = time.monotonic() + limit
        wanted = f"weir-load: gate {name}"
        while True:
            ready, _, _ = select.select([self.process.popen.stderr], [], [], max(0, deadline - time.monotonic()))
            line = self.process.popen.stderr.readline().strip() if ready else None
            if line == wanted:
                return
            if not line:
                self.process.stop(grace=0.1)
                raise LoadFailed(f"weir-load {' '.join(self.arguments)}: gate {name} not reached in {limit:.0f} s")
            if line.startswith("weir-load"):
                self.process.stop(grace=0.1)
                raise LoadFailed(line)

    def open_gate(self):
        self.process.popen.stdin.write("\n")
        self.process.popen.stdin.flush()

    def finish(self, limit):
        try:
            told, said = self.process.popen.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.stop(grace=0.1)
            raise LoadFailed(f"weir-load {' '.join(self.arguments)}: no end after {limit:.0f} s") from None
        status = self.process.stop()
        if status != 0:
            raise LoadFailed(said.strip().splitlines()[-1] if said.strip() else f"weir-load ended with {status}")
        return json.loads(told)

    def abandon(self):
        self.process.stop(grace=0.1)
