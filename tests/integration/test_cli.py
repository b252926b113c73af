"""What a person sees of `weir tap` beside the stream: readiness, signals, limits, the summary."""

import os
import pty
import re
import signal
import socket
import subprocess

import pytest

from black_hole import BlackHole
from deadline import PATIENCE, wait_until
from scene import stays_calm
from session_log import wait_for_closed
from weir_process import BINARY, one_sentence, run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")


# -- readiness and what is said ----------------------------------------------------------------------


def test_the_readiness_line_has_the_real_port_on_stderr_and_on_the_descriptor(start_weir, listener):
    weir = start_weir(listener.text)
    line = f"weir: listening on 127.0.0.1:{weir.port}, upstream {listener.text}"
    assert weir.port != 0
    assert weir.ready_lines == [line]
    assert weir.stderr().splitlines()[0] == line


def test_the_upstream_is_named_as_it_was_written_and_not_looked_up(start_weir):
    weir = start_weir("db.internal:5432")
    assert weir.ready_lines == [f"weir: listening on 127.0.0.1:{weir.port}, upstream db.internal:5432"]


def test_quiet_says_nothing_but_errors(start_weir, listener, make_peer):
    weir = start_weir(listener.text, "-q")
    assert weir.ready_lines, "-q is about stderr alone"
    make_peer("server", "accept echo fin", listener=listener)
    make_peer("client", "connect send:10 fin read", address=weir.address).finish()
    assert weir.stop() == 0
    assert weir.stderr() == ""
    failed = run_weir("tap", "-q", weir.port, "nonsense")
    one_sentence(failed.stderr, "nonsense")


def test_the_view_goes_to_stdout_and_messages_to_stderr(start_weir, listener, make_peer):
    weir = start_weir(listener.text, output="stdout", view=None)
    make_peer("server", "accept echo fin", listener=listener)
    make_peer("client", "connect say:hello%0a fin read", address=weir.address).finish()
    assert weir.stop() == 0
    assert b"\n  hello%0a\n" in weir.output()
    assert b"listening" not in weir.output() and "hello" not in weir.stderr()


def test_the_summary_counts_sessions_bytes_and_the_peak(start_weir, listener, make_peer):
    weir = start_weir(listener.text)
    board = make_peer.board
    for n in range(3):
        make_peer(f"server {n}", "accept read:500 send:250 read fin", listener=listener)
    clients = [make_peer(f"client {n}", f"connect send:500 read:250 set:up-{n} await:all fin read",
                         address=weir.address) for n in range(3)]
    for n in range(3):
        board.await_flag(f"up-{n}")
    board.raise_flag("all")
    for client in clients:
        client.finish()
    wait_for_closed(weir, 3)
    assert weir.stop() == 0
    summary = weir.summary()
    assert (summary["sessions"], summary["peak"]) == ("3", "3")
    assert (summary["up"], summary["down"]) == ("1.50 kB", "750 B")
    assert summary["connect"]


def test_version_names_version_commit_and_compiler():
    said = run_weir("--version")
    assert said.returncode == 0 and said.stderr == ""
    assert re.search(r"weir \d+\.\d+\.\d+", said.stdout)
    assert re.search(r"\b([0-9a-f]{7,40}|unknown)\b", said.stdout)
    assert re.search(r"GCC|GNU|g\+\+|[Cc]lang", said.stdout)


@pytest.mark.parametrize("words", [["--help"], ["tap", "--help"]])
def test_help_goes_to_stdout_and_succeeds(words):
    said = run_weir(*words)
    assert said.returncode == 0 and said.stderr == ""
    assert "tap" in said.stdout and "LISTEN" in said.stdout + run_weir("tap", "--help").stdout


# -- how it ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_without_sessions_ends_it_at_once_with_0(start_weir, listener, number):
    weir = start_weir(listener.text)
    weir.signal(number)
    assert weir.wait(5.0) == 0
    assert weir.summary()["sessions"] == "0"


def test_the_first_signal_refuses_new_clients_and_lets_sessions_go_on(scene):
    scene.open()
    scene.start_server("accept echo fin")
    scene.start_client("connect send:10 read:10 set:up await:told send:10 read:10 fin read")
    scene.board.await_flag("up")
    scene.weir.signal(signal.SIGINT)
    scene.wait_until_not_listening()
    wait_until(lambda: "second signal" in scene.weir.stderr(), "it says what the next one does")
    scene.board.raise_flag("told")
    scene.finish()
    assert scene.weir.wait(5.0) == 0
    assert scene.session().cause == "client.fin"


def test_once_ends_after_one_session(scene):
    scene.open("--once")
    scene.play(client="connect send:10 read:10 fin read", server="accept echo:10 read fin")
    assert scene.weir.wait(5.0) == 0
    assert scene.weir.summary()["sessions"] == "1"


