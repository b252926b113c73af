"""Sessions whose every byte is checked at the end: both sides of each are played here, with random bytes, random
chunks and random ends.

A stream begins with the number of its sender, so the receiver finds out who sent it, and with that what it should be."""

import asyncio
import contextlib
import random
import socket
import struct

HEAD = struct.Struct(">Q")
# leave: close the socket without having read all, which TCP makes FIN or RST of.
CLIENT_ENDS = ["fin"] * 6 + ["reset", "leave"]
SERVER_ENDS = ["fin"] * 6 + ["reset"]


class Side:
    """One side of a session: what it sends, how it ends, and what it got."""

    def __init__(self, number, seed, ends, most):
        draw = random.Random(f"{seed} {number}")
        self.number = number
        self.sends = HEAD.pack(number) + draw.randbytes(int(most ** draw.random()))
        self.end = draw.choice(ends)
        # A reset may come before the sender's number is sent; who leaves has said it.
        least = {"fin": len(self.sends), "leave": HEAD.size, "reset": 0}[self.end]
        self.until = draw.randrange(least, len(self.sends) + 1)
        self.draw = draw
        self.got = bytearray()

    def sent(self):
        return self.sends[:self.until]

    async def play(self, reader, writer):
        receiving = asyncio.ensure_future(self._receive(reader))
        with contextlib.suppress(OSError):
            await self._send(writer)
            if self.end == "fin":
                writer.write_eof()
        if self.end == "fin":
            await receiving
        elif self.end == "reset":
            # Else the kernel would send FIN, and what it still holds before that.
            with contextlib.suppress(OSError):  # the other side's reset was sooner
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        receiving.cancel()
        writer.close()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _send(self, writer):
        at = 0
        while at < self.until:
            size = min(int(20_000 ** self.draw.random()), self.until - at)
            writer.write(self.sends[at:at + size])
            await writer.drain()
            at += size
            if self.draw.random() < 0.2:
                await asyncio.sleep(self.draw.random() * 0.02)  # a silence of the traffic

    async def _receive(self, reader):
        try:
            while data := await reader.read(65536):
                self.got += data
        except OSError:
            pass  # a reset: what came before it is checked


class Traffic:
    """`at_once` clients at a time, each from an address of its own in 127.0.0.0/8, and the server that they reach."""

    def __init__(self, seed, at_once, most=60_000):
        self.seed = seed
        self.at_once = at_once
        self.most = most
        self.clients = []  # client n comes from address_of(n)
        self.servers = []
        self._running = set()

    @staticmethod
    def address_of(number):
        return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    async def serve(self):
        server = await asyncio.start_server(self._serve_one, "127.0.0.1", 0, backlog=1024)
        return server.sockets[0].getsockname()[1]

    async def run(self, port, enough):
        """New clients until `enough()`, then waits for the last session's end."""
        async def one_after_another():
            while not enough():
                side = Side(len(self.clients), f"{self.seed} client", CLIENT_ENDS, self.most)
                self.clients.append(side)
                reader, writer = await asyncio.open_connection("127.0.0.1", port,
                                                               local_addr=(self.address_of(side.number), 0))
                await side.play(reader, writer)
        await asyncio.gather(*(one_after_another() for _ in range(self.at_once)))
        while self._running:
            await asyncio.wait(set(self._running))

    async def _serve_one(self, reader, writer):
        side = Side(len(self.servers), f"{self.seed} server", SERVER_ENDS, self.most)
        self.servers.append(side)
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await side.play(reader, writer)
        finally:
            self._running.discard(task)


def problem_of_stream(receiver, senders, in_order):
    """What is wrong with what `receiver` got, or None; and who sent it, if that is to be seen. `in_order`: the
    session ended in order, so all has to be there, if the receiver did not leave before."""
    got = bytes(receiver.got)
    whole = in_order and receiver.end == "fin"
    if len(got) < HEAD.size:
        if any(sender.sent().startswith(got) and (not whole or len(sender.sent()) == len(got)) for sender in senders):
            return None, None
        return f"got no more than {len(got)} bytes, {got.hex()}", None
    number = HEAD.unpack_from(got)[0]
    if number >= len(senders):
        return f"got a stream of nobody: {got[:20].hex()}", None
    sender = senders[number]
    sent = sender.sent()
    if not sent.startswith(got):
        at = next((i for i, (a, b) in enumerate(zip(got, sent)) if a != b), len(sent))
        return f"got {len(got)} bytes, other than sent from offset {at} on", sender
    if whole and len(got) != len(sent):
        return f"got {len(got)} of {len(sent)} bytes of a session that ended in order", sender
    return None, sender
