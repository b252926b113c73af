"""Negative twins: what looks like a cause and is another one."""

import os
import signal
import socket
import ssl
import time

from scenario import Truth, both_sides, scenario
from truth_scene import NotProvoked, ask, excess, plain_answer, plan, receive, serve, talk, text

from .connecting import tls_talk
from .crowd import Fair, rounds, together
from .path import far_plan
from .shape import as_it_is, split_plan

SPLIT = ("split_write", "likely")


@scenario("think.40ms", side="server", quick=True)
def think_40ms(scene, draw):
    """As long as an ACK is delayed."""
    exchanges = plan(draw, draw.randint(8, 14), think=(0.040, 0.0405))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times))


@scenario("think.40ms.far", side="server", link="server", tolerance=(0.7, 1.9))
def think_40ms_far(scene, draw):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 14), think=(0.040, 0.0405))
    times = talk(scene, exchanges, serving=as_it_is, asking=as_it_is)
    return Truth(sum(each.think for each in exchanges), len(times), round_trip)


@scenario("think.200ms", side="server", quick=True)
def think_200ms(scene, draw):
    """As long as a cork holds, give or take."""
    exchanges = plan(draw, draw.randint(6, 9), think=(0.185, 0.225))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times))


@scenario("think.200ms.exact", side="server", also=("known_constant",))
def think_200ms_exact(scene, draw):
    exchanges = plan(draw, draw.randint(5, 8), think=(0.2, 0.2005))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times))


@both_sides("drip.2ms", cause=("think", "client_think", "unknown", "rate_cap"), quick=True, tolerance=(0.0, 99.0))
def drip(scene, draw, side):
    """Many small pieces, a little apart."""
    exchanges = plan(draw, 4, request=(400, 900), reply=(400, 900))
    count = draw.randint(12, 25)

    def in_drops(connection, size):
        step = max(1, size // count)
        for begin in range(0, size, step):
            connection.sendall(text(min(step, size - begin)))
            time.sleep(draw.uniform(0.0015, 0.0025))
    if side == "client":
        times = talk(scene, exchanges, send=lambda c, e: in_drops(c, e.request))
    else:
        times = talk(scene, exchanges, answer=lambda c, e: in_drops(c, e.reply))
    return Truth(sum(times), len(times))


@both_sides("drip.paused", cause=("think", "client_think", "unknown", "split_write"), tolerance=(0.0, 99.0),
            never=(("split_write", "shown"),))
def drip_of_40ms(scene, draw, side):
    """Two pieces, 42 ms apart because the application was so: there is no Nagle, and no ACK to wait for."""
    exchanges = split_plan(draw, 20, side)

    def in_two_late(connection, size, cut):
        connection.sendall(text(cut))
        time.sleep(0.042)
        connection.sendall(text(size - cut))
    if side == "client":
        times = talk(scene, exchanges, send=lambda c, e: in_two_late(c, e.request, e.cut))
    else:
        times = talk(scene, exchanges, answer=lambda c, e: in_two_late(c, e.reply, e.cut))
    return Truth(excess(times, 0.03), len(times))


@both_sides("not_reading.small_window", far=True, certainty="shown", quick=True, also=("think",), tolerance=(0.5, 1.4))
def slow_reader_with_a_small_window(scene, draw, side):
    """The window is small, and yet it is the reader who is slow."""
    exchanges, round_trip = far_plan(scene, draw, 3, (0.008, 0.012))

    def take(connection, whole):
        while whole > 0:
            receive(connection, min(2000, whole))
            whole -= 2000
            time.sleep(0.05)
    buffers = {"receiving": 8192}
    for each in exchanges:
        if side == "client":
            each.reply = draw.randint(20_000, 30_000)
        else:
            each.request = draw.randint(20_000, 30_000)
    if side == "client":
        times = talk(scene, exchanges, take_reply=lambda c, e: take(c, e.reply), client_buffers=buffers)
    else:
        times = talk(scene, exchanges, take_request=lambda c, e: take(c, e.request), server_buffers=buffers)
    return Truth(sum(times), len(times), round_trip)


@scenario("not_reading.long", "not_reading", "server", link="server", certainty="shown", also=("think",), tolerance=(0.5, 1.4))
def not_reading_long(scene, draw):
    """So long that the kernel asks for the window by its timer: it is answered, and the window stays shut."""
    exchanges, round_trip = far_plan(scene, draw, 2, (0.005, 0.01), request=(60_000, 90_000))
    pause = draw.uniform(1.0, 1.8)

    def take(connection, exchange):
        time.sleep(pause)
        receive(connection, exchange.request)
    times = talk(scene, exchanges, take_request=take, server_buffers={"receiving": 8192})
    return Truth(pause * len(times), len(times), round_trip)


@scenario("standstill.mid_reply", ("standstill", "think", "unknown"), "server", tolerance=(0.4, 1.6), quick=True,
          never=(SPLIT, ("cork", "likely")))
def stopped_in_the_middle(scene, draw):
    """A reply in many small pieces; in the middle of it the server stands still, once."""
    stop = draw.uniform(0.1, 0.2)
    exchanges = plan(draw, 4, reply=(50_000, 60_000))

    def in_drops(connection, exchange):
        for begin in range(0, exchange.reply, 1000):
            connection.sendall(text(min(1000, exchange.reply - begin)))
            time.sleep(0.0005)
            if begin == 20_000:
                time.sleep(stop)
    times = talk(scene, exchanges, answer=in_drops)
    return Truth(stop * len(times), len(times))


@scenario("think.first_over_tls", "think", "server", also=("tls_handshake",), tolerance=(0.6, 1.5), quick=True,
          never=(("tls_tickets", "likely"), SPLIT))
def think_first_over_tls(scene, draw):
    """The first exchange of each TLS connection takes 40 ms because the server thinks; no ticket waits for an ACK."""
    exchanges = plan(draw, 4)
    exchanges[0].think = draw.uniform(0.04, 0.044)
    told, _ = tls_talk(scene, draw, draw.randint(5, 8), exchanges)
    return Truth(sum(each[1] for each in told), len(told) * 4)


@scenario("think.independent", side="server", quick=True)
def think_independent(scene, draw):
    """Many at once, each with a time of its own."""
    sessions, exchanges = draw.randint(6, 10), rounds(draw, draw.randint(4, 6))
    seed = draw.random()

    def handle(connection, exchange):
        import random
        import threading
        own = random.Random(f"{seed} {threading.get_ident()} {exchanges.index(exchange)}")
        time.sleep(own.uniform(0.0, 0.04))
        plain_answer(connection, exchange)
    client, _ = together(scene, exchanges, sessions, handle, draw.uniform(0.0, 0.002))
    told = client.result()
    return Truth(sum(each for turn in told for each in turn), len(told) * sessions, at_once=sessions, tolerance=(0.5, 1.4))


@scenario("think.no_tick", side="server")
def think_no_tick(scene, draw):
    """Many answers, at no tick."""
    exchanges = plan(draw, 30, think=(0.005, 0.06), pause=(0.0, 0.03))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times))