def test_once_ends_after_a_session_that_failed(scene, listener):
    listener.close()
    scene.open("--once", upstream=listener.text)
    scene.play(client="connect hangup")
    assert scene.weir.wait(5.0) == 0
    assert scene.session().cause == "connect.refused"


def test_once_serves_no_second_client(scene, make_peer):
    scene.open("--once")
    server = make_peer("server", "accept echo:10 await:second read fin", listener=scene.listener)
    first = make_peer("first", "connect send:10 read:10 set:up await:second fin read", address=scene.weir.address)
    scene.board.await_flag("up")
    with socket.socket() as second:
        second.settimeout(5.0)
        try:  # refused, or left unanswered until weir ends
            second.connect(scene.weir.address)
            second.send(b"hello")
        except ConnectionRefusedError:
            pass
        scene.board.raise_flag("second")
        first.finish()
        server.finish()
        assert scene.weir.wait(5.0) == 0
    assert list(wait_for_closed(scene.weir)) == [1]


def test_a_closed_stdout_ends_it_cleanly(scene):
    """`weir tap ... | head -1`: not an error, and nothing about SIGPIPE."""
    read_end, write_end = os.pipe()
    scene.open(output=write_end, view=None)
    os.close(write_end)
    os.close(read_end)
    scene.start_server("accept read")
    scene.start_client("connect flood:10 hangup")  # weir may be gone before it sends
    scene.finish()
    assert scene.weir.wait(5.0) == 0
    assert "rror" not in scene.weir.stderr()


def test_a_full_disk_is_an_error_that_is_named(scene):
    full = os.open("/dev/full", os.O_WRONLY)
    scene.open(output=full)
    os.close(full)
    scene.start_server("accept read")
    scene.start_client("connect flood:10 hangup")  # weir may be gone before it sends
    scene.finish()
    assert scene.weir.wait(5.0) == 1
    assert "No space left on device" in scene.weir.stderr()


