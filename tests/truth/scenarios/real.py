"""Programs as they are, with what a person with tcpdump would say of them."""

import http.client
import re
import subprocess
import time

from scenario import Truth, both_sides, scenario
from truth_scene import NotProvoked, ask, excess, plain_answer, plan, serve

from .healthy import Nginx
from .shape import want


def naive_relay(scene, upstream):
    """The relay of `weir demo`, which reads 128 bytes at a time and writes them with Nagle on. Where it listens."""
    process = subprocess.Popen([scene.binary, "demo", "--naive-relay", "127.0.0.1:0", "%s:%d" % upstream],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r":(\d+)", process.stdout.readline())
    if not found:
        raise NotProvoked("the naive relay did not start")
    return "127.0.0.1", int(found[1])


@both_sides("split_write.naive_relay", certainty="shown", also=("think",), tolerance=(0.4, 1.5), quick=True)
def split_by_a_relay(scene, draw, side):
    """On the client's side it splits requests. On the server's it splits replies; what it does to requests behind itself,
    Weir sees as time that the server took."""
    exchanges = plan(draw, draw.randint(30, 40), request=(150, 250) if side == "client" else (20, 120),
                     reply=(20, 120) if side == "client" else (150, 250))
    listener = scene.listen()
    scene.start("server", serve, listener, exchanges, plain_answer)
    if side == "client":
        scene.start_weir(listener)
        scene.address = naive_relay(scene, scene.address)
    else:
        scene.start_weir("%s:%d" % naive_relay(scene, listener.getsockname()))
    times = scene.start("client", ask, scene, exchanges).result()
    return Truth(want(times, 0.03, 4), len(times))


class NginxThatCorks(Nginx):
    def launch(self, command, **options):
        conf = self.folder / "nginx.conf"
        conf.write_text(conf.read_text().replace("sendfile on;", "sendfile on; tcp_nopush on;"))
        super().launch(command, **options)


@scenario("healthy.nginx", (), needs="nginx")
def nginx_with_nopush(scene, draw):
    """sendfile and tcp_nopush, which corks and uncorks: no answer waits for it."""
    with NginxThatCorks() as server:
        sizes = [draw.choice((0, 10, 1000, 1460, 9000, 100_000)) for _ in range(60)]
        for size in set(sizes):
            (server.root / str(size)).write_bytes(b"x" * size)
        scene.start_weir(f"127.0.0.1:{server.port}")

        def get_all():
            times = []
            connection = http.client.HTTPConnection(*scene.address, timeout=20)
            for size in sizes:
                begin = time.monotonic()
                connection.request("GET", f"/{size}")
                if len(connection.getresponse().read()) != size:
                    raise NotProvoked("not what was asked for")
                times.append(time.monotonic() - begin)
            connection.close()
            return times
        times = scene.start("client", get_all).result()
        if excess(times, 0.15):
            raise NotProvoked("it was slow")
        return Truth(0.0, len(times))
