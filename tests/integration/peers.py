"""TCP and Unix-socket peers that do exactly what one line says: clients and servers, well-behaved or hostile.

A script is a list of words, carried out in order, each with a deadline. `N` is a number of bytes
(k and M mean 1024 and 1024*1024).

  opening     connect           connect to the peer's address
              accept            take the next connection of the peer's listener
              narrow:N          (before connect) a receive buffer of N bytes
  sending     send:N            the next N bytes of this peer's own random stream
              say:TEXT          TEXT, with %xx for any byte
              drip:N            the next N bytes, each in a send of its own, without Nagle
              urgent            one byte of the stream as urgent data (MSG_OOB)
              flood:N           like send:N, but an RST ends it without complaint, and so does a peer
                                that takes nothing for 0.3 s (the count says how far it came)
              drained           wait until the other kernel has acknowledged every byte (SIOCOUTQ is 0)
              fin               half-close: no more bytes from here
  reading     read:N            exactly N bytes
              read              everything until FIN or RST; which of them is remembered as `felt`
              echo              send back everything until FIN or RST, remembered the same way
              echo:N            send back N bytes
              hangup            wait, without reading, until the connection is over both ways or reset
              feel-reset        the same, and an RST is remembered as `felt`: what may come after a FIN
  ending      close             close(2)
              reset             close with linger 0: an RST, whatever is still queued is thrown away
  meeting     set:FLAG          raise a flag that both sides see
              await:FLAG        wait for it
              pause:MS          be silent for so long (traffic under test, never a way to wait for others)

`felt` is the list of ends a peer felt, in order: "fin", "rst", "refused", "timed out".
Peers own a thread each; `finish()` waits for it and raises what went wrong in it.
"""

import contextlib
import errno
import fcntl
import random
import select
import socket
import struct
import termios
import threading
import time
import urllib.parse

from deadline import Deadline, wait_until


def parse_size(text):
    """"64k" -> 65536."""
    scale = {"k": 1024, "M": 1024 * 1024}.get(text[-1], 1)
    return int(text.rstrip("kM")) * scale


def random_bytes(seed, count):
    """The first `count` bytes of the stream named `seed`: the same in every run."""
    return random.Random(seed).randbytes(count)


def unacknowledged(sock):
    """Bytes sent that the other kernel has not acknowledged (Unix: that the other side has not read)."""
    return struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0)))[0]


def family_of(address):
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def address_text(address):
    """As weir takes it: 127.0.0.1:80, [::1]:80, unix:/path."""
    if isinstance(address, str):
        return f"unix:{address}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{host}:{address[1]}"


class Listener:
    """A listening socket on a port of the kernel's choice (or a Unix path)."""

    def __init__(self, host="127.0.0.1", port=0, path=None, backlog=128, receive_buffer=None, make_socket=None):
        address = path if path is not None else (host, port)
        make_socket = make_socket or socket.socket
        self.sock = make_socket(family_of(address), socket.SOCK_STREAM)
        if path is None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind(address)
        self.sock.listen(backlog)
        self.address = path if path is not None else self.sock.getsockname()[:2]

    @property
    def text(self):
        return address_text(self.address)

    def close(self):
        # First wake who waits in accept: a closed socket's number goes to the next one.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Board:
    """The flags by which the peers of one scene meet."""

    def __init__(self):
        self._lock = threading.Lock()
        self._flags = {}

    def flag(self, name):
        with self._lock:
            return self._flags.setdefault(name, threading.Event())

    def raise_flag(self, name):
        self.flag(name).set()

    def await_flag(self, name, seconds=20.0):
        if not self.flag(name).wait(Deadline(seconds).left()):
            raise AssertionError(f"nobody raised the flag {name!r} within {seconds:g} s")


class PeerFailed(AssertionError):
    """A peer could not do what its script says."""


