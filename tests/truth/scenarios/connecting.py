"""Before the first byte of use: names, connections, TLS and logins."""

import contextlib
import socket
import ssl
import threading
import time

from scenario import Truth, scenario
from truth_scene import (NotProvoked, ask, certificate, nodelay, plain_answer, plain_send, plan, receive, serve, text)

from .shape import as_it_is, want

UPSTREAM_PATH = ("path.server", "server")


@scenario("refused", side="server", certainty="shown", quick=True)
def refused(scene, draw):
    with scene.listen() as listener:
        address = "%s:%d" % listener.getsockname()
    scene.start_weir(address)

    def try_it():
        for _ in range(3):
            with contextlib.suppress(ConnectionError), scene.connect() as connection:
                if connection.recv(1):
                    raise NotProvoked("somebody listens")
    scene.start("client", try_it).result()
    return Truth(0.0)


@scenario("syn_lost", side=UPSTREAM_PATH, certainty="shown", link="server", quick=True)
def syn_lost(scene, draw):
    delay = draw.uniform(0.001, 0.015)
    scene.link.set(delay=delay)
    exchanges = plan(draw, draw.randint(2, 5))
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(listener)
    lost = draw.choice((1, 1, 2))

    def try_it():
        times = []
        for _ in range(2):
            scene.link.drop("from_weir", kind="syn", count=lost)
            times.append(ask(scene, exchanges)[0])
        return times
    return Truth(want(scene.start("client", try_it).result(), 0.9, 2), 2 * len(exchanges), 2 * delay)


@scenario("syn_lost.full_queue", ("syn_lost", "accept_queue_full"), UPSTREAM_PATH, certainty="shown",
          also=("think", "not_accepted", "loss"), tolerance=(0.4, 1.4))
def syn_lost_full_queue(scene, draw):
    """A server that accepts nothing for a while; connections come one behind the other."""
    exchanges = plan(draw, 2)
    listener = scene.listen(backlog=0)

    def serve_late():
        time.sleep(0.8)
        serve(listener, exchanges, plain_answer)
    scene.start_weir(listener)
    scene.start("server", serve_late)

    def try_it():
        times, threads = [], []
        for _ in range(4):
            threads.append(threading.Thread(target=lambda: times.append(ask(scene, exchanges)[0])))
            threads[-1].start()
            time.sleep(0.02)
        for each in threads:
            each.join()
        return times
    times = scene.start("client", try_it).result()
    return Truth(want(times, 0.9, 2), 4 * len(exchanges))


@scenario("accept_queue_full", side="server", certainty="shown", link="server", tolerance=(0.3, 1.3),
          also=("think", "not_accepted", "syn_lost"))
def accept_queue_full(scene, draw):
    """Connections come at once, so that the server's kernel answers more SYNs than its queue takes."""
    delay = draw.uniform(0.008, 0.012)
    scene.link.set(delay=delay)
    exchanges = plan(draw, 2)
    listener = scene.listen(backlog=0)
    patience = draw.uniform(4.0, 4.5)

    def serve_late():
        time.sleep(1.5)
        serve(listener, exchanges, plain_answer)
    scene.start_weir(listener)
    scene.start("server", serve_late)

    def try_once(times):
        begin = time.monotonic()
        with scene.connect() as connection:
            connection.settimeout(patience)
            nodelay(connection)
            try:
                plain_send(connection, exchanges[0])
                receive(connection, exchanges[0].reply)
            except OSError:
                pass
        times.append(time.monotonic() - begin)

    def try_it():
        times = []
        threads = [threading.Thread(target=try_once, args=(times,)) for _ in range(5)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return times
    times = sorted(scene.start("client", try_it).result())
    return Truth(want(times[1:], 1.6, 2), 5, 2 * delay)


@scenario("name_lookup", side=(*UPSTREAM_PATH, "weir"), certainty="shown", root=True, quick=True)
def name_lookup(scene, draw):
    """A resolver that does not answer the first query for a name."""
    timeout, exchanges = draw.choice((1, 1, 2)), plan(draw, draw.randint(2, 5))
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    conf = scene.folder / "resolv.conf"
    conf.write_text(f"nameserver 127.0.0.1\noptions timeout:{timeout} attempts:3\n")

    def answer_the_second():
        asked = set()
        while True:
            query, client = resolver.recvfrom(1500)
            end = query.index(b"\0", 12) + 5
            question, kind = query[12:end], query[end - 4:end - 2]
            key = (client, query[:2])
            if key not in asked:
                asked.add(key)
                continue
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if kind == b"\0\1" else b""
            resolver.sendto(query[:2] + b"\x81\x80\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0" + question + record,
                            client)
    listener = scene.listen()
    scene.start("server", answer_the_second)
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(f"db.truth.test:{listener.getsockname()[1]}", resolver=conf)
    times = scene.start("client", ask, scene, exchanges).result()
    return Truth(want(times[:1], 0.9, 1), len(times))


@scenario("connection_per_exchange", side="client", link="server", quick=True, also=("think",), tolerance=(0.6, 1.4))
def connection_per_exchange(scene, draw):
    delay = draw.uniform(0.004, 0.015)
    scene.link.set(delay=delay)
    exchanges, count = plan(draw, 1), draw.randint(15, 25)
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    scene.start_weir(listener)
    times = scene.start("client", lambda: [ask(scene, exchanges)[0] for _ in range(count)]).result()
    return Truth(sum(each - 2 * delay for each in times), count, 2 * delay)


# -- TLS -------------------------------------------------------------------------------------------------


def contexts(tickets=2, most=ssl.TLSVersion.TLSv1_3):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate())
    server.num_tickets = tickets
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = most
    return server, client


