"""An integrity soak: sessions of random bytes, chunks and ends pass a `weir serve` whose faults change all the time.
What arrives is what was sent, and all of it where the session ended in order.

    WEIR_SOAK_SECONDS=3600   goes on for so long (20 s unless set)
    WEIR_SOAK_SEED=N         draws the same sessions and changes again; a failure names its seed
"""

import asyncio
import collections
import json
import os
import random
import threading
import time

import pytest

from deadline import PATIENCE, Deadline, wait_until
from serve_process import Serve
from soak_traffic import Traffic, problem_of_stream

SECONDS = float(os.environ.get("WEIR_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("WEIR_SOAK_SEED", time.time_ns() % 1_000_000))
AT_ONCE = 32
CHANGERS = 3

# A fault and what it may be changed to. None alters a byte: corrupt stands in the chain and applies to no session.
FAULTS = [
    lambda draw: {"type": "latency", "latency": f"{draw.randrange(20)}ms", "jitter": f"{draw.randrange(10)}ms"},
    lambda draw: {"type": "bandwidth", "rate": f"{draw.randrange(200, 5000)}KB/s"},
    lambda draw: {"type": "slicer", "average_size": draw.randrange(50, 2000), "delay": f"{draw.randrange(50)}us"},
    lambda draw: {"type": "stall"},
    lambda draw: {"type": "limit_data", "bytes": draw.randrange(30_000), "probability": 0.1},
    lambda draw: {"type": "corrupt", "rate": 0.5, "probability": 0},
]


class Changer(threading.Thread):
    """Adds, changes and removes faults of its own until it is told to stop; a stall stays for three changes."""

    def __init__(self, serve, number):
        super().__init__(daemon=True)
        self.serve = serve
        self.draw = random.Random(f"{SEED} changer {number}")
        self.number = number
        self.done = collections.Counter()
        self.problem = None
        self.enough = threading.Event()
        self._faults = {}  # name: [what makes its body, changes left to it]

    def run(self):
        try:
            while not self.enough.is_set():
                self._change()
            for name in list(self._faults):
                self._remove(name)
        except Exception as problem:  # noqa: whatever it is, it is the test's result
            self.problem = problem

    def _change(self):
        for name, fault in list(self._faults.items()):
            fault[1] -= 1
            if fault[1] <= 0:
                self._remove(name)
        choice = self.draw.random()
        if choice < 0.5 and len(self._faults) < 3:
            make = self.draw.choice(FAULTS)
            body = make(self.draw)
            name = f"{body['type']}_{self.number}_{self.done.total()}"
            direction = "both" if body["type"] == "stall" else self.draw.choice(["upstream", "downstream", "both"])
            self._ask(201, "POST", "faults", {**body, "name": name, "direction": direction})
            self._faults[name] = [make, 3 if body["type"] == "stall" else self.draw.randrange(3, 30)]
            self.done[body["type"]] += 1
        elif self._faults:
            name = self.draw.choice(list(self._faults))
            changes = self._faults[name][0](self.draw)
            del changes["type"]
            self._ask(200, "PATCH", f"faults/{name}", changes or {"position": 1})
            self.done["changed"] += 1

    def _remove(self, name):
        self._ask(204, "DELETE", f"faults/{name}")
        del self._faults[name]
        self.done["removed"] += 1

    def _ask(self, status, method, path, body=None):
        answer = self.serve.ask(method, f"/api/v1/proxies/soak/{path}", body)
        assert answer.status == status, f"{method} {path} {body}: {answer.status} {answer.text}"


class Ends(threading.Thread):
    """How each session ended, as the event stream tells it: {client's address: the event's data}."""

    def __init__(self, serve):
        super().__init__(daemon=True)
        self.closed = {}
        self.missed = None
        self._connection = serve.connection()
        self._connection.request("GET", "/api/v1/events")
        self._stream = self._connection.getresponse()
        self.start()

    def run(self):
        kind = None
        for line in self._stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "session.closed":
                data = json.loads(value)
                self.closed[data["client"].rpartition(":")[0]] = data
            elif name == "data" and kind in ("sessions.missed", "gap"):
                self.missed = value


def problem_of_session(client, server, closed, traffic):
    """What is wrong with the session of one client, or None. `server`: who got its bytes, None if nobody got enough of
    them to know whose they are."""
    if closed is None:
        return "its end was not told"
    problem, sender = problem_of_stream(client, traffic.servers, is_in_order(closed))
    if problem:
        return f"downstream: {problem}"
    if sender is not None and server is not None and sender is not server:
        return f"it heard server {sender.number}, but server {server.number} heard it"
    server = server or sender
    if is_in_order(closed):
        if server is None:
            return "closed in order, but no server heard of it"
        return problem_of_stream(server, traffic.clients, True)[0]
    if closed["cause"] == "fault":
        return None if closed["detail"].startswith("limit_data") else "closed by a fault that ends no session"
    if client.end == "fin" and server is not None and server.end == "fin":
        return "both sides ended in order, and it was closed by another cause"
    return None


def is_in_order(closed):
    return closed["cause"] in ("client.fin", "server.fin")


def problems_of(traffic, closed):
    """One line for each session or stream with something wrong."""
    server_of = {}
    for server in traffic.servers:
        problem, client = problem_of_stream(server, traffic.clients, False)
        if problem is None and client is not None and server_of.setdefault(client.number, server) is not server:
            problem = f"client {client.number}'s bytes came to server {server_of[client.number].number} too"
        if problem:
            yield f"server {server.number}, upstream: {problem}"
    for client in traffic.clients:
        end = closed.get(traffic.address_of(client.number))
        if problem := problem_of_session(client, server_of.get(client.number), end, traffic):
            yield f"client {client.number}: {problem}; {end}"


async def play(serve, traffic, changers, seconds):
    """So many seconds of traffic, to the end of the last session."""
    upstream = await traffic.serve()
    changed = serve.patch("/api/v1/proxies/soak", {"upstream": f"127.0.0.1:{upstream}"})
    assert changed.status == 200, changed.text
    deadline = Deadline(seconds / PATIENCE)
    port = int(changed.json["listen"].rpartition(":")[2])
    await asyncio.wait_for(traffic.run(port, lambda: deadline.passed() or any(each.problem for each in changers)),
                           seconds + 60 * PATIENCE)


@pytest.mark.slow
def test_what_arrives_is_what_was_sent(weir_binary, tmp_path):
    serve = Serve("--workers", 2, folder=tmp_path)
    assert serve.post("/api/v1/proxies", {"name": "soak", "upstream": "127.0.0.1:1"}).status == 201
    changers = [Changer(serve, number) for number in range(CHANGERS)]
    ends = Ends(serve)
    causes = collections.Counter()
    rounds = sessions = 0
    deadline = Deadline(SECONDS / PATIENCE)
    try:
        for each in changers:
            each.start()
        # In rounds, so that what was checked can be forgotten.
        while not deadline.passed():
            ends.closed.clear()
            traffic = Traffic(f"{SEED} round {rounds}", AT_ONCE)
            asyncio.run(play(serve, traffic, changers, min(20.0, deadline.left())))
            for each in changers:
                assert each.problem is None, f"WEIR_SOAK_SEED={SEED}: {each.problem!r}"
            wait_until(lambda: ends.missed or len(ends.closed) >= len(traffic.clients), "every end is told", 30.0)
            assert ends.missed is None, f"WEIR_SOAK_SEED={SEED}: the event stream has a gap: {ends.missed}"
            problems = list(problems_of(traffic, ends.closed))
            assert not problems, (f"WEIR_SOAK_SEED={SEED}, round {rounds}: {len(problems)} of {len(traffic.clients)} "
                                  "sessions:\n" + "\n".join(problems[:5]))
            causes.update(each["cause"] for each in ends.closed.values())
            sessions += len(traffic.clients)
            rounds += 1
        for each in changers:
            each.enough.set()
            each.join(20 * PATIENCE)
            assert each.problem is None, f"WEIR_SOAK_SEED={SEED}: {each.problem!r}"
    finally:
        for each in changers:
            each.enough.set()
            each.join(20 * PATIENCE)
        code = serve.stop()
    assert code == 0, serve.stderr()
    done = sum((each.done for each in changers), collections.Counter())
    print(f"seed {SEED}: {sessions} sessions, closed by {dict(causes)}; changes: {dict(done)}")
    # The soak was one: sessions ended in every way while faults of every type came and went.
    assert {"client.fin", "server.fin", "client.reset", "server.reset", "fault"} <= set(causes), causes
    assert sessions > 5 * SECONDS / PATIENCE and len(done) == len(FAULTS) + 2, (sessions, done)
