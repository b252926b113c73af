"""Thousands of well-behaved connections at once: every client sends its own bytes, checks their echo,
waits until all the others are there too, and ends in order."""

import asyncio
import random


class Swarm:
    """`count` clients to `address` and the echo server that they reach, in one asyncio loop."""

    def __init__(self, count, size=200, seconds=60.0):
        self.count = count
        self.size = size
        self.seconds = seconds
        self.most_at_once = 0     # sessions that were open at the server at one time
        self.wrong_echoes = 0
        self.ends = {}            # how the clients' connections ended: {"fin": 5000}
        self.server_ends = {}
        self._open = 0
        self._server = None

    async def serve(self):
        """Starts the echo server; returns "host:port"."""
        self._server = await asyncio.start_server(self._echo, "127.0.0.1", 0, backlog=4096)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def storm(self, address):
        """All clients at once, to the end of the last one."""
        everyone = asyncio.Event()
        arrived = 0

        async def client(number):
            nonlocal arrived
            reader, writer = await asyncio.open_connection(*address)
            payload = random.Random(number).randbytes(self.size)
            writer.write(payload)
            end = "fin"
            try:
                if await reader.readexactly(self.size) != payload:
                    self.wrong_echoes += 1
                arrived += 1
                if arrived == self.count:
                    everyone.set()
                await everyone.wait()
                writer.write_eof()
                if await reader.read() != b"":
                    self.wrong_echoes += 1
            except asyncio.IncompleteReadError:
                end = "fin, early"
            except ConnectionResetError:
                end = "rst"
            writer.close()
            self.ends[end] = self.ends.get(end, 0) + 1

        await asyncio.wait_for(asyncio.gather(*(client(n) for n in range(self.count))), self.seconds)

    async def _echo(self, reader, writer):
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        end = "fin"
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionResetError:
            end = "rst"
        self._open -= 1
        self.server_ends[end] = self.server_ends.get(end, 0) + 1
        writer.close()

    def close(self):
        self._server.close()
