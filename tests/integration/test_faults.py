"""`weir tap --fault`: what peers feel on the wire. Times are only asked to be long enough: that something
is not late is shown on virtual time (tests/unit/fault) and by benchmarks."""

import errno
import random
import socket
import time

import pytest

from deadline import wait_until
from echo import receive
from session_log import wait_for_closed
from weir_process import run_weir

STREAM = random.Random("faults").randbytes(300_000)


class Through:
    """One client and its server through a weir with faults, with plain blocking sockets."""

    def __init__(self, weir, listener):
        self.began = time.monotonic()
        self.client = socket.create_connection(weir.address, timeout=20)
        listener.sock.settimeout(20)
        self.server, _ = listener.sock.accept()
        self.server.settimeout(20)

    def age(self):
        return time.monotonic() - self.began

    def close(self):
        self.client.close()
        self.server.close()


@pytest.fixture
def faulty(start_weir, listener):
    """faulty(*faults, options=...) -> (weir, connect): connect() makes one more session."""
    sessions = []

    def start(*faults, options=()):
        words = [word for fault in faults for word in ("--fault", fault)]
        weir = start_weir(listener.text, *words, *options)

        def connect():
            sessions.append(Through(weir, listener))
            return sessions[-1]
        return weir, connect

    yield start
    for session in sessions:
        session.close()


def read_all(sock):
    """Everything until the end, and which end: "fin" or "rst"."""
    data = bytearray()
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        return bytes(data), "rst"
    return bytes(data), "fin"


def connect_and_read(address):
    """Which end a client that says nothing feels; a reset may come before connect(2) has returned."""
    try:
        with socket.create_connection(address, timeout=20) as client:
            client.shutdown(socket.SHUT_WR)
            return read_all(client)
    except OSError as failure:
        assert failure.errno in (errno.ECONNRESET, errno.ENOTCONN), failure
        return b"", "rst"


def send_all(sock, data, chunk=None, pause=0.0):
    for at in range(0, len(data), chunk or len(data)):
        sock.sendall(data[at:at + (chunk or len(data))])
        if pause:
            time.sleep(pause)  # so that the pieces come as chunks of their own; not a wait


# -- delay and rate ----------------------------------------------------------------------------------


def test_latency_delays_its_direction_and_is_never_early(faulty):
    _, connect = faulty("latency latency=80ms jitter=10ms", "latency latency=30ms direction=upstream name=up")
    through = connect()
    for _ in range(5):
        sent = time.monotonic()
        through.client.sendall(b"question")
        assert receive(through.server, 8) == b"question"
        assert time.monotonic() - sent >= 0.030
        sent = time.monotonic()
        through.server.sendall(b"answer")
        assert receive(through.client, 6) == b"answer"
        assert time.monotonic() - sent >= 0.070


def test_latency_loses_nothing_of_a_stream_with_its_end(faulty):
    _, connect = faulty("latency latency=20ms jitter=20ms distribution=pareto correlation=0.3 direction=both")
    through = connect()
    send_all(through.client, STREAM, 10_000)
    through.client.shutdown(socket.SHUT_WR)
    assert read_all(through.server) == (STREAM, "fin")
    send_all(through.server, STREAM, 7_777)
    through.server.close()
    assert read_all(through.client) == (STREAM, "fin")


def test_bandwidth_takes_as_long_as_its_rate_says(faulty):
    _, connect = faulty("bandwidth rate=500KB/s")
    through = connect()
    began = time.monotonic()
    through.server.sendall(STREAM)
    through.server.close()
    assert read_all(through.client) == (STREAM, "fin")
    assert time.monotonic() - began >= 0.98 * len(STREAM) / 500_000


