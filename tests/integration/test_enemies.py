"""What hostile and unlucky peers do to a session, what weir calls it, and what the other side feels.

The expectations are the rows of docs/close-causes.md; the scenarios are below, one for each row. Each is
played in three views: `json` (weir tells all it knows), `text` (what a person reads), `none` (weir moves
the bytes without looking, by other code: what the peers feel must be the same).
"""

import asyncio
import os
import re
import signal

import pytest

from black_hole import BlackHole
from close_cause_table import read_enemies
from deadline import wait_until
from name_server import serve_names
from scene import stays_calm
from swarm import Swarm
from weir_process import is_sanitized

ENEMIES = {enemy.name: enemy for enemy in read_enemies()}
VIEWS = ("json", "text", "none")
FELT = {"-": (), "FIN": ("fin",), "RST": ("rst",), "FIN, then RST": ("fin", "rst")}
# As base/duration.h writes it: "266us", "1.00s", "2m05s".
DURATION = r"(\d+ns|[\d.]+(us|ms|s)|\d+m\d\ds)"
SCENARIOS = {}
SLOW = {"5,000 connections at once"}
WITHOUT_A_VIEW = {("output is closed", "none")}  # where nothing is written nobody can notice that


def scenario(name):
    """Registers the scenario of the row `name`."""
    def register(function):
        assert name not in SCENARIOS
        SCENARIOS[name] = function
        return function
    return register


def cases():
    for name in [*ENEMIES, *(SCENARIOS.keys() - ENEMIES.keys())]:
        for view in VIEWS:
            if (name, view) in WITHOUT_A_VIEW:
                continue
            marks = [pytest.mark.slow] if name in SLOW else []
            yield pytest.param(name, view, id=f"{name}-{view}", marks=marks)


# -- resets ------------------------------------------------------------------------------------------


@scenario("client resets")
def client_resets(scene):
    scene.play(client="connect send:64k await:arrived reset", server="accept read:64k set:arrived read")
    scene.expect_delivered(upstream=65536, downstream=0)


@scenario("server resets")
def server_resets(scene):
    scene.play(client="connect read:64k set:arrived read", server="accept send:64k await:arrived reset")
    scene.expect_delivered(upstream=0, downstream=65536)


@scenario("client resets in bulk")
def client_resets_in_bulk(scene):
    scene.play(client="connect read:1M reset", server="accept flood:64M read")
    scene.expect_prefix("downstream")


@scenario("server resets in bulk")
def server_resets_in_bulk(scene):
    scene.play(client="connect flood:64M read", server="accept read:1M reset")
    scene.expect_prefix("upstream")


@scenario("client leaves bytes unread")
def client_leaves_bytes_unread(scene):
    scene.play(client="connect read:10 await:sent close", server="accept send:64k drained set:sent read")


@scenario("4 MB and a reset from the server")
def four_megabytes_and_a_reset_from_the_server(scene):
    scene.play(client="narrow:64k connect read:3968k await:reset read",
               server="accept send:4M drained reset set:reset")
    scene.expect_delivered(upstream=0, downstream=4 * 1024 * 1024)


@scenario("4 MB and a reset from the client")
def four_megabytes_and_a_reset_from_the_client(scene):
    scene.listener = scene.add_listener(receive_buffer=65536)
    scene.play(client="connect send:4M drained reset set:reset",
               server="accept read:3968k await:reset read")
    scene.expect_delivered(upstream=4 * 1024 * 1024, downstream=0)


@scenario("reset after a half-close")
def reset_after_a_half_close(scene):
    scene.play(client="connect send:100 fin read", server="accept read reset")
    scene.server_felt[:] = [felt[1:] for felt in scene.server_felt]  # the client's FIN, before it reset
    scene.expect_delivered(upstream=100, downstream=0)


@scenario("client resets while weir connects")
def client_resets_while_weir_connects(scene):
    hole = BlackHole()
    scene.open(upstream=hole.text)
    scene.start_client("connect send:10 await:connecting reset")
    hole.wait_for_an_attempt()
    scene.board.raise_flag("connecting")
    scene.finish()
    scene.causes()  # the session has ended by itself, long before `connect`
    wait_until(lambda: scene.weir.sockets() <= scene.sockets_at_first, "the attempt is given up", 2.0)
    hole.close()


