"""`weir watch`: views that are put on running proxies and taken away again."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading

import pytest

from deadline import PATIENCE, Deadline, wait_until
from echo import connect, echo_server, echoes, receive
from serve_process import Serve
from session_log import payload
from view_readers import read_json_view, read_line_view
from weir_process import BINARY, SUMMARY, WITHOUT_COUNTS, one_sentence, run_weir


@pytest.fixture
def db(serve):
    """`serve` with the proxy "db" in front of a server that sends back what comes."""
    with echo_server() as upstream:
        serve.upstream = f"127.0.0.1:{upstream}"
        assert serve.post("/api/v1/proxies", {"name": "db", "upstream": serve.upstream}).status == 201
        yield serve


class Watch:
    """One running `weir watch`; its start waits until it sees all that passes."""

    def __init__(self, serve, *words, folder, stdout=None, environment=None):
        self.path = folder / f"watch.{len(list(folder.iterdir()))}"
        with contextlib.ExitStack() as files:
            out = stdout if stdout is not None else files.enter_context(open(self.path, "wb"))
            self.process = subprocess.Popen(
                [BINARY, "watch", "--url", f"http://127.0.0.1:{serve.port}", *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
                env={**os.environ, **(environment or {})})
        self.first_line = self.process.stderr.readline()

    def output(self):
        return self.path.read_bytes()

    def events(self):
        text = self.output()
        return [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(Deadline(20.0).left())
        self.process.stderr.close()
        return code


@pytest.fixture
def watch(tmp_path):
    running = []

    def start(serve, *words, **options):
        running.append(Watch(serve, *words, folder=tmp_path, **options))
        return running[-1]
    yield start
    for each in running:
        each.end()


@pytest.mark.parametrize("show", ["text", "hex", "dump"])
def test_a_session_that_is_open_already_is_shown_from_then_on(db, watch, show):
    with connect(db) as client:
        assert echoes(client, b"before")
        view = watch(db, "db", "--show", show)
        assert view.first_line == "weir: watching proxy db\n"
        assert echoes(client, b"after")
        wait_until(lambda: read_line_view(show, view.output()) ==
                   {1: {"upstream": b"after", "downstream": b"after"}}, "both bytes are shown")
        assert b"#1 opened: client 127.0.0.1:" in view.output(), "it is told who the session is"
    wait_until(lambda: b"#1 closed by client.fin" in view.output(), "its end is shown")


def test_it_shows_what_tap_shows(db, watch):
    view = watch(db, "db", "--show", "json")
    data = bytes(range(256)) * 4000
    with connect(db) as client:
        sender = threading.Thread(target=client.sendall, args=(data,), daemon=True)
        sender.start()
        assert receive(client, len(data)) == data
        sender.join()
    wait_until(lambda: view.events() and view.events()[-1]["event"] == "closed", "the end is shown")
    assert read_json_view(view.output()) == {1: {"upstream": data, "downstream": data}}
    assert [each["event"] for each in view.events()].count("opened") == 1
    assert "proxy" not in view.events()[0], "one proxy needs no name in every line"


def test_choices_narrow_it(db, watch):
    raw = watch(db, "db", "--show", "raw", "--only", "downstream", "--session", 2)
    limited = watch(db, "db", "--show", "hex", "--limit", 2)
    strangers = watch(db, "db", "--filter-client", "192.0.2.0/24")
    for data in (b"first", b"second", b"third"):
        with connect(db) as client:
            assert echoes(client, data)
    wait_until(lambda: raw.output() == b"second", "the second session's answer is shown")
    wait_until(lambda: limited.output().count(b"closed by") == 3, "three sessions are shown")
    assert b"  73 65\n" in limited.output() and b"  73 65 63" not in limited.output()
    assert strangers.output() == b"", "no client came from there"


def test_all_proxies_are_shown_with_their_names_also_those_to_come(db, watch):
    view = watch(db, "--show", "json")
    assert view.first_line == "weir: watching all proxies\n"
    db.post("/api/v1/proxies", {"name": "late", "upstream": db.upstream})
    for name in ("db", "late"):
        with connect(db, name) as client:
            assert echoes(client)
    wait_until(lambda: [each["event"] for each in view.events()].count("closed") == 2, "both sessions have ended")
    assert {each["proxy"] for each in view.events()} == {"db", "late"}


def test_a_proxy_that_is_made_anew_under_its_name_is_still_watched(db, watch):
    view = watch(db, "db", "--show", "raw")
    assert db.delete("/api/v1/proxies/db").status == 204
    db.post("/api/v1/proxies", {"name": "db", "upstream": db.upstream})
    with connect(db) as client:
        assert echoes(client, b"again")
    wait_until(lambda: view.output() == b"againagain", "it is shown")


class PipeReader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, descriptor):
        super().__init__()
        self.data = bytearray()
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self.start()

    def run(self):
        with self._file:
            while data := self._file.read(1 << 20):
                self.data += data


def view_into_pipe(watch, db, *words):
    """A view whose output nobody reads yet, and the pipe's read end."""
    read_end, write_end = os.pipe()
    view = watch(db, "db", *words, stdout=write_end)
    os.close(write_end)
    return view, read_end


