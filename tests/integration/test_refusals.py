"""Command lines that are wrong (exit 2) and work that the machine refuses (exit 1): one sentence each."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest

from peers import Listener
from weir_process import WITHOUT_COUNTS, one_sentence, run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")

NOBODY = 65534

# -- wrong arguments: exit 2, one sentence -----------------------------------------------------------

GOOD = ("0", "127.0.0.1:9")


@pytest.mark.parametrize(("words", "mentioned"), [
    pytest.param(["tapp", *GOOD], ["tapp"], id="unknown command"),
    pytest.param(["demoo"], ['did you mean "demo"?'], id="command with a letter too many"),
    pytest.param(["proxy", "lst"], ['"proxy lst"', 'did you mean "list"?'], id="unknown command of a command"),
    pytest.param(["proxy"], ["proxy needs a command", "list, show"], id="no command of a command"),
    pytest.param(["tap"], ["LISTEN"], id="no arguments"),
    pytest.param(["tap", "0"], ["UPSTREAM"], id="no upstream"),
    pytest.param(["tap", *GOOD, "surplus"], ["surplus"], id="one too many"),
    pytest.param(["tap", "--bogus", *GOOD], ["--bogus"], id="unknown option"),
    pytest.param(["tap", "--shwo", "hex", *GOOD], ["no option --shwo", "did you mean --show?"],
                 id="option with letters swapped"),
    pytest.param(["tap", "-Q", *GOOD], ["no option -Q"], id="unknown short option"),
    pytest.param(["why", "--hlep"], ["no option --hlep", "did you mean --help?"], id="unknown option in place of what is required"),
    pytest.param(["--vresion"], ["no option --vresion", "did you mean --version?"], id="unknown option of weir itself"),
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
    pytest.param(["tap", "--poll", "often", *GOOD], ["--poll", "often"], id="poll: a word"),
    pytest.param(["tap", "--poll", "1s", *GOOD], ["--poll", "1s", "10ms"], id="poll: absurd"),
    pytest.param(["serve", "--poll", "0"], ["--poll", "off"], id="poll: none"),
    pytest.param(["tap", "--congestion", "no_such", *GOOD], ["--congestion", "no_such", "tcp_a"],
                 id="congestion: one that the kernel has not"),
    pytest.param(["tap", "--congestion", "Cubic!", *GOOD], ["--congestion", "auto"], id="congestion: no name"),
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
                          user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env=WITHOUT_COUNTS)
    one_sentence(said.stderr, "/etc/weir-test.sock", "ermission denied")
    assert said.returncode == 1


@as_root
def test_a_port_that_needs_a_permission(room, weir_for_everybody):
    room.run("sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=1024")
    said = subprocess.run([*room.enter, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                           weir_for_everybody, "tap", "80", GOOD[1]], capture_output=True, text=True, timeout=10,
                          stdin=subprocess.DEVNULL, check=False, cwd="/", env=WITHOUT_COUNTS)
    sentence = one_sentence(said.stderr, "127.0.0.1:80", "ermission denied")
    assert said.returncode == 1
    assert re.search(r"1024|root|CAP_NET_BIND_SERVICE", sentence), f"no way out in {sentence!r}"
