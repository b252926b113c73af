"""A path between two network namespaces, with a delay, a rate, a queue and losses that are told packet by packet.

Two TUN devices, one at each end, and a process that carries packets from the one to the other: kernels without netem
have no other way. It adds 0.1 to 0.3 ms of its own. Needs root.

    link = Link(far)          # from the namespace of the caller, which is Weir's, to `far`
    link.set(delay=0.01)      # seconds, one way; both ways unless a direction is named
    link.drop("from_weir", nth=2, at_least=100)
    link.end()

Directions: "from_weir" and "to_weir", whichever leg the link is on. Every call returns when it is in force; whoever
has the object may call it, from any process that was forked from its maker, one at a time.
"""

import collections
import contextlib
import fcntl
import json
import os
import random
import select
import socket
import struct
import subprocess
import time
import traceback

import namespaces

NEAR, FAR = "10.77.0.1", "10.77.0.2"
DIRECTIONS = ("from_weir", "to_weir")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def _open_tun(address, peer, congestion, mtu):
    """In the namespace of this thread."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"truth0", IFF_TUN | IFF_NO_PI))
    commands = (f"link set lo up\nlink set truth0 mtu {mtu} up\naddr add {address}/32 dev truth0\n"
                f"route add {peer}/32 dev truth0 src {address} congctl {congestion}\n")
    subprocess.run(["ip", "-batch", "-"], input=commands, check=True, capture_output=True, text=True)
    return tun


class Packet:
    """What a rule asks of an IPv4 packet."""

    def __init__(self, data):
        self.data = data
        self.kind = "other"
        if len(data) < 40 or data[0] >> 4 != 4 or data[9] != socket.IPPROTO_TCP:
            return
        header = (data[0] & 15) * 4
        payload = struct.unpack_from("!H", data, 2)[0] - header - (data[header + 12] >> 4) * 4
        flags = data[header + 13]
        if flags & SYN:
            self.kind = "syn"
        elif payload > 0:
            self.kind = "data"
        elif flags & RST:
            self.kind = "rst"
        elif flags & FIN:
            self.kind = "fin"
        else:
            self.kind = "ack"


class Rule:
    """Drops some of the packets of one direction that match."""

    def __init__(self, kind="any", nth=1, count=1, at_least=0, at_most=1 << 16, share=1.0, seed=0):
        self.kind, self.skip, self.left = kind, nth - 1, count
        self.at_least, self.at_most, self.share = at_least, at_most, share
        self.draw = random.Random(seed)

    def drops(self, packet):
        if self.left == 0 or not self.at_least <= len(packet.data) <= self.at_most:
            return False
        if self.kind not in ("any", packet.kind):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.share < 1.0 and self.draw.random() >= self.share:
            return False
        self.left -= 1
        return True


class Direction:
    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.delay, self.rate, self.queue = 0.0, 0.0, 1 << 20
        self.rules, self.dropped, self.carried = [], 0, 0
        self.free_at = 0.0
        self.waiting = collections.deque()

    def take(self):
        while True:
            try:
                data = os.read(self.source, 65536)
            except BlockingIOError:
                return
            now = time.monotonic()
            packet = Packet(data)
            if data[0] >> 4 != 4:
                continue
            if any([rule.drops(packet) for rule in self.rules]):  # each of them counts it
                self.dropped += 1
                continue
            leaves = now
            if self.rate > 0:
                begins = max(now, self.free_at)
                if (begins - now) * self.rate / 8 > self.queue:
                    self.dropped += 1
                    continue
                leaves = self.free_at = begins + len(data) * 8 / self.rate
            self.waiting.append((leaves + self.delay, data))

    def give(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            with contextlib.suppress(OSError):  # its queue is full: then it is lost, as it would be elsewhere
                os.write(self.sink, self.waiting.popleft()[1])
                self.carried += 1


def _obey(directions, words):
    chosen = [directions[DIRECTIONS.index(words["direction"])]] if words.get("direction") else directions
    for each in chosen:
        if words["do"] == "set":
            for name in ("delay", "rate", "queue"):
                if words.get(name) is not None:
                    setattr(each, name, words[name])
        elif words["do"] == "drop":
            each.rules.append(Rule(**words["rule"]))
        elif words["do"] == "deliver":
            each.rules.clear()
    return {"dropped": [each.dropped for each in directions], "carried": [each.carried for each in directions]}


def _carry(near, far, control):
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # a path does not wait for a CPU
    directions = [Direction(near, far), Direction(far, near)]
    sources = [near, far, control.fileno()]
    while True:
        now = time.monotonic()
        for each in directions:
            each.give(now)
        due = min((each.waiting[0][0] for each in directions if each.waiting), default=now + 1.0)
        ready = select.select(sources, [], [], max(0.0, due - time.monotonic()))[0]
        for each in directions:
            if each.source in ready:
                each.take()
        if control.fileno() in ready:
            words = control.recv(4096)
            if not words:
                return
            control.send(json.dumps(_obey(directions, json.loads(words))).encode())


class Link:
    def __init__(self, far, congestion="cubic", mtu=1500):
        home = namespaces.current_network()
        near_tun = _open_tun(NEAR, FAR, congestion, mtu)
        namespaces.enter(far)
        try:
            far_tun = _open_tun(FAR, NEAR, congestion, mtu)
        finally:
            namespaces.enter(home)
            os.close(home)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = os.fork()
        if self.process == 0:
            code = 1
            try:
                self._control.close()
                _carry(near_tun, far_tun, theirs)
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        for each in (near_tun, far_tun):
            os.close(each)
        theirs.close()

    def _ask(self, **words):
        self._control.send(json.dumps(words).encode())
        answer = self._control.recv(4096)
        if not answer:
            raise RuntimeError("the link emulator has ended")
        return json.loads(answer)

    def set(self, delay=None, rate=None, queue=None, direction=None):
        """Seconds one way; bits per second, 0: no limit; bytes that may wait for the rate, more are dropped."""
        return self._ask(do="set", delay=delay, rate=rate, queue=queue, direction=direction)

    def drop(self, direction=None, **rule):
        """From now on: `count` packets from the nth that matches on (-1: all that follow). `kind`: any, syn, data, ack
        (nothing but an ACK), fin, rst. Sizes (at_least, at_most) are of whole IP packets; `share` drops that part."""
        return self._ask(do="drop", direction=direction, rule=rule)

    def drop_all(self, direction=None):
        return self.drop(direction, count=-1)

    def deliver(self, direction=None):
        """All rules are forgotten."""
        return self._ask(do="deliver", direction=direction)

    def counts(self):
        return self._ask(do="count")

    def end(self):
        self._control.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, 0)
