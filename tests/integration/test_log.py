"""Weir's own log: its targets against rsyslogd and files, and targets that are dead or take nothing."""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from deadline import PATIENCE, Deadline, wait_until
from rsyslog_server import Rsyslog
from serve_process import Serve
from weir_process import BINARY, is_sanitized, run_weir


@pytest.fixture
def start(weir_binary, tmp_path):
    started = []

    def it(*options, **how):
        folder = tmp_path / f"serve-{len(started)}"
        folder.mkdir()
        started.append(Serve(*options, folder=folder, **how))
        return started[-1]
    yield it
    for each in started:
        assert each.stop() == 0, each.stderr()


def make_proxy(serve, name, upstream="127.0.0.1:1"):
    made = serve.post("/api/v1/proxies", {"name": name, "upstream": upstream})
    assert made.status == 201, made.text
    return made.json


def test_an_upstream_that_cannot_be_reached_is_told_once_in_a_while(start):
    serve = start()
    with socket.socket() as closed:  # bound, but it does not listen: every connection is refused
        closed.bind(("127.0.0.1", 0))
        upstream = f"127.0.0.1:{closed.getsockname()[1]}"
        host, _, port = make_proxy(serve, "db", upstream)["listen"].rpartition(":")
        for _ in range(5):
            # The reset may be there before connect() looks.
            with contextlib.suppress(ConnectionResetError), \
                    socket.create_connection((host, int(port)), timeout=5 * PATIENCE) as client:
                client.recv(1)
        wait_until(lambda: serve.get("/api/v1/events?follow=false&after=0").text.count("event: session.closed") == 5,
                   "all five have ended")
    told = wait_until(lambda: [line for line in serve.stderr().splitlines() if "cannot be reached" in line],
                      "the log says it")
    assert len(told) == 1, told
    said = f"the upstream cannot be reached: {upstream}: Connection refused proxy=db cause=connect.refused"
    assert told[0].endswith(said)


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def seconds_of(line):
    """When the line was said, as it says itself."""
    stamp = line.partition(" ")[0]
    return datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


@pytest.mark.parametrize("target", ["stderr", "stdout"])
def test_lines_of_serve_begin_with_the_time(start, target):
    began = time.time()
    serve = start("--log", target, environment={"TZ": "Asia/Tokyo"})
    make_proxy(serve, "db")
    lines = wait_until(lambda: "proxy.created" in serve.stderr() and serve.stderr().splitlines(), "both are told")
    assert [re.sub(f"^{TIME} ", "", line) for line in lines] == [
        f"weir: serving the API on 127.0.0.1:{serve.port}", "weir: proxy.created proxy=db"]
    assert began - 0.001 <= seconds_of(lines[0]) <= seconds_of(lines[1]) <= time.time()