# -- ends in order -----------------------------------------------------------------------------------


@scenario("client half-closes first")
def client_half_closes_first(scene):
    scene.play(client="connect send:1k fin set:ended read", server="accept await:ended read:1k send:1M read fin")
    scene.expect_delivered(upstream=1024, downstream=1024 * 1024)
    if session := scene.session():
        assert session.half_closed[0] == "upstream"


@scenario("server half-closes first")
def server_half_closes_first(scene):
    scene.play(client="connect await:ended read send:1M fin", server="accept send:1k fin set:ended read")
    scene.expect_delivered(upstream=1024 * 1024, downstream=1024)
    if session := scene.session():
        assert session.half_closed[0] == "downstream"


@scenario("half-close and silence")
def half_close_and_silence(scene):
    scene.open("--timeout", "half_close=300ms")
    scene.play(client="connect send:100 fin read set:over", server="accept read await:over")
    scene.expect_delivered(upstream=100, downstream=0)


@scenario("client leaves before the upstream answers")
def client_leaves_before_the_upstream_answers(scene):
    hole = BlackHole()
    scene.listener = hole.listener
    scene.open(upstream=hole.text)
    scene.start_client("connect send:10k fin set:gone read")
    scene.board.await_flag("gone")
    hole.wait_for_an_attempt()
    hole.open_up()  # weir's kernel asks again after a second
    scene.start_server("accept read send:10k fin")
    scene.finish()
    scene.expect_delivered(upstream=10240, downstream=10240)
    hole.close()


@scenario("one byte at a time")
def one_byte_at_a_time(scene):
    scene.play(client="connect drip:2000 read:2000 fin read", server="accept echo:2000 read fin")
    scene.expect_delivered(upstream=2000, downstream=2000)


@scenario("urgent data")
def urgent_data(scene):
    # The peers' own sockets keep urgent bytes out of the stream unless they say otherwise; weir's
    # ordinary bytes arrive in their place.
    scene.play(client="connect send:1k urgent send:1k urgent send:1k fin read",
               server="accept send:500 urgent send:500 read fin")
    scene.expect_delivered(upstream=3074, downstream=1001)


@scenario("urgent data in bulk")
def urgent_data_in_bulk(scene):
    scene.play(client="connect send:8M urgent send:8M fin read", server="accept read send:8M urgent send:8M fin")
    scene.expect_delivered(upstream=16 * 1024 * 1024 + 1, downstream=16 * 1024 * 1024 + 1)


@scenario("5,000 connections at once")
def five_thousand_connections_at_once(scene):
    swarm = Swarm(5000)

    async def storm():
        scene.open(upstream=await swarm.serve())
        await swarm.storm(scene.weir.address)
        swarm.close()

    asyncio.run(storm())
    assert swarm.wrong_echoes == 0
    assert swarm.most_at_once == 5000
    assert (swarm.ends, swarm.server_ends) == ({"fin": 5000}, {"fin": 5000})
    scene.closed_sessions = 5000
    scene.client_felt = scene.server_felt = [("fin",)]
    if scene.view == "json":
        sessions = scene.all_sessions()
        assert sorted(sessions) == list(range(1, 5001))
        assert {s.bytes("upstream") for s in sessions.values()} == {200}
        assert {s.bytes("downstream") for s in sessions.values()} == {200}


# -- upstreams that are not there --------------------------------------------------------------------


@scenario("upstream refuses")
def upstream_refuses(scene):
    nobody = scene.add_listener()
    nobody.close()
    scene.open(upstream=nobody.text)
    scene.play(client="connect hangup read")


@scenario("upstream is a black hole")
def upstream_is_a_black_hole(scene):
    hole = BlackHole()
    scene.open("--timeout", "connect=300ms", upstream=hole.text)
    scene.play(client="connect hangup read")
    hole.close()


@scenario("upstream has no route")
def upstream_has_no_route(scene, room):
    room.run("ip", "route", "add", "unreachable", "192.0.2.0/24")
    scene.open(upstream="192.0.2.1:5432", enter=room.enter)
    scene.start_client("connect hangup read", make_socket=room.socket)
    scene.finish()


