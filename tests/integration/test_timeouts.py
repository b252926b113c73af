"""Every clock of `--timeout`: one test that lets it run out, and one that just misses it.

Unit tests do this on virtual time; here the same is shown on the real clock, with real peers. The pauses
are the silences under test.
"""

import re
import signal
import subprocess

import pytest

from black_hole import BlackHole
from deadline import PATIENCE
from name_server import serve_names
from session_log import wait_for_closed, wait_for_opened
from weir_process import BINARY, REPOSITORY

FIRES, MISSES = {}, {}


def fires(*names):
    """Registers a test that lets these clocks run out."""
    def register(function):
        for name in names:
            FIRES.setdefault(name, []).append(function)
        return function
    return register


def misses(*names):
    """Registers a test in which these clocks come close."""
    def register(function):
        for name in names:
            MISSES.setdefault(name, []).append(function)
        return function
    return register


def timeouts(**values):
    """timeouts(idle_client="300ms") -> ["--timeout", "idle.client=300ms"]."""
    words = []
    for name, value in values.items():
        words += ["--timeout", f"{name.replace('__', '.')}={value}"]
    return words


def closed_by(scene, message, *, after, late=1.0):
    """The session was closed with exactly this message, `after` seconds after its clock could start
    at the earliest, and not much later."""
    closed = wait_for_closed(scene.weir)[1].closed
    assert closed["message"] == message
    lasted = closed["age_ns"] / 1e9
    assert after <= lasted < after + late * PATIENCE, f"{message}, but the session lasted {lasted:.3f} s"


def ended_in_order(scene, cause="client.fin"):
    """The clock did not run out: the session ended as its peers wished."""
    assert wait_for_closed(scene.weir)[1].cause == cause


# -- silences ----------------------------------------------------------------------------------------


@fires("idle")
def test_idle_ends_a_session_in_which_nobody_speaks(scene):
    scene.open(*timeouts(idle="300ms"))
    scene.play(client="connect send:10 read:10 read", server="accept echo:10 read")
    closed_by(scene, "closed by idle after 300ms", after=0.3)
    assert (scene.client_felt, scene.server_felt) == ([("fin",)], [("fin",)])


@misses("idle")
def test_idle_counts_from_the_last_byte_of_either_side(scene):
    scene.open(*timeouts(idle="700ms"))
    scene.play(client="connect send:1 pause:300 send:1 read:1 pause:300 send:1 pause:300 fin read",
               server="accept read:2 pause:300 send:1 read fin")
    ended_in_order(scene)


@fires("idle.client")
def test_idle_client_runs_before_the_first_byte(scene):
    scene.open(*timeouts(idle__client="300ms"))
    scene.play(client="connect read", server="accept read")
    closed_by(scene, "closed by idle.client after 300ms", after=0.3)


@fires("idle.client")
def test_idle_client_runs_when_the_server_spoke_last(scene):
    scene.open(*timeouts(idle__client="300ms"))
    scene.play(client="connect send:10 read:10 read", server="accept echo:10 read")
    closed_by(scene, "closed by idle.client after 300ms", after=0.3)


@misses("idle.client")
def test_idle_client_stands_still_while_it_is_the_servers_turn(scene):
    scene.open(*timeouts(idle__client="600ms"))
    scene.play(client="connect pause:300 send:10 read:10 pause:300 send:10 read:10 fin read",
               server="accept read:10 pause:900 send:10 read:10 pause:900 send:10 read fin")
    ended_in_order(scene)


@fires("idle.server")
def test_idle_server_runs_when_the_client_spoke_last(scene):
    scene.open(*timeouts(idle__server="300ms"))
    scene.play(client="connect send:10 read:10 send:10 read", server="accept echo:10 read")
    closed_by(scene, "closed by idle.server after 300ms", after=0.3)


@misses("idle.server")
def test_idle_server_stands_still_while_it_is_the_clients_turn(scene):
    scene.open(*timeouts(idle__server="600ms"))
    scene.play(client="connect pause:900 send:10 read:10 pause:900 send:10 read:10 fin read",
               server="accept read:10 pause:300 send:10 read:10 pause:300 send:10 read fin")
    ended_in_order(scene)