# -- limits and workers ------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["--help", "syslog pri local3.warning"])
def test_a_full_disk_under_what_is_printed_is_an_error(words):
    with open("/dev/full", "wb") as full:
        ran = subprocess.run([BINARY, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "weir: stdout: No space left on device\n")


def test_words_that_are_not_utf_8_are_told_as_such():
    ran = subprocess.run([BINARY, "proxy", "add", b"\xff", "0", "x:1"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "weir: a word of the command line is not UTF-8\n")


@pytest.mark.parametrize("descriptors", range(5, 25))
def test_however_few_descriptors_there_are_a_signal_ends_it(descriptors, tmp_path):
    said = tmp_path / "stderr"
    with open(said, "wb") as stderr:
        ran = subprocess.Popen(["sh", "-c", f'ulimit -n {descriptors}; exec "$0" tap 0 127.0.0.1:1', BINARY],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
    wait_until(lambda: ran.poll() is not None or b"listening on" in said.read_bytes(), "it runs, or says why not")
    ran.terminate()
    assert ran.wait(10 * PATIENCE) in (0, 1, -signal.SIGTERM)
    assert said.read_bytes()


def test_max_sessions_parks_the_third_client_until_one_ends(scene, make_peer):
    scene.open("--max-sessions", "2")
    for n in range(3):
        make_peer(f"server {n}", "accept echo fin", listener=scene.listener)
    first, _ = [make_peer(f"client {n}", f"connect send:10 read:10 set:up-{n} await:end-{n} fin read",
                          address=scene.weir.address) for n in range(2)]
    for n in range(2):
        scene.board.await_flag(f"up-{n}")
    third = make_peer("third", "connect send:10 set:sent read:10 set:served fin read", address=scene.weir.address)
    scene.board.await_flag("sent")
    stays_calm(scene.weir)
    assert not third.received, "a third session beside two of at most two"
    scene.board.raise_flag("end-0")
    first.finish()
    assert third.finish().felt == ["fin"]
    scene.board.raise_flag("end-1")
    wait_for_closed(scene.weir, 3)
    assert scene.weir.stop() == 0
    assert scene.weir.summary()["peak"] == "2"


@pytest.mark.parametrize("workers", ["2", "auto"])
def test_workers_share_the_sessions_and_number_them_once(scene, make_peer, workers):
    scene.open("--workers", workers)
    pairs = []
    for n in range(40):
        make_peer(f"server {n}", "accept echo fin", listener=scene.listener)
        pairs.append(make_peer(f"client {n}", "connect send:20k fin read", address=scene.weir.address))
    for client in pairs:
        assert client.finish().received == client.sent
    sessions = wait_for_closed(scene.weir, 40)
    assert sorted(sessions) == list(range(1, 41))
    assert {session.bytes("upstream") for session in sessions.values()} == {20480}
    assert {session.cause for session in sessions.values()} == {"client.fin"}


@pytest.mark.parametrize("polls", ["off", "auto"])
def test_it_has_no_work_while_nobody_is_there(scene, polls):
    scene.open("--poll", polls)
    stays_calm(scene.weir)


def test_a_worker_that_polls_relays_the_same_and_is_calm_behind_it(scene, make_peer):
    scene.open("--poll", "auto")
    make_peer("server", "accept echo fin", listener=scene.listener)
    script = "connect " + "send:64 read:64 " * 200 + "send:3M fin read"
    assert make_peer("client", script, address=scene.weir.address).finish().felt == ["fin"]
    wait_for_closed(scene.weir, 1)
    stays_calm(scene.weir)


@pytest.mark.parametrize("scene", ["json", "none"], indirect=True)
@pytest.mark.parametrize(("client", "server"), [
    pytest.param("set:there await:leave fin read", "await:leave read fin", id="a silent session"),
    pytest.param("fin set:there read", "read set:ended await:leave fin", id="a half-closed session"),
    pytest.param("urgent set:there await:leave fin read", "await:leave read fin", id="after urgent data"),
    pytest.param("flood:64M set:there await:leave close", "await:leave close", id="a server that never reads"),
])
def test_it_has_no_work_while_a_session_waits(scene, client, server):
    scene.open()
    scene.start_server(f"accept {server}")
    scene.start_client(f"connect {client}")
    scene.board.await_flag("there")
    scene.weir.wait_until_at_rest()
    stays_calm(scene.weir)
    scene.board.raise_flag("leave")
    scene.finish()


def test_it_has_no_work_while_long_clocks_run(scene):
    scene.open(*(word for name in ("idle", "idle.client", "idle.server", "first_byte.client", "first_byte.server",
                                   "half_close", "max_duration") for word in ("--timeout", f"{name}=1h")))
    scene.start_server("accept echo:10 await:leave read fin")
    scene.start_client("connect send:10 read:10 set:there await:leave fin read")
    scene.board.await_flag("there")
    scene.weir.wait_until_at_rest()
    stays_calm(scene.weir)
    scene.board.raise_flag("leave")
    scene.finish()


def test_it_has_no_work_while_it_connects(scene):
    hole = BlackHole()
    scene.open(upstream=hole.text)
    scene.start_client("connect fin set:there await:leave close")
    scene.board.await_flag("there")
    hole.wait_for_an_attempt()
    stays_calm(scene.weir)
    scene.board.raise_flag("leave")
    scene.finish()
    hole.close()


# -- colour ------------------------------------------------------------------------------------------


def output_on_a_terminal(weir_arguments, listener, make_peer, start_weir, environment):
    """What weir writes to a terminal while one session passes."""
    terminal, end = pty.openpty()
    weir = start_weir(listener.text, *weir_arguments, view="text", output=end, environment=environment)
    os.close(end)
    make_peer("server", "accept echo fin", listener=listener)
    make_peer("client", "connect say:hello fin read", address=weir.address).finish()
    seen = bytearray()

    def closed():
        seen.extend(os.read(terminal, 65536))
        return b"closed by" in seen and seen.endswith(b"\n")
    wait_until(closed, "the session's end is shown")
    assert weir.stop() == 0
    os.close(terminal)
    return bytes(seen)


@pytest.mark.parametrize(("arguments", "environment", "coloured"), [
    pytest.param([], {"TERM": "xterm"}, True, id="a terminal"),
    pytest.param([], {"TERM": "xterm", "NO_COLOR": "1"}, False, id="NO_COLOR"),
    pytest.param([], {"TERM": "dumb"}, False, id="a dumb terminal"),
    pytest.param(["--color", "never"], {"TERM": "xterm"}, False, id="never"),
    pytest.param(["--color", "always"], {"TERM": "xterm", "NO_COLOR": "1"}, True, id="always, asked for by name"),
])
def test_colour_on_a_terminal(arguments, environment, coloured, listener, make_peer, start_weir):
    assert (b"\x1b[" in output_on_a_terminal(arguments, listener, make_peer, start_weir,
                                             {"NO_COLOR": "", **environment})) is coloured


@pytest.mark.parametrize(("how", "coloured"), [("auto", False), ("always", True)])
@pytest.mark.parametrize("scene", ["text"], indirect=True)
def test_colour_in_a_file(scene, how, coloured):
    scene.open("--color", how)
    scene.play(client="connect say:hello fin read", server="accept read fin")
    assert scene.weir.stop() == 0
    assert (b"\x1b[" in scene.weir.output()) is coloured