def test_bandwidth_of_the_proxy_is_shared(faulty):
    _, connect = faulty("bandwidth rate=500KB/s scope=proxy")
    pair = [connect(), connect()]
    began = time.monotonic()
    for through in pair:
        through.server.sendall(STREAM[:100_000])
        through.server.close()
    for through in pair:
        assert read_all(through.client) == (STREAM[:100_000], "fin")
    assert time.monotonic() - began >= 0.98 * 200_000 / 500_000


def test_the_first_byte_alone_is_delayed(faulty):
    _, connect = faulty("first_byte_delay delay=300ms")
    through = connect()
    began = time.monotonic()
    through.server.sendall(b"first")
    assert receive(through.client, 5) == b"first"
    assert time.monotonic() - began >= 0.3


def test_loss_loses_no_byte(faulty):
    _, connect = faulty("loss rate=0.02 rto=20ms direction=both", options=["--seed", "3"])
    through = connect()
    send_all(through.client, STREAM, 20_000)
    through.client.shutdown(socket.SHUT_WR)
    assert read_all(through.server) == (STREAM, "fin")


def test_a_stall_freezes_and_goes_on(faulty):
    _, connect = faulty("stall after=5B for=400ms")
    through = connect()
    through.server.sendall(b"12345")
    assert receive(through.client, 5) == b"12345"
    began = time.monotonic()
    through.server.sendall(b"678")  # the first byte behind the offset begins it
    through.server.close()
    assert read_all(through.client) == (b"678", "fin")
    assert time.monotonic() - began >= 0.4


# -- exact to the byte -------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 12_345, 300_000])
def test_limit_data_is_exact(faulty, limit):
    weir, connect = faulty(f"limit_data bytes={limit}")
    through = connect()
    through.server.sendall(STREAM)
    assert read_all(through.client) == (STREAM[:limit], "fin")
    closed = wait_for_closed(weir)[1].closed
    assert (closed["cause"], closed["detail"]) == ("fault", "limit_data_downstream")


def test_slicer_changes_nothing_but_the_sends(faulty):
    _, connect = faulty("slicer average_size=500 size_variation=300")
    through = connect()
    through.server.sendall(STREAM[:100_000])
    through.server.close()
    assert read_all(through.client) == (STREAM[:100_000], "fin")


def test_corrupt_hits_the_same_offsets_for_the_same_seed(faulty):
    """Whatever the chunks, the number of workers, the restart; and others for another seed."""
    def corrupted(seed, chunk, workers):
        _, connect = faulty("corrupt rate=0.001", options=["--seed", seed, "--workers", workers])
        through = connect()
        send_all(through.server, STREAM[:20_000], chunk, pause=0.001)
        through.server.close()
        data, end = read_all(through.client)
        assert (len(data), end) == (20_000, "fin")
        return data
    first = corrupted("11", 20_000, "1")
    assert corrupted("11", 777, "2") == first
    assert corrupted("12", 20_000, "1") != first
    changed = [at for at in range(20_000) if first[at] != STREAM[at]]
    assert 1 <= len(changed) < 60
    assert all(bin(first[at] ^ STREAM[at]).count("1") == 1 for at in changed), "one bit each"


def test_corrupt_replaces_at_an_offset_and_behind_a_pattern(faulty):
    _, connect = faulty("corrupt mode=replace at=2 with=5858", "corrupt mode=replace pattern=3d with=39 name=pattern")
    through = connect()
    send_all(through.server, b"abcdef n=1 m=", 1, pause=0.001)
    through.server.sendall(b"2.")
    through.server.close()
    assert read_all(through.client) == (b"abXXef n=9 m=9.", "fin")


def test_packet_loss_drops_on_purpose(faulty):
    weir, connect = faulty("packet_loss loss_rate=1")
    through = connect()
    through.server.sendall(b"dropped")
    through.server.close()
    assert read_all(through.client) == (b"", "fin")
    through.client.close()
    assert wait_for_closed(weir)[1].undelivered("downstream") == 7


# -- ends --------------------------------------------------------------------------------------------


