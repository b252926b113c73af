"""Every allocation, thread start, descriptor and write fails once, and memory for a while: weir says why it does not
start, or serves on; it never aborts.

WEIR_EVERY_FAILURE=1 takes every call, which takes many minutes; without it calls are taken spread over all of them.
"""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from deadline import PATIENCE, Deadline, wait_until
from echo import echo_server
from failing_calls import FOR_EVER, LIBRARY, FailingCalls
from weir_process import BINARY, is_sanitized

pytestmark = pytest.mark.usefixtures("weir_binary")

EVERY = os.environ.get("WEIR_EVERY_FAILURE", "") != ""
DATA = bytes(range(256)) * 40  # more than one small read, less than a socket's buffer

CONFIGURATION = """
[log]
targets = ["file:{folder}/log", "stderr"]
[[observers]]
output = "{folder}/view"
show = "json"
[[proxies]]
name = "db"
listen = "127.0.0.1:0"
upstream = "localhost:{port}"
[[proxies.faults]]
type = "latency"
latency = "1ms"
"""


@pytest.fixture(autouse=True)
def library():
    if is_sanitized():
        pytest.skip("a sanitizer has an allocator of its own")
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is missing: build the target failing_calls")


@pytest.fixture
def upstream():
    with echo_server() as port:
        yield port