def test_the_journal_adds_the_time_itself(weir_binary, tmp_path):
    """systemd says by device and inode which descriptor leads to the journal; the same words about another one are void."""
    ours, its = socket.socketpair()
    status = os.fstat(its.fileno())
    with ours, its, open(tmp_path / "redirected", "w+") as redirected:
        ours.settimeout(20 * PATIENCE)
        for stderr, begin in ((its, "weir: "), (redirected, f"{TIME} weir: ")):
            process = subprocess.Popen([BINARY, "serve", "--api", "127.0.0.1:0"], stderr=stderr, stdin=subprocess.DEVNULL,
                                       env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
            try:
                said = (ours.recv(65536).decode() if stderr is its else
                        wait_until(lambda: (tmp_path / "redirected").read_text(), "it says that it listens"))
            finally:
                process.terminate()
                process.wait(20 * PATIENCE)
            assert re.match(f"{begin}serving the API on ", said), said


TEMPLATE = "%pri%|%syslogfacility-text%|%app-name%|%procid%|%structured-data%|%msg%"


@pytest.mark.parametrize("target,form", [
    ("syslog:local3@{socket}", "rfc3164"),
    ("syslog:local3@{socket}?format=rfc5424", "rfc5424"),
    ("syslog+udp://127.0.0.1:{port}?facility=local3", "rfc5424"),
    ("syslog+udp://localhost:{port}?facility=local3&format=rfc3164", "rfc3164"),
    ("syslog+tcp://127.0.0.1:{port}?facility=local3", "rfc5424"),
    ("syslog+tcp://127.0.0.1:{port}?facility=local3&format=rfc3164&framing=lf", "rfc3164"),
])
def test_rsyslogd_understands_it(start, tmp_path, target, form):
    # On a Unix socket it looks for the older form alone, unless it is told to look properly.
    on_socket = 'UseSpecialParser="off" ParseHostname="on"' if "socket}?format=rfc5424" in target else ""
    with Rsyslog(tmp_path, TEMPLATE, on_socket) as server:
        serve = start("--log", target.format(socket=server.socket, port=server.port))
        make_proxy(serve, "db")
        lines = wait_until(lambda: len(server.lines()) >= 2 and server.lines(), "rsyslogd has both messages", 20.0)
    pid = str(serve.process.pid)
    said = "proxy.created" if form == "rfc5424" else "proxy.created proxy=db"
    data = '[weir@32473 proxy="db"]' if form == "rfc5424" else "-"
    assert [line.replace("| ", "|") for line in lines] == [
        f"158|local3|weir|{pid}|-|serving the API on 127.0.0.1:{serve.port}",
        f"158|local3|weir|{pid}|{data}|{said}"]
    assert serve.stderr() == "", "only where it was sent to"


def test_logger_to_weir_syslog_parse(tmp_path):
    """What we write to a local socket reads as what logger(1) writes there."""
    if shutil.which("logger") is None:
        pytest.skip("logger (package bsdutils) is not installed")
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        daemon.settimeout(20 * PATIENCE)
        subprocess.run(["logger", "-u", path, "-p", "local3.info", "-t", "weir", "--id=42", "listening on"], check=True)
        theirs = daemon.recv(65536)
        with socket.create_server(("127.0.0.1", 0)) as upstream:
            weir = subprocess.Popen([BINARY, "tap", "--show", "none", "--log", f"syslog:local3@{path}", "127.0.0.1:0",
                                     "127.0.0.1:%d" % upstream.getsockname()[1]])
            try:
                ours = daemon.recv(65536)
            finally:
                weir.terminate()
                weir.wait(20 * PATIENCE)
    parsed = [json.loads(subprocess.run([BINARY, "syslog", "parse", "--json"], input=each, capture_output=True,
                                        check=True).stdout) for each in (theirs, ours)]
    for each in parsed:
        assert (each["pri"], each["form"], each["app"]) == (158, "rfc3164", "weir")
        assert each["text"].startswith("listening on")
        assert "host" not in each and "anomalies" not in each
    assert parsed[1]["procid"] == str(weir.pid)


def test_a_file_is_opened_again_on_sighup(start, tmp_path):
    log = tmp_path / "weir.log"
    serve = start("--log", f"file:{log}", "--log", "stderr", "--log-format", "json", "--log-level", "debug")
    make_proxy(serve, "one")
    wait_until(lambda: '"proxy":"one"' in log.read_text(), "the first proxy is told of")
    os.rename(log, tmp_path / "weir.log.1")
    serve.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, "the file is there again")
    make_proxy(serve, "two")
    wait_until(lambda: '"proxy":"two"' in log.read_text(), "the second proxy is told of")
    assert "two" not in (tmp_path / "weir.log.1").read_text()
    for line in log.read_text().splitlines():
        assert {"time", "level", "message"} <= json.loads(line).keys()


def test_tap_opens_its_file_again_too(start_weir, listener, tmp_path):
    log = tmp_path / "weir.log"
    weir = start_weir(listener.text, "--log", f"file:{log}")
    assert " info listening on " in log.read_text()
    os.rename(log, tmp_path / "weir.log.1")
    weir.signal(signal.SIGHUP)
    wait_until(log.exists, "the file is there again")
    assert weir.stop() == 0
    assert " info 0 sessions" in log.read_text()
    assert weir.stderr() == ""


