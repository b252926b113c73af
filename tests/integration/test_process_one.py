"""Weir as process 1 of a PID namespace, as in a container: docker stop, signals, orphans."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from deadline import PATIENCE, Deadline, wait_until
from echo import connect, echo_server, echoes
from serve_process import Serve
from weir_process import BINARY

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a PID namespace is made"),
    pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("nsenter")),
                       reason="needs unshare and nsenter (package util-linux)"),
]

# `unshare` stays outside and ends as process 1 does; with it ends the namespace.
AS_PROCESS_ONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


def children_of(pid):
    return [int(word) for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()]


def process_one_of(unshare):
    """The number that process 1 has out here, once it runs weir."""
    def found():
        for pid in children_of(unshare.pid):
            if Path(os.readlink(f"/proc/{pid}/exe")).name == BINARY.resolve().name:
                return pid
        return None
    return wait_until(found, "process 1 is weir")


@pytest.fixture
def start(weir_binary, tmp_path):
    """Starts `weir serve OPTIONS` as process 1, or beside us with outside=True, with the proxy "db" in front of an echo."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(echo_server())

        def it(*options, outside=False):
            serve = Serve(*options, folder=tmp_path, prefix=() if outside else AS_PROCESS_ONE)
            stack.callback(serve.process.kill)
            serve.one = serve.process.pid if outside else process_one_of(serve.process)
            made = serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{upstream}"})
            assert made.status == 201, made.text
            return serve
        yield it


def ended(serve):
    return serve.process.wait(Deadline(20.0).left())


@pytest.mark.parametrize("options, outside, words", [
    ((), False, "at most 8.00s"),
    ((), True, "at most 30.0s"),
    (("--drain", "20s"), False, "at most 20.0s"),
    (("--drain", "30s"), False, "at most 30.0s"),
    (("--drain", "off"), False, "no limit"),
    (("-c", '[timeouts]\ndrain = "15s"\n'), False, "at most 15.0s"),
    (("-c", '[timeouts]\nidle = "15s"\n'), False, "at most 8.00s"),
])
def test_the_drain_ends_before_docker_kills(start, tmp_path, options, outside, words):
    if options[:1] == ("-c",):
        (tmp_path / "weir.toml").write_text(options[1])
        options = ("-c", tmp_path / "weir.toml")
    serve = start(*options, outside=outside)
    with connect(serve) as client:
        assert echoes(client)
        os.kill(serve.one, signal.SIGTERM)
        said = f"draining: 1 session open, {words}; a second signal ends it now"
        wait_until(lambda: said in serve.stderr(), f"it says: {said}")
        assert echoes(client), "the session goes on meanwhile"
        os.kill(serve.one, signal.SIGTERM)
        assert ended(serve) == 0


@pytest.mark.slow  # for the 8 s
def test_what_docker_stop_leaves_time_for_is_whole(start, tmp_path):
    view = tmp_path / "view.jsonl"
    (tmp_path / "weir.toml").write_text(f'[[observers]]\nshow = "json"\noutput = "{view}"\n')
    serve = start("-c", tmp_path / "weir.toml")
    with connect(serve) as client:
        assert echoes(client)
        os.kill(serve.one, signal.SIGTERM)
        assert serve.process.wait(10) == 0, "before docker would kill it"
    assert json.loads(view.read_text().splitlines()[-1])["message"] == "closed by drain after 8.00s"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_command_that_handles_no_signal_is_ended_by_it(weir_binary, number):
    """It waits for an API that does not answer. Process 1 would not even notice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen([*AS_PROCESS_ONE, BINARY, "ls", "--url", "http://127.0.0.1:%d" % silent.getsockname()[1]],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            silent.settimeout(20 * PATIENCE)
            with silent.accept()[0]:
                os.kill(process_one_of(process), number)
                assert process.wait(20 * PATIENCE) == 128 + number
        finally:
            process.kill()
            process.wait()


def test_a_signal_that_comes_during_the_start_is_obeyed(weir_binary, tmp_path):
    """The start waits for room in the pipe that is to hear of its end."""
    ready, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, b"x" * 4096)
    os.set_blocking(full, True)
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen([*AS_PROCESS_ONE, BINARY, "serve", "--api", "127.0.0.1:0", "--ready-fd", str(full)],
                                   stderr=stderr, pass_fds=[full])
    os.close(full)
    try:
        wait_until(lambda: "serving the API" in (tmp_path / "stderr").read_text(), "its start is at the word that it is done")
        os.kill(process_one_of(process), signal.SIGTERM)
        with os.fdopen(ready, "rb") as taken:
            assert b"serving the API" in taken.read(), "to its end, which is that of the process"
        assert process.wait(20 * PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_orphans_leave_no_zombies(start):
    """What docker exec leaves behind is given to process 1."""
    serve = start()
    before = set(children_of(serve.one))
    ended_by, end = os.pipe()
    # A process of the namespace whose child outlives it.
    subprocess.run(["nsenter", "--target", str(serve.one), "--pid", "sh", "-c", "exec 3<&0; cat <&3 & exit 0"],
                   check=True, stdin=ended_by, stdout=subprocess.DEVNULL, timeout=20 * PATIENCE)
    orphans = wait_until(lambda: set(children_of(serve.one)) - before, "process 1 has the orphan")
    os.close(ended_by)
    os.close(end)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), "nothing is left of it")
    os.kill(serve.one, signal.SIGTERM)
    assert ended(serve) == 0