def test_a_slow_reader_misses_what_it_misses_and_is_told(db, watch):
    view, read_end = view_into_pipe(watch, db, "--show", "json")
    data = b"x" * 65536
    rounds = 1500  # 100 MB each way: far beyond rings, pipes and socket buffers
    with connect(db) as client:
        for _ in range(rounds):
            client.sendall(data)
            receive(client, len(data))
    reader = PipeReader(read_end)
    wait_until(lambda: b'"closed"' in reader.data, "the end is shown", 30.0)
    view.end()
    reader.join()
    events = [json.loads(line) for line in reader.data.splitlines()]
    gaps = [each["bytes"] for each in events if each["event"] == "gap"]
    shown = [each["bytes"] for each in events if each["event"] == "chunk"]
    assert gaps and shown
    assert sum(gaps) + sum(shown) == 2 * rounds * len(data), "what was shown and what was missed are all"


class Flood:
    """Sends and receives so many bytes through a connection, each on a thread."""

    def __init__(self, client, total):
        self.received = 0
        self._threads = [threading.Thread(target=each, args=(client, total), daemon=True) for each in (self._send, self._receive)]
        for each in self._threads:
            each.start()

    def _send(self, client, total):
        for _ in range(total // 1_000_000):
            client.sendall(b"y" * 1_000_000)

    def _receive(self, client, total):
        while self.received < total and (more := client.recv(1 << 20)):
            self.received += len(more)

    def join(self):
        for each in self._threads:
            each.join(60 * PATIENCE)
            assert not each.is_alive(), f"only {self.received} bytes came back"


def test_block_holds_the_traffic_until_its_reader_goes_on(db, watch):
    view, read_end = view_into_pipe(watch, db, "--show", "raw", "--when-slow", "block", "--only", "upstream")
    total = 150_000_000
    with connect(db) as client:
        flood = Flood(client, total)
        wait_until(lambda: flood.received > 7_000_000, "what the ring holds passes")
        assert flood.received < total
        reader = PipeReader(read_end)
        flood.join()
        wait_until(lambda: len(reader.data) == total, "every byte is shown", 30.0)
    view.end()
    reader.join()


def test_block_lets_the_traffic_go_when_its_reader_is_gone(db, watch):
    view, read_end = view_into_pipe(watch, db, "--show", "raw", "--when-slow", "block", "--only", "upstream")
    total = 150_000_000
    with connect(db) as client:
        flood = Flood(client, total)
        wait_until(lambda: flood.received > 7_000_000, "what the ring holds passes")
        view.end(signal.SIGKILL)
        flood.join()
    os.close(read_end)


@pytest.mark.slow  # for the 30 s that a connection may take nothing
def test_block_lets_the_traffic_go_when_its_reader_has_taken_nothing_for_long(db, watch):
    view, read_end = view_into_pipe(watch, db, "--show", "raw", "--when-slow", "block", "--only", "upstream")
    total = 150_000_000
    with connect(db) as client:
        client.settimeout(60 * PATIENCE)
        flood = Flood(client, total)
        wait_until(lambda: flood.received > 7_000_000, "what the ring holds passes")
        flood.join()
    reader = PipeReader(read_end)
    assert view.process.wait(Deadline(20.0).left()) == 1
    one_sentence(view.process.stderr.read(), "ended the view")
    reader.join()
    assert len(reader.data) < total


def test_its_reader_leaves(db, watch):
    view, read_end = view_into_pipe(watch, db)
    os.close(read_end)
    with connect(db) as client:
        assert echoes(client)
        assert view.process.wait(Deadline(20.0).left()) == 0
        assert echoes(client), "the traffic goes on"


def test_the_server_ends(weir_binary, tmp_path, watch):
    serve = Serve(folder=tmp_path)
    view = watch(serve)
    assert serve.stop() == 0
    assert view.process.wait(Deadline(20.0).left()) == 1
    one_sentence(view.process.stderr.read(), "ended the view")


def closing_line(view):
    """What it said last: all of it is one line, as that of weir tap."""
    said = SUMMARY.fullmatch(view.process.stderr.read().rstrip("\n"))
    assert said, "no closing line"
    return said


def chunks_of(view):
    return [each for each in view.events() if each["event"] == "chunk"]


def observer_threads(serve):
    return len(os.listdir(f"/proc/{serve.process.pid}/task"))


def test_it_ends_when_so_many_chunks_are_shown(db, watch):
    before = observer_threads(db)
    view = watch(db, "db", "-c", 3, "--show", "json")
    with connect(db) as client:
        for _ in range(3):
            assert echoes(client, b"12345")
        assert view.process.wait(Deadline(20.0).left()) == 0
        assert len(chunks_of(view)) == 3 and len(view.events()) == 4, "and the opening"
        said = closing_line(view)
        assert (said["sessions"], said["peak"]) == ("1", "1") and said["connect"]
        assert echoes(client), "the traffic goes on"
        wait_until(lambda: observer_threads(db) == before, "nothing of it is left at the server")
        assert echoes(client)
    assert "observer" not in db.stderr(), "this is no trouble"


def test_views_that_ended_by_themselves_leave_no_observer_behind(db):
    """More of them than observers may be there, and none of their clients closes its connection."""
    with contextlib.ExitStack() as held, connect(db) as client:
        for number in range(40):
            connection = held.enter_context(contextlib.closing(db.connection()))
            connection.request("GET", "/api/v1/proxies/db/watch?show=raw&only=upstream&count=1")
            answer = held.enter_context(connection.getresponse())
            assert answer.status == 200, answer.read()
            assert echoes(client, b"number %d" % number)
            assert answer.read() == b"number %d" % number


def test_it_ends_after_its_time(db, watch):
    with connect(db) as client:
        view = watch(db, "db", "--for", "500ms", "--show", "json")
        while view.process.poll() is None:
            assert echoes(client, b"x" * 4000)
        assert view.end() == 0
        assert view.output().endswith(b"}\n"), "no line is torn"
        assert "closed" not in {each["event"] for each in view.events()}, "the session goes on"
        assert echoes(client)


def test_its_time_passes_also_where_nothing_happens(db, watch):
    view = watch(db, "--for", "50ms")
    assert view.process.wait(Deadline(20.0).left()) == 0
    assert closing_line(view)["sessions"] == "0"


def test_only_chunks_that_hold_the_pattern_are_shown_and_counted(db, watch):
    view = watch(db, "db", "--grep", r"\x00\xff&= %", "-c", 2, "--show", "json", "--only", "upstream")
    with connect(db) as client:
        for data in (b"no", b"a\x00\xff&= %b", b"\x00\xff&=", b"\x00\xff&= %", b"late"):
            assert echoes(client, data)
    assert view.process.wait(Deadline(20.0).left()) == 0
    assert [payload(each) for each in chunks_of(view)] == [b"a\x00\xff&= %b", b"\x00\xff&= %"]
    assert " upstream" in (said := view.process.stderr.read()) and "downstream" not in said, "of which it knows nothing"


def test_quiet_says_no_closing_line(db):
    with connect(db) as client, subprocess.Popen(
            [BINARY, "watch", "--url", f"http://127.0.0.1:{db.port}", "-q", "-c", "1", "--show", "raw"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE) as view:
        wait_until(lambda: echoes(client, b"x") and view.poll() is not None, "it has seen enough")
        assert (view.returncode, view.stdout.read(), view.stderr.read()) == (0, b"x", b"")


def test_a_full_disk_does_not_outlast_its_time(db, tmp_path):
    with connect(db) as client, subprocess.Popen(
            [BINARY, "watch", "--url", f"http://127.0.0.1:{db.port}", "-o", tmp_path / "view", "--for", "1s"],
            stderr=subprocess.PIPE, text=True, env=WITHOUT_COUNTS,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))) as view:
        assert view.stderr.readline() == "weir: watching all proxies\n"
        while "EFBIG" not in (tmp_path / "view").read_text() and (tmp_path / "view").stat().st_size < 2000:
            assert echoes(client, b"x" * 500)
        assert view.wait(Deadline(20.0).left()) == 1
        assert view.stderr.read().splitlines()[-1] == \
            f"weir: -o {tmp_path}/view: File too large (EFBIG): the end of the view is not written"