@scenario("upstream has no name")
def upstream_has_no_name(scene, room, tmp_path):
    names = serve_names(room, tmp_path, {})
    scene.open(upstream="nobody.test:5432", enter=room.enter)
    scene.start_client("connect hangup read", make_socket=room.socket)
    scene.finish()
    assert names.questions > 0
    names.close()


@scenario("upstream socket is missing")
def upstream_socket_is_missing(scene, tmp_path):
    scene.open(upstream=f"unix:{tmp_path}/nobody.sock")
    scene.play(client="connect hangup read")


@scenario("upstream closes at once")
def upstream_closes_at_once(scene):
    scene.play(client="connect read fin", server="accept close")
    scene.expect_delivered(upstream=0, downstream=0)


@scenario("upstream closes on a client that writes")
def upstream_closes_on_a_client_that_writes(scene):
    scene.play(client="connect read send:100 feel-reset", server="accept close", seconds=10)


@scenario("upstream resets at once")
def upstream_resets_at_once(scene):
    scene.play(client="connect hangup read", server="accept reset")


# -- weir's own limits -------------------------------------------------------------------------------


@scenario("no descriptor for the upstream")
def no_descriptor_for_the_upstream(scene):
    scene.open()
    scene.leave_descriptors_for_sessions(0, spare=1)
    scene.play(client="connect hangup read")
    stays_calm(scene.weir)


@scenario("no descriptors left")
def no_descriptors_left(scene, make_peer):
    scene.open()
    scene.leave_descriptors_for_sessions(2)
    scene.closed_sessions = 4
    servers = [make_peer(f"server {n}", "accept echo fin", listener=scene.listener) for n in range(4)]
    served = [make_peer(f"client {n}", f"connect send:10 read:10 set:served-{n} await:leave fin read",
                        address=scene.weir.address) for n in range(2)]
    for n in range(2):
        scene.board.await_flag(f"served-{n}")
    waiting = [make_peer(f"client {n}", f"connect send:10 set:sent-{n} read:10 fin read",
                         address=scene.weir.address) for n in range(2, 4)]
    for n in range(2, 4):
        scene.board.await_flag(f"sent-{n}")
    stays_calm(scene.weir)
    assert all(not peer.received for peer in waiting), "a client was served without a descriptor"
    scene.board.raise_flag("leave")
    scene.client_felt = [tuple(peer.finish().felt) for peer in served + waiting]
    scene.server_felt = [tuple(peer.finish().felt) for peer in servers]


@scenario("output is closed")
def output_is_closed(scene):
    read_end, write_end = os.pipe()
    scene.open(output=write_end)
    os.close(write_end)
    scene.start_server("accept echo:10 read")
    scene.start_client("connect send:10 read:10 set:seen await:reader-left flood:10 hangup read")  # weir may be gone by then
    scene.board.await_flag("seen")
    assert os.read(read_end, 10)
    os.close(read_end)
    scene.board.raise_flag("reader-left")
    scene.finish()
    assert scene.weir.wait(5.0) == 0
    assert scene.weir.stderr().count("\n") > 0 and "error" not in scene.weir.stderr().lower()
    scene.cannot_tell = True


@scenario("weir is told twice to stop")
def weir_is_told_twice_to_stop(scene):
    scene.open()
    scene.start_server("accept echo:10 read")
    scene.start_client("connect send:10 read:10 set:up hangup read")
    scene.board.await_flag("up")
    scene.weir.signal(signal.SIGINT)
    scene.wait_until_not_listening()
    assert scene.weir.running()
    scene.weir.signal(signal.SIGINT)
    scene.finish()
    assert scene.weir.wait(5.0) == 0


# -- peers that vanish -------------------------------------------------------------------------------


def open_in_room(scene, room, *options):
    scene.listener = scene.add_listener(make_socket=room.socket)
    scene.open(*options, enter=room.enter)


@scenario("client vanishes with bytes on the way")
def client_vanishes_with_bytes_on_the_way(scene, room):
    open_in_room(scene, room, "--timeout", "tcp.user_timeout=1s")
    scene.start_server("accept read:10 await:vanished send:10k hangup read")
    scene.start_client("connect send:10 set:up await:over", make_socket=room.socket)
    scene.board.await_flag("up")
    room.drop_packets_of(scene.client.sock.getsockname()[1])
    scene.board.raise_flag("vanished")
    scene.server_felt.append(tuple(scene.server.finish().felt))
    scene.board.raise_flag("over")
    scene.client_felt.append(tuple(scene.client.finish().felt))


