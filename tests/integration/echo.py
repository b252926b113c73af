"""A server that sends back what comes, and clients that reach it through a proxy of a running weir serve."""

import contextlib
import socket
import threading

from deadline import PATIENCE


@contextlib.contextmanager
def echo_server():
    """Sends back what comes; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer(connection):
            # Else what it sends in pieces waits for delayed acknowledgements.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    connection.sendall(data)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


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