def test_a_server_that_is_killed_has_not_ended_the_view_in_order(weir_binary, tmp_path, watch):
    serve = Serve(folder=tmp_path)
    try:
        view = watch(serve, "--for", "1h")
        serve.process.kill()
        assert view.process.wait(Deadline(20.0).left()) == 1
        one_sentence(view.process.stderr.read(), "ended the view")
    finally:
        serve.stop()


def test_over_the_api_a_view_that_ended_differs_from_one_that_was_cut(db):
    def answer(version):
        with socket.create_connection(("127.0.0.1", db.port), timeout=20 * PATIENCE) as api:
            api.sendall(b"GET /api/v1/watch?show=raw&for=1ms HTTP/%s\r\nHost: localhost\r\n\r\n" % version)
            return b"".join(iter(lambda: api.recv(65536), b""))
    head, _, body = answer(b"1.1").partition(b"\r\n\r\n")
    assert b"\r\nTrailer: Weir-Summary\r\n" in head and b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert body == b"0\r\nWeir-Summary: 0 sessions (peak 0), 0 B upstream, 0 B downstream\r\n\r\n"
    assert b"chunked" not in answer(b"1.0")


def test_there_are_32_observers_and_no_more(db, watch):
    with contextlib.ExitStack() as open_views:
        for _ in range(31):  # one is weir's own, for its events
            connection = open_views.enter_context(contextlib.closing(db.connection()))
            connection.request("GET", "/api/v1/proxies/db/watch")
            assert open_views.enter_context(connection.getresponse()).status == 200
        refused = db.get("/api/v1/proxies/db/watch")
        assert refused.status == 503
        assert refused.json["error"] == "32 observers are there already; let one go first"
        with connect(db) as client:
            assert echoes(client)
    wait_until(lambda: watch(db, "db").first_line == "weir: watching proxy db\n", "there is room again")


