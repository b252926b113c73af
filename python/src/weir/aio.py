"""The same for asyncio: every object is an async context manager, every question a coroutine.

    async with weir.aio.Server() as server, server.proxy("db", upstream="127.0.0.1:5432") as db:
        async with db.latency("100ms"):
            await run_the_query(port=db.port)

Requests run in threads. What was begun is finished and, when the task is cancelled, taken back before the
cancellation goes on: nothing stays behind that the body of a `with` would have to know of.
"""

from __future__ import annotations

import asyncio
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Coroutine, Dict, Generic, List, Mapping, Optional, Type, TypeVar, cast

from . import _client, _event, _fault, _proxy, _server
from ._event import Canceller, Event, Wanted
from ._faults import FaultMethods
from ._held import Held, note
from ._session import Session
from ._settings import ProxyMethod
from ._verdict import Report, Verdict

__all__ = ["Client", "Fault", "Hold", "Proxy", "Server", "connect"]

T = TypeVar("T")
Sync = TypeVar("Sync", bound=Held)
Self = TypeVar("Self", bound="_AsyncHeld[Any]")
Function = TypeVar("Function", bound=Callable[..., Coroutine[Any, Any, Any]])


class _Threads:
    """Not asyncio's own pool, which is small and the program's. Waits have theirs: they may take all of it."""

    def __init__(self) -> None:
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        self.requests = ThreadPoolExecutor(16, thread_name_prefix="weir")
        self.waits = ThreadPoolExecutor(64, thread_name_prefix="weir-wait")


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.after_fork_in_child)


async def _run(work: Callable[[], T], pool: Optional[ThreadPoolExecutor] = None,
               on_cancel: Callable[[], None] = lambda: None) -> T:
    """The outcome of `work`, which is waited for even when the task is cancelled meanwhile; then CancelledError."""
    future = asyncio.get_running_loop().run_in_executor(pool or _threads.requests, work)
    cancelled: Optional[asyncio.CancelledError] = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as asked:
            cancelled = asked
            on_cancel()
    if cancelled is not None:
        future.exception()  # seen; the cancellation goes first
        raise cancelled
    return future.result()


