"""Events and sessions."""

from __future__ import annotations

import threading
import time
from typing import List

import pytest

import weir
from peers import PATIENCE, connected, round_trip, round_trip_on, wait_until
from weir._event import parse_events


def test_sessions_are_listed_and_closed(db: weir.Proxy, server: weir.Server) -> None:
    with connected(db.port) as client:
        round_trip_on(client)
        (session,) = db.sessions()
        assert (session.proxy, session.number, session.bytes_upstream, session.bytes_downstream) == ("db", 1, 1, 1)
        assert session.client == f"127.0.0.1:{client.getsockname()[1]}"
        assert [each.number for each in server.sessions()] == [1]
        assert session.close()
        assert client.recv(1) == b""
    assert not session.close()


def test_wait_for_what_has_happened_already_and_for_the_next(db: weir.Proxy) -> None:
    round_trip(db.port)
    round_trip(db.port)
    opened = [db.wait_for("session.opened"), db.wait_for("session.opened")]
    assert {each.session for each in opened} == {1, 2}, "order is promised within a session only"
    closed = [db.wait_for("session.closed"), db.wait_for("session.closed")]
    assert {each.session for each in closed} == {1, 2}
    assert {(each.cause, each.proxy) for each in closed} == {("client.fin", "db")}
    with pytest.raises(weir.WaitTimeout, match="no session.opened of proxy db within 0.05 s; there was .*closed"):
        db.wait_for("session.opened", timeout=0.05)


def test_wait_for_what_a_function_says_yes_to(db: weir.Proxy) -> None:
    thread = threading.Thread(target=round_trip, args=(db.port,))
    thread.start()
    event = db.wait_for(lambda each: each.type == "session.closed" and each.data["bytes_upstream"] == 1)
    assert event.session == 1
    thread.join()


def test_the_deadline_holds(db: weir.Proxy) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        db.wait_for("session.opened", timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 0.2 + 2 * PATIENCE


def test_another_proxys_events_are_not_ours(db: weir.Proxy, server: weir.Server) -> None:
    with server.proxy("other", upstream="127.0.0.1:1") as other:
        assert server.wait_for(lambda event: event.type == "proxy.created" and event.proxy == "other")
        with db.latency("1ms") as fault:
            assert db.wait_for("fault.added").fault == fault.name
            with pytest.raises(weir.WaitTimeout, match="1 proxy.created"):
                other.wait_for("fault.added", timeout=0.05)


def test_a_stream_of_events(db: weir.Proxy) -> None:
    seen: List[weir.Event] = []
    with db.events() as events:
        round_trip(db.port)
        for event in events:
            seen.append(event)
            if event.type == "session.closed":
                break
    assert [each.type for each in seen] == ["session.opened", "session.closed"]
    assert str(seen[0]).startswith(f"#{seen[0].id} session.opened proxy=db ")
    later = [each.type for each in db.events(after=seen[0].id, timeout=0.1)]
    assert later[0] == "session.closed"


def test_a_stream_is_ended_from_another_thread_and_by_the_server(db: weir.Proxy) -> None:
    events = db.events()
    thread = threading.Thread(target=lambda: [None for _ in events])
    thread.start()
    events.close()
    thread.join(10 * PATIENCE)
    assert not thread.is_alive()
    with weir.Server() as other:
        stream = other.events()
        other.kill()
        assert list(stream) == []


def test_more_wait_than_the_server_streams_to(server: weir.Server, db: weir.Proxy) -> None:
    streams = [server.events(after=0) for _ in range(32)]
    try:
        round_trip(db.port)
        assert db.wait_for("session.closed").session == 1
        with pytest.raises(weir.WaitTimeout):
            db.wait_for("session.closed", timeout=0.2)
    finally:
        for each in streams:
            each.close()

    def there_is_room() -> bool:
        try:
            db.events().close()
        except weir.ApiError:
            return False
        return True
    wait_until(there_is_room, "there is room for streams again")


def test_past_events(db: weir.Proxy, server: weir.Server) -> None:
    start = server.last_event()
    with db.latency("1ms"):
        pass
    assert [each.type for each in server.past_events(start, proxy="db")] == ["fault.added", "fault.removed"]


def test_the_text_of_events() -> None:
    lines = ["retry: 1000", "", ": a comment", "", "id: 7", "event: a.b", 'data: {"proxy":"p"}', "",
             "event: gap", 'data: {"missed":3}', "", "id: 8", "event: cut off"]
    first, gap = parse_events(iter(lines))
    assert (first.id, first.type, first.proxy) == (7, "a.b", "p")
    assert (gap.type, gap.data) == ("gap", {"missed": 3})