def test_many_come_and_go_beside_traffic(db):
    with connect(db) as client:
        for i in range(300):
            policy = "block" if i % 2 else "drop"
            connection = db.connection()
            connection.request("GET", f"/api/v1/proxies/db/watch?show=raw&when_slow={policy}")
            with connection.getresponse() as view:
                assert view.status == 200
                assert echoes(client, f"number {i}".encode())
                assert view.read(len(f"number {i}")) == f"number {i}".encode(), "it saw the bytes that came after it"
            connection.close()
    wait_until(lambda: len(os.listdir(f"/proc/{db.process.pid}/task")) < 12, "their threads have ended")


@pytest.mark.parametrize("words, mentioned", [
    (["--show", "colour"], "--show"), (["--only", "up"], "--only"), (["--limit", "much"], "--limit"),
    (["--filter-client", "here"], "--filter-client"), (["--when-slow", "wait"], "--when-slow wait"),
    (["--session", "none"], "--session"), (["--session", "0"], "--session"), (["--color", "red"], "--color"),
    (["--grep", r"\q"], "--grep"), (["-c", "0"], "-c"), (["-c", "many"], "-c"), (["--for", "soon"], "--for"),
    (["-c", "1", "--show", "none"], "-c"), (["--url", "ftp://x:y"], "ftp://x:y")])
def test_wrong_words_are_named(weir_binary, words, mentioned):
    told = run_weir("watch", "db", *words)
    assert told.returncode == 2
    one_sentence(told.stderr, mentioned)


def test_a_proxy_that_is_not_there(db):
    told = run_weir("watch", "--url", f"http://127.0.0.1:{db.port}", "dc")
    assert told.returncode == 1
    assert one_sentence(told.stderr) == 'weir: there is no proxy "dc"'


def test_no_server(weir_binary):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = run_weir("watch", "--url", f"http://127.0.0.1:{port}")
    assert told.returncode == 1
    one_sentence(told.stderr, "cannot reach the API", "weir serve")


@pytest.mark.parametrize("query, field", [
    ("show=jsn", "show"), ("only=up", "only"), ("limit=-1", "limit"), ("filter_client=x", "filter_client"),
    ("session=0", "session"), ("session=x", "session"), ("when_slow=wait", "when_slow"), ("color=yes", "color"),
    ("utf8=1", "utf8"), ("count=0", "count"), ("count=x", "count"), ("count=1&show=none", "count"), ("for=soon", "for"),
    ("for=1", "for"), ("proxy=db", "proxy")])
def test_the_api_names_what_is_wrong(db, query, field):
    answer = db.get(f"/api/v1/watch?{query}")
    assert answer.status == 400
    assert answer.json["field"] == field and answer.json["error"].startswith(f"{field}: ")


def test_the_token_is_asked_for(weir_binary, tmp_path, watch):
    serve = Serve(folder=tmp_path, environment={"WEIR_TOKEN": "secret"})
    try:
        told = run_weir("watch", "--url", f"http://127.0.0.1:{serve.port}")
        assert told.returncode == 1
        view = watch(serve, environment={"WEIR_TOKEN": "secret"})
        assert view.first_line == "weir: watching all proxies\n"
    finally:
        assert serve.stop() == 0