def test_the_file_rules_the_log_and_sighup_changes_it(start, tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    config = tmp_path / "weir.toml"
    config.write_text(f'[log]\nlevel = "info"\ntargets = ["file:{first}"]\n')
    serve = start("-c", config)
    make_proxy(serve, "one")
    wait_until(lambda: "proxy=one" in first.read_text(), "the first file has it")
    config.write_text(f'[log]\nlevel = "info"\ntargets = ["file:{second}"]\n')
    serve.process.send_signal(signal.SIGHUP)
    wait_until(lambda: second.exists() and "read again" in second.read_text(), "the second file has the word")
    make_proxy(serve, "two")
    wait_until(lambda: "proxy=two" in second.read_text(), "the second file has it")
    assert "proxy=two" not in first.read_text()
    assert [each["target"] for each in serve.get("/api/v1/log").json["targets"]] == [f"file:{second}"]
    config.write_text(f'[log]\ntargets = ["file:{tmp_path}/missing/x.log"]\n')
    serve.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing was changed" in second.read_text(), "a file that cannot be opened changes nothing")


@pytest.mark.parametrize("text,part", [
    ('[log]\nlevel = "loud"\n', '2: log.level: write debug, info, warning or error, not "loud"'),
    ('[log]\ntarget = ["stderr"]\n', 'did you mean "targets"?'),
    ('[log]\ntargets = ["syslog:local9"]\n', '2: log.targets: "syslog:local9": there is no syslog facility "local9"'),
    ('[log]\nformat = "xml"\n', "2: log.format: write text or json"),
])
def test_what_is_wrong_in_the_file_is_named(tmp_path, text, part):
    config = tmp_path / "weir.toml"
    config.write_text(text)
    checked = run_weir("check", "-c", config)
    assert checked.returncode == 2
    assert part in checked.stderr


@pytest.mark.parametrize("option,part", [
    (["--log", "nonsense"], '--log: "nonsense": this is no place for a log; write stderr, file:PATH'),
    (["--log", "stderr", "--log", "stderr"], '"stderr" stands here twice'),
    (["--log-level", "loud"], "--log-level: write debug, info, warning or error"),
])
def test_wrong_options_are_usage_errors(option, part):
    for command in (["serve"], ["tap", "0", "x:1"]):
        said = run_weir(*command[:1], *option, *command[1:])
        assert said.returncode == 2
        assert part in said.stderr and said.stderr.count("\n") == 1


def test_a_log_that_cannot_be_opened_is_told_at_the_start(tmp_path):
    said = run_weir("serve", "--api", "127.0.0.1:0", "--log", f"file:{tmp_path}/missing/log")
    assert said.returncode == 1
    assert said.stderr == (f"weir: the log cannot be written to file:{tmp_path}/missing/log: "
                           "No such file or directory\n")


def counters(serve):
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in serve.get("/metrics").text.splitlines() if line.startswith("weir_log_")}


