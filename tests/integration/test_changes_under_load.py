"""Faults, proxies and the configuration file change while sessions carry checked traffic: no byte is lost,
changed or reordered, no session of a proxy that stays is ended. Run it with WEIR_BIN at a ThreadSanitizer build
(build/tsan) to have the changes watched as well: a report of it fails the test."""

import asyncio
import random
import signal
import threading

import pytest

from deadline import PATIENCE, Deadline, wait_until
from serve_process import Serve

SESSIONS = 120
SECONDS = 6.0

# None of these loses or changes a byte.
FAULTS = [
    {"type": "latency", "latency": "2ms", "jitter": "2ms"},
    {"type": "slicer", "average_size": 100, "size_variation": 50, "delay": "10us"},
    {"type": "bandwidth", "rate": "2MB/s"},
    {"type": "bandwidth", "rate": "20MB/s", "scope": "proxy", "name": "shared"},
    {"type": "noop", "direction": "both"},
    {"type": "loss", "rate": 0.02, "rto": "5ms"},
    {"type": "stall", "for": "30ms"},
    {"type": "latency", "latency": "1ms", "probability": 0.5, "direction": "upstream"},
]

CONFIG = """
[log]
level = "{level}"
targets = ["stderr", "file:{folder}/weir.log"]
[[proxies]]
name = "steady"
listen = "127.0.0.1:{port}"
upstream = "127.0.0.1:{upstream}"
[[proxies.faults]]
type = "latency"
name = "configured"
latency = "{latency}"
{more}
"""
MORE = """
[[proxies]]
name = "coming"
upstream = "127.0.0.1:{upstream}"
[[proxies.faults]]
type = "slow_close"
delay = "1s"
"""


class Traffic(threading.Thread):
    """An echoing server and many clients that check every byte, on an asyncio loop of their own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.exchanges = [0] * SESSIONS
        self.problems = []
        self.enough = False
        self._server_ready = threading.Event()
        self.port = None  # of the upstream
        self.start()
        assert self._server_ready.wait(20 * PATIENCE)

    def run(self):
        self.loop.run_until_complete(self._serve())
        self.loop.run_forever()

    async def _serve(self):
        async def echo(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._server_ready.set()

    async def _client(self, number, address):
        draw = random.Random(number)
        try:
            reader, writer = await asyncio.open_connection(*address)
            while not self.enough:
                sent = draw.randbytes(draw.randrange(1, 3000))
                writer.write(sent)
                got = await asyncio.wait_for(reader.readexactly(len(sent)), 60 * PATIENCE)
                if got != sent:
                    raise AssertionError("other bytes came back")
                self.exchanges[number] += 1
            writer.close()
        except Exception as problem:  # noqa: whatever it is, it is the test's result
            self.problems.append(f"session {number} after {self.exchanges[number]}: {problem!r}")

    def begin(self, address):
        async def all_of_them():
            await asyncio.gather(*(self._client(number, address) for number in range(SESSIONS)))
        return asyncio.run_coroutine_threadsafe(all_of_them(), self.loop)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(20 * PATIENCE)


@pytest.mark.slow
def test_no_byte_suffers(weir_binary, tmp_path):
    traffic = Traffic()
    config = tmp_path / "weir.toml"
    draw = random.Random(1)
    port = 0

    def write_config(more=""):
        config.write_text(CONFIG.format(level=draw.choice(["info", "debug"]), folder=tmp_path, port=port,
                                        upstream=traffic.port, latency=f"{draw.randrange(1, 5)}ms",
                                        more=more.format(upstream=traffic.port)))
    write_config()
    serve = Serve("-c", config, "--workers", 2, folder=tmp_path)
    try:
        listen = serve.get("/api/v1/proxies/steady").json["listen"]
        address = ("127.0.0.1", int(listen.rpartition(":")[2]))
        done = traffic.begin(address)
        wait_until(lambda: traffic.problems or min(traffic.exchanges) > 0, "all sessions carry traffic", 60.0)
        reloads = changes = 0
        deadline = Deadline(SECONDS / PATIENCE)
        while not deadline.passed():
            body = draw.choice(FAULTS)
            added = serve.post("/api/v1/proxies/steady/faults", {**body, "position": draw.randrange(1, 4)})
            assert added.status in (201, 409), added.text
            names = [each["name"] for each in serve.get("/api/v1/proxies/steady/faults").json["faults"]]
            free = [name for name in names if name != "configured"]
            if free and draw.random() < 0.6:
                assert serve.delete(f"/api/v1/proxies/steady/faults/{draw.choice(free)}").status == 204
            if free and draw.random() < 0.3:
                serve.patch(f"/api/v1/proxies/steady/faults/{draw.choice(names)}", {"probability": draw.random()})
            if draw.random() < 0.3:
                serve.post("/api/v1/proxies", {"name": "passing", "upstream": f"127.0.0.1:{traffic.port}"})
                serve.delete("/api/v1/proxies/passing")
            if draw.random() < 0.3:
                write_config(draw.choice(["", MORE]))
                serve.process.send_signal(signal.SIGHUP)
                reloads += 1
            serve.get("/api/v1/sessions")
            serve.get("/metrics")
            changes += 1
        assert serve.get("/api/v1/sessions?proxy=steady&limit=1000").status == 200
        for each in serve.get("/api/v1/proxies/steady/faults").json["faults"]:
            serve.delete(f"/api/v1/proxies/steady/faults/{each['name']}")
        at_end = list(traffic.exchanges)
        wait_until(lambda: traffic.problems or all(now > then for now, then in zip(traffic.exchanges, at_end)),
                   "every session goes on", 60.0)
        traffic.enough = True
        done.result(60 * PATIENCE)
        assert not traffic.problems, traffic.problems[:5]
        assert changes > 10 and reloads > 0
        opened = serve.get("/metrics").text
        assert f'weir_sessions_total{{proxy="steady"}} {SESSIONS}' in opened, "none was opened anew"
    finally:
        traffic.enough = True
        code = serve.stop()
        traffic.stop()
    said = serve.stderr()
    assert code == 0, said
    for word in ("ThreadSanitizer", "AddressSanitizer", "runtime error:"):
        assert word not in said, said[said.index(word):][:4000]
    assert "nothing was changed" not in said
