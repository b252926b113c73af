"""The files that Weir writes: moved, cut, removed, too long, on a full disk; and descriptors that are closed."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess

import pytest

from deadline import PATIENCE, Deadline, wait_until
from echo import connect, echo_server, echoes, receive
from serve_process import Serve
from weir_process import BINARY, one_sentence, run_weir

pytestmark = pytest.mark.usefixtures("weir_binary")


OBSERVED = """
[[observers]]
output = "{view}"
[[proxies]]
name = "db"
upstream = "127.0.0.1:{port}"
"""


def events_in(path):
    """The whole lines of a JSON view; every one must be an object."""
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]


def limit_files(process, size):
    """No file of the process may grow beyond this: a full disk that needs no root."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


class Client:
    """A client of a tap in front of a server that sends back what comes."""

    def __init__(self, weir):
        self.socket = socket.create_connection(weir.address, timeout=10 * PATIENCE)

    def echo(self, data):
        self.socket.sendall(data)
        return receive(self.socket, len(data)) == data

    def close(self):
        self.socket.close()


@pytest.fixture
def tap(start_weir):
    """tap(*options): a running weir tap --show json -o FILE in front of an echo server, with a client."""
    with echo_server() as port, contextlib.ExitStack() as clients:
        def start(*options, **how):
            weir = start_weir(f"127.0.0.1:{port}", *options, **how)
            weir.client = Client(weir)
            clients.callback(weir.client.close)
            return weir
        yield start


# -- rotation ----------------------------------------------------------------------------------------


def test_copytruncate_leaves_no_hole(tap):
    weir = tap()
    assert weir.client.echo(b"before" * 100)
    wait_until(lambda: len(weir.events()) >= 3, "it is written")
    os.truncate(weir.output_path, 0)
    assert weir.client.echo(b"after")
    wait_until(lambda: len(weir.events()) >= 2, "what comes is written")
    assert b"\0" not in weir.output()


@pytest.mark.parametrize("idle", [False, True], ids=["traffic goes on", "nothing passes"])
def test_rename_and_hangup_begin_a_new_file(tap, idle):
    weir = tap()
    assert weir.client.echo(b"before")
    wait_until(lambda: len(weir.events()) >= 3, "it is written")
    moved = weir.folder / "view.1"
    weir.output_path.rename(moved)
    weir.signal(signal.SIGHUP)
    wait_until(weir.output_path.exists, "it opened the file again")
    assert weir.running()
    if not idle:
        assert weir.client.echo(b"after")
        wait_until(lambda: "after" in weir.lines(), "what comes is in the new file")
    assert [each["event"] for each in events_in(moved)] == ["opened", "chunk", "chunk"]
    weir.client.close()
    wait_until(lambda: "closed" in [each["event"] for each in weir.events()], "the end is in the new file")
    assert weir.stop() == 0


def test_an_observers_file_of_serve_is_rotated_both_ways(weir_binary, tmp_path):
    view = tmp_path / "view"
    with echo_server() as port:
        config = tmp_path / "weir.toml"
        config.write_text(OBSERVED.format(view=view, port=port))
        serve = Serve("-c", config, folder=tmp_path)
        try:
            with connect(serve) as client:
                assert echoes(client)
                wait_until(lambda: len(events_in(view)) >= 3, "it is written")
                os.truncate(view, 0)
                assert echoes(client)
                wait_until(lambda: len(events_in(view)) >= 2, "what comes is written")
                assert b"\0" not in view.read_bytes()
                view.rename(tmp_path / "view.1")
                serve.process.send_signal(signal.SIGHUP)
                wait_until(view.exists, "it opened the file again")
                assert echoes(client, b"after")
                wait_until(lambda: "after" in view.read_text(), "what comes is in the new file")
        finally:
            assert serve.stop() == 0, serve.stderr()


