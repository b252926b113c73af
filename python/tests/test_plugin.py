"""The pytest plugin, run by a pytest of its own."""

from __future__ import annotations

import os
from typing import List

import pytest

import weir
from conftest import _is_installed
from peers import Echo
from processes import PATHS

PLUGIN: List[str] = [] if _is_installed() else ["-p", "weir.pytest_plugin"]


@pytest.fixture
def run(pytester: pytest.Pytester, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(PATHS))
    pytester.makeconftest(f"UPSTREAM = {echo.address!r}")
    return pytester


def test_a_proxy_that_goes_with_the_test(run: pytest.Pytester, server: weir.Server) -> None:
    run.makepyfile("""
        from conftest import UPSTREAM
        from peers import round_trip

        def test_one(weir_proxy):
            db = weir_proxy(UPSTREAM, "db")
            other = weir_proxy(UPSTREAM)
            assert db.name.endswith("-db") and other.name.endswith("-proxy2")
            with db.latency("50ms"):
                assert round_trip(db.port) >= 0.05
                assert other.faults() == []

        def test_two(weir_proxy, weir_server):
            assert weir_server.proxies() == []
            weir_proxy(UPSTREAM, "db", max_sessions=3)
        """)
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(passed=2)
    run.runpytest(*PLUGIN, "--weir-url", server.url).assert_outcomes(failed=0, passed=2)
    assert server.proxies() == []


def test_the_marker(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import pytest
        from conftest import UPSTREAM
        from peers import round_trip

        @pytest.mark.fault("latency", latency="80ms")
        @pytest.mark.fault("latency", latency="30ms", proxy="db")
        def test_both(weir_proxy):
            assert round_trip(weir_proxy(UPSTREAM, "db").port) >= 0.11
            other = weir_proxy(UPSTREAM, "other")
            assert [each["latency"] for each in other.faults()] == ["80ms"]

        @pytest.mark.fault("latency", latncy="80ms")
        def test_misspelt(weir_proxy):
            weir_proxy(UPSTREAM)
        """)
    result = run.runpytest(*PLUGIN, "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*latncy*latency*"])


def test_a_failed_test_shows_the_events(run: pytest.Pytester) -> None:
    run.makepyfile("""
        from conftest import UPSTREAM
        from peers import round_trip

        def test_fails(weir_proxy):
            db = weir_proxy(UPSTREAM, "db")
            with db.latency("1ms"):
                round_trip(db.port)
            db.wait_for("session.closed")
            assert not "reached"

        def test_without_a_proxy():
            assert not "reached"

        def test_passes(weir_proxy):
            round_trip(weir_proxy(UPSTREAM, "db").port)
        """)
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=2, passed=1)
    result = run.runpytest(*PLUGIN, "--weir-seed", "12")
    result.stdout.fnmatch_lines(["*- weir events -*", "seed 12", "*proxy.created proxy=test_fails-db*", "*fault.added*",
                                 "*session.opened*", "*session.closed*cause=client.fin*"])
    assert result.stdout.str().count("- weir events -") == 1


def test_a_failed_test_shows_who_lost_the_time(run: pytest.Pytester) -> None:
    run.makepyfile("""
        from conftest import UPSTREAM
        from peers import round_trip, wait_until

        def test_fails(weir_proxy):
            weir_proxy(UPSTREAM, "quiet")
            db = weir_proxy(UPSTREAM, "db", diagnose=True)
            with db.latency("20ms"):
                round_trip(db.port)
            wait_until(lambda: db.report().exchanges == 1, "it is told")
            assert not "reached"
        """)
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- weir report -*", "db: 1 session, 1 exchange in *", "*fault: delayed it*",
                                 "*- weir events -*"])
    assert "quiet:" not in result.stdout.str()


def test_a_server_that_was_killed_does_not_spoil_the_report(run: pytest.Pytester) -> None:
    run.makepyfile("""
        from conftest import UPSTREAM

        def test_fails(weir_proxy, weir_server):
            weir_proxy(UPSTREAM, "db")
            weir_server.kill()
            assert not "reached"
        """)
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the events cannot be had: *"])


def test_a_binary_that_is_not_there(run: pytest.Pytester) -> None:
    run.makepyfile("def test_one(weir_server): pass")
    result = run.runpytest(*PLUGIN, "--weir-bin", "/nonexistent/weir")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*BinaryNotFound: binary=/nonexistent/weir is not a program*"])


def test_nothing_starts_that_nobody_asked_for(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_BIN", "/nonexistent/weir")
    run.makepyfile("def test_one(): pass")
    run.runpytest(*PLUGIN).assert_outcomes(passed=1)


def test_workers_do_not_collide(run: pytest.Pytester, server: weir.Server) -> None:
    pytest.importorskip("xdist", reason="needs Debian's python3-pytest-xdist")
    run.makepyfile("""
        import pytest
        from conftest import UPSTREAM
        from peers import round_trip

        @pytest.mark.parametrize("number", range(12))
        def test_one(weir_proxy, number):
            db = weir_proxy(UPSTREAM, "db")
            with db.latency("20ms"):
                assert round_trip(db.port) >= 0.02
        """)
    run.runpytest_subprocess(*PLUGIN, "-n", "3").assert_outcomes(passed=12)
    run.runpytest_subprocess(*PLUGIN, "-n", "3", "--weir-url", server.url).assert_outcomes(passed=12)
    assert server.proxies() == []