class _AsyncHeld(Generic[Sync]):
    """See weir._held.Held, which does the work."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync

    async def create(self: Self) -> Self:
        """Puts it there; returns self."""
        try:
            await _run(self._sync.create)
        except asyncio.CancelledError:
            await _run(self._close_quietly)
            raise
        return self

    async def close(self) -> None:
        """Takes it back. More than once, or after the server has gone, it does nothing."""
        await _run(self._sync.close)

    @property
    def held(self) -> bool:
        return self._sync.held

    def __str__(self) -> str:
        return str(self._sync)

    async def __aenter__(self: Self) -> Self:
        return self if self._sync.held else await self.create()

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        try:
            await self.close()
        except Exception as failed:
            if problem is None:
                raise
            note(problem, f"weir: {self} could not be closed: {failed}")

    def __call__(self, function: Function) -> Function:
        """As a decorator of a coroutine function: another of it is held during each call."""
        another = self._sync._as_pattern()

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            async with _AsyncHeld(another()):
                return await function(*args, **kwargs)
        return cast(Function, call)

    def _close_quietly(self) -> None:
        try:
            self._sync.close()
        except Exception as failed:
            note(failed, f"weir: {self} could not be closed: {failed}")


class Fault(_AsyncHeld[_fault.Fault]):
    """See weir.Fault."""

    @property
    def name(self) -> str:
        return self._sync.name

    @property
    def type(self) -> str:
        return self._sync.type

    async def update(self, **attributes: Any) -> None:
        await _run(lambda: self._sync.update(**attributes))

    async def info(self) -> Dict[str, Any]:
        return await _run(self._sync.info)

    async def applied_sessions(self) -> int:
        return await _run(lambda: self._sync.applied_sessions)


class Hold(_AsyncHeld[_fault.Hold]):
    """See weir.Hold."""


class _Observed:
    """Events and sessions of a server, or of one proxy."""

    async def _wait_in_thread(self, wait: Callable[[Canceller], T]) -> T:
        canceller = Canceller()
        return await _run(lambda: wait(canceller), _threads.waits, canceller.cancel)


async def _events(open_stream: Callable[[], _event.EventStream]) -> AsyncIterator[Event]:
    stream = await _run(open_stream)
    try:
        while True:
            event = await _run(lambda: next(stream, None), _threads.waits, stream.interrupt)
            if event is None:
                return
            yield event
    finally:
        stream.close()


async def _sessions(ask: Callable[[], List[Session]]) -> AsyncIterator[Session]:
    for each in await _run(ask):
        yield each


class Proxy(_AsyncHeld[_proxy.Proxy], FaultMethods[Fault], _Observed):
    """See weir.Proxy."""

    @property
    def name(self) -> str:
        return self._sync.name

    @property
    def address(self) -> str:
        return self._sync.address

    @property
    def host(self) -> str:
        return self._sync.host

    @property
    def port(self) -> int:
        return self._sync.port

    def down(self) -> Hold:
        return Hold(self._sync.down())

    def fault(self, type: str, **attributes: Any) -> Fault:
        return Fault(self._sync.fault(type, **attributes))

    async def update(self, **changes: Any) -> None:
        await _run(lambda: self._sync.update(**changes))

    async def info(self) -> Dict[str, Any]:
        return await _run(self._sync.info)

    async def faults(self) -> List[Dict[str, Any]]:
        return await _run(self._sync.faults)

    async def report(self) -> Report:
        return await _run(self._sync.report)

    async def verdicts(self, after: Optional[int] = None, limit: int = 100) -> List[Verdict]:
        return await _run(lambda: self._sync.verdicts(after, limit))

    def sessions(self, limit: int = 1000) -> AsyncIterator[Session]:
        return _sessions(lambda: list(self._sync.sessions(limit)))

    def events(self, after: Optional[int] = None, timeout: Optional[float] = None) -> AsyncIterator[Event]:
        return _events(lambda: self._sync.events(after, timeout))

    async def wait_for(self, event: Wanted, timeout: float = 10.0) -> Event:
        return await self._wait_in_thread(lambda canceller: self._sync._wait_for(event, timeout, canceller))

    def _make_fault(self, type: str, attributes: Mapping[str, Any]) -> Fault:
        return Fault(self._sync._make_fault(type, attributes))


ClientSync = TypeVar("ClientSync", bound=_client.Client)


class _AsyncClient(_AsyncHeld[ClientSync], ProxyMethod[Proxy], _Observed):
    @property
    def url(self) -> str:
        return self._sync.url

    def _make_proxy(self, name: str, wish: Dict[str, Any]) -> Proxy:
        return Proxy(self._sync._make_proxy(name, wish))

    async def find(self, name: str) -> Proxy:
        return Proxy(await _run(lambda: self._sync.find(name)))

    async def proxies(self) -> List[Dict[str, Any]]:
        return await _run(self._sync.proxies)

    def sessions(self, limit: int = 1000) -> AsyncIterator[Session]:
        return _sessions(lambda: list(self._sync.sessions(limit)))

    def events(self, after: Optional[int] = None, timeout: Optional[float] = None) -> AsyncIterator[Event]:
        return _events(lambda: self._sync.events(after, timeout))

    async def wait_for(self, event: Wanted, timeout: float = 10.0) -> Event:
        return await self._wait_in_thread(lambda canceller: self._sync._wait_for(event, timeout, canceller))

    async def version(self) -> Dict[str, Any]:
        return await _run(self._sync.version)


class Client(_AsyncClient[_client.Client]):
    """See weir.Client."""


class Server(_AsyncClient[_server.Server]):
    """See weir.Server, whose arguments it takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_server.Server(**options))

    @property
    def pid(self) -> int:
        return self._sync.pid

    def log(self) -> str:
        return self._sync.log()


async def connect(url: str = "http://127.0.0.1:8474", *, token: Optional[str] = None,
                  timeout: float = 10.0) -> Client:
    """See weir.connect."""
    made: List[_client.Client] = []
    try:
        await _run(lambda: made.append(_client.connect(url, token=token, timeout=timeout)))
    except asyncio.CancelledError:
        for each in made:
            await _run(each.close)
        raise
    return Client(made[0])
