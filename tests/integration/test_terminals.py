"""What people see at a terminal of 80 columns: tables, help, a screen that is watched, text of their language."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from deadline import PATIENCE, Deadline, wait_until
from echo import connect, echo_server, echoes, receive
from server import Server
from weir_process import BINARY, run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")

COMMANDS = ["", "tap", "demo", "why", "check", "serve", "proxy", "proxy add", "proxy set", "fault", "fault add",
            "watch", "sessions", "ps", "report", "top", "session", "session close", "events", "syslog", "syslog parse", "ls", "help"]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *words, columns=80, rows=24, environment=None):
        self.master, slave = pty.openpty()
        self.modes = termios.tcgetattr(self.master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen([BINARY, *map(str, words)], stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True,  # and Ctrl-C is a signal of this terminal:
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **(environment or {})})
        os.close(slave)
        self.seen = b""

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the program has ended
                break
            if not data:
                break
            self.seen += data
        return self.seen.decode(errors="replace").replace("\r\n", "\n")

    def wait(self):
        deadline = Deadline(20.0)
        while self.process.poll() is None and not deadline.passed():
            self.read()
        code = self.process.wait(deadline.left())
        return code, self.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal():
    with contextlib.ExitStack() as all_of_them:
        def start(*words, **how):
            it = Terminal(*words, **how)
            all_of_them.callback(it.close)
            return it
        yield start


@pytest.fixture
def db(serve):
    with echo_server() as port:
        assert serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{port}"}).status == 201
        serve.url = f"http://127.0.0.1:{serve.port}"
        yield serve


# -- help --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("columns", [80, 100, 200])
def test_help_fits_the_terminal(terminal, words, columns):
    code, text = terminal(*words.split(), "--help", columns=columns).wait()
    assert code == 0
    too_wide = [line for line in text.splitlines() if len(line) > min(columns, 100)]
    assert not too_wide


@pytest.mark.parametrize("columns", ["80", ""])
def test_help_fits_80_columns_where_there_is_no_terminal(columns):
    said = run_weir("tap", "--help", env={**os.environ, "COLUMNS": columns})
    assert max(map(len, said.stdout.splitlines())) <= 80


def test_help_loses_no_word():
    narrow = run_weir("serve", "--help", env={**os.environ, "COLUMNS": "60"}).stdout.split()
    wide = run_weir("serve", "--help", env={**os.environ, "COLUMNS": "100"}).stdout.split()
    assert narrow == wide


# -- tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sessions", "session list", "ls", "proxy list"])
def test_tables_break_no_word_at_80_columns(db, terminal, command):
    name = "a-proxy-with-a-name-that-is-rather-long"
    upstream = db.get("/api/v1/proxies/db").json["upstream"]
    assert db.post("/api/v1/proxies", {"name": name, "upstream": upstream}).status == 201
    with connect(db, name) as client:
        assert echoes(client)
        code, text = terminal(*command.split(), "--url", db.url).wait()
    assert code == 0
    assert max(map(len, text.splitlines())) <= 80, text
    words = text.split()
    assert name in words and "UPSTREAM" in words and upstream in words


def test_the_catalog_of_faults_fits_too(db, terminal):
    code, text = terminal("fault", "catalog", "--url", db.url).wait()
    assert code == 0 and max(map(len, text.splitlines())) <= 80


def test_a_table_on_a_pipe_is_as_it_was(db):
    with connect(db) as client:
        assert echoes(client)
        said = run_weir("sessions", "--url", db.url)
    assert len(said.stdout.splitlines()) == 1 and said.stdout.count("\t") == 10


# -- a screen that is watched ------------------------------------------------------------------------

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"



def frames(text):
    """What stood on the screen at each time that it was drawn, as lists of rows."""
    return [re.sub(r"\x1b\[[0-9]*[KJ]|\r", "", part).partition("\x1b[")[0].split("\n")
            for part in text.split("\x1b[H\x1b[K")[1:]]


def shows(screen, pattern):
    """Waits until the newest frame matches."""
    def newest():
        drawn = frames(screen.read())
        return re.search(pattern, "\n".join(drawn[-1]), re.MULTILINE) if drawn else None
    return wait_until(newest, f"the screen shows {pattern}")


def modes(screen):
    return termios.tcgetattr(screen.master)


@pytest.mark.parametrize("words", [("sessions", "--watch"), ("top",)])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, "q", "\x03"])
def test_watching_leaves_the_first_screen_as_it_was(db, terminal, words, end):
    watch = terminal(*words, "--url", db.url)
    shows(watch, "PROXY")
    assert watch.read().startswith(ENTER)
    if isinstance(end, str):
        watch.type(end)
    else:
        watch.process.send_signal(end)
    code, text = watch.wait()
    assert code == 0
    assert text.endswith(LEAVE), "the first screen is back"
    assert "\x1b[2J" not in text
    assert modes(watch) == watch.modes, "what is typed is shown again"


def test_an_error_is_told_on_the_first_screen(db, terminal):
    watch = terminal("top", "--url", db.url)
    shows(watch, "PROXY")
    assert db.stop() == 0
    code, text = watch.wait()
    assert code == 1
    left = text.partition(LEAVE)[2]
    assert left.startswith("weir: ") and ENTER not in left
    assert modes(watch) == watch.modes


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10)])
def test_no_row_is_wider_than_the_terminal(db, terminal, columns, rows):
    upstream = db.get("/api/v1/proxies/db").json["upstream"]
    long = "a-proxy-with-a-name-that-is-longer-than-a-row"
    assert db.post("/api/v1/proxies", {"name": long, "upstream": upstream}).status == 201
    with contextlib.ExitStack() as clients:
        for name in [long, *["db"] * 30]:
            assert echoes(clients.enter_context(connect(db, name)))
        top = terminal("top", "--url", db.url, columns=columns, rows=rows)
        shows(top, "PROXY")
        top.type("?")
        shows(top, "sort by rate")
        top.type(" ")
        shows(top, "PROXY")
        top.type("f")
        shows(top, "fault for proxy")
        top.type("\x1b")
        shows(top, "quit")
        drawn = frames(top.read())
        assert {len(lines) for lines in drawn} == {rows}
        assert max(len(line) for lines in drawn for line in lines) <= columns
        assert drawn[-1][1].split()[0] == "PROXY" and "31 sessions" in drawn[-1][0]


def test_keys_sort_select_and_close(db, terminal):
    with connect(db) as quiet, connect(db) as busy:
        assert echoes(quiet) and echoes(busy)
        busy.sendall(b"x" * 1000)
        top = terminal("top", "--url", db.url)
        shows(top, r"^>db +1 ")
        top.type("b")
        shows(top, r"by bytes")
        shows(top, r"PROXY.*\n.db +2 .*\n.db +1 ")
        top.type("\x1b[A")
        shows(top, r"^>db +2 ")
        top.type("x")
        shows(top, r"close session 2 of db\?")
        top.type("n")
        shows(top, r"quit$")
        top.type("xy")
        shows(top, r"^session 2 of db is closing$")
        shows(top, r"^1 session,")
        assert echoes(quiet)


def test_a_fault_is_typed_into_the_screen(db, terminal):
    with connect(db) as client:
        assert echoes(client)
        top = terminal("top", "--url", db.url, columns=120)
        shows(top, r"^>db +1 ")
        top.type("flatency\r")
        shows(top, r"latency: without latency it is no such fault")
        top.type("flatency latency=10ms jutter=1\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\r")
        shows(top, r"is added to db")
        faults = db.get("/api/v1/proxies/db/faults").json["faults"]
        assert [fault["type"] for fault in faults] == ["latency"]


# -- text of other languages -------------------------------------------------------------------------

HELLO = "Grüße 世界 \u202e%"


@pytest.mark.parametrize(("locale", "shown"), [("C.UTF-8", "Grüße 世界 %e2%80%ae%25"),
                                               ("C", "Gr%c3%bc%c3%9fe %e4%b8%96%e7%95%8c %e2%80%ae%25")])
@pytest.mark.parametrize("to", ["file", "stdout"])
def test_text_is_shown_by_the_locale(start_weir, listener, make_peer, locale, shown, to):
    weir = start_weir(listener.text, view="text", output=to, environment={"LC_ALL": locale})
    make_peer("server", "accept read fin", listener=listener)
    words = "".join(f"%{byte:02x}" for byte in HELLO.encode())
    make_peer("client", f"connect say:{words} fin read", address=weir.address).finish()
    assert weir.stop() == 0
    assert f"\n  {shown}\n" in weir.output().decode()


def test_names_turn_no_text_around(db, terminal):
    assert db.post("/api/v1/proxies", {"name": "bücher\u202e", "upstream": "127.0.0.1:9"}).status in (201, 400)
    code, text = terminal("ls", "--url", db.url).wait()
    assert code == 0 and "\u202e" not in text


# -- what stands out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "coloured"), [("reset", True), ("fin read", False)])
def test_resets_stand_out(terminal, listener, make_peer, ends, coloured):
    tap = terminal("tap", "0", listener.text, environment={"NO_COLOR": ""})
    where = wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", tap.read()), "it listens")
    make_peer("server", "accept hangup", listener=listener) if ends == "reset" else make_peer(
        "server", "accept read fin", listener=listener)
    make_peer("client", f"connect send:10 {ends}", address=("127.0.0.1", int(where[1]))).finish()
    line = wait_until(lambda: re.search(r"^.*closed by.*$", tap.read(), re.MULTILINE), "its end is shown")[0]
    assert ("\x1b[1;31m" in line) is coloured


# -- a terminal that is stopped, as by Ctrl-S ----------------------------------------------------------


def flood(port, total):
    """Sends so much through an echo and takes it back; None if that comes to a halt."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5 * PATIENCE)
        threading.Thread(target=send_all, args=(client, b"y" * total), daemon=True).start()
        try:
            return len(receive(client, total))
        except TimeoutError:
            return None


