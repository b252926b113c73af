"""Byte-exact both ways in every view; and what a view printed gives the streams back, byte for byte."""

import json
import os
import random
import re
import threading

import pytest

from deadline import Deadline
from peers import random_bytes
from scene import stays_calm
from session_log import read_sessions, wait_for_closed
from view_readers import CHUNK_HEADER, control_characters, read_json_view, read_line_view

TWO_MEGABYTES = 2 * 1024 * 1024
LINE_VIEWS = ("text", "hex", "dump")
# Both sides send and read in slices, so that the directions are interleaved in the view.
CLIENT = "connect " + "send:128k read:128k " * 16 + "fin read"
SERVER = "accept " + "read:128k send:128k " * 16 + "read fin"


@pytest.mark.parametrize("scene", [*LINE_VIEWS, "json", "raw", "none"], indirect=True)
def test_the_bytes_are_the_same_on_both_sides_in_every_view(scene):
    scene.play(client=CLIENT, server=SERVER)
    assert scene.server.received == scene.client.sent == random_bytes("client", TWO_MEGABYTES)
    assert scene.client.received == scene.server.sent == random_bytes("server", TWO_MEGABYTES)
    assert scene.weir.stop() == 0, scene.weir.stderr()


@pytest.mark.parametrize("scene", [*LINE_VIEWS, "json"], indirect=True)
def test_the_view_gives_both_streams_back(scene):
    scene.play(client=CLIENT, server=SERVER)
    assert scene.weir.stop() == 0, scene.weir.stderr()
    output = scene.weir.output()
    streams = read_json_view(output) if scene.view == "json" else read_line_view(scene.view, output)
    assert list(streams) == [1]
    assert streams[1]["upstream"] == scene.client.sent
    assert streams[1]["downstream"] == scene.server.sent


@pytest.mark.parametrize("scene", ["raw"], indirect=True)
@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_raw_is_the_stream_itself(scene, direction):
    scene.open("--only", direction)
    scene.play(client=CLIENT, server=SERVER)
    assert scene.weir.stop() == 0, scene.weir.stderr()
    assert scene.weir.output() == (scene.client.sent if direction == "upstream" else scene.server.sent)


@pytest.mark.parametrize("scene", ["none"], indirect=True)
def test_none_prints_no_byte_of_the_stream(scene):
    scene.play(client="connect send:1k read:1k fin read", server="accept echo:1k read fin")
    assert scene.weir.stop() == 0, scene.weir.stderr()
    assert bytes(scene.client.sent[:16]) not in scene.weir.output()
    assert not CHUNK_HEADER.search(scene.weir.output())


@pytest.mark.parametrize("scene", [*LINE_VIEWS, "json"], indirect=True)
def test_many_sessions_are_told_apart(scene, make_peer):
    scene.open()
    pairs = []
    for n in range(20):
        server = make_peer(f"server {n}", "accept read send:3k fin", listener=scene.listener)
        client = make_peer(f"client {n}", "connect send:2k fin read", address=scene.weir.address)
        pairs.append((client.finish(), server.finish()))  # one after another, so that numbers are known
    assert scene.weir.stop() == 0, scene.weir.stderr()
    output = scene.weir.output()
    streams = read_json_view(output) if scene.view == "json" else read_line_view(scene.view, output)
    for number, (client, server) in enumerate(pairs, 1):
        assert streams[number] == {"upstream": client.sent, "downstream": server.sent}


# What terminals obey: bells, cursor movements, titles, C1 controls, bidirectional overrides.
HOSTILE_TEXT = ("%07%1b[2J%1b]0;owned%07%0d%08%7f%c2%9b31m%e2%80%ae%20plain%20%25%20text%0a"
                "12:00:00.000000          #1 closed by client.fin after 1.0s%0a  -- 2026-01-01%0a".replace(" ", "%20"))


@pytest.mark.parametrize("scene", [*LINE_VIEWS, "json"], indirect=True)
def test_control_characters_of_a_peer_never_reach_the_terminal(scene):
    scene.play(client=f"connect say:{HOSTILE_TEXT} fin read", server=f"accept read say:{HOSTILE_TEXT} fin")
    assert scene.weir.stop() == 0, scene.weir.stderr()
    output = scene.weir.output()
    assert control_characters(output) == []
    if scene.view != "json":
        # A peer cannot forge a session line either: its bytes never begin in the first column.
        assert len(re.findall(rb"^\d\d:\d\d:\d\d\.\d{6} +#1 closed by ", output, flags=re.MULTILINE)) == 1
        streams = read_line_view(scene.view, output)
    else:
        streams = read_json_view(output)
    assert streams[1]["upstream"] == scene.client.sent
    assert streams[1]["downstream"] == scene.server.sent


