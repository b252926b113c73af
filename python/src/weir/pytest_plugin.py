"""Fixtures `weir_server` and `weir_proxy`, the marker `fault`, and events and diagnoses in the reports of failed tests.

Found by pytest by itself once the package is installed. Nothing is started that no test asks for. Under
pytest-xdist each worker has a server of its own, on ports of the kernel's choice; with --weir-url all share one,
and the proxies' names keep them apart.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import Any, Dict, Generator, List, Optional, Protocol

import pytest

from ._client import Client, connect
from ._errors import Conflict
from ._event import Event
from ._proxy import Proxy
from ._server import Server

MOST_EVENTS = 200  # of a failed test that are shown


class ProxyFactory(Protocol):
    """weir_proxy(upstream, name=None, **options): a created proxy, which goes with the test."""

    def __call__(self, upstream: str, name: Optional[str] = None, **options: Any) -> Proxy: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("weir")
    group.addoption("--weir-bin", metavar="PATH",
                    help="The weir that weir_server starts (default: WEIR_BIN, then PATH)")
    group.addoption("--weir-url", metavar="URL",
                    help="Use this running `weir serve` in place of one of our own; WEIR_TOKEN is its token")
    group.addoption("--weir-seed", metavar="N", type=int,
                    help="What all faults draw from: the same seed, the same faults (default: drawn, and reported)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fault(type, proxy=None, **attributes): every proxy that the test makes with weir_proxy, or the one "
                   "of that name, has this fault from its first session on")


@pytest.fixture(scope="session")
def weir_server(request: pytest.FixtureRequest) -> Generator[Client, None, None]:
    """A private `weir serve` for this run of pytest (with xdist: for each worker), or the one of --weir-url."""
    url = request.config.getoption("--weir-url")
    client = connect(url) if url else Server(binary=request.config.getoption("--weir-bin"),
                                             seed=request.config.getoption("--weir-seed"))
    with client:
        yield client


class _TestScene:
    """What one test has made."""

    def __init__(self, server: Client, item: pytest.Item) -> None:
        self._server = server
        self._stack = ExitStack()
        self._prefix = _prefix(item, shared=not isinstance(server, Server))
        self._marks = list(item.iter_markers("fault"))
        self._start = server.last_event()
        self._names: Dict[str, str] = {}
        self._proxies: List[Proxy] = []

    def make(self, upstream: str, name: Optional[str] = None, **options: Any) -> Proxy:
        short = name or f"proxy{len(self._names) + 1}"
        proxy = self._stack.enter_context(self._server.proxy(f"{self._prefix}{short}", upstream, **options))
        self._names[proxy.name] = short
        self._proxies.append(proxy)
        for mark in reversed(self._marks):  # the marker nearest to the test comes first in iter_markers
            attributes = dict(mark.kwargs)
            wanted = attributes.pop("proxy", None)
            if wanted in (None, short):
                self._stack.enter_context(proxy.fault(*mark.args, **attributes))
        return proxy

    def events(self) -> List[Event]:
        return [each for each in self._server.past_events(self._start) if each.proxy in self._names]

    def diagnoses(self) -> List[str]:
        """The report of each proxy that is diagnosed."""
        reports = []
        for proxy in self._proxies:
            try:
                reports.append(f"{self._names[proxy.name]}: {proxy.report()}")
            except Conflict:
                pass  # its `diagnose` is off
        return reports

    def seed(self) -> int:
        return int(self._server.version()["seed"])

    def close(self) -> None:
        self._stack.close()


def _prefix(item: pytest.Item, shared: bool) -> str:
    """Of the names that a test gives. Faults draw from names, so they are the same in each run; but on a shared
    server no other worker's and no other run's."""
    test = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", item.name)[:80]
    return f"{test}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}-" if shared else f"{test}-"


_scene = pytest.StashKey[_TestScene]()


@pytest.fixture
def weir_proxy(weir_server: Client, request: pytest.FixtureRequest) -> Generator[ProxyFactory, None, None]:
    """Makes proxies that go with the test: weir_proxy("127.0.0.1:5432"), and of the fault markers' faults."""
    scene = _TestScene(weir_server, request.node)
    request.node.stash[_scene] = scene
    try:
        yield scene.make
    finally:
        scene.close()


@pytest.hookimpl(hookwrapper=True)  # type: ignore[misc] # of pluggy, untyped before 1.3
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    scene = item.stash.get(_scene, None)
    if report.when != "call" or not report.failed or scene is None:
        return
    try:
        seed, events, diagnoses = scene.seed(), scene.events(), scene.diagnoses()
    except Exception as problem:
        lines = [f"the events cannot be had: {problem}"]
    else:
        left_out = len(events) - MOST_EVENTS
        lines = [f"seed {seed}"] + ([f"{left_out} earlier ones are left out"] if left_out > 0 else [])
        lines += map(str, events[-MOST_EVENTS:])
        if diagnoses:
            report.sections.append(("weir report", "\n".join(diagnoses)))
    report.sections.append(("weir events", "\n".join(lines)))
