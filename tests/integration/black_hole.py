"""An upstream that never answers a connection attempt: a listener whose queue is full, so that the
kernel drops every further SYN. On loopback, without privileges."""

import select
import socket

from deadline import wait_until
from kernel_tables import SYN_SENT, tcp_sockets
from peers import Listener


class BlackHole:
    """`listener` is where the attempts go; open_up() takes the queue away, so that a later try succeeds."""

    def __init__(self, host="127.0.0.1", make_socket=None):
        self.listener = Listener(host=host, backlog=0, make_socket=make_socket)
        self._make_socket = make_socket or socket.socket
        self._filling = []
        wait_until(self._is_full, "the listener's queue is full", 5.0)

    @property
    def text(self):
        return self.listener.text

    def _is_full(self):
        """One more connection; full when its handshake is not completed."""
        filler = self._make_socket(self.listener.sock.family, socket.SOCK_STREAM)
        filler.setblocking(False)
        filler.connect_ex(self.listener.address)
        self._filling.append(filler)
        return not select.select([], [filler], [], 0.05)[1]

    def wait_for_an_attempt(self):
        """Waits until somebody else's SYN is under way, unanswered."""
        ours = {filler.getsockname()[1] for filler in self._filling}

        def attempted():
            return [local for local, remote in tcp_sockets(None, SYN_SENT)
                    if remote == self.listener.address[1] and local not in ours]
        wait_until(attempted, "a connection attempt is under way")

    def open_up(self):
        """Accepts what filled the queue, and closes it."""
        for filler in self._filling:
            filler.close()
        self.listener.sock.setblocking(False)
        for _ in self._filling:
            try:
                self.listener.sock.accept()[0].close()
            except BlockingIOError:
                return

    def close(self):
        for filler in self._filling:
            filler.close()
        self.listener.close()