def test_reset_peer_resets_both_ends(faulty):
    _, connect = faulty("reset_peer timeout=50ms")
    through = connect()
    through.client.sendall(b"question")
    assert receive(through.server, 8) == b"question"
    through.server.sendall(b"answer")
    assert read_all(through.client) == (b"", "rst")
    assert read_all(through.server) == (b"", "rst")


def test_timeout_drops_and_closes_both_ends(faulty):
    weir, connect = faulty("timeout timeout=200ms")
    through = connect()
    through.server.sendall(b"dropped")
    assert read_all(through.client) == (b"", "fin")
    assert read_all(through.server) == (b"", "fin")
    assert through.age() >= 0.2
    assert wait_for_closed(weir)[1].cause == "fault"


def test_slow_close_holds_the_fin_of_its_direction_alone(faulty):
    _, connect = faulty("slow_close delay=300ms direction=upstream")
    through = connect()
    through.client.sendall(b"last")
    assert receive(through.server, 4) == b"last"
    ended = time.monotonic()
    through.client.shutdown(socket.SHUT_WR)
    through.server.sendall(b"a reply meanwhile")
    assert receive(through.client, 17) == b"a reply meanwhile"
    assert read_all(through.server) == (b"", "fin")
    assert time.monotonic() - ended >= 0.3
    through.server.sendall(b"and one after it")
    assert receive(through.client, 16) == b"and one after it"


def test_half_close_ends_one_direction(faulty):
    weir, connect = faulty("half_close delay=100ms direction=upstream")
    through = connect()
    assert read_all(through.server) == (b"", "fin")
    assert through.age() >= 0.1
    through.server.sendall(STREAM)
    through.server.close()
    assert read_all(through.client) == (STREAM, "fin")
    closed = wait_for_closed(weir)[1].closed
    assert (closed["cause"], closed["detail"], closed.get("leg")) == ("fault", "half_close_upstream", None)
    half_closed, = (event for event in weir.events() if event["event"] == "half_closed")
    assert (half_closed["direction"], half_closed["fault"]) == ("upstream", "half_close_upstream")


@pytest.mark.parametrize("fault", ["half_close delay=100ms direction=downstream",
                                   "corrupt mode=truncate at=4 direction=downstream"])
def test_a_direction_that_a_fault_ended_is_not_told_as_the_servers_end(faulty, fault):
    weir, connect = faulty(fault)
    through = connect()
    through.server.sendall(b"answer")
    data, end = read_all(through.client)
    assert end == "fin" and b"answer".startswith(data)
    through.client.close()
    read_all(through.server)
    through.server.close()
    closed = wait_for_closed(weir)[1].closed
    assert (closed["cause"], closed["detail"]) == ("fault", fault.split()[0] + "_downstream")


def test_a_fin_that_came_before_the_faults_is_the_end_that_is_told(faulty):
    weir, connect = faulty("half_close delay=300ms direction=downstream")
    through = connect()
    through.client.shutdown(socket.SHUT_WR)
    assert read_all(through.server) == (b"", "fin")
    assert read_all(through.client) == (b"", "fin")
    assert wait_for_closed(weir)[1].cause == "client.fin"


def test_refuse_resets_right_after_the_accept(faulty):
    weir, _ = faulty("refuse")
    assert connect_and_read(weir.address) == (b"", "rst")
    closed = wait_for_closed(weir)[1].closed
    assert (closed["cause"], closed["detail"]) == ("fault", "refuse")


def test_accepting_and_connecting_can_be_delayed(faulty):
    _, connect = faulty("accept_delay delay=150ms", "connect_delay delay=150ms")
    through = connect()
    assert through.age() >= 0.3
    through.client.sendall(b"on its way")
    assert receive(through.server, 10) == b"on its way"


