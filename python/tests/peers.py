"""What stands at the ends of a proxy, and the only way to wait."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Callable, Iterator, Optional, TypeVar

# Slower builds (sanitizers) get more time; see tests/integration/deadline.py.
PATIENCE = float(os.environ.get("WEIR_TEST_PATIENCE", "1"))

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 10.0) -> T:
    """Polls until the condition gives something true, and gives that."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds * PATIENCE:g} s: {what}"
        time.sleep(0.002)  # the grain of the polling


class Echo:
    """A TCP server that sends back what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    @staticmethod
    def _serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(65536):
                client.sendall(data)

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        # close() alone does not wake the thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def round_trip(port: int, host: str = "127.0.0.1") -> float:
    """Seconds that one byte takes there and back on a new connection."""
    with connected(port, host) as client:
        return round_trip_on(client)


def round_trip_on(client: socket.socket) -> float:
    began = time.monotonic()
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    return time.monotonic() - began


@contextlib.contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((host, port), timeout=20 * PATIENCE) as client:
        yield client


def is_refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE):
            return False
    except ConnectionRefusedError:
        return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as it:
        port: int = it.getsockname()[1]
        return port


def process_state(pid: int) -> Optional[str]:
    """The letter of proc(5), or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None
