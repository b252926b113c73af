"""A scene: one weir, a server that it reaches, a client that comes to it, each with a script."""

import re
import time

from deadline import wait_until
from kernel_tables import LISTEN, tcp_sockets
from peers import Listener
from session_log import wait_for_closed

CLOSED_LINE = re.compile(r"#(\d+) (closed by (\S+) after [^\s;]+)")


class Scene:
    """Plays a client's and a server's script through weir and keeps what came of it.

    view: the --show of its weir. `json` tells everything; `text` the causes; `none` nothing, and is
    where weir moves bytes without looking at them.
    """

    def __init__(self, start_weir, make_peer, view="json"):
        self.view = view
        self.board = make_peer.board
        self._start_weir = start_weir
        self._make_peer = make_peer
        self._listeners = []
        self.weir = None
        self.listener = None
        self.client = None
        self.server = None
        self.client_felt = []   # ends felt by clients that should all have felt the same
        self.server_felt = []
        self.closed_sessions = 1  # how many sessions the causes are asked of
        self._skipped_sessions = 0
        self.cannot_tell = False  # the view is gone: nobody saw the cause
        self.sockets_at_first = self.descriptors_at_first = None

    # -- setting -----------------------------------------------------------------------------------

    def open(self, *options, upstream=None, **how):
        """Starts weir in front of `upstream` (default: a listener of this scene's server)."""
        if upstream is None:
            self.listener = self.listener or self.add_listener()
            upstream = self.listener.text
        self.weir = self._start_weir(upstream, *options, **{"view": self.view, **how})
        self.weir.wait_until_at_rest()
        self.sockets_at_first, self.descriptors_at_first = self.weir.sockets(), self.weir.descriptors()
        return self.weir

    def warm_up(self):
        """One session from end to end, so that what is made once is made, and what is measured later
        is what a session costs. It is not counted."""
        server = self._make_peer("first server", "accept echo fin", listener=self.listener)
        client = self._make_peer("first client", "connect send:1M fin read", address=self.weir.address)
        for peer in (client, server):
            peer.finish()
        self._skipped_sessions += 1

    def leave_descriptors_for_sessions(self, sessions, spare=0):
        """From now on weir can open the two sockets of so many sessions, and `spare` descriptors more."""
        self.warm_up()
        self.weir.wait_until_at_rest()
        self.weir.leave_descriptors(2 * sessions + spare)

    def wait_until_not_listening(self):
        """Waits until weir has closed its listening socket. Asks the kernel: a connection attempt would
        be one session more."""
        wait_until(lambda: not tcp_sockets(self.weir.port, LISTEN), "weir does not listen any more")

    def add_listener(self, **how):
        listener = Listener(**how)
        self._listeners.append(listener)
        return listener

    # -- acting ------------------------------------------------------------------------------------

    def start_client(self, script, name="client", **how):
        self.client = self._make_peer(name, script, address=how.pop("address", self.weir.address), **how)
        return self.client

    def start_server(self, script, name="server", **how):
        self.server = self._make_peer(name, script, listener=how.pop("listener", self.listener), **how)
        return self.server

    def play(self, *, client, server=None, **how):
        """Both scripts to their ends; starts weir with no options if it is not there yet."""
        if self.weir is None:
            self.open()
        if server is not None:
            self.start_server(server, **how)
        self.start_client(client, **how)
        self.finish()

    def finish(self):
        for peer, felt in ((self.client, self.client_felt), (self.server, self.server_felt)):
            if peer is not None:
                felt.append(tuple(peer.finish().felt))

    # -- what came of it ---------------------------------------------------------------------------

    def all_sessions(self):
        """All closed sessions by number; None in the views that show no totals."""
        if self.view != "json":
            return None
        return wait_for_closed(self.weir, self._skipped_sessions + self.closed_sessions, 30.0)

    def session(self):
        """The one session that the scene is about; None in the views that show no totals."""
        sessions = self.all_sessions()
        return sessions and sessions[self._skipped_sessions + 1]

    def causes(self):
        """(cause, message) of every session of the scene; None where nobody can know them."""
        if self.cannot_tell or self.view == "none":
            return None
        if self.view == "json":
            found = [(number, s.cause, s.message) for number, s in self.all_sessions().items() if s.closed]
        else:
            count = self._skipped_sessions + self.closed_sessions

            def shown():
                lines = CLOSED_LINE.findall(self.weir.lines())
                return lines if len(lines) >= count else None
            lines = wait_until(shown, f"the view shows {count} session(s) closed", 30.0)
            found = [(int(number), cause, message) for number, message, cause in lines]
        return [(cause, message) for number, cause, message in found if number > self._skipped_sessions]

    def expect_delivered(self, upstream=None, downstream=None):
        """The peers got exactly what was sent, `upstream` and `downstream` bytes of it, and weir's
        totals say the same."""
        for direction, count, sender, receiver in (("upstream", upstream, self.client, self.server),
                                                   ("downstream", downstream, self.server, self.client)):
            if count is None:
                continue
            assert len(sender.sent) == count, f"{direction}: the sender sent {len(sender.sent)}"
            assert receiver.received == sender.sent, f"{direction}: {len(receiver.received)} of {count} arrived as sent"
            if session := self.session():
                assert session.bytes(direction) == count
                assert session.undelivered(direction) == 0

    def expect_prefix(self, direction):
        """What arrived is a prefix of what was sent, and no more than weir says that it read."""
        sender, receiver = (self.client, self.server) if direction == "upstream" else (self.server, self.client)
        assert sender.sent.startswith(receiver.received), f"{direction}: not a prefix of what was sent"
        if session := self.session():
            assert len(receiver.received) <= session.bytes(direction) <= len(sender.sent)
            assert session.bytes(direction) - session.undelivered(direction) >= len(receiver.received)

    def nothing_is_left_over(self):
        """No descriptor of a session is left, and weir ends with 0 when it is told to, having counted
        its sessions."""
        if self.weir.running():
            wait_until(lambda: self.weir.sockets() <= self.sockets_at_first,
                       f"weir has no more than its first {self.sockets_at_first} sockets")
            if self.view != "none":  # there, a few pipes for splice are kept for the next session
                # A sanitizer's own thread opens a file of /proc now and then; a leak stays.
                def no_more():
                    assert self.weir.descriptors() <= self.descriptors_at_first, self.weir.open_files()
                    return True
                wait_until(no_more, f"weir has no more than its first {self.descriptors_at_first} descriptors")
        assert self.weir.stop() == 0, self.weir.stderr()
        assert int(self.weir.summary()["sessions"]) == self._skipped_sessions + self.closed_sessions

    def close(self):
        for listener in self._listeners:
            listener.close()


def stays_calm(weir, seconds=0.5, most=0.05, windows=4):
    """Watches the CPU time of a weir that has nothing to do: less than `most` of `seconds`. A spinning
    loop takes all of it; what is allowed is a timer's tick now and then. What it was doing just before
    may still go on in the first windows, a spin goes on in all of them."""
    used = []
    for _ in range(windows):
        before = weir.cpu_seconds()
        time.sleep(seconds)  # a span to measure over, not a wait for something
        used.append(weir.cpu_seconds() - before)
        if used[-1] < most * seconds:
            return
    shown = ", ".join(f"{each:.3f}" for each in used)
    raise AssertionError(f"in spans of {seconds} s of waiting weir used {shown} s of CPU")