@scenario("healthy.round_trip_40ms", (), link="server", also=("client_think", "think", "chatty"), quick=True)
def round_trip_40ms(scene, draw):
    """A path as long as the delay of an ACK; messages of one segment and of several."""
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 14), (0.0195, 0.0215), request=(20, 9000),
                                     reply=(20, 9000), pause=(0.05, 0.07))
    times = talk(scene, exchanges, serving=as_it_is, asking=as_it_is)
    return Truth(0.0, len(times), round_trip)


@scenario("tls_handshake.40ms", side=("client", "server", "path.server"), link="server", also=("think",), tolerance=(0.4, 1.8))
def tls_handshake_40ms(scene, draw):
    """A round trip as long as the delay of an ACK: no flight is in pieces, and no ticket waits."""
    delay = draw.uniform(0.0195, 0.0215)
    scene.link.set(delay=delay)
    told, _ = tls_talk(scene, draw, 4, plan(draw, 4), most=ssl.TLSVersion.TLSv1_3)
    return Truth(sum(each[0] for each in told), 16, 2 * delay)


@scenario("healthy.first_of_a_pool", (), link="server", also=("client_think", "think", "chatty"))
def first_of_a_pool(scene, draw):
    """One connection, used again and again."""
    exchanges, round_trip = far_plan(scene, draw, 30, (0.005, 0.015), pause=(0.03, 0.05))
    times = talk(scene, exchanges)
    return Truth(0.0, len(times), round_trip)


@scenario("healthy.crash", (), also=("client_think", "think", "unknown"), never=(("keepalive_race", "likely"),), quick=True)
def crash(scene, draw):
    """The server's process is killed while it holds a request: no FIN came before."""
    exchanges = plan(draw, draw.randint(3, 6))

    def die(connection, exchange):
        if exchange is exchanges[-1]:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            os.kill(os.getpid(), signal.SIGKILL)
        plain_answer(connection, exchange)

    def ask_until_it_dies():
        try:
            ask(scene, exchanges)
        except ConnectionError:
            return
        raise NotProvoked("the server lives")
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, die)
    scene.start_weir(listener)
    scene.start("client", ask_until_it_dies).result()
    return Truth(0.0, len(exchanges))


@scenario("client_think.spaced", "client_think", "client", link="server", also=("think",), quick=True, tolerance=(0.7, 1.5))
def spaced(scene, draw):
    """Many alike, but with more than a round trip of the client's own between them: a batch would save little."""
    exchanges, round_trip = far_plan(scene, draw, 30, (0.002, 0.006), request=(40, 40), reply=(20, 20), pause=(0.03, 0.06))
    times = talk(scene, exchanges)
    return Truth(sum(each.pause for each in exchanges[1:]), len(times), round_trip)


@scenario("think.workers_enough", "think", "server", never=(("lock_convoy", "likely"),))
def workers_enough(scene, draw):
    """As many workers as sessions, all of the same speed."""
    sessions, service = draw.randint(6, 8), draw.uniform(0.02, 0.04)
    queue = Fair(sessions)

    def handle(connection, exchange):
        with queue:
            time.sleep(service)
        plain_answer(connection, exchange)
    client, _ = together(scene, rounds(draw, 5), sessions, handle, 0.001)
    told = client.result()
    return Truth(sum(each for turn in told for each in turn), len(told) * sessions, at_once=sessions, tolerance=(0.6, 1.4))