def test_a_delayed_connect_provokes_the_clock_connect(faulty):
    weir, _ = faulty("connect_delay delay=10s", options=["--timeout", "connect=100ms"])
    with socket.create_connection(weir.address, timeout=20) as client:
        assert read_all(client) == (b"", "rst")
    assert wait_for_closed(weir)[1].message == "closed by connect after 100ms"


def test_a_client_that_resets_ends_a_stalled_session(faulty):
    weir, connect = faulty("stall")
    through = connect()
    through.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    through.client.close()
    assert wait_for_closed(weir)[1].cause == "client.reset"
    assert read_all(through.server) == (b"", "rst")


# -- who is hit --------------------------------------------------------------------------------------


def refused_sessions(weir, listener, count):
    refused = []
    for number in range(1, count + 1):
        if connect_and_read(weir.address)[1] == "rst":
            refused.append(number)
    assert len(wait_for_closed(weir, count)) == count
    return refused


def test_probability_hits_the_same_sessions_for_the_same_seed(start_weir, make_peer, listener):
    for _ in range(3 * 40):
        make_peer("server", "accept read close", listener=listener)
    found = []
    for seed, workers in (("5", "1"), ("5", "2"), ("6", "1")):
        weir = start_weir(listener.text, "--fault", "refuse probability=0.3", "--seed", seed, "--workers", workers)
        found.append(refused_sessions(weir, listener, 40))
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert 0 < len(found[0]) < 40


def test_match_spares_other_clients(faulty):
    _, connect = faulty("refuse match=192.0.2.0/24", "limit_data bytes=3 match=127.0.0.0/8")
    through = connect()
    through.server.sendall(b"abcdef")
    assert read_all(through.client) == (b"abc", "fin")


# -- the command line --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault, sentence", [
    ("lag", 'there is no fault "lag"; the faults are latency, '),
    ("latency latency=100", """--fault 'latency latency=100': latency: "100" is not a duration"""),
    ("slicer average_size=1 size_variation=2", "slicer: size_variation: 2 is more than average_size"),
    ("", "it is empty"),
])
def test_a_fault_that_cannot_be_is_refused_in_one_sentence(fault, sentence):
    ended = run_weir("tap", "--fault", fault, "127.0.0.1:0", "127.0.0.1:1")
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_two_faults_of_one_name_are_refused():
    ended = run_weir("tap", "--fault", "noop", "--fault", "noop", "127.0.0.1:0", "127.0.0.1:1")
    assert ended.returncode == 2
    assert 'there is a fault named "noop_downstream" already' in ended.stderr


def test_the_seed_is_always_reported(start_weir, listener):
    weir = start_weir(listener.text, "--fault", "noop")
    wait_until(lambda: "--seed " in weir.stderr(), "the seed is printed")
    given = start_weir(listener.text, "--fault", "noop", "--seed", "42")
    wait_until(lambda: "--seed 42 " in given.stderr(), "the seed that was given is printed")


def test_each_third_line_is_late(faulty):
    _, connect = faulty("latency latency=300ms on=line every=3 direction=upstream")
    session = connect()
    session.client.sendall(b"1\n2\n3\n4\n")
    assert session.server.recv(100) == b"1\n2\n"
    assert session.server.recv(100) == b"3\n4\n"
    assert session.age() >= 0.3


@pytest.mark.parametrize("faults, speaks, ender", [
    (("half_close delay=50ms direction=downstream", "reset_peer timeout=400ms direction=upstream"), "client", "reset_peer_upstream"),
    (("timeout timeout=0 direction=upstream", "limit_data bytes=4 direction=downstream"), "server", "limit_data_downstream"),
], ids=["a reset after a FIN", "one that is taken away with the session"])
def test_the_fault_that_ended_the_session_is_named(faulty, faults, speaks, ender):
    weir, connect = faulty(*faults)
    through = connect()
    (through.client if speaks == "client" else through.server).sendall(b"spoken")
    closed = wait_for_closed(weir)[1].closed
    assert (closed["cause"], closed["detail"]) == ("fault", ender)
