"""What a person sees of `weir tap` beside the stream: readiness, errors, signals, limits, the summary."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from black_hole import BlackHole
from deadline import wait_until
from peers import Listener
from scene import stays_calm
from session_log import wait_for_closed
from weir_process import run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")

NOBODY = 65534


def one_sentence(stderr, *mentioned):
    """Exactly one line, from weir, that names what is wrong. Returns it."""
    lines = stderr.splitlines()
    assert len(lines) == 1, f"one sentence was expected: {stderr!r}"
    assert lines[0].startswith("weir: ")
    for word in mentioned:
        assert word in lines[0], f"{word!r} is not named in {lines[0]!r}"
    return lines[0]


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


# -- wrong arguments: exit 2, one sentence -----------------------------------------------------------

GOOD = ("0", "127.0.0.1:9")


@pytest.mark.parametrize(("words", "mentioned"), [
    pytest.param(["tapp", *GOOD], ["tapp"], id="unknown command"),
    pytest.param(["tap"], ["LISTEN"], id="no arguments"),
    pytest.param(["tap", "0"], ["UPSTREAM"], id="no upstream"),
    pytest.param(["tap", *GOOD, "surplus"], ["surplus"], id="one too many"),
    pytest.param(["tap", "--bogus", *GOOD], ["--bogus"], id="unknown option"),
    pytest.param(["tap", "65536", GOOD[1]], ["65536"], id="listen: port too large"),
    pytest.param(["tap", "http", GOOD[1]], ["http"], id="listen: not a port"),
    pytest.param(["tap", "8888x", GOOD[1]], ["8888x"], id="listen: half a port"),
    pytest.param(["tap", "", GOOD[1]], ["LISTEN"], id="listen: empty"),
    pytest.param(["tap", "1.2.3.4.5:80", GOOD[1]], ["1.2.3.4.5"], id="listen: not an address"),
    pytest.param(["tap", "example.org:80", GOOD[1]], ["example.org"], id="listen: a name"),
    pytest.param(["tap", "[::1:80", GOOD[1]], ["[::1:80"], id="listen: bracket not closed"),
    pytest.param(["tap", "::1:80", GOOD[1]], ["::1:80"], id="listen: IPv6 without brackets"),
    pytest.param(["tap", "unix:", GOOD[1]], ["unix:"], id="listen: no path"),
    pytest.param(["tap", "unix:/" + "x" * 120, GOOD[1]], ["xxx", "107"], id="listen: path too long"),
    pytest.param(["tap", "0", "localhost"], ["localhost"], id="upstream: no port"),
    pytest.param(["tap", "0", "localhost:"], ["localhost:"], id="upstream: empty port"),
    pytest.param(["tap", "0", "localhost:0"], ["localhost:0"], id="upstream: port 0"),
    pytest.param(["tap", "0", "localhost:65536"], ["65536"], id="upstream: port too large"),
    pytest.param(["tap", "0", "localhost:http"], ["http"], id="upstream: not a port"),
    pytest.param(["tap", "0", ":5432"], [":5432"], id="upstream: no host"),
    pytest.param(["tap", "0", "[::1]"], ["[::1]"], id="upstream: IPv6 without a port"),
    pytest.param(["tap", "0", "[::g]:80"], ["::g"], id="upstream: not an IPv6 address"),
    pytest.param(["tap", "0", ""], ["UPSTREAM"], id="upstream: empty"),
    pytest.param(["tap", "0", "unix:"], ["unix:"], id="upstream: no path"),
    pytest.param(["tap", "--timeout", "idel=1s", *GOOD], ["idel"], id="timeout: unknown name"),
    pytest.param(["tap", "--timeout", "idle", *GOOD], ["idle"], id="timeout: no duration"),
    pytest.param(["tap", "--timeout", "idle=", *GOOD], ["idle"], id="timeout: empty duration"),
    pytest.param(["tap", "--timeout", "idle=5", *GOOD], ["idle", "\"5\""], id="timeout: no unit"),
    pytest.param(["tap", "--timeout", "idle=soon", *GOOD], ["idle", "soon"], id="timeout: not a duration"),
    pytest.param(["tap", "--timeout", "idle=-1s", *GOOD], ["idle", "-1s"], id="timeout: negative"),
    pytest.param(["tap", "--timeout", "tcp.keepalive.interval=off", *GOOD], ["tcp.keepalive.interval", "off"],
                 id="timeout: may not be off"),
    pytest.param(["tap", "--keepalive-count", "0", *GOOD], ["--keepalive-count"], id="keepalive count: 0"),
    pytest.param(["tap", "--keepalive-count", "many", *GOOD], ["--keepalive-count", "many"],
                 id="keepalive count: a word"),
    pytest.param(["tap", "--workers", "0", *GOOD], ["--workers"], id="workers: 0"),
    pytest.param(["tap", "--workers", "-1", *GOOD], ["--workers"], id="workers: negative"),
    pytest.param(["tap", "--workers", "few", *GOOD], ["--workers", "few"], id="workers: a word"),
    pytest.param(["tap", "--workers", "1000000", *GOOD], ["--workers", "1000000"], id="workers: absurd"),
    pytest.param(["tap", "--max-sessions", "few", *GOOD], ["--max-sessions", "few"], id="max sessions: a word"),
    pytest.param(["tap", "--max-sessions", "-1", *GOOD], ["--max-sessions"], id="max sessions: negative"),
    pytest.param(["tap", "--max-sessions", "0", *GOOD], ["--max-sessions"], id="max sessions: none at all"),
    pytest.param(["tap", "--show", "colours", *GOOD], ["--show", "colours"], id="show: unknown view"),
    pytest.param(["tap", "--only", "both", *GOOD], ["--only", "both"], id="only: unknown direction"),
    pytest.param(["tap", "--limit", "much", *GOOD], ["--limit", "much"], id="limit: not a size"),
    pytest.param(["tap", "--color", "sometimes", *GOOD], ["--color", "sometimes"], id="color: unknown"),
    pytest.param(["tap", "--filter-client", "nonsense", *GOOD], ["--filter-client", "nonsense"],
                 id="filter: no address"),
    pytest.param(["tap", "--when-slow", "panic", *GOOD], ["--when-slow", "panic"], id="when-slow: unknown"),
    pytest.param(["tap", "--ready-fd", "three", *GOOD], ["--ready-fd", "three"], id="ready-fd: a word"),
    pytest.param(["tap", "--ready-fd", "-1", *GOOD], ["--ready-fd"], id="ready-fd: negative"),
])
def test_a_wrong_argument_gets_one_sentence_and_exit_code_2(words, mentioned):
    said = run_weir(*words)
    one_sentence(said.stderr, *mentioned)
    assert said.returncode == 2
    assert said.stdout == ""


def test_an_unknown_timeout_is_answered_with_the_right_names():
    assert "idle" in one_sentence(run_weir("tap", "--timeout", "idel=1s", *GOOD).stderr).replace("idel", "")


def test_a_ready_descriptor_that_is_not_open_is_named():
    said = run_weir("tap", "--ready-fd", "99", *GOOD)
    one_sentence(said.stderr, "--ready-fd", "99")
    assert said.returncode in (1, 2)


def test_no_command_at_all_is_a_usage_error():
    said = run_weir()
    assert said.returncode == 2
    assert "tap" in said.stdout + said.stderr


# -- what the machine refuses: exit 1, one sentence --------------------------------------------------


def test_a_port_in_use_is_named_with_a_way_out(listener):
    said = run_weir("tap", listener.text, GOOD[1])
    sentence = one_sentence(said.stderr, listener.text, "in use")
    assert said.returncode == 1
    assert re.search(r"port 0|:0\b|another", sentence), f"no way out in {sentence!r}"


def test_an_address_of_another_machine_cannot_be_listened_on():
    said = run_weir("tap", "192.0.2.1:8888", GOOD[1])
    one_sentence(said.stderr, "192.0.2.1:8888")
    assert said.returncode == 1


def test_a_unix_socket_in_a_missing_folder(tmp_path):
    said = run_weir("tap", f"unix:{tmp_path}/missing/weir.sock", GOOD[1])
    one_sentence(said.stderr, f"{tmp_path}/missing/weir.sock")
    assert said.returncode == 1


def test_a_file_in_the_place_of_a_unix_socket_is_left_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("do not delete")
    said = run_weir("tap", f"unix:{precious}", GOOD[1])
    one_sentence(said.stderr, str(precious))
    assert said.returncode == 1
    assert precious.read_text() == "do not delete"


def test_a_unix_socket_that_is_in_use_is_left_alone(tmp_path, start_weir, make_peer):
    server = Listener(path=str(tmp_path / "busy.sock"))
    said = run_weir("tap", server.text, GOOD[1])
    one_sentence(said.stderr, server.text)
    assert said.returncode == 1
    # The first to be accepted may be weir's own look whether somebody is there.
    make_peer("server", "accept close accept close", listener=server)
    assert make_peer("client", "connect read", address=server.address).finish().felt == ["fin"]
    server.close()


def test_an_output_file_in_a_missing_folder(tmp_path):
    said = run_weir("tap", "-o", f"{tmp_path}/missing/file", *GOOD)
    one_sentence(said.stderr, f"{tmp_path}/missing/file")
    assert said.returncode == 1


@pytest.fixture
def weir_for_everybody(weir_binary):
    """A copy of the binary where every user may enter."""
    with tempfile.TemporaryDirectory(prefix="weir-test-") as folder:
        os.chmod(folder, 0o755)
        copy = shutil.copy(weir_binary, folder)
        os.chmod(copy, 0o755)
        yield copy


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run weir as somebody else")


@as_root
def test_a_unix_socket_where_weir_may_not_write(weir_for_everybody):
    said = subprocess.run([weir_for_everybody, "tap", "unix:/etc/weir-test.sock", GOOD[1]],
                          capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL, check=False,
                          user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    one_sentence(said.stderr, "/etc/weir-test.sock", "ermission denied")
    assert said.returncode == 1


@as_root
def test_a_port_that_needs_a_permission(room, weir_for_everybody):
    room.run("sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=1024")
    said = subprocess.run([*room.enter, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                           weir_for_everybody, "tap", "80", GOOD[1]], capture_output=True, text=True, timeout=10,
                          stdin=subprocess.DEVNULL, check=False, cwd="/")
    sentence = one_sentence(said.stderr, "127.0.0.1:80", "ermission denied")
    assert said.returncode == 1
    assert re.search(r"1024|root|CAP_NET_BIND_SERVICE", sentence), f"no way out in {sentence!r}"


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
    assert "second signal" in scene.weir.stderr()
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
    scene.start_client("connect send:10 hangup")
    scene.finish()
    assert scene.weir.wait(5.0) == 0
    assert "rror" not in scene.weir.stderr()


def test_a_full_disk_is_an_error_that_is_named(scene):
    full = os.open("/dev/full", os.O_WRONLY)
    scene.open(output=full)
    os.close(full)
    scene.start_server("accept read")
    scene.start_client("connect send:10 hangup")
    scene.finish()
    assert scene.weir.wait(5.0) == 1
    assert "No space left on device" in scene.weir.stderr()


# -- limits and workers ------------------------------------------------------------------------------


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


def test_it_has_no_work_while_nobody_is_there(scene):
    scene.open()
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
