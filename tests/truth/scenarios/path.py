"""What the path does: losses, queues, windows and slow starts, over the emulated link."""

import os
import socket
import time

from scenario import Truth, both_sides, scenario
from truth_scene import (NotProvoked, ask, excess, nodelay, plain_answer, plain_send, plan, receive, serve, talk,
                         text)

from .shape import want

# Bytes that a direction's data goes in: to the peer on the link, and back.
TOWARDS = {"server": ("from_weir", "to_weir"), "client": ("to_weir", "from_weir")}
FULL = 1000  # a packet of at least so many bytes is a full one, or nearly


def far_plan(scene, draw, count, delay=(0.003, 0.015), **sizes):
    """Sets the link's delay. The exchanges, and the round trip."""
    one_way = draw.uniform(*delay)
    scene.link.set(delay=one_way)
    return plan(draw, count, **sizes), 2 * one_way


# -- losses ------------------------------------------------------------------------------------------------


@both_sides("peer_loss", path=True, certainty="shown", quick=True, also=("think",), tolerance=(0.3, 2.5))
def peer_loss(scene, draw, side):
    """The second full packet of a message from the peer is lost, and those behind it wait for it. Warm first."""
    sizes = {"request": (12_000, 40_000)} if side == "client" else {"reply": (12_000, 40_000)}
    exchanges, round_trip = far_plan(scene, draw, draw.randint(9, 13), (0.008, 0.02), **sizes)
    lossy = set(range(4, len(exchanges)))

    def send(connection, exchange):
        if exchanges.index(exchange) in lossy:
            scene.link.drop("to_weir", kind="data", nth=2, at_least=FULL)
        plain_send(connection, exchange)
    times = talk(scene, exchanges, send=send)
    if scene.link.counts()["dropped"][1] < len(lossy):
        raise NotProvoked(f"of {len(lossy)} packets {scene.link.counts()['dropped'][1]} were lost")
    healthy = min(times[1:])
    return Truth(excess([each - healthy for each in times[4:]], round_trip / 4), len(times), round_trip)


@scenario("loss.server", "loss", "path.server", link="server", certainty="shown", quick=True, also=("think",))
def loss_server(scene, draw):
    """A lone request is lost."""
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 11))
    lossy = set(range(3, len(exchanges), 2))

    def send(connection, exchange):
        if exchanges.index(exchange) in lossy:
            scene.link.drop("from_weir", kind="data")
        plain_send(connection, exchange)
    times = talk(scene, exchanges, send=send)
    return Truth(want(times, 0.15, 2), len(times), round_trip)


@scenario("loss.client", "loss", "path.client", link="client", certainty="shown", quick=True, also=("think",))
def loss_client(scene, draw):
    """A lone response is lost behind Weir: the client cannot go on."""
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 11), reply=(20, 1300), pause=(0.0, 0.001))
    lossy = set(range(3, len(exchanges) - 1, 2))  # not the last: what it waits for there, nobody asks behind

    def send(connection, exchange):
        if exchanges.index(exchange) in lossy:
            scene.link.drop("from_weir", kind="data")
        plain_send(connection, exchange)
    times = talk(scene, exchanges, send=send)
    return Truth(want(times, 0.15, 2), len(times), round_trip)


@scenario("loss.tail", "loss", "path.server", link="server", certainty="shown", also=("think",))
def loss_tail(scene, draw):
    """The last packet of a request is lost."""
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 11), request=(6000, 7000))
    lossy = set(range(3, len(exchanges), 2))

    def send(connection, exchange):
        if exchanges.index(exchange) in lossy:
            scene.link.drop("from_weir", kind="data", nth=5)
        plain_send(connection, exchange)
    times = talk(scene, exchanges, send=send)
    return Truth(want([each - min(times) for each in times], 0.02, 2), len(times), round_trip, (0.5, 1.5))


def reply_is_lost(scene, draw, think):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(8, 10), reply=(20, 1300), think=think)
    lossy = set(range(4, len(exchanges), 2))

    def answer(connection, exchange):
        time.sleep(exchange.think)
        if exchanges.index(exchange) in lossy:
            scene.link.drop("to_weir", kind="data")
        connection.sendall(text(exchange.reply, exchange.reply))
    return talk(scene, exchanges, answer=answer), round_trip


