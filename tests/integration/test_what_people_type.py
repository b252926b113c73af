"""Command lines as people type them, without having read the manual."""

import os
import socket
import subprocess
import time

import pytest

from deadline import PATIENCE, wait_until
from echo import connect, echo_server, echoes
from weir_process import BINARY, one_sentence, run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")


@pytest.fixture
def db(serve):
    with echo_server() as port:
        serve.upstream_port = port
        serve.url = f"http://127.0.0.1:{serve.port}"
        assert serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{port}"}).status == 201
        yield serve


@pytest.mark.parametrize("words", ["ls", "list", "proxies", "proxy list", "proxy ls"])
def test_the_proxies_are_listed(db, words):
    said = run_weir(*words.split(), "--url", db.url)
    assert said.returncode == 0 and said.stdout.startswith("db\t")


@pytest.mark.parametrize("words", ["tap", "proxy", "proxy add", "session close", "proxy rm"])
def test_help_of_a_command(words):
    said = run_weir("help", *words.split())
    assert said.returncode == 0
    name = words.replace("rm", "remove")
    assert f"Usage: weir {name} [OPTIONS]" in said.stdout
    assert said.stdout == run_weir(*words.split(), "--help").stdout.replace("proxy rm", "proxy remove")


def test_help_alone_is_that_of_weir():
    assert run_weir("help").stdout == run_weir("--help").stdout


def test_a_commands_help_has_no_examples_of_another():
    assert "weir demo" not in run_weir("check", "--help").stdout


def test_help_of_what_is_no_command():
    said = run_weir("help", "tpa")
    one_sentence(said.stderr, '"tpa"', 'did you mean "tap"?')
    assert said.returncode == 2


@pytest.mark.parametrize("form", ["{port}", "tcp://127.0.0.1:{port}", "http://127.0.0.1:{port}/",
                                  "http://u:p@127.0.0.1:{port}/a?b", "redis://localhost:{port}/0"])
def test_an_upstream_is_taken_as_it_is_typed(start_weir, form):
    with echo_server() as port:
        weir = start_weir(form.format(port=port))
        assert "u:p" not in weir.stderr()
        with socket.create_connection(weir.address, timeout=10 * PATIENCE) as client:
            assert echoes(client)


@pytest.mark.parametrize(("form", "meant"), [("http://web/", "web:80"), ("https://web", "web:443"),
                                             ("5432", "localhost:5432"), ("postgres://u:p@db/x", "db:5432"),
                                             ("tcp://[::1]:7", "[::1]:7")])
def test_what_was_taken_is_said(start_weir, form, meant):
    weir = start_weir(form)
    assert weir.ready_lines[0].endswith(f", upstream {meant}")


def test_a_url_without_a_port_that_is_known_is_a_sentence():
    said = run_weir("tap", "0", "gopher://host/")
    one_sentence(said.stderr, "UPSTREAM", "gopher://host/", "host:port")
    assert said.returncode == 2


def test_a_listen_address_may_be_a_url_too(start_weir, listener):
    assert start_weir(listener.text, listen="tcp://127.0.0.1:0").port


