"""`weir why`: who loses the time of an exchange, and why, with stalls that real kernels make."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from deadline import PATIENCE
from openapi_schema import problems
from server import Server
from weir_process import BINARY, is_sanitized, run_weir

QUERY = (b"SELECT a.id FROM a WHERE " + b"a.st = 00 AND " * 40)[:296]


class Service(Server):
    """A server on loopback: reads so many bytes, and answers as it is told; Nagle is as the kernel has it."""

    def __init__(self, answer, request=len(QUERY)):
        def talk(client):
            while len(client.recv(request, socket.MSG_WAITALL)) == request:
                answer(client)

        super().__init__(talk, nodelay=False)


def at_once(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"r" * 64)


@pytest.fixture
def why():
    """Starts `weir why OPTIONS 127.0.0.1:0 UPSTREAM`; returns the process and where it listens."""
    with contextlib.ExitStack() as ends:
        def start(upstream, *options):
            read_end, write_end = os.pipe()
            process = subprocess.Popen([str(BINARY), "why", "--ready-fd", str(write_end), *options, "127.0.0.1:0", upstream],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[write_end])
            ends.callback(process.wait)
            ends.callback(process.kill)
            os.close(write_end)
            with open(read_end, encoding="utf-8") as ready:
                line = ready.readline()
            return process, ("127.0.0.1", int(re.search(r":(\d+), upstream", line)[1]))
        yield start


def report_of(process):
    """Ends it as Ctrl-C does; its report as JSON."""
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20 * PATIENCE)
    return json.loads(out)


def exchange(client, *pieces, answer=64):
    for piece in pieces:
        client.sendall(piece)
    while answer > 0:  # a socket with a timeout does not wait for all
        got = client.recv(answer)
        assert got, "the server has gone"
        answer -= len(got)


def cause(report, name):
    found = [each for each in report["causes"] if each["cause"] == name]
    assert found, report
    return found[0]


SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/why.schema.json").read_text())


def fits(value, name):
    found = problems(value, SCHEMA["components"]["schemas"][name], SCHEMA, name)
    assert not found, found


def ask_in_two(address, times):
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(times):
            exchange(client, QUERY[:128], QUERY[128:])


def test_verdicts_come_as_lines_while_it_runs(why):
    process, address = why(Service(at_once).address, "--json=verdicts", "--no-proof")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(10):
            exchange(client, QUERY[:128], QUERY[128:])
        line = process.stdout.readline()  # before its end, and before the client's
    process.send_signal(signal.SIGINT)
    verdicts = [json.loads(each) for each in [line, *process.stdout.read().splitlines()]]
    for verdict in verdicts:
        fits(verdict, "verdict")
    split = [each for each in verdicts if each["cause"] == "split_write"]
    assert split and split[0]["evidence"]["cut"] == 128
    assert [each["start"] for each in split] == sorted(each["start"] for each in split)


def test_a_closed_pipe_ends_the_verdicts(why):
    process, address = why(Service(at_once).address, "--json=verdicts", "--no-proof")
    process.stdout.close()
    with contextlib.suppress(ConnectionResetError):  # its session ends with it
        ask_in_two(address, 10)
    assert process.wait(20 * PATIENCE) == 1
    assert "the report could not be written" in process.stderr.read()


def test_two_reports_are_compared(why, tmp_path):
    def run(client, *options):
        process, address = why(Service(at_once).address, "--no-proof", *options)
        client(address)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=20 * PATIENCE)[0]

    before = tmp_path / "before.json"
    before.write_text(run(lambda address: ask_in_two(address, 10), "--json"))
    fits(json.loads(before.read_text()), "report")

    def at_one_go(address):
        with socket.create_connection(address, timeout=10 * PATIENCE) as client:
            for _ in range(10):
                exchange(client, QUERY)

    report = json.loads(run(at_one_go, "--json", "--compare", str(before)))
    fits(report, "report")
    split = [each for each in report["compared"]["causes"] if each["cause"] == "split_write"][0]
    assert split["before_ns"] > 20_000_000 and split["now_ns"] == 0
    text = run(at_one_go, "--compare", str(before))
    assert re.search(r"An exchange, on average, beside .*before.json:\n +before +now\n", text)
    assert re.search(r"ms +-  split_write \(client\)\n", text)


@pytest.mark.parametrize("text, complaint", [
    ("", "is no JSON object"), ("[]", "is no JSON object"), ('{"exchanges": 1}', 'has no "exchange_ns"'),
    ('{"exchanges": -1}', '"exchanges" of '), ('{"exchanges": 1, "exchange_ns": 1e99}', '"exchange_ns" of '),
    ('{"exchanges": 1, "exchange_ns": 1, "causes": [{"cause": "x"}]}', 'causes[0] of '),
])
def test_what_is_no_report_is_told(tmp_path, text, complaint):
    file = tmp_path / "before.json"
    file.write_text(text)
    done = run_weir("why", "--compare", str(file), "0", "1")
    assert done.returncode == 2 and complaint in done.stderr and "--compare" in done.stderr
    assert done.stdout == ""


def test_json_has_two_forms():
    done = run_weir("why", "--json=causes", "0", "1")
    assert done.returncode == 2 and "--json=verdicts" in done.stderr


def test_the_story_is_named_with_its_side_its_cause_and_its_cut_and_proven(why):
    process, address = why(Service(at_once).address, "--json")
    naive = subprocess.Popen([str(BINARY), "demo", "--naive-relay", "127.0.0.1:0", f"{address[0]}:{address[1]}"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = int(re.search(r":(\d+)", naive.stdout.readline())[1])
        with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as client:
            for _ in range(40):
                exchange(client, QUERY)
    finally:
        naive.kill()
        naive.wait()
    report = report_of(process)
    split = cause(report, "split_write")
    assert report["causes"][0] is split, "nothing cost more"
    assert split["side"] == "client" and split["who"] == "client 127.0.0.1"
    assert split["certainty"] == "proven" and "delay of the ACK off" in split["proof"]
    assert split["times"] >= 5 and split["lost_ns"] >= split["times"] * 36_000_000
    assert "TCP_NODELAY" in split["fix"]
    worst = [each for each in report["worst"] if each["cause"] == "split_write"][0]
    assert worst["evidence"]["cut"] == 128 and worst["evidence"]["behind"] == 168


def test_a_server_that_answers_in_two_writes_is_told_from_a_client_that_asks_so(why):
    def in_two(client):
        client.sendall(b"r" * 10)
        client.sendall(b"r" * 54)

    process, address = why(Service(in_two).address, "--json", "--no-proof")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(15):
            exchange(client, QUERY)
    split = cause(report_of(process), "split_write")
    assert split["side"] == "server" and split["certainty"] == "proven" and split["times"] >= 10


def test_a_server_that_thinks_as_long_as_an_ack_is_delayed_is_no_split_write(why):
    def after_thought(client):
        threading.Event().wait(0.041)
        at_once(client)

    process, address = why(Service(after_thought).address, "--json")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(10):
            exchange(client, QUERY)
    report = report_of(process)
    assert cause(report, "think")["times"] == 10 and cause(report, "think")["lost_ns"] > 10 * 40e6
    assert "split_write" not in [each["cause"] for each in report["causes"]]


def test_what_weir_itself_does_is_told_as_its_own(why):
    process, address = why(Service(at_once).address, "--json", "--fault", "latency latency=30ms name=slow")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        for _ in range(5):
            exchange(client, QUERY)
    fault = cause(report_of(process), "fault")
    assert fault["side"] == "weir" and fault["times"] == 5 and "slow" in fault["text"]


def test_it_ends_after_so_many_exchanges_and_scripts_see_how_slow_they_were(why):
    def slowly(client):
        threading.Event().wait(0.06)
        at_once(client)

    for limit, code in [("50ms", 3), ("60s", 0)]:
        process, address = why(Service(slowly).address, "--exchanges", "3", "--fail-over", limit)
        with socket.create_connection(address, timeout=10 * PATIENCE) as client:
            for _ in range(4):
                with contextlib.suppress(ConnectionError, AssertionError):
                    exchange(client, QUERY)
        out, err = process.communicate(timeout=20 * PATIENCE)
        assert process.returncode == code, err
        assert re.search(r"^1 session, \d exchanges in ", out), out
        assert "think: took its time to answer" in out


def test_an_upstream_that_refuses_is_named(why):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        upstream = f"127.0.0.1:{gone.getsockname()[1]}"
    process, address = why(upstream, "--once")
    with contextlib.suppress(ConnectionError), socket.create_connection(address, timeout=10 * PATIENCE) as client:
        client.recv(1)
    out, _ = process.communicate(timeout=20 * PATIENCE)
    assert process.returncode == 0 and "1 session, 0 exchanges" in out
    assert "refused the connection: nothing listens there" in out and f"server {upstream}" in out


def test_it_says_what_is_wrong_with_its_words():
    for words, complaint in [(["--for", "soon", "0", "localhost:1"], '--for: "soon"'), (["--fail-over", "5", "0", "db:1"], "--fail-over"),
                             (["--exchanges", "0", "0", "db:1"], '--exchanges: "0" is not a whole number of at least 1'), (["8888"], "UPSTREAM")]:
        ran = run_weir("why", *words)
        assert ran.returncode == 2 and complaint in ran.stderr, ran.stderr
    assert run_weir("why", "--help").returncode == 0


@pytest.mark.slow
def test_a_client_that_stalls_at_random_is_never_called_a_split_write(why):
    """Pauses between the pieces of a request that are none of a delayed ACK's."""
    process, address = why(Service(at_once).address, "--json")
    with socket.create_connection(address, timeout=10 * PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pause in (2, 5, 10, 15, 20, 25, 70, 90, 110, 130):
            client.sendall(QUERY[:128])
            threading.Event().wait(pause / 1000)
            exchange(client, QUERY[128:])
    report = report_of(process)
    if not is_sanitized():
        assert "split_write" not in [each["cause"] for each in report["causes"]], report