@scenario("reply_lost", side="path.server", link="server", certainty="shown", quick=True, also=("think",))
def reply_lost(scene, draw):
    """Its acknowledgement goes with it: the request is sent again, for nothing."""
    times, round_trip = reply_is_lost(scene, draw, (0.0, 0.001))
    return Truth(want(times, 0.15, 2), len(times), round_trip)


@scenario("undecided", link="server", side=("server", "path.server"), quick=True, also=("think",), tolerance=(0.5, 1.6))
def undecided(scene, draw):
    """The reply is lost after a think time; its request was acknowledged by itself. Nothing here tells it from think."""
    times, round_trip = reply_is_lost(scene, draw, (0.06, 0.12))
    return Truth(want(times, 0.2, 2), len(times), round_trip)


@both_sides("path_gone", path=True, certainty="shown", also=("think",), tolerance=(0.6, 1.4))
def path_gone(scene, draw, side):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(4, 6), reply=(20, 1300), think=(0.03, 0.05))
    gone, hit = draw.uniform(1.2, 2.5), exchanges[-2]

    def answer(connection, exchange):
        if side == "client" and exchange is hit:
            scene.link.drop_all()
        plain_answer(connection, exchange)

    def send(connection, exchange):
        if side == "server" and exchange is hit:
            scene.link.drop_all()
        plain_send(connection, exchange)
        if exchange is hit:
            time.sleep(gone)
            scene.link.deliver()
    times = talk(scene, exchanges, answer=answer, send=send)
    if times[-2] < gone:
        raise NotProvoked("the path was not gone")
    return Truth(times[-2], len(times), round_trip)


@both_sides("mtu_black_hole", path=True, certainty="shown", also=("think",), tolerance=(0.6, 1.4))
def mtu_black_hole(scene, draw, side):
    """Packets of 1,200 bytes and more vanish, for some seconds."""
    exchanges, round_trip = far_plan(scene, draw, draw.randint(3, 5), request=(50, 300), reply=(50, 300))
    large = exchanges[-2]
    if side == "server":
        large.request = draw.randint(4500, 5500)
    else:
        large.reply = draw.randint(4500, 5500)
    gone = draw.uniform(1.5, 3.0)

    def send(connection, exchange):
        if exchange is large:
            scene.link.drop("from_weir", count=-1, at_least=1200)
        plain_send(connection, exchange)
        if exchange is large:
            time.sleep(gone)
            scene.link.deliver()
    times = talk(scene, exchanges, send=send)
    if times[-2] < gone:
        raise NotProvoked("nothing vanished")
    return Truth(times[-2], len(times), round_trip)


@both_sides("congestion", path=True, also=("loss", "peer_loss", "think", "slow_start"), tolerance=(0.2, 1.5))
def congestion(scene, draw, side):
    """A path that loses some packets in a hundred, and a sender that slows down for each."""
    exchanges, round_trip = far_plan(scene, draw, 2, (0.008, 0.015))
    scene.link.set(rate=40e6, queue=400_000)
    for each in exchanges:
        if side == "server":
            each.request = draw.randint(1_000_000, 1_800_000)
        else:
            each.reply = draw.randint(1_000_000, 1_800_000)
    scene.link.drop("from_weir", kind="data", count=-1, share=draw.uniform(0.012, 0.03), seed=draw.randint(1, 1000))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times), round_trip)


# -- windows -----------------------------------------------------------------------------------------------


@both_sides("small_window", far=True, certainty="shown", quick=True, also=("think",), tolerance=(0.6, 1.4))
def small_window(scene, draw, side):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(2, 3), (0.008, 0.012))
    buffers = {"receiving": draw.choice((8192, 12_000, 16_384))}
    for each in exchanges:
        if side == "server":
            each.request = draw.randint(100_000, 200_000)
        else:
            each.reply = draw.randint(100_000, 200_000)
    times = talk(scene, exchanges, **{f"{side}_buffers": buffers})
    return Truth(sum(times), len(times), round_trip)


@both_sides("window_update_lost", path=True, certainty="shown", also=("not_reading", "think"), tolerance=(0.2, 2.0),
            sides={"server": ("path.server", "server"), "client": ("path.client", "client")})
