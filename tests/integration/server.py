"""A server in this process, each of whose connections is given to a function."""

import contextlib
import socket
import threading


class Server:
    """Gives each connection to `talk`, in a thread of its own, until it is closed; a context manager."""

    def __init__(self, talk, nodelay=True):
        self._talk, self._nodelay = talk, nodelay
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self):
        """Takes no more connections; those that there are go on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # On a busy machine it may stand just before accept(2), with a number that the next socket gets.
        self._accepting.join()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                # Without it, what is sent in pieces waits for delayed acknowledgements.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self._nodelay))
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client):
        with client, contextlib.suppress(OSError):
            self._talk(client)