@fires("first_byte.client")
def test_first_byte_client_ends_a_session_whose_client_only_listens(scene):
    scene.open(*timeouts(first_byte__client="300ms"))
    scene.play(client="connect read", server="accept send:10 pause:100 send:10 read")
    closed_by(scene, "closed by first_byte.client after 300ms", after=0.3)


@misses("first_byte.client")
def test_first_byte_client_is_over_once_a_byte_came(scene):
    scene.open(*timeouts(first_byte__client="600ms"))
    scene.play(client="connect pause:300 send:1 pause:900 fin read", server="accept read fin")
    ended_in_order(scene)


@fires("first_byte.server")
def test_first_byte_server_ends_a_session_whose_server_does_not_answer(scene):
    scene.open(*timeouts(first_byte__server="300ms"))
    scene.play(client="connect send:10 pause:100 send:10 read", server="accept read")
    closed_by(scene, "closed by first_byte.server after 300ms", after=0.3)


@misses("first_byte.server")
def test_first_byte_server_is_over_once_a_byte_came(scene):
    scene.open(*timeouts(first_byte__server="600ms"))
    scene.play(client="connect read fin", server="accept pause:300 send:1 pause:900 fin read")
    ended_in_order(scene, "server.fin")


# -- ends --------------------------------------------------------------------------------------------


@fires("half_close")
def test_half_close_ends_a_session_whose_other_side_stays_silent(scene):
    scene.open(*timeouts(half_close="300ms"))
    scene.play(client="connect send:10 fin read set:over", server="accept read await:over")
    closed_by(scene, "closed by half_close after 300ms", after=0.3)


@misses("half_close")
def test_half_close_counts_from_the_last_byte_of_the_other_side(scene):
    scene.open(*timeouts(half_close="700ms"))
    scene.play(client="connect fin read",
               server="accept read pause:300 send:9 pause:300 send:9 pause:300 send:9 pause:300 fin")
    ended_in_order(scene)
    scene.expect_delivered(downstream=27)


@fires("max_duration")
def test_max_duration_ends_a_session_that_is_busy(scene):
    scene.open(*timeouts(max_duration="500ms"))
    scene.play(client="connect read", server="accept " + "send:100 pause:50 " * 8 + "read")
    closed_by(scene, "closed by max_duration after 500ms", after=0.5)


@misses("max_duration")
def test_max_duration_leaves_a_shorter_session_alone(scene):
    scene.open(*timeouts(max_duration="1s"))
    scene.play(client="connect send:10 read:10 pause:600 fin read", server="accept echo:10 read fin")
    ended_in_order(scene)


# The clock starts when the last byte was taken, and until then the kernels' buffers fill up.
FILLING = 8.0


@fires("write_stall")
def test_write_stall_ends_a_session_whose_client_takes_nothing(scene):
    scene.open(*timeouts(write_stall="400ms"))
    scene.play(client="narrow:64k connect hangup", server="accept flood:64M hangup", seconds=10)
    closed_by(scene, "closed by write_stall after 400ms", after=0.4, late=FILLING)
    assert scene.session().closed["leg"] == "client"
    assert scene.session().undelivered("downstream") > 0


@fires("write_stall")
def test_write_stall_ends_a_session_whose_server_takes_nothing(scene):
    scene.listener = scene.add_listener(receive_buffer=65536)
    scene.open(*timeouts(write_stall="400ms"))
    scene.play(client="connect flood:64M hangup", server="accept hangup", seconds=10)
    closed_by(scene, "closed by write_stall after 400ms", after=0.4, late=FILLING)
    assert scene.session().closed["leg"] == "server"


@misses("write_stall")
def test_write_stall_counts_from_the_last_byte_that_was_taken(scene):
    scene.open(*timeouts(write_stall="900ms"))
    scene.play(client="narrow:64k connect " + "pause:300 read:512k " * 5 + "read fin",
               server="accept send:8M fin read")
    ended_in_order(scene, "server.fin")
    scene.expect_delivered(downstream=8 * 1024 * 1024)