def send_all(client, data):
    with contextlib.suppress(OSError):  # its other side gives up
        client.sendall(data)


def log_of(path):
    return path.read_text() if path.exists() else ""


def test_a_terminal_that_is_stopped_stalls_no_service(terminal, tmp_path):
    log, total = tmp_path / "log", 48_000_000
    with echo_server() as upstream:
        tap = terminal("tap", "--log", f"file:{log}", "0", upstream)
        port = int(wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", log_of(log)), "it listens")[1])
        assert flood(port, total) == total, "nobody reads the terminal, and the traffic goes on"
        wait_until(lambda: "not shown so far" in log_of(log), "it is told while it happens")
        tap.process.send_signal(signal.SIGTERM)
        tap.wait()
    assert re.search(r"chunks? \([0-9.]+ MB\) not shown as the view was too slow", log_of(log))


def test_block_on_a_terminal_tells_whom_it_holds_up(terminal, tmp_path):
    log = tmp_path / "log"
    with echo_server() as upstream:
        tap = terminal("tap", "--when-slow", "block", "--log", f"file:{log}", "0", upstream)
        port = int(wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", log_of(log)), "it listens")[1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(0)
            wait_until(lambda: stuffed(client) and "holds up session 1, for" in log_of(log), "it is told", 30.0)
        tap.process.send_signal(signal.SIGTERM)
        tap.wait()
    assert "1 session held up by the view (longest " in log_of(log)


def stuffed(client):
    """Sends what the socket takes, and takes what there is."""
    for call in (lambda: client.send(b"y" * 1_000_000), lambda: client.recv(1 << 20)):
        with contextlib.suppress(BlockingIOError):
            call()
    return True


# -- why ---------------------------------------------------------------------------------------------


def test_why_draws_its_report_in_place_while_it_runs(terminal):
    with echo_server() as upstream:
        why = terminal("why", "0", f"127.0.0.1:{upstream}")
        port = int(wait_until(lambda: re.search(r"listening on 127.0.0.1:(\d+)", why.read()), "it listens")[1])
        with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as client:
            for _ in range(2):
                client.sendall(b"question")
                assert client.recv(8) == b"question"
            wait_until(lambda: "1 session, 1 exchange in" in why.read(), "the first exchange is told while it runs")
        why.type("\x03")
        code, text = why.wait()
    assert code == 0
    assert re.search(r"\x1b\[\d+A\x1b\[J1 session, \d exchanges? in", text), "drawn over the one before"
    assert all(len(re.sub(r"\x1b\[[0-9]*[AJ]", "", line)) <= 80 for line in text.splitlines())


def test_why_names_a_stall_within_two_seconds_of_the_twentieth(terminal):
    def talk(client):
        while receive(client, 30):
            client.sendall(b"answer")

    upstream = Server(talk)
    shown = terminal("why", "127.0.0.1:0", upstream.address)
    wait_until(lambda: "Ctrl-C ends it" in shown.read(), "it listens")
    port = int(re.search(r"listening on 127\.0\.0\.1:(\d+)", shown.read())[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE) as client:
        for _ in range(20):
            client.sendall(b"a" * 10)
            client.sendall(b"b" * 20)
            assert receive(client, 6)
        stalled = time.monotonic()
        wait_until(lambda: "split_write: writes each request in" in shown.read(), "it is named")
        assert time.monotonic() - stalled < 2 * PATIENCE
    shown.type("\x03")
    code, text = shown.wait()
    assert code == 0
    last = text.rpartition("\x1b[J")[2]
    assert "the cut is" in " ".join(last.split()) and all(len(line) <= 80 for line in last.splitlines())
