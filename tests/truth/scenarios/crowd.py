"""What only many sessions of one server show together."""

import os
import signal
import threading
import time

from scenario import Truth, scenario
from truth_scene import Exchange, nodelay, plain_answer, plain_send, receive, serve


def together(scene, exchanges, sessions, handle, staggered):
    """All sessions ask at once, `staggered` seconds after each other, round by round. For each round the latencies, in
    the order of the sessions."""
    def ask_together():
        barrier = threading.Barrier(sessions)
        told = [[0.0] * sessions for _ in exchanges]

        def one(number):
            with scene.connect() as connection:
                nodelay(connection)
                for turn, exchange in enumerate(exchanges):
                    barrier.wait()
                    time.sleep(number * staggered)
                    begin = time.monotonic()
                    plain_send(connection, exchange)
                    receive(connection, exchange.reply)
                    told[turn][number] = time.monotonic() - begin
        threads = [threading.Thread(target=one, args=(number,)) for number in range(sessions)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return told
    listener = scene.listen()
    server = scene.start("server", serve, listener, exchanges, handle)
    scene.start_weir(listener)
    return scene.start("client", ask_together), server


def rounds(draw, count):
    return [Exchange(draw.randint(20, 800), draw.randint(20, 2000)) for _ in range(count)]


@scenario("lock_convoy", side="server", quick=True, also=("think",), tolerance=(0.5, 1.5))
def lock_convoy(scene, draw):
    """One at a time, whoever asks."""
    service, sessions, queue = draw.uniform(0.01, 0.03), draw.randint(6, 10), Fair()

    def handle(connection, exchange):
        with queue:
            time.sleep(service)
        plain_answer(connection, exchange)
    client, _ = together(scene, rounds(draw, draw.randint(4, 6)), sessions, handle, draw.uniform(0.0, 0.002))
    told = client.result()
    return Truth(sum(each - service for turn in told for each in turn), len(told) * sessions, at_once=sessions)


class Fair:
    """A lock, or `width` of them, that goes to who has waited longest."""

    def __init__(self, width=1):
        self.condition, self.next, self.served, self.width = threading.Condition(), 0, 0, width

    def __enter__(self):
        with self.condition:
            number, self.next = self.next, self.next + 1
            while number >= self.served + self.width:
                self.condition.wait()

    def __exit__(self, *_):
        with self.condition:
            self.served += 1
            self.condition.notify_all()


@scenario("pool_exhausted", side="server", quick=True, also=("think",), tolerance=(0.4, 1.7))
def pool_exhausted(scene, draw):
    """A few workers, and more requests than these."""
    width, service = draw.randint(2, 4), draw.uniform(0.02, 0.04)
    sessions = width * draw.randint(3, 4)
    queue = Fair(width)

    def handle(connection, exchange):
        with queue:
            time.sleep(service)
        plain_answer(connection, exchange)
    client, _ = together(scene, rounds(draw, draw.randint(4, 6)), sessions, handle, draw.uniform(0.0, 0.001))
    told = client.result()
    waited = sum(each - service for turn in told for each in turn if each > 1.5 * service)
    return Truth(waited, len(told) * sessions, at_once=sessions)


@scenario("polling", side="server", quick=True, also=("think",), tolerance=(0.6, 1.4))
def polling(scene, draw):
    """A server that looks for work on a tick."""
    tick, sessions = draw.uniform(0.02, 0.1), draw.randint(1, 3)
    exchanges = rounds(draw, draw.randint(20, 30))
    for each in exchanges:
        each.pause = draw.uniform(0.0, tick)
    began = time.monotonic()

    def handle(connection, exchange):
        now = time.monotonic() - began
        time.sleep(tick - now % tick)
        plain_answer(connection, exchange)

    def ask_by_itself():
        told = []

        def one():
            with scene.connect() as connection:
                nodelay(connection)
                for exchange in exchanges:
                    time.sleep(exchange.pause)
                    begin = time.monotonic()
                    plain_send(connection, exchange)
                    receive(connection, exchange.reply)
                    told.append(time.monotonic() - begin)
        threads = [threading.Thread(target=one) for _ in range(sessions)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return told
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, handle)
    scene.start_weir(listener)
    told = scene.start("client", ask_by_itself).result()
    return Truth(sum(told), len(told), at_once=sessions)


@scenario("standstill", side="server", quick=True, also=("think", "not_read"), tolerance=(0.6, 1.4))
def standstill(scene, draw):
    """The server's process is stopped while sessions ask it one after another."""
    sessions, stops = draw.randint(5, 8), draw.randint(3, 5)
    exchanges = rounds(draw, stops)
    listener = scene.listen()
    server = scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(listener)
    lengths = [draw.uniform(0.15, 0.35) for _ in exchanges]
    apart = draw.uniform(0.005, 0.015)

    def ask_together():
        barrier = threading.Barrier(sessions + 1)
        told = []

        def one(number):
            with scene.connect() as connection:
                nodelay(connection)
                for exchange in exchanges:
                    barrier.wait()
                    time.sleep(number * apart)
                    begin = time.monotonic()
                    plain_send(connection, exchange)
                    receive(connection, exchange.reply)
                    told.append(time.monotonic() - begin)
        threads = [threading.Thread(target=one, args=(number,)) for number in range(sessions)]
        for each in threads:
            each.start()
        for length in lengths:
            time.sleep(draw.uniform(0.02, 0.08))
            os.kill(server.pid, signal.SIGSTOP)
            barrier.wait()
            time.sleep(length)
            os.kill(server.pid, signal.SIGCONT)
        for each in threads:
            each.join()
        return told
    told = scene.start("client", ask_together).result()
    return Truth(sum(told), len(told), at_once=sessions)