def test_one_address_alone_is_the_upstream(tmp_path):
    with echo_server() as port, open(tmp_path / "stderr", "wb") as stderr:
        weir = subprocess.Popen([BINARY, "tap", f"localhost:{port}"], stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            line = wait_until(lambda: (tmp_path / "stderr").read_text(), "it says where it listens")
            assert line.endswith(f", upstream localhost:{port}\n")
            where = line.removeprefix("weir: listening on 127.0.0.1:").partition(",")[0]
            with socket.create_connection(("127.0.0.1", int(where)), timeout=10 * PATIENCE) as client:
                assert echoes(client)
        finally:
            weir.terminate()
            assert weir.wait(20 * PATIENCE) == 0


@pytest.mark.parametrize("words", [["8888"], [":8888"], ["localhost"]])
def test_one_word_that_is_no_upstream_is_a_sentence(words):
    said = run_weir("tap", *words)
    one_sentence(said.stderr, "UPSTREAM is missing", "weir tap 8888 localhost:5432")
    assert said.returncode == 2


@pytest.mark.parametrize(("words", "mentioned"), [
    (["tap", "--fault", "latancy latency=1s", "0", "x:1"], "did you mean latency?"),
    (["tap", "--fault", "latency latncy=1s", "0", "x:1"], "did you mean latency?"),
    (["tap", "--timeout", "idel=1s", "0", "x:1"], "did you mean idle?"),
    (["tap", "--show", "jsno", "0", "x:1"], "did you mean json?"),
    (["tap", "--show", "dmup", "0", "x:1"], "did you mean dump?"),
    (["prxoy", "list"], 'did you mean "proxy"?'),
    (["sesions"], 'did you mean "session'),
    (["start"], 'did you mean "serve"?'),
    (["version"], 'did you mean "--version"?'),
])
def test_what_was_meant_is_named(words, mentioned):
    said = run_weir(*words)
    one_sentence(said.stderr, mentioned)
    assert said.returncode == 2


@pytest.mark.parametrize("fault", ["latency", "bandwidth", "slow_close", "slicer", "limit_data", "accept_delay",
                                   "connect_delay", "first_byte_delay", "loss", "latency probability=0.5"])
def test_a_fault_without_what_it_is_about_is_refused(db, fault):
    for said in (run_weir("tap", "--fault", fault, "0", "x:1"),
                 run_weir("fault", "add", "db", *fault.split(), "--url", db.url)):
        one_sentence(said.stderr, fault.split()[0], "such as")
        assert said.returncode == 2
    assert db.get("/api/v1/proxies/db/faults").json["faults"] == []


@pytest.mark.parametrize("fault", ["latency latency=0ms", "latency jitter=5ms", "timeout", "reset_peer", "noop",
                                   "stall", "refuse"])
def test_a_fault_that_says_what_it_is_about_is_taken(db, fault):
    assert run_weir("fault", "add", "db", *fault.split(), "--url", db.url).returncode == 0


def test_faults_are_cleared(db):
    for name in ("a", "b c"):
        assert db.post("/api/v1/proxies/db/faults", {"type": "noop", "name": name}).status == 201
    assert run_weir("fault", "clear", "db", "--url", db.url).returncode == 0
    assert db.get("/api/v1/proxies/db/faults").json["faults"] == []
    assert run_weir("fault", "clear", "db", "--url", db.url).returncode == 0, "none is as good"
    assert run_weir("fault", "clear", "nobody", "--url", db.url).returncode == 1


def test_a_session_is_closed(db):
    with connect(db) as client:
        assert echoes(client)
        number = db.get("/api/v1/sessions").json["sessions"][0]["session"]
        assert run_weir("session", "close", "db", number, "--url", db.url).returncode == 0
        assert client.recv(1) == b""
    said = run_weir("session", "close", "db", 999, "--url", db.url)
    assert said.returncode == 1 and "no live session 999" in said.stderr


def test_proxies_are_made_with_the_same_words(db):
    assert run_weir("proxy", "add", "web", "0", str(db.upstream_port), "--url", db.url).returncode == 0
    assert db.get("/api/v1/proxies/web").json["upstream"] == f"localhost:{db.upstream_port}"
    assert run_weir("proxy", "set", "web", "upstream=http://127.0.0.1:1/", "--url", db.url).returncode == 0
    assert db.get("/api/v1/proxies/web").json["upstream"] == "127.0.0.1:1"
    assert run_weir("proxy", "rm", "web", "--url", db.url).returncode == 0


# -- a tap that ends by itself -----------------------------------------------------------------------


def test_it_ends_after_so_many_chunks(start_weir):
    with echo_server() as port:
        weir = start_weir(f"127.0.0.1:{port}", "-c", 4, "--grep", "yes")
        with socket.create_connection(weir.address, timeout=10 * PATIENCE) as client:
            for data in (b"yes 1", b"no", b"yes 2"):
                assert echoes(client, data)
            assert weir.wait() == 0
    chunks = [each for each in weir.events() if each["event"] == "chunk"]
    assert [each["text"] for each in chunks] == ["yes 1", "yes 1", "yes 2", "yes 2"]


@pytest.mark.parametrize("pattern", ["\\x00\\xff", "a\\nb", "back\\\\slash"])
def test_a_pattern_may_hold_any_byte(start_weir, pattern):
    data = {"\\x00\\xff": b"\x00\xff", "a\\nb": b"a\nb", "back\\\\slash": b"back\\slash"}[pattern]
    with echo_server() as port:
        weir = start_weir(f"127.0.0.1:{port}", "--grep", pattern, "-c", 1)
        with socket.create_connection(weir.address, timeout=10 * PATIENCE) as client:
            assert echoes(client, b"other")
            client.sendall(b"<" + data + b">")
            assert weir.wait() == 0
    assert sum(each["event"] == "chunk" for each in weir.events()) == 1


@pytest.mark.parametrize(("words", "mentioned"), [(["--grep", "\\q"], "--grep"), (["-c", "0"], "--count"),
                                                  (["--for", "soon"], "--for"), (["-c", "3", "--show", "none"], "-c")])
def test_what_is_wrong_with_these_is_a_sentence(words, mentioned):
    said = run_weir("tap", *words, "0", "127.0.0.1:9")
    one_sentence(said.stderr, mentioned)
    assert said.returncode == 2


def test_it_ends_after_a_time_sessions_or_not(start_weir):
    with echo_server() as port:
        weir = start_weir(f"127.0.0.1:{port}", "--for", "1s")
        begun = time.monotonic()
        with socket.create_connection(weir.address, timeout=10 * PATIENCE) as client:
            assert echoes(client)
            assert weir.wait() == 0
        assert time.monotonic() - begun < 15 * PATIENCE
    assert [each for each in weir.events() if each["event"] == "closed"][0]["cause"] == "shutdown"


def test_tls_is_named(start_weir):
    with echo_server() as port:
        weir = start_weir(f"127.0.0.1:{port}", view="text")
        with socket.create_connection(weir.address, timeout=10 * PATIENCE) as client:
            assert echoes(client, b"\x16\x03\x01\x02\x00")
            assert echoes(client, b"\x16\x03\x01\x02\x00")
        wait_until(lambda: b"closed by" in weir.output(), "its end is shown")
    assert weir.output().count(b"#1 looks like TLS: the bytes are encrypted\n") == 1


# -- the small build ---------------------------------------------------------------------------------


@pytest.mark.skipif("WEIR_SMALL_BIN" not in os.environ, reason="WEIR_SMALL_BIN names a build with WEIR_SERVE=OFF")
@pytest.mark.parametrize("words", ["serve", "proxy add db 0 x:1", "ls", "sessions --watch", "fault list db",
                                   "help serve"])
def test_the_small_build_says_what_it_is(words):
    said = subprocess.run([os.environ["WEIR_SMALL_BIN"], *words.split()], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    one_sentence(said.stderr, "small build", "cmake --preset release", words.split()[-1 if "help" in words else 0])