def test_json_writes_text_where_it_is_utf_8_and_base64_elsewhere(scene):
    scene.play(client="connect say:caf%c3%a9%00%22 read:1 say:%ff%fe read:1 fin read",
               server="accept read:7 say:x read:2 say:y read fin")
    scene.weir.stop()
    chunks = [event for event in scene.weir.events() if event["event"] == "chunk" and event["direction"] == "upstream"]
    assert [chunk.get("text") for chunk in chunks] == ["caf\u00e9\x00\"", None]
    assert [chunk.get("base64") for chunk in chunks] == [None, "//4="]
    assert [chunk["offset"] for chunk in chunks] == [0, 7]


def test_the_json_view_tells_a_sessions_life(scene):
    scene.play(client="connect send:10 read:20 pause:300 fin read", server="accept read:10 send:20 read fin")
    scene.weir.stop()
    events = scene.weir.events()
    assert [event["event"] for event in events] == ["opened", "chunk", "chunk", "half_closed", "closed"]
    opened, *_, closed = events
    assert opened["upstream"] == closed["upstream"] == scene.listener.text
    assert opened["client"] == closed["client"] and opened["client"].startswith("127.0.0.1:")
    assert 0 < opened["connect_ns"] < 1e9
    assert closed["totals"] == {"upstream": {"bytes": 10, "chunks": 1, "undelivered": 0},
                                "downstream": {"bytes": 20, "chunks": 1, "undelivered": 0}}
    assert 0.3e9 <= closed["longest_silence_ns"] <= closed["age_ns"] < 2e9
    times = [event["mono_ns"] for event in events]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z", event["time"]) for event in events)


@pytest.mark.parametrize("scene", ["text"], indirect=True)
def test_the_text_view_reads_as_a_person_expects(scene):
    scene.play(client="connect say:GET%20/%0d%0aHost:%20x%0d%0a%0d%0a read fin",
               server="accept read:18 say:ok fin read")
    scene.weir.stop()
    shape = re.compile(r"""-- \d{4}-\d\d-\d\d \(UTC[+-]\d\d:\d\d\)
TIME          #1 opened: client 127\.0\.0\.1:\d+, upstream 127\.0\.0\.1:\d+, connected in \S+
TIME +\+\S+ #1 → 18 bytes
  GET /%0d%0a
  Host: x%0d%0a
  %0d%0a
TIME +\+\S+ #1 ← 2 bytes
  ok
TIME          #1 half-closed ←: .*
TIME          #1 closed by server\.fin after \S+.*, → 18 bytes in 1 chunk, ← 2 bytes in 1 chunk, longest silence \S+
""".replace("TIME", r"\d\d:\d\d:\d\d\.\d{6}"))
    assert shape.fullmatch(scene.weir.output().decode()), scene.weir.output().decode()


@pytest.mark.parametrize("scene", ["hex"], indirect=True)
def test_the_hex_view_is_pairs_of_digits(scene):
    scene.play(client="connect say:%00%7f%80%ff fin read", server="accept read fin")
    scene.weir.stop()
    assert b"\n  00 7f 80 ff\n" in scene.weir.output()


@pytest.mark.parametrize("scene", ["dump"], indirect=True)
def test_the_dump_view_is_canonical_with_offsets_in_the_stream(scene):
    scene.play(client="connect say:0123456789abcdef%00X read:1 say:second fin read",
               server="accept read:18 say:. read fin")
    scene.weir.stop()
    output = scene.weir.output().decode()
    assert "  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n" in output
    assert re.search(r"^  00000010  00 58 {2,}\|\.X\|$", output, flags=re.MULTILINE)
    assert re.search(r"^  00000012  73 65 63 6f 6e 64 {2,}\|second\|$", output, flags=re.MULTILINE)


# -- what is shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_only_shows_one_direction_and_relays_both(scene, direction):
    scene.open("--only", direction)
    scene.play(client="connect send:10k read:10k fin read", server="accept read:10k send:10k read fin")
    streams = wait_for_closed(scene.weir)[1].streams
    other = "downstream" if direction == "upstream" else "upstream"
    assert len(streams[direction]) == 10240 and not streams[other]
    scene.expect_delivered(upstream=10240, downstream=10240)