def spread(count, most):
    """So many of the numbers from 1 to count, or all of them."""
    if EVERY or count <= most:
        return range(1, count + 1)
    return sorted({1 + i * (count - 1) // (most - 1) for i in range(most)})


class Subject:
    """A `weir tap` or `weir serve` in which calls fail."""

    def __init__(self, program, folder, upstream, environment=None):
        self.folder = folder
        folder.mkdir()
        self.calls = FailingCalls(folder)
        self.program = program
        self.upstream = upstream
        self.environment = {**os.environ, **self.calls.environment(), **(environment or {})}
        self.api = None

    def start(self):
        """False: it refused, with a sentence."""
        read_end, write_end = os.pipe()
        if self.program == "tap":
            words = ["tap", "--show", "json", "-o", self.folder / "view", "--workers", "2", "--fault",
                     "latency latency=1ms", "--ready-fd", write_end, "127.0.0.1:0", f"localhost:{self.upstream}"]
        else:
            (self.folder / "weir.toml").write_text(CONFIGURATION.format(folder=self.folder, port=self.upstream))
            words = ["serve", "--api", "127.0.0.1:0", "--workers", "2", "-c", self.folder / "weir.toml",
                     "--ready-fd", write_end]
        with open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen([str(BINARY), *map(str, words)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=stderr, pass_fds=[write_end],
                                            env=self.environment)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            line = ready.readline()
        if not line.endswith("\n"):
            self.expect_refusal()
            return False
        port = int(re.search(r" on 127\.0\.0\.1:(\d+)", line)[1])
        self.api = port if self.program == "serve" else None
        self.port = port if self.program == "tap" else None
        return True

    def said(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def expect_refusal(self):
        code = self.process.wait(Deadline(20).left())
        assert code == 1, f"ended with {code}: {self.said()}"
        lines = self.said().splitlines()
        assert "terminate" not in self.said() and lines, self.said()
        assert re.fullmatch(r"weir: .{15,}", lines[-1]), self.said()
        assert not re.search(r"std::|basic_string|exception", self.said()), self.said()

    def expect_alive(self):
        if self.process.poll() is not None:
            pytest.fail(f"ended with {self.process.returncode}: {self.said()}")

    def ask(self, method, path, body=None):
        """The answer's status, or None where the connection ended without one."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.api), 5 * PATIENCE) as client:
            text = "" if body is None else json.dumps(body)
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
            answer = b""
            while more := client.recv(65536):
                answer += more
            if answer.startswith(b"HTTP/1.1 "):
                self.answer = answer.partition(b"\r\n\r\n")[2]
                return int(answer[9:12])
        return None

    def session(self):
        """True: all came back. What comes back is what was sent, as far as it goes."""
        got = b""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5 * PATIENCE) as client:
            client.settimeout(5 * PATIENCE)
            client.sendall(DATA)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                got += more
        assert got == DATA[:len(got)], "bytes that were never sent, or not in their order"
        return got == DATA

    def find_port(self):
        """The proxy's, where the API gives it."""
        if self.port is not None:
            return True
        if self.ask("GET", "/api/v1/proxies/db") == 200:
            self.port = int(json.loads(self.answer)["listen"].rpartition(":")[2])
        return self.port is not None

    def scene(self):
        """A session, and, of a serve, what an operator does. Whatever fails in it is allowed to."""
        if self.port is not None:
            self.session()
        if self.api is not None:
            self.ask("POST", "/api/v1/proxies/db/faults", {"name": "slow", "type": "bandwidth", "rate": "100MiB"})
            self.ask("GET", "/api/v1/sessions")
            self.ask("GET", "/metrics")
            self.ask("DELETE", "/api/v1/proxies/db/faults/slow")
        self.expect_alive()

    def expect_service(self):
        """Nothing fails any more: sessions are served, and the API is."""
        self.calls.stop()
        wait_until(lambda: self.expect_alive() or self.find_port(), "the API gives the proxy's port")
        wait_until(lambda: self.expect_alive() or self.session(), "a session is served")
        if self.api is not None:
            wait_until(lambda: self.ask("GET", "/api/v1/sessions") == 200, "the API lists sessions")

    def end(self):
        """In order."""
        self.calls.stop()
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(Deadline(10).left())
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.said()}") from None
        assert code == 0, f"ended with {code}: {self.said()}"
        view = self.folder / "view"
        for line in view.read_bytes().splitlines() if view.exists() else []:
            json.loads(line)

    def kill(self):
        if getattr(self, "process", None) is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def subject(tmp_path, upstream):
    """subject(program, ...) -> a Subject that is not started yet; gone at the end."""
    made = []

    def make(program, **how):
        made.append(Subject(program, tmp_path / f"run-{len(made)}", upstream, **how))
        return made[-1]
    yield make
    for each in made:
        each.kill()


def start_well(it):
    assert it.start(), it.said()
    it.expect_service()
    it.scene()  # what is made once is made
    return it


# What a sample takes of each kind: a start costs 30 to 50 ms.
@pytest.mark.parametrize("kind, most", [("thread", 20), ("descriptor", 60), ("write", 10), ("memory", 25)])
@pytest.mark.parametrize("program", ["tap", "serve"])
def test_a_start_fails_with_a_sentence_or_serves(subject, program, kind, most):
    first = start_well(subject(program))
    count = first.calls.calls(kind)
    first.end()
    refused = 0
    # A view that comes to run late writes in one call what else it would in several.
    sure = 1 if kind == "write" else count // 2
    for number in spread(count, most):
        it = subject(program)
        it.calls.fail(kind, number)
        if it.start():
            it.scene()
            it.expect_service()
            it.end()
        else:
            refused += 1
        assert it.calls.failed(kind) == 1 or number > sure
    assert refused > 0 or kind in ("write", "memory")


# What is done once for all sessions, such as the first lookup of a name, is done in it.
def test_memory_fails_in_the_first_session(subject):
    first = subject("tap")
    assert first.start(), first.said()
    before = first.calls.calls("memory")
    first.scene()
    for number in spread(first.calls.calls("memory") - before, 90):
        it = subject("tap")
        assert it.start(), it.said()
        it.calls.fail("memory", number)
        it.scene()
        it.expect_service()
        it.end()


@pytest.mark.parametrize("kind, most", [("thread", 5), ("descriptor", 40), ("write", 40), ("memory", 60)])
@pytest.mark.parametrize("program", ["tap", "serve"])
def test_one_call_fails_while_it_serves(subject, program, kind, most):
    it = start_well(subject(program))
    before = it.calls.calls(kind)
    it.scene()
    for number in spread(max(1, it.calls.calls(kind) - before), most):
        it.calls.fail(kind, number)
        it.scene()
        it.expect_service()
    it.end()


# Without the memory that is kept for this, each want of it is felt. A `weir serve` would be ended by it, for
# nlohmann's JSON allocates in its destructors.
def test_what_needs_memory_ends_and_nothing_else(subject):
    it = start_well(subject("tap", environment={"WEIR_NO_SPARE_MEMORY": "1"}))
    before = it.calls.calls("memory")
    it.scene()
    for number in spread(it.calls.calls("memory") - before, 60):
        it.calls.fail("memory", number)
        it.scene()
        it.expect_service()
    it.end()
    assert "memory has run out" in it.said()


@pytest.mark.parametrize("program", ["tap", "serve"])
def test_memory_is_short_for_a_while(subject, program):
    it = start_well(subject(program))
    before = it.calls.calls("memory")
    it.scene()
    for number in spread(it.calls.calls("memory") - before, 15):
        for count in (30, FOR_EVER):
            it.calls.fail("memory", number, count)
            it.scene()
            it.scene()
            it.expect_service()
    it.end()


# As with `ulimit -v`: what it has is all that it gets.
def test_the_address_space_is_used_up(subject):
    it = start_well(subject("serve"))
    for line in (Path("/proc") / str(it.process.pid) / "status").read_text().splitlines():
        if line.startswith("VmSize:"):
            resource.prlimit(it.process.pid, resource.RLIMIT_AS, (int(line.split()[1]) * 1024, resource.RLIM_INFINITY))
    with contextlib.ExitStack() as clients:
        for _ in range(100):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", it.port), 5 * PATIENCE))
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.sendall(os.urandom(200_000))
        answers = {it.ask("GET", "/api/v1/sessions") for _ in range(5)}
        assert answers <= {200, 503, None}, answers
        it.expect_alive()
    resource.prlimit(it.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    it.expect_service()
    it.end()