# A reset is passed on at the latest after reset_grace, whoever has not read what came before it; the
# cause is the reset.


@fires("reset_grace")
def test_reset_grace_passes_a_reset_on_to_a_client_that_does_not_read(scene):
    scene.open(*timeouts(reset_grace="300ms"))
    scene.play(client="narrow:64k connect hangup read", server="accept flood:8M reset")
    session = scene.session()
    assert session.cause == "server.reset"
    assert session.undelivered("downstream") > 0
    assert scene.client_felt == [("rst",)]
    scene.expect_prefix("downstream")


@misses("reset_grace")
def test_reset_grace_waits_for_a_client_that_reads_in_time(scene):
    scene.open(*timeouts(reset_grace="5s"))
    scene.play(client="narrow:64k connect await:reset pause:300 read", server="accept flood:8M reset set:reset")
    session = scene.session()
    assert session.cause == "server.reset"
    assert session.undelivered("downstream") == 0
    assert len(scene.client.received) == session.bytes("downstream") > 65536
    assert scene.client_felt == [("rst",)]


@fires("drain")
def test_drain_ends_the_sessions_that_are_left_when_weir_is_told_to_stop(scene):
    scene.open(*timeouts(drain="300ms"))
    scene.start_server("accept echo:10 read")
    scene.start_client("connect send:10 read:10 set:up read")
    scene.board.await_flag("up")
    scene.weir.signal(signal.SIGTERM)
    scene.finish()
    assert scene.weir.wait() == 0
    assert scene.session().message == "closed by drain after 300ms"
    assert (scene.client_felt, scene.server_felt) == ([("rst",)], [("rst",)])


@misses("drain")
def test_drain_lets_sessions_end_by_themselves(scene):
    scene.open(*timeouts(drain="10s"))
    scene.start_server("accept echo fin")
    scene.start_client("connect send:10 read:10 set:up await:told pause:300 send:10 read:10 fin read")
    scene.board.await_flag("up")
    scene.weir.signal(signal.SIGTERM)
    scene.wait_until_not_listening()
    scene.board.raise_flag("told")
    scene.finish()
    assert scene.weir.wait(5.0) == 0
    ended_in_order(scene)
    scene.expect_delivered(upstream=20, downstream=20)


# -- the way to the upstream -------------------------------------------------------------------------


@pytest.fixture
def hole():
    it = BlackHole()
    yield it
    it.close()


PROXY_HEADER = "PROXY%20TCP4%20203.0.113.9%20198.51.100.1%208080%20443%0d%0a"


@fires("handshake")
def test_handshake_ends_a_session_whose_client_does_not_say_who_it_is(scene):
    scene.open("--handshake", "proxy_protocol", *timeouts(handshake="300ms"))
    scene.play(client="connect say:PROXY hangup")
    closed_by(scene, "closed by handshake after 300ms", after=0.3)


@misses("handshake")
def test_handshake_is_over_once_the_client_has_said_who_it_is(scene):
    scene.open("--handshake", "proxy_protocol", *timeouts(handshake="600ms"))
    scene.play(client=f"connect pause:300 say:{PROXY_HEADER} pause:900 fin read", server="accept read fin")
    ended_in_order(scene)


@fires("connect")
def test_connect_gives_up_on_an_upstream_that_does_not_answer(scene, hole):
    scene.open(*timeouts(connect="300ms"), upstream=hole.text)
    scene.play(client="connect hangup")
    closed_by(scene, "closed by connect after 300ms", after=0.3)


@misses("connect", "connect.attempt")
def test_connect_waits_for_an_upstream_that_answers_late(scene, hole):
    scene.listener = hole.listener
    scene.open(*timeouts(connect="5s", connect__attempt="4s"), upstream=hole.text)
    scene.start_client("connect send:10 read")
    hole.wait_for_an_attempt()
    hole.open_up()
    scene.start_server("accept echo:10 fin")
    scene.client.join(10)
    scene.client.finish()
    scene.server.finish()
    # The kernel repeats its SYN after a second.
    assert 0.5e9 < wait_for_closed(scene.weir)[1].opened["connect_ns"] < 4e9


