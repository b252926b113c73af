"""Nothing is slow here but what thinks: every other verdict is wrong."""

import subprocess
import sys
from pathlib import Path

from scenario import Truth, scenario
from truth_scene import plan, talk

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "integration"))
from private_servers import Nginx, PostgreSQL, Redis  # noqa: E402


@scenario("healthy.plain", (), quick=True)
def plain(scene, draw):
    exchanges = []
    for _ in range(8):
        size = draw.choice((100, 1400, 1500, 9000, 64_000, 400_000))
        exchanges += plan(draw, 100, request=(1, size), reply=(1, size), pause=(0.0, 0.0003))
    times = talk(scene, exchanges)
    return Truth(0.0, len(times))


def hard_at_work(scene, server, clients, command):
    """A benchmark through Weir, against a server of its kind."""
    scene.start_weir(f"127.0.0.1:{server.port}")
    subprocess.run([command[0], "-p", str(scene.address[1]), *command[1:]], check=True, capture_output=True, timeout=50)
    return Truth(0.0, at_once=clients)


def redis_benchmark(scene, draw):
    with Redis() as server:
        clients, size = draw.choice((1, 4, 20)), str(draw.choice((3, 64, 1000, 8000)))
        return hard_at_work(scene, server, clients,
                            ["redis-benchmark", "-h", "127.0.0.1", "-q", "-t", "get,set,incr,lpush,rpop", "-n", "2000", "-c",
                             str(clients), "-d", size])


def pgbench(scene, draw):
    with PostgreSQL() as server:
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-i", "-q", "postgres"],
                       check=True, capture_output=True)
        clients = draw.choice((1, 2, 8))
        return hard_at_work(scene, server, clients,
                            ["pgbench", "-h", "127.0.0.1", "-U", "postgres", "-n", "-S", "-c", str(clients), "-t", "2000", "-M",
                             draw.choice(("simple", "prepared")), "postgres"])


def wrk(scene, draw):
    with Nginx() as server:
        (server.root / "file").write_bytes(b"x" * draw.choice((10, 1000, 20_000)))
        clients = draw.choice((1, 8, 30))
        scene.start_weir(f"127.0.0.1:{server.port}")
        subprocess.run(["wrk", "-t", "1", "-c", str(clients), "-d", "4",
                        "http://%s:%d/file" % scene.address], check=True, capture_output=True, timeout=50)
        return Truth(0.0, at_once=clients)


for _name, _play, _needs in (("redis_benchmark", redis_benchmark, "redis-server"), ("pgbench", pgbench, "pgbench"),
                             ("wrk", wrk, "wrk")):
    scenario(f"healthy.{_name}", (), needs=_needs, alone=True)(_play)