@scenario("client vanishes in silence")
def client_vanishes_in_silence(scene, room):
    open_in_room(scene, room, "--timeout", "tcp.user_timeout=off", "--timeout", "tcp.keepalive.idle=1s",
                 "--timeout", "tcp.keepalive.interval=1s", "--keepalive-count", "1")
    scene.start_server("accept echo:10 hangup read")
    scene.start_client("connect send:10 read:10 set:up await:over", make_socket=room.socket)
    scene.board.await_flag("up")
    room.drop_packets_of(scene.client.sock.getsockname()[1])
    scene.server_felt.append(tuple(scene.server.finish().felt))
    scene.board.raise_flag("over")
    scene.client_felt.append(tuple(scene.client.finish().felt))


@scenario("server vanishes with bytes on the way")
def server_vanishes_with_bytes_on_the_way(scene, room):
    open_in_room(scene, room, "--timeout", "tcp.user_timeout=1s")
    scene.start_server("accept read:10 set:up await:over")
    scene.start_client("connect send:10 await:vanished send:10k hangup read", make_socket=room.socket)
    scene.board.await_flag("up")
    room.drop_packets_of(scene.listener.address[1])
    scene.board.raise_flag("vanished")
    scene.client_felt.append(tuple(scene.client.finish().felt))
    scene.board.raise_flag("over")
    scene.server_felt.append(tuple(scene.server.finish().felt))


# -- peers that take nothing -------------------------------------------------------------------------

# All that weir may hold for one stalled direction in its own memory, whatever the sender offers:
# bytes read and not yet taken, and the view's buffers. The kernel's socket buffers come on top.
MOST_HELD = 4 * 1024 * 1024


@scenario("client never reads")
def client_never_reads(scene):
    scene.open("--timeout", "write_stall=500ms")
    scene.warm_up()
    before = scene.weir.resident_bytes()
    scene.start_server("accept flood:64M set:stuck hangup read", seconds=10)
    scene.start_client("narrow:64k connect hangup read", seconds=10)
    scene.board.await_flag("stuck")
    assert len(scene.server.sent) < 60 * 1024 * 1024, "weir took all of a stream that nobody reads"
    if not is_sanitized():
        assert scene.weir.resident_bytes() - before < MOST_HELD
    scene.finish()
    scene.expect_prefix("downstream")


@scenario("server never reads")
def server_never_reads(scene):
    scene.listener = scene.add_listener(receive_buffer=65536)
    scene.open("--timeout", "write_stall=500ms")
    scene.warm_up()
    before = scene.weir.resident_bytes()
    scene.start_server("accept hangup read", seconds=10)
    scene.start_client("connect flood:64M set:stuck hangup read", seconds=10)
    scene.board.await_flag("stuck")
    assert len(scene.client.sent) < 60 * 1024 * 1024, "weir took all of a stream that nobody reads"
    if not is_sanitized():
        assert scene.weir.resident_bytes() - before < MOST_HELD
    scene.finish()
    scene.expect_prefix("upstream")


# -- the test ----------------------------------------------------------------------------------------


def check_felt(side, expected, felt):
    assert set(felt) <= {FELT[expected]}, f"the {side} should have felt {expected}, felt {felt}"


@pytest.mark.parametrize(("name", "scene"), cases(), indirect=["scene"])
def test_enemy(name, scene, request):
    """The row of docs/close-causes.md holds."""
    assert name in SCENARIOS, "docs/close-causes.md has a row that no scenario plays"
    assert name in ENEMIES, "this scenario has no row in docs/close-causes.md"
    enemy = ENEMIES[name]
    play = SCENARIOS[name]
    wanted = play.__code__.co_varnames[1:play.__code__.co_argcount]
    play(scene, **{fixture: request.getfixturevalue(fixture) for fixture in wanted})

    check_felt("client", enemy.client_feels, scene.client_felt)
    check_felt("server", enemy.server_feels, scene.server_felt)
    assert scene.client_felt, "the scenario did not say what the client felt"
    for cause, message in scene.causes() or []:
        assert cause == enemy.closed_by
        assert re.fullmatch(rf"closed by {re.escape(cause)} after {DURATION}", message)
    scene.nothing_is_left_over()
