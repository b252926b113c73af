"""weir.aio: the same, and cancellation takes back what was begun."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import Any, Awaitable, Callable, Coroutine, List

import pytest

import weir
from peers import Echo, is_refused, round_trip
from weir import aio


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def ask(port: int) -> float:
    return await asyncio.get_running_loop().run_in_executor(None, round_trip, port)


def test_the_same_story(echo: Echo) -> None:
    async def story() -> None:
        async with aio.Server() as server, server.proxy("db", upstream=echo.address) as db:
            async with db.latency("100ms", jitter="1ms") as fault:
                assert await ask(db.port) >= 0.09
                await fault.update(latency="0")
                assert (await fault.info())["latency"] == "0"
                assert await fault.applied_sessions() >= 1
            async with db.down():
                assert is_refused(db.port)
            await ask(db.port)
            assert (await db.wait_for("session.opened")).session == 1
            await asyncio.gather(db.wait_for("session.closed"), db.wait_for(lambda each: each.session == 2))
            await db.wait_for(lambda each: each.type == "session.closed" and each.session == 2)
            assert [each async for each in db.sessions()] == []
            assert [each["name"] for each in await server.proxies()] == ["db"]

    run(story())


def test_attached(server: weir.Server, db: weir.Proxy) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            async with await client.find("db") as theirs, theirs.latency("1ms"):
                assert len(db.faults()) == 1
            assert db.faults() == []
        round_trip(db.port)
    run(story())


def test_events(server: weir.Server, db: weir.Proxy) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            theirs = await client.find("db")
            start = server.last_event()
            await ask(theirs.port)
            seen = []
            async for event in theirs.events(after=start):
                seen.append(event.type)
                if event.type == "session.closed":
                    break
            assert seen == ["session.opened", "session.closed"]
    run(story())


async def cancelled_in(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `work` until it sets the event it is given, and cancels it there."""
    there = asyncio.Event()
    task = asyncio.ensure_future(work(there))
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_body_is_reverted(server: weir.Server, db: weir.Proxy, echo: Echo) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            async def body(there: asyncio.Event) -> None:
                async with client.proxy("own", upstream=echo.address) as own, own.latency("1ms"), own.down():
                    there.set()
                    await asyncio.Event().wait()  # for ever
            await cancelled_in(body)
            assert [each["name"] for each in server.proxies()] == ["db"]
    run(story())


def test_cancelled_again_while_it_reverts(server: weir.Server, db: weir.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            fault = (await client.find("db")).latency("1ms")
            release, begun, go_on = fault._sync._release, threading.Event(), threading.Event()

            def slow() -> None:
                begun.set()
                assert go_on.wait(10)
                release()
            monkeypatch.setattr(fault._sync, "_release", slow)

            async def body(there: asyncio.Event) -> None:
                async with fault:
                    there.set()
                    await asyncio.Event().wait()  # for ever
            there = asyncio.Event()
            task = asyncio.ensure_future(body(there))
            await there.wait()
            task.cancel()
            await asyncio.get_running_loop().run_in_executor(None, begun.wait)
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
            assert not task.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert db.faults() == []
    run(story())


def test_cancelled_while_it_is_created(server: weir.Server, db: weir.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            fault = (await client.find("db")).latency("1ms")
            acquire, begun, go_on = fault._sync._acquire, threading.Event(), threading.Event()

            def slow() -> None:
                begun.set()
                assert go_on.wait(10)
                acquire()
            monkeypatch.setattr(fault._sync, "_acquire", slow)

            async def body() -> None:
                async with fault:
                    raise AssertionError("the body was entered")
            task = asyncio.ensure_future(body())
            await asyncio.get_running_loop().run_in_executor(None, begun.wait)
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert db.faults() == []
    run(story())


def test_a_wait_is_cancelled_at_once(db: weir.Proxy, server: weir.Server) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            theirs = await client.find("db")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(theirs.wait_for("session.opened", timeout=1000), 0.2)
    run(story())


def test_the_body_raises_and_the_stack_hands_over(db: weir.Proxy, server: weir.Server) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            theirs = await client.find("db")
            with pytest.raises(ValueError, match="of the body"):
                async with theirs.latency("1ms"):
                    raise ValueError("of the body")
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(theirs.latency("1ms"))
                kept = stack.pop_all()
            assert len(db.faults()) == 1
            await kept.aclose()
            assert db.faults() == []
    run(story())


def test_a_decorator(db: weir.Proxy, server: weir.Server) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            theirs = await client.find("db")

            @theirs.latency("1ms")
            async def body(number: int) -> int:
                return number + len(db.faults())
            assert [await body(1), await body(2)] == [2, 3]
            assert db.faults() == []
    run(story())


def test_fifty_tasks(server: weir.Server, echo: Echo) -> None:
    async def story() -> None:
        async with await aio.connect(server.url) as client:
            async def one(number: int) -> None:
                async with client.proxy(f"p{number}", upstream=echo.address) as own, own.latency("5ms"):
                    assert await ask(own.port) >= 0.005
            tasks: List[Awaitable[None]] = [one(number) for number in range(50)]
            await asyncio.gather(*tasks)
        assert server.proxies() == []
    run(story())
