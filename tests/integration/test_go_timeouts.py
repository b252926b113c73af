"""The timeouts of Go's net/http, provoked by faults between a Go client and a Go server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deadline import PATIENCE
from serve_process import Serve

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "tests" / "foreign" / "go_timeouts" / "main.go"
FIRING = ["Server.ReadHeaderTimeout", "Server.ReadTimeout", "Server.WriteTimeout", "Server.IdleTimeout",
          "Transport.TLSHandshakeTimeout", "Transport.ResponseHeaderTimeout", "Transport.ExpectContinueTimeout",
          "Client.Timeout"]
PENDING = ["Dialer.Timeout", "Transport.IdleConnTimeout"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("go") is None:
        pytest.skip("go is not installed (package golang-go)")
    out = tmp_path_factory.mktemp("go") / "go_timeouts"
    # Nothing is fetched: one file and the standard library. The cache stands in build/, so it is warm next time.
    environment = {**os.environ, "GOCACHE": str(REPOSITORY / "build" / "go-cache"), "GOFLAGS": "", "GOPROXY": "off",
                   "GOTOOLCHAIN": "local"}
    built = subprocess.run(["go", "build", "-o", out, SOURCE], capture_output=True, text=True, check=False,
                           timeout=600, env=environment)
    assert built.returncode == 0, built.stderr
    return out


@pytest.mark.slow
def test_they_run_out_through_faults_and_not_without(program, weir_binary, tmp_path):
    serve = Serve(folder=tmp_path)
    try:
        run = subprocess.run([program, f"http://127.0.0.1:{serve.port}"], capture_output=True, text=True, check=False,
                             timeout=240 * PATIENCE)
    finally:
        assert serve.stop() == 0, serve.stderr()
    assert run.returncode == 0, run.stdout + run.stderr
    words = [line.split(":")[0].split(" ") for line in run.stdout.splitlines()]
    assert [name for verdict, name in words if verdict == "ok"] == FIRING
    assert [name for verdict, name in words if verdict == "pending"] == PENDING
    page = (REPOSITORY / "docs" / "timeouts.md").read_text()
    for name in FIRING + PENDING:
        assert f"`{name.rpartition('.')[2]}`" in page or f"`{name}`" in page, f"docs/timeouts.md says nothing of {name}"
