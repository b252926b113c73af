"""The commands that rule a running weir, when what answers at the URL is something else."""

import contextlib
import http.server
import subprocess
import threading

import pytest

from deadline import PATIENCE
from weir_process import run_weir

COMMANDS = ["proxy list", "proxy show db", "proxy add db 0 localhost:1", "proxy set db upstream=x:1", "proxy disable db",
            "fault catalog", "fault list db", "fault add db latency latency=1ms", "fault set db f latency=1ms",
            "sessions", "sessions --proxy db"]
ANSWERS = [b"", b"{}", b"null", b"[]", b"<html>Welcome</html>", b'{"proxies":[{}],"faults":[{}],"sessions":[{}]}',
           b'{"proxies":7,"faults":7,"sessions":7,"name":7}', b'{"proxies":[{"name":"x","listen":1,"upstream":2,"enabled":"yes"}]}',
           b"[" * 70000 + b"]" * 70000]


@contextlib.contextmanager
def stranger(body, status=200):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("body", ANSWERS, ids=lambda body: body[:20].decode() or "nothing")
def test_what_is_no_weir_is_told_as_such(body):
    with stranger(body) as url:
        for command in COMMANDS:
            ran = run_weir(*command.split(), "--url", url)
            assert ran.returncode == 1, (command, ran)
            assert f"what answers at {url} is not weir's API" in ran.stderr or "nested deeper" in ran.stderr, (command, ran)


@pytest.mark.parametrize("body", ANSWERS, ids=lambda body: body[:20].decode() or "nothing")
def test_refusals_of_strangers_end_the_command(body):
    with stranger(body, status=500) as url:
        for command in COMMANDS:
            ran = run_weir(*command.split(), "--url", url)
            assert ran.returncode == 1 and ran.stderr.count("\n") == 1, (command, ran)


@pytest.mark.parametrize("body", [b"data: 5\n\n", b"id: x\ndata: []\n\n", b"data: {\n\n", b"data: " + b"[" * 70000 + b"\n\n"],
                         ids=["number", "list", "half", "deep"])
@pytest.mark.parametrize("options", [(), ("--json",), ("--follow",), ("--follow", "--json")], ids=" ".join)
def test_events_of_strangers_end_the_command(body, options):
    with stranger(body) as url:
        ran = run_weir("events", *options, "--url", url)
        assert ran.returncode == 1 and ("is not weir's API" in ran.stderr or "nested deeper" in ran.stderr), ran


@pytest.mark.parametrize(("time", "shown"), [("1778328187.25", "2026-05-09T12:03:07.250000Z"), ("1e300", "-"),
                                             ("-1", "-"), ('"x"', "-"), ("null", "-")])
def test_an_event_begins_with_its_time(time, shown):
    with stranger(f'id: 1\nevent: x\ndata: {{"a":1,"time":{time}}}\n\n'.encode()) as url:
        ran = run_weir("events", "--url", url)
        assert ran.returncode == 0 and ran.stdout.split() == [shown, "x", "a=1"], ran


def test_an_event_id_that_is_no_number_is_shown_as_it_is():
    with stranger(b'id: 99999999999999999999999\nevent: x\ndata: {"a":1}\n\n') as url:
        ran = run_weir("events", "--json", "--url", url)
        assert ran.returncode == 0 and '"id":"99999999999999999999999"' in ran.stdout, ran


@pytest.mark.parametrize("body", ANSWERS, ids=lambda body: body[:20].decode() or "nothing")
def test_toxiproxys_command_at_strangers(weir_binary, tmp_path, body):
    program = tmp_path / "toxiproxy-cli"
    program.symlink_to(weir_binary)
    with stranger(body) as url:
        for command in ("list", "inspect db", "toggle db", "toxic add -t latency -a latency=1 db"):
            ran = subprocess.run([program, "-h", url, *command.split()], capture_output=True, timeout=10 * PATIENCE, check=False)
            assert ran.returncode in (0, 1), (command, ran)