def window_update_lost(scene, draw, side):
    """The peer reads on after a while, and the packets that say so are lost: Weir's kernel asks by its own timer."""
    exchanges, round_trip = far_plan(scene, draw, 3, (0.005, 0.012))
    bulky(draw, exchanges, "request" if side == "server" else "reply", (60_000, 90_000))
    waits = draw.uniform(0.3, 0.5)

    def take(connection, size):
        time.sleep(waits)
        scene.link.drop("to_weir", kind="ack", count=2)
        receive(connection, size)
        scene.link.deliver()
    if side == "server":
        times = talk(scene, exchanges, take_request=lambda c, e: take(c, e.request), server_buffers={"receiving": 8192})
    else:
        times = talk(scene, exchanges, take_reply=lambda c, e: take(c, e.reply), client_buffers={"receiving": 8192})
    return Truth(want([each - waits for each in times], 0.1, 2), len(times), round_trip)


@both_sides("small_send_buffer", far=True, quick=True, also=("think", "slow_start"), tolerance=(0.5, 1.4))
def small_send_buffer(scene, draw, side):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(2, 3), (0.008, 0.012))
    for each in exchanges:
        if side == "client":
            each.request = draw.randint(80_000, 140_000)
        else:
            each.reply = draw.randint(80_000, 140_000)
    times = talk(scene, exchanges, **{f"{side}_buffers": {"sending": draw.choice((4096, 8192))}})
    return Truth(sum(times), len(times), round_trip)


# -- slow starts -------------------------------------------------------------------------------------------

COLD = {"tolerance": (0.3, 1.5), "also": ("think",)}


def bulky(draw, exchanges, direction, size=(120_000, 300_000)):
    for each in exchanges:
        if direction == "request":
            each.request = draw.randint(*size)
        else:
            each.reply = draw.randint(*size)


def cold_sessions(scene, draw, direction):
    """New connections that begin with a large message; a small exchange follows."""
    exchanges, round_trip = far_plan(scene, draw, 2, (0.008, 0.02))
    bulky(draw, exchanges[:1], direction)
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(listener)
    times = scene.start("client", lambda: [ask(scene, exchanges)[0] for _ in range(4)]).result()
    return Truth(sum(each - round_trip for each in times), 2 * len(times), round_trip)


@scenario("slow_start.request", "slow_start", ("path.server", "server", "client"), link="server", quick=True, **COLD)
def slow_start_request(scene, draw):
    return cold_sessions(scene, draw, "request")


@scenario("slow_start.reply", "slow_start", ("path.server", "server"), link="server", **COLD)
def slow_start_reply(scene, draw):
    return cold_sessions(scene, draw, "reply")


@scenario("slow_start.client", "slow_start", ("path.client", "client"), link="client", **COLD)
def slow_start_client(scene, draw):
    return cold_sessions(scene, draw, "reply")


@scenario("slow_start.client_request", "slow_start", ("path.client", "client"), link="client", **COLD)
def slow_start_client_request(scene, draw):
    return cold_sessions(scene, draw, "request")


def idle_then_bulk(scene, draw, direction):
    exchanges, round_trip = far_plan(scene, draw, draw.randint(10, 12), (0.008, 0.015), pause=(0.0, 0.001))
    bulky(draw, exchanges, direction, (150_000, 300_000))
    idle = [index for index in range(5, len(exchanges) - 1) if index % 2]
    for index in idle:
        exchanges[index].pause = draw.uniform(1.0, 1.4)
    times = talk(scene, exchanges)
    warm = sorted(times[3:])[0]
    return Truth(want([times[index] - warm for index in idle], round_trip / 2, 2), len(times), round_trip)


@scenario("slow_start_after_idle.request", side=("path.server", "server", "client", "weir"), link="server",
          tolerance=(0.3, 2.5), also=("think", "slow_start"))
def slow_start_after_idle_request(scene, draw):
    return idle_then_bulk(scene, draw, "request")


@scenario("slow_start_after_idle.reply", side=("path.server", "server"), link="server", tolerance=(0.3, 2.5),
          also=("think", "slow_start"))
def slow_start_after_idle_reply(scene, draw):
    return idle_then_bulk(scene, draw, "reply")


