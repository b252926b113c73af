"""What one peer does with its messages, and what Weir itself does: needs no path of our own."""

import os
import socket
import time

from scenario import Truth, both_sides, scenario
from truth_scene import NotProvoked, ask, excess, nodelay, plain_answer, plain_send, plan, receive, serve, talk, text


def as_it_is(connection):
    """Nagle's algorithm stays on."""


def in_two(connection, size, cut):
    connection.sendall(text(cut, size))
    connection.sendall(text(size - cut, cut))


def want(times, over, least):
    """Stalls that must have come about, as measured by the peers."""
    found = [each for each in times if each > over]
    if len(found) < least:
        raise NotProvoked(f"{len(found)} of {len(times)} exchanges took longer than {over * 1e3:g} ms")
    return sum(found)


# -- written in pieces -----------------------------------------------------------------------------------


def split_plan(draw, count, side):
    exchanges = plan(draw, count, request=(60, 900), reply=(60, 900))
    for each in exchanges:
        whole = each.request if side == "client" else each.reply
        each.cut = draw.randint(max(1, whole // 8), min(500, whole - 20))
    return exchanges


def split_talk(scene, draw, side, *options, count=(30, 45)):
    """So many exchanges that Weir's proof, which takes some of them, is made."""
    exchanges = split_plan(draw, draw.randint(*count), side)
    if side == "client":
        return talk(scene, exchanges, *options, asking=as_it_is, send=lambda c, e: in_two(c, e.request, e.cut))
    return talk(scene, exchanges, *options, serving=as_it_is, answer=lambda c, e: in_two(c, e.reply, e.cut))


@both_sides("split_write", certainty="shown", quick=True)
def split_write(scene, draw, side):
    times = split_talk(scene, draw, side)
    return Truth(want(times, 0.03, 4), len(times))


@both_sides("split_write.far", far=True, certainty="shown")
def split_write_far(scene, draw, side):
    delay = draw.uniform(0.0005, 0.004)
    scene.link.set(delay=delay)
    times = split_talk(scene, draw, side)
    return Truth(want(times, 0.03 + 2 * delay, 4), len(times), 2 * delay)


@both_sides("split_write.unproved")
def split_write_unproved(scene, draw, side):
    times = split_talk(scene, draw, side, "--no-proof", count=(12, 20))
    return Truth(want(times, 0.03, 8), len(times))


def corked(connection, size, cut, by_flag):
    if by_flag:
        connection.send(text(cut, size), socket.MSG_MORE)
        connection.send(text(size - cut, cut), socket.MSG_MORE)
    else:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        in_two(connection, size, cut)


@both_sides("cork", certainty="shown", quick=True)
def cork(scene, draw, side):
    exchanges, by_flag = split_plan(draw, draw.randint(5, 9), side), draw.random() < 0.4
    if side == "client":
        times = talk(scene, exchanges, asking=as_it_is, send=lambda c, e: corked(c, e.request, e.cut, by_flag))
    else:
        times = talk(scene, exchanges, serving=as_it_is, answer=lambda c, e: corked(c, e.reply, e.cut, by_flag))
    return Truth(want(times, 0.18, len(times) - 1), len(times))


# -- Weir itself -------------------------------------------------------------------------------------------


@scenario("own_lag", side="weir", certainty="shown", quick=True)
def own_lag(scene, draw):
    exchanges = plan(draw, draw.randint(10, 20))
    late = [draw.uniform(0.015, 0.06) for _ in exchanges]
    stops = []

    def send(connection, exchange):
        stops.append(scene.stop_weir_for(late[exchanges.index(exchange)]))
        plain_send(connection, exchange)

    def ask_it_stopped():
        ask(scene, exchanges, send)
        return [each() for each in stops]
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(listener)
    stopped = scene.start("client", ask_it_stopped).result()
    return Truth(sum(stopped), len(stopped))


@scenario("view_blocked", side="weir", certainty="shown", quick=True, also=("think",), tolerance=(0.5, 1.4))
def view_blocked(scene, draw):
    """A view that is not read for a while: what Weir shows must wait, and with it what it relays."""
    pause, rounds = draw.uniform(0.2, 0.5), draw.randint(2, 3)
    exchanges = plan(draw, rounds, reply=(8_000_000, 12_000_000))

    def take(descriptor, file):
        for _ in range(rounds):
            while part := os.read(descriptor, 1 << 16):
                file.write(part)
                if b'"downstream"' in part:
                    break
            time.sleep(pause)
            taken = 0
            while taken < 6_000_000 and (part := os.read(descriptor, 1 << 16)):
                taken += len(part)
                file.write(part)
        while part := os.read(descriptor, 1 << 16):
            file.write(part)
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_tap(listener, take)
    times = scene.start("client", ask, scene, exchanges).result()
    return Truth(pause * rounds, len(times))


@scenario("fault", side="weir", certainty="shown", quick=True, also=("think",))
def fault(scene, draw):
    latency = draw.randint(10, 80)
    times = talk(scene, plan(draw, draw.randint(5, 12), think=(0.0, 0.02)), "--fault", f"latency latency={latency}ms")
    return Truth(len(times) * latency / 1e3, len(times))


# -- what the peers do between their messages ---------------------------------------------------------------


@scenario("think.server", "think", "server", quick=True)
def think(scene, draw):
    long = draw.choice((0.02, 0.08, 0.35))
    exchanges = plan(draw, draw.randint(6, 14), think=(long / 4, long))
    times = talk(scene, exchanges)
    return Truth(sum(times), len(times))


@scenario("think.far", "think", "server", link="server")
def think_far(scene, draw):
    delay = draw.uniform(0.001, 0.015)
    scene.link.set(delay=delay)
    exchanges = plan(draw, draw.randint(6, 12), think=(0.03, 0.3))
    times = talk(scene, exchanges)
    return Truth(sum(each.think for each in exchanges), len(times), 2 * delay, tolerance=(0.8, 1.9))


@scenario("client_think", side="client", certainty="shown", quick=True)
def client_think(scene, draw):
    exchanges = plan(draw, draw.randint(8, 15), pause=(0.01, 0.2))
    times = talk(scene, exchanges)
    return Truth(sum(each.pause for each in exchanges[1:]), len(times))


def slow_taker(draw, pause, burst):
    """Reads a message at once up to `burst` bytes, and then nothing for a while."""
    def take(connection, size):
        receive(connection, min(burst, size))
        time.sleep(pause)
        receive(connection, size - min(burst, size))
    return take


@both_sides("not_reading", certainty="shown", quick=True, also=("think",))
def not_reading(scene, draw, side):
    big, pause = draw.randint(8_000_000, 16_000_000), draw.uniform(0.15, 0.6)
    exchanges = plan(draw, draw.randint(2, 4))
    take = slow_taker(draw, pause, draw.randint(1000, 200_000))
    buffers = {"receiving": draw.choice((0, 0, 300_000))}  # less than a few of loopback's segments loses some
    if side == "client":
        for each in exchanges:
            each.reply = big
        times = talk(scene, exchanges, take_reply=lambda c, e: take(c, e.reply), client_buffers=buffers)
    else:
        for each in exchanges:
            each.request = big
        times = talk(scene, exchanges, take_request=lambda c, e: take(c, e.request), server_buffers=buffers)
    return Truth(pause * len(exchanges), len(times), tolerance=(0.6, 1.7))


@scenario("not_reading.small", "not_reading", "server", certainty="shown", link="server", also=("think",))
def not_reading_small(scene, draw):
    """Weir's kernel can take the whole request, so that only the answer is late."""
    pause, delay = draw.uniform(0.15, 0.6), draw.uniform(0.001, 0.003)
    scene.link.set(delay=delay)
    exchanges = plan(draw, draw.randint(3, 5), request=(60_000, 120_000))
    take = slow_taker(draw, pause, draw.randint(1000, 20_000))
    times = talk(scene, exchanges, take_request=lambda c, e: take(c, e.request), server_buffers={"receiving": 16_000})
    return Truth(pause * len(exchanges), len(times), 2 * delay, tolerance=(0.6, 1.7))


# -- who holds the request ----------------------------------------------------------------------------------


@scenario("not_accepted", side="server", certainty="shown", quick=True, also=("think",))
def not_accepted(scene, draw):
    exchanges = plan(draw, draw.randint(2, 5))
    late = [draw.uniform(0.1, 0.4) for _ in range(draw.randint(3, 5))]

    def accept_late(listener):
        for each in late:
            # Accepts when the connection has waited so long, as an acceptor that is busy elsewhere would.
            poll_readable(listener)
            time.sleep(each)
            connection, _ = listener.accept()
            with connection:
                nodelay(connection)
                for exchange in exchanges:
                    receive(connection, exchange.request)
                    plain_answer(connection, exchange)
    listener = scene.listen()
    scene.start("server", accept_late, listener)
    scene.start_weir(listener)
    times = scene.start("client", lambda: [ask(scene, exchanges) for _ in late]).result()
    return Truth(sum(each[0] for each in times), len(late) * len(exchanges))


def poll_readable(listener):
    import select
    select.select([listener], [], [])


@scenario("not_read", side="server", certainty="shown", quick=True)
def not_read(scene, draw):
    exchanges = plan(draw, draw.randint(5, 9), request=(20, 20_000))
    late = {index: draw.uniform(0.05, 0.3) for index in range(len(exchanges))}

    def take(connection, exchange):
        time.sleep(late[exchanges.index(exchange)])
        receive(connection, exchange.request)
    times = talk(scene, exchanges, take_request=take)
    return Truth(excess(times, 0.01), len(times), tolerance=(0.7, 1.3))


# -- how much, how often ------------------------------------------------------------------------------------


@scenario("keepalive_race", side=("client", "server"), certainty="likely", quick=True)
def keepalive_race(scene, draw):
    """The server closes what is idle just as the client uses it again."""
    idle, reset = draw.uniform(0.05, 0.15), draw.random() < 0.5
    exchanges = plan(draw, draw.randint(2, 6))

    def serve_briefly(listener):
        while True:
            connection, _ = listener.accept()
            nodelay(connection)
            for exchange in exchanges:
                receive(connection, exchange.request)
                plain_answer(connection, exchange)
            time.sleep(idle)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

    def ask_late():
        for _ in range(3):
            with scene.connect() as connection:
                nodelay(connection)
                for exchange in exchanges:
                    plain_send(connection, exchange)
                    receive(connection, exchange.reply)
                time.sleep(idle + 0.03)
                try:
                    plain_send(connection, exchanges[0])
                    if connection.recv(1):
                        raise NotProvoked("it was answered")
                except ConnectionError:
                    pass
    listener = scene.listen()
    scene.start("server", serve_briefly, listener)
    scene.start_weir(listener)
    scene.start("client", ask_late).result()
    return Truth(0.0, 3 * len(exchanges))


@scenario("known_constant", "think", "server", fix="look at the server's own connections|delayed ACK")
def known_constant(scene, draw):
    """The server's own call runs into a timeout of a well-known length."""
    constant = draw.choice((0.2, 1.0, 1.0))
    exchanges = plan(draw, 10 if constant < 1 else 5, think=(constant, constant + 0.001))
    times = talk(scene, exchanges)
    return Truth(excess(times, 0.05), len(times))


PIPELINED = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@scenario("head_of_line", side=("client", "server"), quick=True, also=("think",))
def head_of_line(scene, draw):
    """HTTP requests one behind the other in one write; the first is slow."""
    slow, rounds = draw.uniform(0.06, 0.2), draw.randint(4, 7)
    behind = draw.randint(2, 4)
    size = draw.randint(10, 3000)
    request = b"GET /%s HTTP/1.1\r\nHost: truth.test\r\n\r\n"
    reply = (PIPELINED % size).encode() + text(size)

    def serve_in_order(listener):
        connection, _ = listener.accept()
        nodelay(connection)
        stream = connection.makefile("rb")
        for line in stream:
            if line.startswith(b"GET"):
                path = line
            elif line == b"\r\n":
                time.sleep(slow if b"slow" in path else 0)
                connection.sendall(reply)

    def ask_ahead():
        times = []
        with scene.connect() as connection:
            nodelay(connection)
            for _ in range(rounds):
                time.sleep(0.01)
                begin = time.monotonic()
                connection.sendall(request % b"slow")
                for number in range(behind):
                    time.sleep(0.001)
                    connection.sendall(request % f"fast{number}".encode())
                for _ in range(1 + behind):
                    receive(connection, len(reply))
                times.append(time.monotonic() - begin)
        return times
    listener = scene.listen()
    scene.start("server", serve_in_order, listener)
    scene.start_weir(listener)
    times = scene.start("client", ask_ahead).result()
    return Truth(sum(times), rounds * (1 + behind), tolerance=(0.4, 1.3 * behind))


@scenario("cpu_starved", side="server", alone=True, also=("think", "own_lag", "not_read"), tolerance=(0.4, 1.6))
def cpu_starved(scene, draw):
    """The server must share its CPU with two that never rest."""
    exchanges = plan(draw, 30)
    cpu = max(os.sched_getaffinity(0))

    def burn():
        os.sched_setaffinity(0, {cpu})
        while True:
            pass

    def answer(connection, exchange):
        until = time.thread_time() + 0.001
        while time.thread_time() < until:
            pass
        plain_answer(connection, exchange)

    def serve_starved(listener):
        os.sched_setaffinity(0, {cpu})
        os.nice(10)
        serve(listener, exchanges, answer)
    listener = scene.listen()
    scene.start("server", serve_starved, listener)
    for _ in range(2):
        scene.start("server", burn)
    scene.start_weir(listener)
    os.sched_setaffinity(scene.weir.pid, os.sched_getaffinity(0) - {cpu} or {cpu})

    def ask_for_a_while():
        end, times = time.monotonic() + 3.0, []
        with scene.connect() as connection:
            nodelay(connection)
            while exchanges and time.monotonic() < end:
                exchange = exchanges.pop(0)
                begin = time.monotonic()
                plain_send(connection, exchange)
                receive(connection, exchange.reply)
                times.append(time.monotonic() - begin)
        return times
    times = scene.start("client", ask_for_a_while).result()
    return Truth(want(times, 0.01, 3), len(times))


@scenario("rate_cap.server", "rate_cap", "server", also=("think", "big_answer"), tolerance=(0.5, 1.3))
def rate_cap_of_the_application(scene, draw):
    """A server that hands out its answer at a steady rate."""
    tick, burst = draw.uniform(0.005, 0.02), draw.randint(2000, 12_000)
    exchanges = plan(draw, 2, reply=(40 * burst, 60 * burst))

    def answer(connection, exchange):
        due = time.monotonic()
        for _ in range(0, exchange.reply, burst):
            connection.sendall(text(burst))
            due += tick
            time.sleep(max(0.0, due - time.monotonic()))
    for each in exchanges:
        each.reply -= each.reply % burst
    times = talk(scene, exchanges, answer=answer)
    return Truth(sum(times), len(times))