def test_limit_cuts_what_is_shown_and_says_how_much(scene):
    scene.open("--limit", "100")
    scene.play(client="connect send:5000 fin read", server="accept read fin")
    wait_for_closed(scene.weir)
    chunks = [event for event in scene.weir.events() if event["event"] == "chunk"]
    assert sum(chunk["bytes"] for chunk in chunks) == 5000
    assert all(chunk["bytes"] - chunk.get("cut", 0) <= 100 for chunk in chunks)
    assert sum(chunk.get("cut", 0) for chunk in chunks) >= 5000 - 100 * len(chunks)
    assert scene.server.received == scene.client.sent


@pytest.mark.parametrize(("address", "shown"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_filter_client_shows_the_sessions_of_one_address(scene, make_peer, address, shown):
    scene.open("--filter-client", address)
    scene.play(client="connect send:10 read:10 fin read", server="accept echo:10 read fin")
    assert scene.weir.stop() == 0, scene.weir.stderr()
    assert bool(read_sessions(scene.weir.events())) is shown
    assert scene.client.received == scene.client.sent


# -- a slow reader of the view -----------------------------------------------------------------------


class SlowReader(threading.Thread):
    """The other end of weir's stdout: a pipe that nobody reads until start() is called."""

    def __init__(self):
        super().__init__(daemon=True)
        self.read_end, self.write_end = os.pipe()
        self._data = b""

    def weir_has_it(self):
        """Weir's copy is the only writer now: its end is the end of the file."""
        os.close(self.write_end)

    def run(self):
        with os.fdopen(self.read_end, "rb") as pipe:
            self._data = pipe.read()

    def all_it_read(self):
        self.join(Deadline(20.0).left())
        assert not self.is_alive(), "weir has not closed its output"
        return self._data


def test_when_slow_block_slows_the_traffic_and_loses_nothing(scene):
    reader = SlowReader()
    scene.open("--when-slow", "block", output=reader.write_end)
    reader.weir_has_it()
    scene.start_server("accept read fin")
    scene.start_client("connect flood:64M set:stuck await:go send:64k fin read")
    scene.board.await_flag("stuck", 30)
    assert len(scene.client.sent) < 60 * 1024 * 1024, "the traffic did not wait for the reader of the view"
    stays_calm(scene.weir)
    scene.board.raise_flag("go")
    reader.start()
    scene.finish()
    assert scene.weir.stop() == 0, scene.weir.stderr()
    events = [json.loads(line) for line in reader.all_it_read().splitlines()]
    assert not [event for event in events if event["event"] == "gap"]
    assert read_sessions(events)[1].streams["upstream"] == scene.client.sent == scene.server.received


def test_when_slow_drop_keeps_the_traffic_going_and_prints_the_gap(scene):
    reader = SlowReader()
    scene.open("--when-slow", "drop", output=reader.write_end)
    reader.weir_has_it()
    total = 48 * 1024 * 1024
    scene.start_server("accept read fin")
    scene.start_client("connect send:48M fin read")
    scene.finish()  # to its end, although nobody has read a byte of the view
    assert len(scene.server.received) == total and scene.server.received == scene.client.sent
    reader.start()
    assert scene.weir.stop() == 0, scene.weir.stderr()
    events = [json.loads(line) for line in reader.all_it_read().splitlines()]
    gaps = [event for event in events if event["event"] == "gap"]
    chunks = [event for event in events if event["event"] == "chunk"]
    assert gaps, "nothing was said about what is missing"
    assert sum(gap["bytes"] for gap in gaps) + sum(chunk["bytes"] for chunk in chunks) == total
    session = read_sessions(events)[1]
    assert session.opened and session.cause == "client.fin", "session lines are never dropped"


def test_random_chunks_of_every_size_are_shown_as_they_were_sent(scene):
    sizes = random.Random(7).choices([1, 2, 3, 15, 16, 17, 31, 32, 33, 255, 256, 4095, 4096, 16384], k=100)
    scene.play(client="connect " + " ".join(f"send:{n} read:1" for n in sizes) + " fin read",
               server="accept " + " ".join(f"read:{n} send:1" for n in sizes) + " read fin")
    session = wait_for_closed(scene.weir)[1]
    assert session.streams["upstream"] == scene.client.sent
    # Each slice was answered before the next was sent, so no chunk spans two of them.
    assert session.closed["totals"]["upstream"]["chunks"] >= len(sizes)
    assert session.closed["totals"]["downstream"] == {"bytes": 100, "chunks": 100, "undelivered": 0}