def tls_talk(scene, draw, sessions, exchanges, *, serving=nodelay, asking=nodelay, tickets=2, most=ssl.TLSVersion.TLSv1_3,
             accept=None):
    """What the handshake and each exchange took, for each session."""
    server_context, client_context = contexts(tickets, most)

    def wrap(connection):
        return server_context.wrap_socket(connection, server_side=True)

    def serve_tls(listener):
        while True:
            connection, _ = listener.accept()
            serving(connection)
            with (accept or (lambda c: wrap(c)))(connection) as stream:
                try:
                    for exchange in exchanges:
                        receive(stream, exchange.request)
                        plain_answer(stream, exchange)
                    stream.recv(1)
                except OSError:
                    pass

    def ask_tls():
        told = []
        for _ in range(sessions):
            with scene.connect() as connection:
                asking(connection)
                begin = time.monotonic()
                with client_context.wrap_socket(connection) as stream:
                    times = [time.monotonic() - begin]
                    for exchange in exchanges:
                        begin = time.monotonic()
                        plain_send(stream, exchange)
                        receive(stream, exchange.reply)
                        times.append(time.monotonic() - begin)
                    told.append(times)
        return told
    listener = scene.listen()
    scene.start("server", serve_tls, listener)
    scene.start_weir(listener)
    return scene.start("client", ask_tls).result(), server_context


def tls_handshake_talk(scene, draw, most, delay):
    scene.link.set(delay=delay)
    told, _ = tls_talk(scene, draw, draw.randint(4, 6), plan(draw, draw.randint(3, 5)), most=most)
    return Truth(sum(each[0] for each in told), len(told) * 4, 2 * delay)


TLS_SIDES = ("client", "server", "path.server")


@scenario("tls_handshake", side=TLS_SIDES, link="server", quick=True, tolerance=(0.5, 1.6), also=("think",))
def tls_handshake(scene, draw):
    return tls_handshake_talk(scene, draw, ssl.TLSVersion.TLSv1_3, draw.uniform(0.006, 0.015))


@scenario("tls_handshake.two_round_trips", side=TLS_SIDES, link="server", tolerance=(0.5, 1.6), also=("think",))
def tls_handshake_12(scene, draw):
    return tls_handshake_talk(scene, draw, ssl.TLSVersion.TLSv1_2, draw.uniform(0.006, 0.015))


@scenario("tls_tickets", side="server", quick=True, also=("tls_handshake", "think"))
def tls_tickets(scene, draw):
    exchanges = plan(draw, draw.randint(3, 5), request=(20, 600), reply=(20, 900))  # a full segment waits for no ACK
    told, _ = tls_talk(scene, draw, draw.randint(5, 8), exchanges, serving=as_it_is)
    return Truth(want([each[1] for each in told], 0.03, 3), len(told) * 4)


@scenario("tls_tickets.far", side="server", link="server", also=("tls_handshake", "think"), tolerance=(0.6, 1.5))
def tls_tickets_far(scene, draw):
    delay = draw.uniform(0.002, 0.01)
    scene.link.set(delay=delay)
    exchanges = plan(draw, draw.randint(3, 5), request=(20, 600), reply=(20, 900))  # a full segment waits for no ACK
    told, _ = tls_talk(scene, draw, draw.randint(5, 8), exchanges, serving=as_it_is)
    return Truth(want([each[1] - 2 * delay for each in told], 0.03, 3), len(told) * 4, 2 * delay)


