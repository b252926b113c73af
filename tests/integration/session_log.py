"""What weir's JSON view (docs/json-view.md) says about sessions, as values."""

import base64
from dataclasses import dataclass, field

from deadline import wait_until

DIRECTIONS = ("upstream", "downstream")


@dataclass
class Session:
    """One session as the view told it; `closed` is None while it is open."""

    number: int
    opened: dict = None
    half_closed: list = field(default_factory=list)
    closed: dict = None
    streams: dict = field(default_factory=lambda: {name: bytearray() for name in DIRECTIONS})

    @property
    def cause(self):
        return self.closed["cause"]

    @property
    def message(self):
        """"closed by client.reset after 1.2s"."""
        return self.closed["message"]

    def bytes(self, direction):
        return self.closed["totals"][direction]["bytes"]

    def undelivered(self, direction):
        return self.closed["totals"][direction]["undelivered"]


def payload(chunk):
    """The bytes of a chunk event."""
    return chunk["text"].encode() if "text" in chunk else base64.b64decode(chunk["base64"], validate=True)


def read_sessions(events):
    """Sessions by number, from the events of one view. Offsets must join up: a missing or repeated
    chunk is an error, unless the view said that there is a gap. Times never go back within a session."""
    sessions = {}
    last = {}
    with_gaps = any(event["event"] == "gap" for event in events)
    for event in events:
        if event["event"] == "gap":
            continue
        session = sessions.setdefault(event["session"], Session(event["session"]))
        assert event["mono_ns"] >= last.get(event["session"], 0), f"earlier than the event before it: {event}"
        last[event["session"]] = event["mono_ns"]
        if event["event"] == "opened":
            session.opened = event
        elif event["event"] == "half_closed":
            session.half_closed.append(event["direction"])
        elif event["event"] == "closed":
            assert session.closed is None, f"session {session.number} is closed twice"
            session.closed = event
        elif event["event"] == "chunk":
            assert session.closed is None, f"session {session.number} has bytes after its end"
            stream = session.streams[event["direction"]]
            assert with_gaps or event["offset"] == len(stream), f"offsets do not join up at {event['offset']}"
            data = payload(event)
            assert len(data) + event.get("cut", 0) == event["bytes"], "a chunk's size is not that of its payload"
            stream += data
        else:
            raise AssertionError(f"an event that docs/json-view.md does not name: {event}")
    return sessions


def wait_for_closed(weir, count=1, seconds=10.0):
    """Waits until `count` sessions are closed in the JSON view; returns the sessions by number."""
    def closed():
        sessions = read_sessions(weir.events())
        done = [session for session in sessions.values() if session.closed]
        return sessions if len(done) >= count else None
    return wait_until(closed, f"the view says that {count} session(s) are closed", seconds)


def wait_for_opened(weir, number=1, seconds=10.0):
    """Waits until session `number` is shown as opened; returns it."""
    def opened():
        session = read_sessions(weir.events()).get(number)
        return session if session and session.opened else None
    return wait_until(opened, f"the view says that session {number} is opened", seconds)