@fires("connect.attempt")
def test_connect_attempt_gives_up_on_the_only_address(scene, hole):
    scene.open(*timeouts(connect="10s", connect__attempt="300ms"), upstream=hole.text)
    scene.play(client="connect hangup")
    closed_by(scene, "closed by connect.attempt after 300ms", after=0.3)


@fires("connect.attempt")
def test_connect_attempt_goes_on_to_the_next_address(scene, room, tmp_path):
    names = serve_names(room, tmp_path, {"db.test": ["127.0.0.2", "127.0.0.3"]})
    listeners = [scene.add_listener(host="127.0.0.2", make_socket=room.socket)]
    port = listeners[0].address[1]
    listeners.append(scene.add_listener(host="127.0.0.3", port=port, make_socket=room.socket))
    room.drop(f"ip daddr 127.0.0.2 tcp dport {port}")
    scene.listener = listeners[1]
    scene.open(*timeouts(connect__attempt="300ms"), upstream=f"db.test:{port}", enter=room.enter)
    # The system orders addresses by RFC 6724; these two are equal to it, so the name server's order stands.
    scene.start_server("accept echo:10 read fin")
    scene.start_client("connect send:10 read:10 fin read", make_socket=room.socket)
    scene.finish()
    opened = wait_for_closed(scene.weir)[1].opened
    assert opened["upstream"] == f"127.0.0.3:{port}"
    assert 0.3e9 <= opened["connect_ns"] < 2e9
    names.close()


@fires("resolve")
def test_resolve_gives_up_on_a_name_server_that_does_not_answer(scene, room, tmp_path):
    names = serve_names(room, tmp_path, {}, delay=None)
    scene.open(*timeouts(resolve="300ms"), upstream="db.test:5432", enter=room.enter)
    scene.start_client("connect hangup", make_socket=room.socket)
    scene.finish()
    closed_by(scene, "closed by resolve after 300ms", after=0.3)
    assert names.questions > 0
    names.close()


@misses("resolve")
def test_resolve_waits_for_a_name_server_that_answers_late(scene, room, tmp_path):
    names = serve_names(room, tmp_path, {"db.test": ["127.0.0.1"]}, delay=0.4)
    scene.listener = scene.add_listener(make_socket=room.socket)
    scene.open(*timeouts(resolve="3s"), upstream=f"db.test:{scene.listener.address[1]}", enter=room.enter)
    scene.start_server("accept echo:10 read fin")
    scene.start_client("connect send:10 read:10 fin read", make_socket=room.socket)
    scene.finish()
    assert wait_for_closed(scene.weir)[1].opened["connect_ns"] > 0.4e9
    ended_in_order(scene)
    names.close()


# -- the kernel's clocks -----------------------------------------------------------------------------


def vanish_after_ten_bytes(scene, room, *options, server, client="await:over"):
    """A session in a room of its own whose client vanishes after it has got ten bytes back."""
    scene.listener = scene.add_listener(make_socket=room.socket)
    scene.open(*options, enter=room.enter)
    scene.start_server(f"accept echo:10 {server}")
    scene.start_client(f"connect send:10 read:10 set:up {client}", make_socket=room.socket)
    scene.board.await_flag("up")
    wait_for_opened(scene.weir)
    room.drop_packets_of(scene.client.sock.getsockname()[1])
    scene.board.raise_flag("vanished")


@fires("tcp.user_timeout")
def test_user_timeout_ends_a_session_whose_client_acknowledges_nothing(scene, room):
    vanish_after_ten_bytes(scene, room, *timeouts(tcp__user_timeout="1s"), server="await:vanished send:1k read")
    scene.server.finish()
    scene.board.raise_flag("over")
    closed_by(scene, "closed by tcp.user_timeout after 1.00s", after=0.9)
    assert scene.server.felt == ["rst"]