def test_watch_opens_its_file_again(serve, tmp_path):
    view = tmp_path / "view"
    with echo_server() as port:
        serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{port}"})
        words = ["--url", f"http://127.0.0.1:{serve.port}", "--show", "json", "-o", view]
        watch = subprocess.Popen([BINARY, "watch", *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert watch.stderr.readline() == "weir: watching all proxies\n"
            with connect(serve) as client:
                assert echoes(client)
                wait_until(lambda: len(events_in(view)) >= 3, "it is written")
                view.rename(tmp_path / "view.1")
                watch.send_signal(signal.SIGHUP)
                wait_until(view.exists, "it opened the file again, though nothing passes")
                assert echoes(client, b"after")
                wait_until(lambda: "after" in view.read_text(), "what comes is in the new file")
        finally:
            watch.terminate()
            watch.wait(Deadline(10.0).left())
            watch.stderr.close()


def test_a_file_that_is_there_is_added_to_and_that_is_said(tap, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text('{"event":"mine"}\n')
    weir = tap("-o", kept, output=subprocess.DEVNULL)
    assert weir.client.echo(b"x")
    wait_until(lambda: len(events_in(kept)) >= 3, "it is written")
    assert events_in(kept)[0] == {"event": "mine"}
    assert f"-o {kept}: it holds 17 B already" in weir.stderr() and "--overwrite" in weir.stderr()
    assert weir.stop() == 0


def test_a_dash_is_stdout(start_weir, listener, make_peer):
    weir = start_weir(listener.text, "-o", "-", output="stdout")
    make_peer("server", "accept echo fin", listener=listener)
    make_peer("client", "connect send:10 fin read", address=weir.address).finish()
    assert weir.stop() == 0
    assert [each["event"] for each in weir.events()][-1] == "closed"


def test_overwrite_begins_it_anew(tap, tmp_path):
    old = tmp_path / "old"
    old.write_text("not JSON")
    weir = tap("--overwrite", "-o", old, output=subprocess.DEVNULL)
    assert weir.client.echo(b"x")
    wait_until(lambda: len(events_in(old)) >= 3, "it is written")
    assert "already" not in weir.stderr()


def test_files_of_a_size(tap):
    weir = tap("--rotate-size", "2KiB")
    for _ in range(50):
        assert weir.client.echo(b"x" * 100)
    weir.client.close()
    assert weir.stop() == 0
    count = len(list(weir.folder.glob("view.*")))
    assert count > 3
    files = [weir.folder / f"view.{n}" for n in range(1, count + 1)]
    assert all(2048 <= each.stat().st_size < 4096 for each in files)
    events = [event for each in [*files, weir.output_path] for event in events_in(each)]
    assert [event["event"] for event in events].count("chunk") >= 100
    assert events[0]["event"] == "opened" and events[-1]["event"] == "closed", "no event is lost, in order"


def test_files_of_an_age(tap):
    weir = tap("--rotate-every", "1s")
    assert weir.client.echo(b"x")
    wait_until((weir.folder / "view.1").exists, "the file was begun anew, though nothing comes", 20.0)
    assert weir.client.echo(b"later")
    wait_until((weir.folder / "view.2").exists, "and once more", 20.0)
    assert "later" in (weir.folder / "view.2").read_text()


@pytest.mark.parametrize("words", [["--rotate-size", "1MiB"], ["--overwrite"], ["--rotate-every", "1h"]])
def test_what_is_about_a_file_needs_one(words):
    said = run_weir("tap", *words, "0", "127.0.0.1:9")
    one_sentence(said.stderr, words[0], "-o FILE")
    assert said.returncode == 2


# -- a full disk -------------------------------------------------------------------------------------


def test_a_tap_outlives_a_full_disk_with_a_gap(tap):
    weir = tap()
    before = b"before" * 500  # so that what is said on stderr stays below the limit
    assert weir.client.echo(before)
    wait_until(lambda: len(weir.events()) >= 3, "it is written")
    limit_files(weir.process, weir.output_path.stat().st_size + 50)
    kept = b"kept, as it came before the first error"
    assert weir.client.echo(kept)
    wait_until(lambda: "File too large (EFBIG)" in weir.stderr(), "it is told, with the errno")
    for _ in range(20):
        assert weir.client.echo(b"meanwhile"), "the traffic goes on"
    assert weir.stderr().count("EFBIG") == 1 and str(weir.output_path) in weir.stderr()
    limit_files(weir.process, None)
    wait_until(lambda: "gap" in [each["event"] for each in weir.events()], "it came back by itself")
    assert weir.client.echo(b"after")
    wait_until(lambda: "after" in weir.lines(), "what comes is written")
    weir.client.close()
    assert weir.stop() == 0
    events = events_in(weir.output_path)  # every line is whole
    gap = next(each for each in events if each["event"] == "gap")
    shown = sum(each["bytes"] for each in events if each["event"] == "chunk")
    assert gap["error"] == "File too large"
    passed = 2 * (len(before) + len(kept) + 20 * len("meanwhile") + len("after"))
    assert shown + gap["bytes"] == passed, "every byte is accounted for"
    assert "written to again" in weir.stderr()


def test_a_disk_that_is_full_at_the_end_is_an_error(tap):
    weir = tap()
    assert weir.client.echo(b"x" * 3000)
    wait_until(lambda: len(weir.events()) >= 3, "it is written")
    limit_files(weir.process, weir.output_path.stat().st_size)
    assert weir.client.echo(b"x")
    wait_until(lambda: "EFBIG" in weir.stderr(), "it is told")
    weir.client.close()
    weir.signal(signal.SIGTERM)
    assert weir.wait() == 1
    assert "the end of the view is not written" in weir.stderr()


def test_an_observer_of_serve_comes_back(weir_binary, tmp_path):
    view = tmp_path / "view"
    with echo_server() as port:
        config = tmp_path / "weir.toml"
        config.write_text(OBSERVED.format(view=view, port=port))
        serve = Serve("-c", config, folder=tmp_path)
        try:
            with connect(serve) as client:
                for _ in range(30):
                    assert echoes(client, b"x" * 100)
                wait_until(lambda: [each.get("offset") for each in events_in(view)].count(2900) == 2, "it is written")
                limit_files(serve.process, view.stat().st_size + 10)
                assert echoes(client)
                wait_until(lambda: f"observer {view}: File too large (EFBIG)" in serve.stderr(), "it is told")
                ready = serve.get("/api/v1/ready")
                assert (ready.status, ready.json["outputs_not_written"]) == (
                    200, [{"output": str(view), "error": "File too large"}])
                assert f'weir_observer_output_up{{output="{view}"}} 0' in serve.get("/metrics").text
                limit_files(serve.process, None)
                wait_until(lambda: serve.stderr().count("written to again") == 1, "it came back by itself")
                assert serve.get("/api/v1/ready").json["outputs_not_written"] == []
                assert f'weir_observer_output_outages_total{{output="{view}"}} 1' in serve.get("/metrics").text
        finally:
            assert serve.stop() == 0, serve.stderr()
        assert events_in(view)[-1]["event"] == "closed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_tmpfs(tap, tmp_path):
    """ENOSPC itself: in a mount namespace of weir's own, where a file system holds 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    weir = tap("-o", disk / "view", output=subprocess.DEVNULL,
               enter=["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=512k none {disk} && exec "$0" "$@"'])
    seen = f"/proc/{weir.process.pid}/root{disk}"
    for _ in range(400):
        assert weir.client.echo(b"y" * 1000), "the traffic goes on"
    wait_until(lambda: "No space left on device (ENOSPC)" in weir.stderr(), "it is told")
    # Somebody makes room the hard way; the file that is removed must let go of its bytes.
    os.unlink(f"{seen}/view")
    wait_until(lambda: "written to again" in weir.stderr(), "it came back by itself")
    assert weir.client.echo(b"after")
    wait_until(lambda: b"after" in open(f"{seen}/view", "rb").read(), "what comes is written")
    text = open(f"{seen}/view", "rb").read()
    assert all(json.loads(line) for line in text.splitlines()) and b'"gap"' in text
    weir.client.close()
    assert weir.stop() == 0


# -- closed descriptors ------------------------------------------------------------------------------


def run_with_closed(redirections, *words):
    return subprocess.run(["sh", "-c", f'exec "$0" "$@" {redirections}', *map(str, words)], capture_output=True,
                          text=True, timeout=20 * PATIENCE, check=False)


def test_a_tap_without_stdout_says_so():
    said = run_with_closed(">&-", BINARY, "tap", "0", "127.0.0.1:9")
    assert said.returncode == 1
    one_sentence(said.stderr, "standard output is closed")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["help", "tap"], ["syslog", "pri", "local3.info"]])
def test_printing_to_a_closed_stdout_is_an_error(words):
    said = run_with_closed(">&-", BINARY, *words)
    assert (said.returncode, said.stderr) == (1, "weir: stdout: Bad file descriptor\n")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_no_message_lands_among_the_lines_of_the_view(start_weir, listener, make_peer, closed):
    weir = start_weir(listener.text, "--fault", "latency latency=1ms",
                      enter=["sh", "-c", f'exec "$0" "$@" {closed}'])
    make_peer("server", "accept echo fin", listener=listener)
    make_peer("client", "connect send:10 fin read", address=weir.address).finish()
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{weir.process.pid}/fd/{fd}") in ("/dev/null", str(weir.stderr_path))
    assert weir.stop() == 0
    assert [each["event"] for each in events_in(weir.output_path)][-1] == "closed"
    assert b"weir:" not in weir.output()


def test_a_plugin_without_stdin_or_stdout_fails_in_order(weir_binary):
    plugin = weir_binary.parents[1] / "cni" / "bridge"
    if not plugin.exists():
        pytest.skip("the CNI plugins are not built")
    environment = {"CNI_COMMAND": "VERSION", "PATH": os.environ["PATH"]}
    said = subprocess.run(["sh", "-c", 'exec "$0" >&-', plugin], env=environment, capture_output=True, check=False)
    assert said.returncode == 1
    environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "x", "CNI_NETNS": "/none", "CNI_IFNAME": "eth0",
                   "CNI_PATH": "/none", "PATH": os.environ["PATH"]}
    said = subprocess.run(["sh", "-c", 'exec "$0" <&-', plugin], env=environment, capture_output=True, text=True,
                          check=False)
    assert said.returncode == 1 and "error reading from stdin" in said.stdout