@scenario("tls_first_request", side="client", quick=True, also=("tls_handshake", "think"))
def tls_first_request(scene, draw):
    """The client's Nagle holds its first request until its Finished is acknowledged; no ticket brings that ACK."""
    told, _ = tls_talk(scene, draw, draw.randint(5, 8), plan(draw, draw.randint(3, 5)), asking=as_it_is, tickets=0)
    return Truth(want([each[1] for each in told], 0.03, 3), len(told) * 4)


class InPieces:
    """The server's end of TLS, which writes each flight of the handshake in two."""

    def __init__(self, connection, context, cut):
        self.connection, self.cut, self.splits = connection, cut, True
        self.read, self.write = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.read, self.write, server_side=True)
        self._run(self.tls.do_handshake)
        self.splits = False

    def _flush(self):
        data = self.write.read()
        if self.splits and len(data) > self.cut:
            self.connection.sendall(data[:self.cut])
            data = data[self.cut:]
        if data:
            self.connection.sendall(data)

    def _run(self, call, *arguments):
        while True:
            try:
                value = call(*arguments)
                self._flush()
                return value
            except ssl.SSLWantReadError:
                self._flush()
                data = self.connection.recv(65536)
                if not data:
                    raise ConnectionError("the stream ended") from None
                self.read.write(data)

    def recv(self, size):
        return self._run(self.tls.read, size)

    def sendall(self, data):
        nodelay(self.connection)  # not before: that would push what Nagle holds of the handshake
        self._run(self.tls.write, data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


@scenario("tls_flight_split", side="server", quick=True, also=("tls_handshake", "think"))
def tls_flight_split(scene, draw):
    """TLS 1.2: a new connection acknowledges the first flight at once, and the last one late."""
    context, cut = contexts(0)[0], draw.randint(5, 40)
    told, _ = tls_talk(scene, draw, draw.randint(5, 8), plan(draw, draw.randint(3, 5)), serving=as_it_is,
                       most=ssl.TLSVersion.TLSv1_2,
                       accept=lambda connection: InPieces(connection, context, cut))
    return Truth(want([each[0] for each in told], 0.03, 3), len(told) * 4)


# -- logins ----------------------------------------------------------------------------------------------


def pg(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@scenario("setup_round_trips", side=("client", "server", "path.server"), link="server", also=("think", "connection_per_exchange"),
          tolerance=(0.4, 1.5))
def setup_round_trips(scene, draw):
    """PostgreSQL's TLS question, start and SCRAM, with little use behind them."""
    delay = draw.uniform(0.006, 0.015)
    scene.link.set(delay=delay)
    queries = draw.randint(1, 2)
    mechanism = b"\0\0\0\x0aSCRAM-SHA-256\0\0"
    steps = ((8, b"N"), (41, pg(b"R", mechanism)), (54, pg(b"R", b"\0\0\0\x0b" + text(84))),
             (109, pg(b"R", b"\0\0\0\x0c" + text(46)) + pg(b"R", b"\0\0\0\0") + pg(b"S", b"server_version\x0015.5\0")
              + pg(b"K", b"\0\0\1\0\0\0\2\0") + pg(b"Z", b"I")))
    asked = [(8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"),
             (41).to_bytes(4, "big") + b"\0\3\0\0user\0postgres\0database\0truth\0\0\0",
             pg(b"p", b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=" + text(23)), pg(b"p", text(104))]
    query = pg(b"Q", b"SELECT 1\0")
    reply = (pg(b"T", b"\0\1?column?\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0") + pg(b"D", b"\0\1\0\0\0\x011")
             + pg(b"C", b"SELECT 1\0") + pg(b"Z", b"I"))
    asked[1] = (len(asked[1])).to_bytes(4, "big") + asked[1][4:]

    def serve_pg(listener):
        while True:
            connection, _ = listener.accept()
            with connection:
                nodelay(connection)
                for request, (_, answer) in zip(asked, steps):
                    receive(connection, len(request))
                    connection.sendall(answer)
                for _ in range(queries):
                    receive(connection, len(query))
                    connection.sendall(reply)
                connection.recv(10)

    def log_in():
        took = []
        for _ in range(5):
            with scene.connect() as connection:
                nodelay(connection)
                begin = time.monotonic()
                for request, (_, answer) in zip(asked, steps):
                    connection.sendall(request)
                    receive(connection, len(answer))
                took.append(time.monotonic() - begin)
                for _ in range(queries):
                    connection.sendall(query)
                    receive(connection, len(reply))
                connection.sendall(pg(b"X", b""))
        return took
    listener = scene.listen()
    scene.start("server", serve_pg, listener)
    scene.start_weir(listener)
    took = scene.start("client", log_in).result()
    return Truth(sum(took), 5 * (4 + queries), 2 * delay)