@misses("tcp.user_timeout")
def test_user_timeout_is_over_when_the_client_is_back_in_time(scene, room):
    vanish_after_ten_bytes(scene, room, *timeouts(tcp__user_timeout="3s"),
                           server="await:vanished send:1k set:sent read fin", client="await:back read:1k fin read")
    scene.board.await_flag("sent")
    scene.server.join(0.8)  # the packets stay away for so long
    assert scene.server.is_alive()
    room.deliver_packets()
    scene.board.raise_flag("back")
    scene.finish()
    ended_in_order(scene)
    scene.expect_delivered(upstream=10)
    assert scene.client.received[10:] == scene.server.sent[10:]


def silent_death(scene, room, interval):
    """How long weir takes to notice a client that vanished, with one keepalive probe after one second."""
    vanish_after_ten_bytes(scene, room, *timeouts(tcp__user_timeout="off", tcp__keepalive__idle="1s",
                                                  tcp__keepalive__interval=interval), "--keepalive-count", "1",
                           server="read")
    scene.server.finish()
    scene.board.raise_flag("over")
    closed = wait_for_closed(scene.weir)[1].closed
    assert re.fullmatch(r"closed by tcp\.keepalive after \d\.\d\ds", closed["message"])
    assert scene.server.felt == ["rst"]
    return closed["age_ns"] / 1e9


@pytest.mark.slow
@fires("tcp.keepalive.idle")
def test_keepalive_ends_a_silent_session_whose_client_is_gone(scene, room):
    assert 1.9 <= silent_death(scene, room, "1s") < 3.5


@pytest.mark.slow
@fires("tcp.keepalive.interval")
def test_keepalive_interval_is_the_time_that_a_probe_may_take(scene, room):
    assert 3.9 <= silent_death(scene, room, "3s") < 5.5


@pytest.mark.slow
@misses("tcp.keepalive.idle", "tcp.keepalive.interval")
def test_keepalive_is_content_with_a_client_that_is_back_in_time(scene, room):
    vanish_after_ten_bytes(scene, room, *timeouts(tcp__user_timeout="off", tcp__keepalive__idle="1s",
                                                  tcp__keepalive__interval="1s"), "--keepalive-count", "3",
                           server="read fin", client="await:back send:10 fin read")
    scene.server.join(2.5)  # at least one probe is lost, and the third is still to come
    assert scene.server.is_alive(), "the session ended before its last probe"
    room.deliver_packets()
    scene.board.raise_flag("back")
    scene.finish()
    ended_in_order(scene)
    scene.expect_delivered(upstream=20)


# -- the lists ---------------------------------------------------------------------------------------


def names_in_the_source():
    source = (REPOSITORY / "src" / "event" / "timeout_catalog.h").read_text()
    return re.findall(r'\{TimeoutName::\w+, "([\w.]+)"', source)


def test_every_clock_has_a_test_that_fires_it_and_one_that_just_misses_it():
    assert sorted(FIRES) == sorted(MISSES) == sorted(names_in_the_source())


def test_help_lists_every_clock_with_its_default(weir_binary):
    page = subprocess.run([BINARY, "tap", "--help"], capture_output=True, text=True, timeout=10, check=True).stdout
    defaults = dict(re.findall(r'\{TimeoutName::\w+, "([\w.]+)",\s*(std::nullopt|std::chrono::\w+\{\d+\})',
                               (REPOSITORY / "src" / "event" / "timeout_catalog.h").read_text()))
    units = {"seconds": 1, "minutes": 60, "hours": 3600, "s": 1, "m": 60, "h": 3600}
    for name in names_in_the_source():
        lines = [line for line in page.splitlines() if re.match(rf"\s*{re.escape(name)}\s+(off|\d+[smh])\s", line)]
        assert len(lines) == 1, f"{name} should stand on a line of its own in --help"
        shown = lines[0].split()[1]
        if defaults[name] == "std::nullopt":
            assert shown == "off"
            continue
        unit, count = re.fullmatch(r"std::chrono::(\w+)\{(\d+)\}", defaults[name]).groups()
        number, shown_unit = re.fullmatch(r"(\d+)([smh])", shown).groups()
        assert int(number) * units[shown_unit] == int(count) * units[unit], lines[0]
