"""A server that sends back what comes, and clients that reach it through a proxy of a running weir serve."""

import contextlib
import socket

from deadline import PATIENCE
from server import Server


@contextlib.contextmanager
def echo_server():
    """Sends back what comes; its port."""
    def answer(connection):
        while data := connection.recv(65536):
            connection.sendall(data)

    with Server(answer) as server:
        yield server.port


def connect(serve, proxy="db"):
    port = int(serve.get(f"/api/v1/proxies/{proxy}").json["listen"].rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE)


def echoes(client, data=b"hello"):
    client.sendall(data)
    return client.recv(4096) == data


def receive(peer, size):
    """So many bytes; a ConnectionError if the peer ends before it sent them."""
    got = bytearray()
    while len(got) < size:
        more = peer.recv(min(size - len(got), 1 << 20))
        if not more:
            raise ConnectionError(f"the peer has gone after {len(got)} of {size} bytes")
        got += more
    return bytes(got)
