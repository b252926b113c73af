"""The rules of context managers: nothing stays behind, and nobody's exception is lost."""

from __future__ import annotations

import asyncio
import gc
import http.client
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator, List, Type

import pytest

import weir
from peers import Echo, round_trip, wait_until
from weir._held import Held


class Stop(Exception):
    pass


@pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_the_body_raises_comes_out_and_the_fault_is_gone(db: weir.Proxy, kind: Type[BaseException]) -> None:
    problem = kind("of the body")
    with pytest.raises(kind) as caught:
        with db.latency("10ms"), db.down():
            raise problem
    assert caught.value is problem
    assert db.faults() == []
    assert db.enabled


def test_a_proxy_goes_when_the_body_raises(server: weir.Server, echo: Echo) -> None:
    with pytest.raises(Stop):
        with server.proxy("short", upstream=echo.address):
            raise Stop
    assert server.proxies() == []


def test_exit_never_swallows(db: weir.Proxy) -> None:
    fault = db.latency("1ms").create()
    outcome: Any = fault.__exit__(Stop, Stop(), None)  # type: ignore[func-returns-value]
    assert outcome is None


def test_exitstack_closes_last_in_first_out_and_pop_all_hands_over(db: weir.Proxy) -> None:
    def names() -> List[str]:
        return [each["name"] for each in db.faults()]
    with ExitStack() as stack:
        stack.enter_context(db.latency("1ms", name="first"))
        stack.enter_context(db.latency("1ms", name="second"))
        stack.callback(lambda: None)
        kept = stack.pop_all()
    assert names() == ["first", "second"]
    seen: List[List[str]] = []
    with kept:
        kept.callback(lambda: seen.append(names()))
        kept.enter_context(db.latency("1ms", name="third"))
    assert seen == [["first", "second"]]
    assert names() == []


def test_without_with(db: weir.Proxy) -> None:
    fault = db.latency("1ms").create()
    assert fault.held and len(db.faults()) == 1
    fault.close()
    fault.close()
    assert not fault.held and db.faults() == []
    with pytest.raises(weir.Closed, match="was closed; make another"):
        fault.create()
    with pytest.raises(weir.Closed):
        with fault:
            pass


def test_created_and_then_entered_is_closed_once(db: weir.Proxy) -> None:
    with db.latency("1ms").create() as fault:
        assert len(db.faults()) == 1
        with pytest.raises(weir.Closed, match="was created already"):
            fault.create()
    assert db.faults() == []


def test_a_fault_that_somebody_else_removed_is_no_error(db: weir.Proxy, server: weir.Server) -> None:
    with db.latency("1ms") as fault:
        server.api.ask("DELETE", f"/api/v1/proxies/db/faults/{fault.name}")
    with db.latency("1ms"):
        server.api.ask("POST", "/reset")


def test_what_took_the_place_of_ours_is_left_alone(server: weir.Server, echo: Echo) -> None:
    anothers = {"name": "same", "upstream": echo.address}
    with server.proxy("same", upstream=echo.address) as proxy:
        with proxy.latency("1ms", name="f"):
            server.api.ask("DELETE", "/api/v1/proxies/same/faults/f")
            server.api.ask("POST", "/api/v1/proxies/same/faults", {"type": "stall", "name": "f"})
        assert [each["type"] for each in proxy.faults()] == ["stall"]
        server.api.ask("DELETE", "/api/v1/proxies/same")
        server.api.ask("POST", "/api/v1/proxies", anothers)
    assert [each["name"] for each in server.proxies()] == ["same"]
    server.api.ask("DELETE", "/api/v1/proxies/same")


def test_a_failing_close_does_not_hide_what_the_body_raised(db: weir.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = db.latency("1ms")
    release = fault._release

    def fail() -> None:
        raise RuntimeError("cannot be closed")
    monkeypatch.setattr(fault, "_release", fail)
    with pytest.raises(Stop) as caught:
        with fault:
            raise Stop
    assert any("cannot be closed" in note for note in getattr(caught.value, "__notes__", ["cannot be closed"]))
    assert fault.held  # so that it can be tried again
    monkeypatch.setattr(fault, "_release", release)
    fault.close()
    assert db.faults() == []


def test_a_failing_close_is_told_when_the_body_did_not_raise(db: weir.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("cannot be closed")
    fault = db.latency("1ms")
    with monkeypatch.context() as patched:
        patched.setattr(fault, "_release", fail)
        with pytest.raises(RuntimeError, match="cannot be closed"), fault:
            pass
    fault.close()
    assert db.faults() == []


@pytest.mark.parametrize("make", ["fault", "proxy", "hold"])
def test_an_interrupt_between_request_and_answer_leaves_nothing(
        server: weir.Server, db: weir.Proxy, make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    makers: Dict[str, Callable[[], Held]] = {
        "fault": lambda: db.latency("1ms"), "hold": db.down,
        "proxy": lambda: server.proxy("other", upstream="127.0.0.1:1")}
    made = makers[make]()
    answer = http.client.HTTPConnection.getresponse

    def interrupted(connection: http.client.HTTPConnection) -> Any:
        response = answer(connection)  # so it was done
        if response.status == 201:
            raise KeyboardInterrupt
        return response
    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.create()
    monkeypatch.undo()
    assert db.faults() == []
    assert db.enabled
    assert [each["name"] for each in server.proxies()] == ["db"]


def test_an_interrupt_while_closing_does_not_stop_it(db: weir.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = db.latency("1ms").create()
    release = fault._release
    times: List[int] = []

    def interrupted_once() -> None:
        times.append(1)
        if len(times) == 1:
            raise KeyboardInterrupt
        release()
    monkeypatch.setattr(fault, "_release", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        fault.close()
    assert db.faults() == []
    assert not fault.held


def test_decorators_hold_another_during_each_call(db: weir.Proxy) -> None:
    @db.latency("60ms")
    def ask(who: str) -> str:
        assert len(db.faults()) == 1
        assert round_trip(db.port) >= 0.06
        return f"hello {who}"

    assert ask("you") == "hello you"
    assert db.faults() == []
    assert ask(who="again") == "hello again"
    assert ask.__name__ == "ask"


def test_decorators_of_coroutines_and_generators(db: weir.Proxy) -> None:
    @db.latency("1ms")
    async def ask() -> int:
        await asyncio.sleep(0)
        return len(db.faults())

    @db.latency("1ms")
    def count() -> Iterator[int]:
        yield len(db.faults())
        yield len(db.faults())

    assert asyncio.run(ask()) == 1
    assert list(count()) == [1, 1]
    assert db.faults() == []


def test_who_forgets_to_enter_is_warned(db: weir.Proxy) -> None:
    with pytest.warns(RuntimeWarning, match="fault latency of proxy db was never created: use `with`"):
        db.latency("1ms")
        gc.collect()


def test_who_loses_a_client_is_warned(server: weir.Server) -> None:
    with pytest.warns(ResourceWarning, match="was never closed, and goes now with all that it holds"):
        weir.connect(server.url).proxy("lost", upstream="127.0.0.1:1").create()
        gc.collect()
    wait_until(lambda: server.proxies() == [], "it is gone")


def test_a_name_that_is_taken(server: weir.Server, db: weir.Proxy, echo: Echo) -> None:
    with pytest.raises(weir.Conflict, match='there is a proxy "db" already'):
        server.proxy("db", upstream=echo.address).create()
    round_trip(db.port)  # and undoing that did not touch the other
    with db.latency("1ms", name="f"), pytest.raises(weir.Conflict):
        db.latency("2ms", name="f").create()
