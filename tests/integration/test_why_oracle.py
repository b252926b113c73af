"""`weir why` and the other end's own socket: what only that can tell, with real sockets on this host."""
import contextlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from deadline import PATIENCE
from echo import receive
from test_why import QUERY, Service, at_once, cause, exchange, report_of, why  # noqa: F401 - why is a fixture

PAUSE = 0.3  # seconds: the stall that each test provokes


def connect(address):
    client = socket.create_connection(address, timeout=10 * PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def verdicts(report, name):
    return [each for each in report["worst"] if each["cause"] == name]


def test_a_server_that_has_not_accepted_is_told_from_one_that_has_not_read_and_one_that_works(why):  # noqa: F811
    def accepts_late(listener):
        time.sleep(PAUSE)
        client, _ = listener.accept()
        client.recv(len(QUERY), socket.MSG_WAITALL)
        return client

    def reads_late(listener):
        client, _ = listener.accept()
        time.sleep(PAUSE)
        client.recv(len(QUERY), socket.MSG_WAITALL)
        return client

    def works(listener):
        client, _ = listener.accept()
        client.recv(len(QUERY), socket.MSG_WAITALL)
        time.sleep(PAUSE)
        return client

    for serve, name, certainties in [(accepts_late, "not_accepted", ["proven"]), (reads_late, "not_read", ["proven"]),
                                     (works, "think", ["proven", "shown"])]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def answer(serve=serve, listener=listener):
                with serve(listener) as client:
                    at_once(client)
                    client.recv(1)

            server = threading.Thread(target=answer, daemon=True)
            server.start()
            process, address = why(f"127.0.0.1:{listener.getsockname()[1]}", "--json")
            with connect(address) as client:
                exchange(client, QUERY)
            server.join()
            report = report_of(process)
            found = cause(report, name)
            assert found["side"] == "server" and found["certainty"] in certainties, report
            assert found["lost_ns"] > PAUSE * 0.5e9
            evidence = verdicts(report, name)[0]["evidence"]
            assert evidence["look_after_ns"] >= 8_000_000 and evidence["looks"] >= 3
            assert [each["cause"] for each in report["causes"] if each["lost_ns"] > 50e6] == [name], report


def test_a_split_write_is_proven_at_once_by_the_senders_own_socket(why):  # noqa: F811
    def in_two(client):
        client.sendall(b"r" * 10)
        client.sendall(b"r" * 54)

    process, address = why(Service(at_once).address, "--json", "--no-proof")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(6):
            exchange(client, QUERY[:128], QUERY[128:])
    report = report_of(process)
    split = cause(report, "split_write")
    assert split["side"] == "client" and split["certainty"] == "proven" and "held 168 bytes back" in split["proof"], report
    evidence = [each for each in verdicts(report, "split_write") if each["certainty"] == "proven"][0]["evidence"]
    assert evidence["cut"] == 128 and evidence["peer_unsent"] == 168 and evidence["peer_unacknowledged"] == 1

    process, address = why(Service(in_two).address, "--json", "--no-proof")
    with connect(address) as client:
        for _ in range(6):
            exchange(client, QUERY)
    split = cause(report_of(process), "split_write")
    assert split["side"] == "server" and split["certainty"] == "proven" and "held 54 bytes back" in split["proof"]


def test_a_cork_that_is_not_lifted_is_seen_on_both_sides(why):  # noqa: F811
    def corked(client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.sendall(b"r" * 10)
        client.sendall(b"r" * 54)

    process, address = why(Service(corked).address, "--json")
    with connect(address) as client:
        for _ in range(3):
            exchange(client, QUERY)
    report = report_of(process)
    assert cause(report, "cork")["side"] == "server" and cause(report, "cork")["certainty"] == "proven", report
    assert cause(report, "cork")["times"] >= 2, report

    process, address = why(Service(at_once).address, "--json")
    with connect(address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for _ in range(3):
            exchange(client, QUERY)
    report = report_of(process)
    assert cause(report, "cork")["side"] == "client" and cause(report, "cork")["times"] >= 2, report


def test_a_client_that_does_not_read_is_proven_by_its_own_socket(why):  # noqa: F811
    size = 16 << 20

    def much(client):
        client.sendall(b"r" * size)

    process, address = why(Service(much).address, "--json")
    with connect(address) as client:
        client.sendall(QUERY)
        time.sleep(PAUSE)
        receive(client, size)
    report = report_of(process)
    found = cause(report, "not_reading")
    assert found["side"] == "client" and found["certainty"] == "proven", report
    assert found["lost_ns"] > PAUSE * 0.5e9


SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while client.recv(296, socket.MSG_WAITALL):
        client.sendall(b"r" * 64)
"""


@pytest.fixture
def server_process():
    """A server in a process of its own: its address and the process."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    yield f"127.0.0.1:{process.stdout.readline().strip()}", process
    process.kill()
    process.wait()


def test_a_server_that_is_stopped_by_a_signal_stands_still(why, server_process):  # noqa: F811
    upstream, server = server_process
    process, address = why(upstream, "--json")
    with connect(address) as client:
        exchange(client, QUERY)
        server.send_signal(signal.SIGSTOP)
        client.sendall(QUERY)
        time.sleep(PAUSE)
        server.send_signal(signal.SIGCONT)
        client.recv(64)
    report = report_of(process)
    found = cause(report, "standstill")
    assert found["side"] == "server" and found["certainty"] == "proven" and found["lost_ns"] > PAUSE * 0.5e9, report


def test_a_full_accept_queue_is_told_with_its_length_and_its_limit(why):  # noqa: F811
    with socket.socket() as listener, contextlib.ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        process, address = why(f"127.0.0.1:{listener.getsockname()[1]}", "--json")
        # The first is accepted, so that Weir knows where the upstream is; the second waits in the queue.
        first = clients.enter_context(connect(address))
        accepted, _ = listener.accept()
        clients.enter_context(accepted)
        clients.enter_context(connect(address))
        deadline = time.monotonic() + 10 * PATIENCE
        while "01 " not in listening_queue(listener) and time.monotonic() < deadline:
            time.sleep(0.01)
        third = clients.enter_context(connect(address))
        third.sendall(QUERY)
        time.sleep(0.3)
        for _ in range(2):
            client, _ = listener.accept()
            clients.enter_context(client)
        client.recv(len(QUERY), socket.MSG_WAITALL)
        at_once(client)
        third.recv(64)
        first.close()
    report = report_of(process)
    found = cause(report, "accept_queue_full")
    assert found["side"] == "server" and found["certainty"] == "proven" and "backlog 0" in found["text"], report


def listening_queue(listener):
    """How many wait to be accepted, as /proc/net/tcp has it."""
    port = f":{listener.getsockname()[1]:04X} "
    with open("/proc/net/tcp", encoding="ascii") as table:
        lines = [line for line in table if port in line and " 0A " in line]
    return lines[0].split()[4][-2:] + " "


# A server whose answers depend on each other, as its argument says.
SHARED = """
import random, socket, sys, threading, time
kind = sys.argv[1]
one, two, gate = threading.Lock(), threading.Semaphore(2), threading.Event()
gate.set()

def answer():
    if kind == "lock":
        with one:
            time.sleep(0.04)
    elif kind == "pool":
        with two:
            time.sleep(0.06)
    elif kind == "tick":
        time.sleep(0.1 - time.monotonic() % 0.1)
    elif kind == "random":
        time.sleep(random.uniform(0, 0.04))
    else:
        gate.wait()

def stop():
    while True:
        time.sleep(0.6)
        gate.clear()
        time.sleep(0.2)
        gate.set()

def talk(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while client.recv(296, socket.MSG_WAITALL):
        answer()
        client.sendall(b"r" * 64)

if kind == "stop":
    threading.Thread(target=stop, daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def causes_with(why):  # noqa: F811
    """What `weir why` finds where so many clients ask so often, and rest for so long at most between: times by cause."""
    def run(kind, clients, rounds, rest):
        server = subprocess.Popen([sys.executable, "-c", SHARED, kind], stdout=subprocess.PIPE, text=True)
        try:
            process, address = why(f"127.0.0.1:{server.stdout.readline().strip()}", "--json")

            def ask(seed):
                draw = random.Random(seed)
                with connect(address) as client:
                    for _ in range(rounds):
                        exchange(client, QUERY)
                        time.sleep(draw.uniform(0, rest))

            asking = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(clients)]
            for each in asking:
                each.start()
            for each in asking:
                each.join()
            return report_of(process)
        finally:
            server.kill()
            server.wait()
    return run


SHAPES = {"lock_convoy", "pool_exhausted", "polling", "standstill"}


@pytest.mark.parametrize(("kind", "clients", "rounds", "rest", "name", "told"), [
    ("lock", 8, 5, 0.05, "lock_convoy", "one request at a time"),
    ("pool", 8, 8, 0.1, "pool_exhausted", "has 2 workers"),
    ("tick", 3, 14, 0.2, "polling", "tick of 100ms"),
    ("stop", 12, 15, 0.15, "standstill", "answered nobody"),
])
def test_what_the_sessions_of_one_server_show_together(causes_with, kind, clients, rounds, rest, name, told):
    report = causes_with(kind, clients, rounds, rest)
    found = cause(report, name)
    assert found["side"] == "server" and told in found["text"], report
    assert SHAPES & {each["cause"] for each in report["causes"]} == {name}, report
    lost = sum(each["lost_ns"] for each in report["causes"])
    assert lost <= report["exchange_ns"], "no time is counted twice"
    assert found["lost_ns"] >= 0.3 * lost, report


def test_sessions_that_are_slow_each_for_itself_have_no_shape(causes_with):
    report = causes_with("random", 8, 25, 0.03)
    assert not SHAPES & {each["cause"] for each in report["causes"]}, report
    assert cause(report, "think")["times"] == 8 * 25