def test_a_dead_target_is_counted_and_comes_back(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    target = f"syslog+tcp://127.0.0.1:{port}"
    serve = start("--log", target)
    (status,) = wait_until(lambda: [each for each in serve.get("/api/v1/log").json["targets"] if each["trouble"]],
                           "the target is down")
    assert (status["up"], status["trouble"]) == (False, "Connection refused")
    assert re.match(f"{TIME} weir: log {re.escape(target)}: Connection refused;", serve.stderr())
    assert counters(serve)[f'weir_log_up{{target="{target}"}}'] == 0
    with socket.create_server(("127.0.0.1", port)) as back:
        back.settimeout(60 * PATIENCE)
        connection, _ = back.accept()
        with connection:
            connection.settimeout(20 * PATIENCE)
            assert b"serving the API on" in connection.recv(65536), "what waited"
    assert serve.stderr().count("\n") == 1


def make_and_remove_faults(connection, count):
    """Has so many faults with long names made and removed, each of which is logged: all are asked for in one go."""
    asked = b""
    for number in range(count):
        name = "f" * 150 + str(number)
        body = json.dumps({"type": "noop", "name": name}).encode()
        asked += b"POST /api/v1/proxies/db/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        asked += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        asked += b"DELETE /api/v1/proxies/db/faults/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % name.encode()
    connection.sendall(asked)
    answers = b""
    while answers.count(b"HTTP/1.1 2") < 2 * count:
        got = connection.recv(1 << 16)
        assert got and b"HTTP/1.1 4" not in answers, answers[-400:]
        answers += got


def pass_through(address, upstream, size):
    """Sends `size` bytes through a proxy to an upstream that reads them; returns the seconds it took."""
    began = time.monotonic()
    with socket.create_connection(address, timeout=60 * PATIENCE) as client:
        server, _ = upstream.accept()
        with server:
            server.settimeout(60 * PATIENCE)
            chunk = b"x" * (1 << 20)
            sent = got = 0
            client.setblocking(False)
            while got < size:
                if sent < size:
                    try:
                        sent += client.send(chunk[: size - sent])
                    except BlockingIOError:
                        pass
                try:
                    got += len(server.recv(1 << 20, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    pass
    return time.monotonic() - began


@pytest.mark.parametrize("way", ["tcp", "fifo", "stderr"])
def test_a_target_that_takes_nothing_holds_nobody_up(weir_binary, tmp_path, way):
    """A TCP peer that never reads, a FIFO and a stderr that nobody reads: traffic and API go on."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that it is full soon
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    hold = os.pipe()
    target = f"syslog+tcp://127.0.0.1:{listener.getsockname()[1]}"
    if way == "fifo":
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        target = f"file:{tmp_path}/fifo"
    if way == "stderr":
        target = "stderr"
    ready_read, ready_write = os.pipe()
    process = subprocess.Popen([BINARY, "serve", "--api", "127.0.0.1:0", "--log", target, "--log-level", "debug",
                                "--ready-fd", str(ready_write)], pass_fds=[ready_write],
                               stderr=hold[1] if way == "stderr" else subprocess.DEVNULL)
    os.close(ready_write)
    try:
        with os.fdopen(ready_read) as ready:
            port = int(ready.readline().rpartition(":")[2])
        api = Serve.__new__(Serve)  # its client's methods, for a process of our own
        api.port = port
        with socket.create_server(("127.0.0.1", 0)) as upstream:
            upstream.settimeout(20 * PATIENCE)
            listen = make_proxy(api, "db", "127.0.0.1:%d" % upstream.getsockname()[1])["listen"]
            address = ("127.0.0.1", int(listen.rpartition(":")[2]))
            size = 64 << 20
            before = min(pass_through(address, upstream, size) for _ in range(2))
            # Fills what is between: names are long, so messages are.
            longest = 0
            deadline = Deadline(120.0)
            with socket.create_connection(("127.0.0.1", port), timeout=60 * PATIENCE) as talker:
                while api.get("/api/v1/log").json["targets"][0]["dropped"] == 0:
                    assert not deadline.passed(), "the queue never filled"
                    began = time.monotonic()
                    make_and_remove_faults(talker, 50)
                    longest = max(longest, time.monotonic() - began)
            during = min(pass_through(address, upstream, size) for _ in range(2))
        assert api.get("/api/v1/log").json["targets"][0]["dropped"] > 0
        assert longest < 2.0 * PATIENCE
        if not is_sanitized():
            assert during < before * 3 + 0.5, f"{during} s against {before} s"
    finally:
        process.terminate()
        began = time.monotonic()
        code = process.wait(20 * PATIENCE)
        for fd in hold:
            os.close(fd)
        if way == "fifo":
            os.close(reader)
        listener.close()
    assert code == 0
    assert time.monotonic() - began < 10 * PATIENCE, "a stuck target does not hold up the end"
