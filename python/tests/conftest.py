"""Tests of the Python client, against a real `weir serve`: the one that WEIR_BIN names, or build/release has.

    /usr/bin/python3 -m pytest python/tests

peers.py has the upstreams that traffic goes to; processes.py the scripts that are killed. Nothing sleeps to
synchronise, and no connection leaves the machine.
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Iterator

import pytest

import weir
from peers import Echo


BUILT = Path(__file__).parents[2] / "build" / "release" / "src" / "cli" / "weir"
if BUILT.exists():
    os.environ.setdefault("WEIR_BIN", str(BUILT))


def _is_installed() -> bool:
    try:
        importlib.metadata.distribution("weir-proxy")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


# Once installed, pytest finds the plugin by itself, and refuses it a second time.
pytest_plugins = ["pytester"] if _is_installed() else ["pytester", "weir.pytest_plugin"]


@pytest.fixture
def echo() -> Iterator[Echo]:
    """An upstream that sends back what it gets."""
    with Echo() as it:
        yield it


@pytest.fixture(scope="module")
def module_server() -> Iterator[weir.Server]:
    with weir.Server() as it:
        yield it


@pytest.fixture
def server(module_server: weir.Server) -> Iterator[weir.Server]:
    """A private server; a test that leaves something behind on it fails."""
    yield module_server
    left = [each["name"] for each in module_server.proxies()]
    for name in left:
        module_server.api.ask("DELETE", f"/api/v1/proxies/{name}")
    assert left == [], "proxies were left behind"


@pytest.fixture
def db(server: weir.Server, echo: Echo) -> Iterator[weir.Proxy]:
    """A proxy in front of `echo`."""
    with server.proxy("db", upstream=echo.address) as it:
        yield it
