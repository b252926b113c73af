"""What happens on a server, as it happens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Union

from ._errors import ApiError, WaitTimeout
from ._http import Api
from ._stream import Stream


@dataclass(frozen=True)
class Event:
    """One event. `data` has all that the server said; the properties are its commonest parts."""

    id: int
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def proxy(self) -> Optional[str]:
        """The proxy's name."""
        return self.data.get("proxy")

    @property
    def session(self) -> Optional[int]:
        """The session's number in its proxy, from 1."""
        return self.data.get("session")

    @property
    def fault(self) -> Optional[str]:
        """The fault's name."""
        return self.data.get("fault")

    @property
    def cause(self) -> Optional[str]:
        """Of session.closed: who ended it and how, such as "client.fin"."""
        return self.data.get("cause")

    def __str__(self) -> str:
        details = " ".join(f"{name}={value}" for name, value in self.data.items() if value not in (None, ""))
        return f"#{self.id} {self.type} {details}".rstrip()


Wanted = Union[str, Callable[[Event], bool]]
"""An event's type such as "session.closed", or a function that says yes to it."""


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them."""
    fields: Dict[str, str] = {}
    last_id = 0
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value[1:] if value.startswith(" ") else value
            continue
        if "data" in fields:
            last_id = int(fields.get("id", last_id))
            yield Event(last_id, fields.get("event", "message"), json.loads(fields["data"]))
        fields = {}


class EventStream(Iterator[Event]):
    """Events one after the other, without an end; iterate in one thread.

    `timeout` (seconds) ends the iteration; so do close(), from any thread, and the server's end.
    """

    def __init__(self, api: Api, after: int, proxy: Optional[str] = None, timeout: Optional[float] = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        self._proxy = proxy
        self._stream = Stream(api, "GET", f"/api/v1/events?after={after}")
        self._events = parse_events(self._stream.lines(deadline))

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Event:
        for event in self._events:
            if self._proxy is None or event.proxy == self._proxy:
                return event
        self._stream.close()
        raise StopIteration

    def interrupt(self) -> None:
        self._stream.interrupt()

    def close(self) -> None:
        self._stream.interrupt()
        self._stream.close()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def last_event(api: Api) -> int:
    return int(api.ask("GET", "/api/v1/version")["last_event"])


def events_from(api: Api, after: Optional[int], timeout: Optional[float], proxy: Optional[str]) -> EventStream:
    """Those after `after`, or from now on if it is None."""
    return EventStream(api, last_event(api) if after is None else after, proxy, timeout)


def past_events(api: Api, after: int, proxy: Optional[str] = None) -> List[Event]:
    """Those after `after` that have happened; the server remembers the last 4,096."""
    text = api.ask("GET", f"/api/v1/events?follow=false&after={after}") or ""
    return [event for event in parse_events(iter(text.splitlines())) if proxy is None or event.proxy == proxy]


class Waiter:
    """wait_for() of one object: each event is given out once for each thing waited for."""

    def __init__(self, api: Api, what: str, start: int, matches: Callable[[Event], bool]) -> None:
        self._api = api
        self._what = what
        self._start = start
        self._matches = matches
        self._seen: Dict[Wanted, int] = {}

    def wait_for(self, wanted: Wanted, timeout: float, canceller: Optional[Canceller] = None) -> Event:
        deadline = time.monotonic() + timeout
        after = self._seen.get(wanted, self._start)
        others: Dict[str, int] = {}
        for event in self._events(after, deadline, canceller):
            if event.type == "gap":
                others["forgotten events"] = others.get("forgotten events", 0) + int(event.data["missed"])
            if not self._matches(event):
                continue
            if event.type == wanted if isinstance(wanted, str) else wanted(event):
                self._seen[wanted] = event.id
                return event
            others[event.type] = others.get(event.type, 0) + 1
        seen = ", ".join(f"{count} {name}" for name, count in sorted(others.items())) or "nothing"
        name = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", "such an event")
        raise WaitTimeout(f"no {name} of {self._what} within {timeout:g} s; there was {seen}")

    def _events(self, after: int, deadline: float, canceller: Optional[Canceller]) -> Iterator[Event]:
        while time.monotonic() < deadline:
            try:
                stream = EventStream(self._api, after, timeout=deadline - time.monotonic())
            except ApiError as full:
                if full.status != 503:
                    raise
                # More wait than the server streams to: this one asks again and again.
                for event in past_events(self._api, after):
                    after = event.id
                    yield event
                time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
                continue
            with stream:
                if canceller is not None:
                    canceller.attach(stream)
                yield from stream
            return


class Canceller:
    """Ends a wait from another thread."""

    def __init__(self) -> None:
        self._stream: Optional[EventStream] = None
        self._cancelled = False

    def attach(self, stream: EventStream) -> None:
        self._stream = stream
        if self._cancelled:
            stream.interrupt()

    def cancel(self) -> None:
        self._cancelled = True
        if self._stream is not None:
            self._stream.interrupt()