class Peer(threading.Thread):
    """One side of one connection, played from a script."""

    def __init__(self, name, script, *, address=None, listener=None, board=None, seed=None, seconds=30.0,
                 make_socket=None):
        super().__init__(name=name, daemon=True)
        self.script = script.split()
        self.address = address
        self.listener = listener
        self.board = board or Board()
        self.felt = []
        self.received = bytearray()
        self.sent = bytearray()
        self.sock = None
        self._make_socket = make_socket or socket.socket
        self._stream = random.Random(seed if seed is not None else name)
        self._receive_buffer = None
        self._deadline = Deadline(seconds)
        self._failure = None
        self._word = "nothing yet"

    # -- running -----------------------------------------------------------------------------------

    def run(self):
        try:
            for word in self.script:
                self._word = word
                verb, _, argument = word.partition(":")
                step = getattr(self, "_do_" + verb.replace("-", "_"), None)
                if step is None:
                    raise PeerFailed("no such word")
                step(argument) if argument else step()
        except BaseException as failure:  # handed to whoever calls finish()
            self._failure = failure

    def finish(self):
        """Waits for the end of the script and raises what went wrong in it. Returns the peer."""
        self.join(self._deadline.left() + 1.0)
        if self.is_alive():
            raise PeerFailed(f"{self.name} is stuck in {self._word!r}, {self._progress()}")
        self.close()
        if self._failure is not None:
            raise PeerFailed(f"{self.name} in {self._word!r}, {self._progress()}: {self._failure!r}") from self._failure
        return self

    def close(self):
        """Ends the peer wherever its script stands."""
        if self.is_alive() and self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread: it must not use a closed socket's number
            self.join(1.0)
        if self.sock is not None:
            self.sock.close()

    def _progress(self):
        return f"after {len(self.sent)} bytes sent, {len(self.received)} received, felt {self.felt}"

    # -- opening -----------------------------------------------------------------------------------

    def _do_narrow(self, size):
        self._receive_buffer = parse_size(size)

    def _do_connect(self):
        self.sock = self._make_socket(family_of(self.address), socket.SOCK_STREAM)
        if self._receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self.sock.settimeout(self._deadline.left())
        try:
            self.sock.connect(self.address)
        except ConnectionRefusedError:
            self.felt.append("refused")
            raise
        except ConnectionResetError:  # accepted, and reset before we looked: connect(2) reports it
            self.felt.append("rst")
            return
        self._prepare()

    def _do_accept(self):
        self.listener.sock.settimeout(self._deadline.left())
        self.sock, _ = self.listener.sock.accept()
        self._prepare()

    def _prepare(self):
        self.sock.settimeout(self._deadline.left())
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- sending -----------------------------------------------------------------------------------

    def _do_send(self, size):
        self._send(self._stream.randbytes(parse_size(size)))

    def _do_say(self, text):
        self._send(urllib.parse.unquote_to_bytes(text))

    def _do_drip(self, size):
        for byte in self._stream.randbytes(parse_size(size)):
            self._send(bytes([byte]))

    def _do_urgent(self):
        byte = self._stream.randbytes(1)
        self.sock.send(byte, socket.MSG_OOB)
        self.sent += byte

    def _do_flood(self, size):
        data = memoryview(self._stream.randbytes(parse_size(size)))
        self.sock.setblocking(False)
        try:
            while data:
                if not select.select([], [self.sock], [], 0.3)[1]:
                    return
                count = self.sock.send(data[:256 * 1024])
                self.sent += data[:count]
                data = data[count:]
        except BlockingIOError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            self.felt.append("rst")
        finally:
            self.sock.settimeout(self._deadline.left())

    def _send(self, data):
        view = memoryview(data)
        while view:
            count = self.sock.send(view)
            self.sent += view[:count]
            view = view[count:]

    def _do_drained(self):
        wait_until(lambda: unacknowledged(self.sock) == 0, f"{self.name}: the other kernel has every byte",
                   self._deadline.left())

    def _do_fin(self):
        self.sock.shutdown(socket.SHUT_WR)

    # -- reading -----------------------------------------------------------------------------------

    def _do_read(self, size=None):
        if size is None:
            while self._receive(256 * 1024):
                pass
            return
        left = parse_size(size)
        while left > 0:
            data = self._receive(min(left, 256 * 1024))
            if not data:
                raise PeerFailed(f"{left} bytes short")
            left -= len(data)

    def _do_echo(self, size=None):
        left = parse_size(size) if size is not None else None
        while left is None or left > 0:
            data = self._receive(256 * 1024)
            if not data:
                if left is not None:
                    raise PeerFailed(f"{left} bytes short")
                return
            self._send(data)
            if left is not None:
                left -= len(data)

    def _receive(self, limit):
        """The next bytes, or b"" once an end was felt."""
        if "rst" in self.felt:  # a call that reported the reset has consumed it: recv would say FIN now
            return b""
        try:
            data = self.sock.recv(limit)
        except ConnectionResetError:
            self.felt.append("rst")
            return b""
        except socket.timeout as stuck:
            raise PeerFailed("neither bytes nor an end came") from stuck
        except OSError as failure:
            if failure.errno == errno.ETIMEDOUT:
                self.felt.append("timed out")
                return b""
            raise
        if not data:
            self.felt.append("fin")
        self.received += data
        return data

    def _do_hangup(self):
        if "rst" in self.felt:
            return
        poll = select.poll()
        poll.register(self.sock, 0)  # POLLERR and POLLHUP are always reported
        if not poll.poll(self._deadline.left() * 1000):
            raise PeerFailed("the connection is still up")

    def _do_feel_reset(self):
        self._do_hangup()
        # A socket that has felt FIN gets EPIPE for an RST.
        if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (errno.ECONNRESET, errno.EPIPE):
            self.felt.append("rst")

    # -- ending ------------------------------------------------------------------------------------

    def _do_close(self):
        self.sock.close()

    def _do_reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- meeting -----------------------------------------------------------------------------------

    def _do_set(self, flag):
        self.board.raise_flag(flag)

    def _do_await(self, flag):
        self.board.await_flag(flag, self._deadline.left())

    def _do_pause(self, milliseconds):
        time.sleep(float(milliseconds) / 1000)