@scenario("slow_start_after_idle.client", side=("path.client", "client", "weir"), link="client", tolerance=(0.3, 2.5),
          also=("think", "slow_start"))
def slow_start_after_idle_client(scene, draw):
    return idle_then_bulk(scene, draw, "reply")


# -- queues and rates --------------------------------------------------------------------------------------


@both_sides("path_queue", path=True, tolerance=(0.5, 1.5), also=("think", "loss", "peer_loss"))
def path_queue(scene, draw, side):
    """A transfer beside Weir fills the queue in front of the path; small exchanges wait in it."""
    exchanges, round_trip = far_plan(scene, draw, 40, (0.005, 0.01), request=(20, 200), reply=(20, 200))
    scene.link.set(rate=draw.uniform(8e6, 15e6), queue=draw.randint(50_000, 90_000))
    for each in exchanges[15:]:
        each.pause = 0.02
    exchanges[15].pause = 0.3
    bulk = scene.listen(leg=side)
    begin, begins = os.pipe()

    def drain():
        connection, _ = bulk.accept()
        while connection.recv(1 << 16):
            pass

    def flood():
        os.read(begin, 1)
        with socket.create_connection(bulk.getsockname()) as connection:
            while True:
                connection.sendall(text(1 << 16))
    scene.start(side, drain)
    scene.start("near", flood)

    def send(connection, exchange):
        if exchange is exchanges[15]:
            os.write(begins, b"!")
            time.sleep(0.7)
        plain_send(connection, exchange)
    times = talk(scene, exchanges, send=send)[16:]
    return Truth(want([each - round_trip for each in times], round_trip, 12), len(exchanges), round_trip)


def capped(scene, draw, direction):
    exchanges, round_trip = far_plan(scene, draw, 2, (0.003, 0.008))
    scene.link.set(rate=draw.uniform(3e6, 10e6), queue=draw.randint(60_000, 200_000))
    bulky(draw, exchanges, direction, (500_000, 900_000))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times), round_trip)


CAPPED = {"tolerance": (0.5, 1.3),
          "also": ("think", "slow_start", "path_queue", "congestion", "big_answer", "peer_loss", "loss")}


@scenario("rate_cap.request", "rate_cap", "path.server", link="server", **CAPPED)
def rate_cap_request(scene, draw):
    return capped(scene, draw, "request")


@scenario("rate_cap.reply", "rate_cap", "path.server", link="server", **CAPPED)
def rate_cap_reply(scene, draw):
    return capped(scene, draw, "reply")


@scenario("rate_cap.client", "rate_cap", "path.client", link="client", **CAPPED)
def rate_cap_client(scene, draw):
    return capped(scene, draw, "reply")


@scenario("big_answer", side=("server", "client"), link="server", tolerance=(0.3, 1.4),
          also=("think", "slow_start", "rate_cap", "path_queue", "peer_loss", "congestion"))
def big_answer(scene, draw):
    """The same large answer again and again, over a path of 100 Mbit/s."""
    exchanges, round_trip = far_plan(scene, draw, 8, (0.001, 0.003))
    scene.link.set(rate=100e6, queue=1_000_000)
    bulky(draw, exchanges, "reply", (2_000_000, 2_000_000))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times), round_trip)


@scenario("chatty", side="client", link="server", quick=True, also=("think",), tolerance=(0.6, 1.3))
def chatty(scene, draw):
    """A page of queries that differ in their literals only, one after another."""
    _, round_trip = far_plan(scene, draw, 0, (0.002, 0.012))
    count = draw.randint(40, 80)
    queries = [b"SELECT name, price FROM items WHERE id = %d;\n" % draw.randint(1000, 99_999) for _ in range(count)]

    def answer_lines(listener):
        connection, _ = listener.accept()
        nodelay(connection)
        for line in connection.makefile("rb"):
            connection.sendall(b"row %d\n" % len(line))

    def ask_all():
        with scene.connect() as connection:
            nodelay(connection)
            stream = connection.makefile("rb")
            begin = time.monotonic()
            for query in queries:
                connection.sendall(query)
                stream.readline()
            return time.monotonic() - begin
    listener = scene.listen()
    scene.start("server", answer_lines, listener)
    scene.start_weir(listener)
    took = scene.start("client", ask_all).result()
    return Truth(took, count, round_trip)
