"""One `weir why` between a client and a server, in namespaces of their own where root makes them.

Weir and what is not behind a link live in the *near* network; with a link, the server or the client lives in the *far*
one. Peers are processes, forked from here: functions of Python that share what was drawn before. Everything that a
scene starts ends with it.
"""

import contextlib
import functools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import namespaces
from link_emulator import FAR, NEAR, Link


class NotProvoked(Exception):
    """The stall that a scenario is about did not come about, as its own peers measured: this run says nothing."""


class Refused(Exception):
    """Weir does not take the option that the scenario needs."""


@dataclass(eq=False)
class Exchange:
    """What the two peers have agreed on."""
    request: int
    reply: int
    think: float = 0.0  # of the server
    pause: float = 0.0  # of the client, before it
    cut: int = 0        # bytes of the first piece, where a message is written in two


def nodelay(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def receive(connection, size):
    """Exactly so many bytes; ConnectionError where the stream ends before."""
    parts = []
    while size > 0:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise ConnectionError(f"the stream ended {size} bytes early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def text(size, seed=0):
    """Bytes that are no protocol's; each seed has its own."""
    letters = bytes(random.Random(seed).choices(b"abcdefghijklmnop ", k=min(size, 4096)))
    return (letters * (size // max(len(letters), 1) + 1))[:size]


def excess(times, over=0.0):
    """The sum of those that are longer."""
    return sum(each for each in times if each > over)


class Process:
    """A function that runs in a process of its own; it returns what JSON can say."""

    def __init__(self, function, arguments, network=None):
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read_end)
            try:
                if network is not None:
                    namespaces.enter(network)
                answer = {"value": function(*arguments)}
            except NotProvoked as reason:
                answer = {"not_provoked": str(reason)}
            except BaseException:
                answer = {"error": traceback.format_exc()}
            with contextlib.suppress(OSError), os.fdopen(write_end, "w") as pipe:
                json.dump(answer, pipe)
            os._exit(0)
        os.close(write_end)
        self._pipe = os.fdopen(read_end)
        self.ended = False

    def result(self):
        """Waits for it. Its value, or what it raised."""
        words = self._pipe.read()
        self.end()
        answer = json.loads(words) if words else {"error": "it was ended from outside"}
        if "not_provoked" in answer:
            raise NotProvoked(answer["not_provoked"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def end(self):
        if not self.ended:
            self.ended = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._pipe.close()


class Scene:
    def __init__(self, binary, folder, link=None, congestion="cubic"):
        """`link`: None, "client" or "server", the leg that it is on. Moves this process into a network of its own if it
        may, so make one scene per process."""
        self.binary, self.folder, self.link_leg = str(binary), Path(folder), link
        self.far = self.link = self.weir = self.view = None
        self.processes = []
        if os.geteuid() == 0:
            namespaces.move_into_new_network()
            if link:
                self.far = namespaces.new_network()
                self.link = Link(self.far, congestion)
            else:
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        elif link:
            raise PermissionError("needs root, to make a network namespace")

    # -- peers -------------------------------------------------------------------------------------

    def _network_of(self, leg):
        return self.far if self.link_leg == leg else None

    def start(self, leg, function, *arguments):
        """`function` in a process of its own, in the network of that leg's peer."""
        process = Process(function, arguments, self._network_of(leg))
        self.processes.append(process)
        return process

    def listen(self, backlog=128, leg="server", **buffers):
        """The listening socket of that leg's peer. `buffers`: receiving, sending, in bytes."""
        home = None
        if self._network_of(leg) is not None:
            home = namespaces.current_network()
            namespaces.enter(self.far)
        try:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            set_buffers(listener, **buffers)
            listener.bind((FAR if home is not None else "127.0.0.1", 0))
            listener.listen(backlog)
            return listener
        finally:
            if home is not None:
                namespaces.enter(home)
                os.close(home)

    def connect(self, **buffers):
        """The client's connection, called in its process."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        set_buffers(connection, **buffers)
        connection.settimeout(30.0)
        connection.connect(self.address)
        return connection

    # -- weir --------------------------------------------------------------------------------------

    def start_weir(self, upstream, *options, resolver=None):
        """In front of `upstream`: a listening socket, or an address as a user types it. `resolver`: a file that it sees
        as /etc/resolv.conf."""
        with open(self.folder / "report", "wb") as out:
            self._start_weir(["why", "--json"], out, upstream, options, resolver)

    def start_tap(self, upstream, take):
        """`weir tap --why`: its view is read by `take(descriptor, file)`, in a process of its own, which writes all of it
        to the file."""
        read_end, write_end = os.pipe()

        def read_view():
            os.close(write_end)
            with open(self.folder / "view", "wb") as file:
                take(read_end, file)
        self.view = self.start("near", read_view)
        os.close(read_end)
        try:
            self._start_weir(["tap", "--show", "json", "--why"], write_end, upstream, (), None)
        finally:
            os.close(write_end)

    def _start_weir(self, command, out, upstream, options, resolver):
        if isinstance(upstream, socket.socket):
            upstream = "%s:%d" % upstream.getsockname()
        host = NEAR if self.link_leg == "client" else "127.0.0.1"
        read_end, write_end = os.pipe()
        with open(self.folder / "stderr", "wb") as err:
            self.weir = subprocess.Popen(
                [self.binary, *command, "--ready-fd", str(write_end), *options, f"{host}:0", upstream],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, pass_fds=[write_end],
                preexec_fn=(lambda: namespaces.show_file_as("/etc/resolv.conf", resolver)) if resolver else None)
        os.close(write_end)
        with open(read_end, encoding="utf-8") as ready:
            found = re.search(r":(\d+), upstream", ready.readline())
        if not found:
            self.weir.wait()
            complaint = (self.folder / "stderr").read_text()
            if self.weir.returncode == 2:
                raise Refused(complaint.strip().splitlines()[0])
            raise RuntimeError(f"weir ended with {self.weir.returncode}: {complaint}")
        self.address = (host, int(found[1]))

    def stop_weir_for(self, seconds):
        """SIGSTOP, and SIGCONT after that time, from a thread of the caller; returns when it has stopped. What is
        returned says, behind that, how long it really was."""
        os.kill(self.weir.pid, signal.SIGSTOP)
        while not all(_state(task) == "T" for task in Path(f"/proc/{self.weir.pid}/task").iterdir()):
            time.sleep(0.0005)
        times = [time.monotonic()]

        def go_on():
            times.append(time.monotonic())
            os.kill(self.weir.pid, signal.SIGCONT)
        threading.Timer(seconds, go_on).start()
        return lambda: times[1] - times[0]

    def weir_ran_or_waited(self):
        """Seconds that Weir's threads ran or waited for a CPU so far."""
        total = 0
        for task in Path(f"/proc/{self.weir.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += sum(map(int, (task / "schedstat").read_text().split()[:2]))
        return total / 1e9

    def report(self):
        """Ends Weir as Ctrl-C does. What it told."""
        self.weir.send_signal(signal.SIGINT)
        try:
            self.weir.wait(5.0)
        except subprocess.TimeoutExpired:
            self.weir.send_signal(signal.SIGINT)  # sessions hold it up
            self.weir.wait(10.0)
        if self.view is not None:
            self.view.result()
            return sums_of(json.loads(line) for line in (self.folder / "view").read_text().splitlines())
        words = (self.folder / "report").read_text()
        if not words:
            raise RuntimeError(f"no report, exit code {self.weir.returncode}: {(self.folder / 'stderr').read_text()}")
        return json.loads(words)

    def close(self):
        if self.weir is not None and self.weir.poll() is None:
            self.weir.kill()
            self.weir.wait()
        for process in self.processes:
            process.end()
        if self.link is not None:
            self.link.end()
            os.close(self.far)


def sums_of(events):
    """The verdicts of a view, as `weir why` reports them."""
    sums, exchanges = {}, 0
    for each in events:
        if each["event"] == "verdict":
            row = sums.setdefault((each["cause"], each["side"], each["certainty"]), {"times": 0, "lost_ns": 0})
            row["times"] += 1
            row["lost_ns"] += each["length_ns"]
            exchanges = max(exchanges, each["exchange"])
    causes = [{"cause": cause, "side": side, "certainty": certainty, **row} for (cause, side, certainty), row in sums.items()]
    return {"exchanges": exchanges, "idle_ns": 0, "undecided": [], "causes": causes}


def _state(task):
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def set_buffers(connection, receiving=None, sending=None):
    if receiving:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiving)
    if sending:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sending)


@functools.cache
def certificate():
    """A file with a key and its certificate for truth.test, made once for all runs."""
    folder = os.environ.get("TRUTH_FOLDER") or tempfile.mkdtemp(prefix="weir-truth-")
    path = Path(folder) / "certificate.pem"
    if not path.exists():
        key = Path(folder) / f"key.{os.getpid()}"
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=truth.test", "-days",
                               "2", "-keyout", key, "-out", f"{key}.crt"], check=True, capture_output=True)
        assert made.returncode == 0
        key.write_bytes(key.read_bytes() + Path(f"{key}.crt").read_bytes())
        key.rename(path)
    return str(path)


# -- peers that most scenarios share -------------------------------------------------------------------


def plain_send(connection, exchange):
    connection.sendall(text(exchange.request, exchange.request))


def plain_answer(connection, exchange):
    if exchange.think:
        time.sleep(exchange.think)
    connection.sendall(text(exchange.reply, exchange.reply))


def serve(listener, exchanges, answer, prepare=nodelay, take=None):
    """Accepts for ever; each connection is served by a thread, by the same list of exchanges."""
    def talk(connection):
        with connection, contextlib.suppress(OSError):
            prepare(connection)
            for exchange in exchanges:
                if take is None:
                    receive(connection, exchange.request)
                else:
                    take(connection, exchange)
                answer(connection, exchange)
            connection.recv(1)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


def ask(scene, exchanges, send=plain_send, prepare=nodelay, take=None, **buffers):
    """One connection, one exchange after another. What each took, in seconds."""
    times = []
    with scene.connect(**buffers) as connection:
        prepare(connection)
        for exchange in exchanges:
            time.sleep(exchange.pause)
            begin = time.monotonic()
            send(connection, exchange)
            if take is None:
                receive(connection, exchange.reply)
            else:
                take(connection, exchange)
            times.append(time.monotonic() - begin)
    return times


def talk(scene, exchanges, *options, answer=plain_answer, send=plain_send, serving=nodelay, asking=nodelay, backlog=128,
         server_buffers=None, client_buffers=None, take_request=None, take_reply=None):
    """A whole session of these exchanges, with the peers as told. What each took, as the client saw it."""
    listener = scene.listen(backlog, **(server_buffers or {}))
    scene.start("server", serve, listener, exchanges, answer, serving, take_request)
    scene.start_weir(listener, *options)
    return scene.start("client", lambda: ask(scene, exchanges, send, asking, take_reply, **(client_buffers or {}))).result()


def plan(draw, count, request=(20, 1200), reply=(20, 2000), think=(0.0, 0.0), pause=(0.0, 0.004)):
    """Exchanges of drawn sizes and times."""
    return [Exchange(draw.randint(*request), draw.randint(*reply), draw.uniform(*think), draw.uniform(*pause))
            for _ in range(count)]
