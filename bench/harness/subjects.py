"""What is measured. Every subject listens on 127.0.0.1 and relays to one upstream address, with one
worker; start() returns when it listens. `address` is where the load goes, `pid` the root of its
process tree (None for direct)."""

import http.client
import json
import os
import re
import select
import signal
import subprocess
from pathlib import Path

from . import machine
from .processes import Process, StartError, free_port, wait_listening


class Subject:
    name = "?"
    pid = None
    process = None

    def start(self, place, upstream):
        raise NotImplementedError

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def missing(self):
        """Why it cannot be measured here, or ''."""
        return ""

    def between_slices(self):
        """Called before each of its slices."""


class Direct(Subject):
    name = "direct"

    def start(self, place, upstream):
        self.address = upstream


class Weir(Subject):
    """`weir tap --show VIEW`, one worker. Output goes to a file in memory where there is one, so that
    the view is measured and not the disk; it is emptied between slices. With faults, `label` says which."""

    def __init__(self, binary, show="none", faults=(), label=""):
        self.binary = binary
        self.show = show
        self.faults = faults
        self.name = f"weir, {label}" if label else "weir" if show == "none" else f"weir-{show}"
        self.output = None

    def missing(self):
        return "" if self.binary else "weir is not built"

    def command(self, place, ready, upstream):
        command = [self.binary, "tap", "--show", self.show, "--ready-fd", str(ready)]
        if self.show != "none":
            self.output = place.memory_file(f"{self.name}.out")
            command += ["-o", str(self.output)]
        for fault in self.faults:
            command += ["--fault", fault]
        return [*command, "127.0.0.1:0", upstream]

    def start(self, place, upstream):
        reader, writer = os.pipe()
        try:
            self.process = place.proxy(self.command(place, writer, upstream), self.name, pass_fds=[writer])
        finally:
            os.close(writer)
        try:
            line = read_line(reader, 10.0)
        finally:
            os.close(reader)
        found = re.match(r"weir: listening on (\S+), upstream ", line)
        if found is None:
            said = self.process.last_words()
            self.stop()
            raise StartError(f"{self.name}: no readiness line but {line!r}: {said}")
        self.address = found.group(1)
        self.pid = self.process.pid

    def between_slices(self):
        if self.output is not None and self.output.exists():
            os.truncate(self.output, 0)

    def stop(self):
        super().stop()
        if self.output is not None:
            self.output.unlink(missing_ok=True)


class Naive(Weir):
    """The relay of the 40 ms story: `weir demo --naive-relay LISTEN UPSTREAM`."""

    def __init__(self, binary):
        super().__init__(binary)
        self.name = "naive relay"

    def missing(self):
        if not self.binary:
            return "weir is not built"
        told = subprocess.run([self.binary, "demo", "--naive-relay"], capture_output=True, text=True, timeout=10,
                              check=False, stdin=subprocess.DEVNULL)
        # With the option known, what is missing is its two addresses; an unknown option says otherwise.
        words = told.stderr + told.stdout
        known = told.returncode != 0 and not re.search(r"not expected|unknown|unrecogni", words, re.IGNORECASE)
        return "" if known else "this weir has no `demo --naive-relay`"

    def start(self, place, upstream):
        port = free_port()
        self.process = place.proxy([self.binary, "demo", "--naive-relay", f"127.0.0.1:{port}", upstream], self.name)
        wait_listening(self.process, port)
        self.address = f"127.0.0.1:{port}"
        self.pid = self.process.pid


class HAProxy(Subject):
    """One process in the foreground (-db), nbthread 1, mode tcp, Debian's defaults otherwise. splice: both ways
    (`splice-request`, `splice-response`), through pipes of that many bytes (`tune.pipesize`); 0: it copies.
    Not `splice-auto`, with which 2.6 chooses to copy all of our bulk."""

    def __init__(self, splice=0):
        self.splice = splice
        self.name = f"haproxy, pipes of {splice // 1024} KiB" if splice else "haproxy"

    def missing(self):
        return "" if machine.find("haproxy") else "haproxy is not installed"

    def start(self, place, upstream):
        port = free_port()
        # HAProxy refuses to start if maxconn needs more descriptors than there are; pipes count too.
        connections = 2000 if self.splice else min(12000, (place.descriptors - 100) // 2)
        config = place.file(f"haproxy-{self.splice}.cfg", f"""
global
  nbthread 1
  maxconn {connections}
  {f"tune.pipesize {self.splice}" if self.splice else ""}
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
  {"option splice-request" if self.splice else ""}
  {"option splice-response" if self.splice else ""}
listen relay
  bind 127.0.0.1:{port}
  server upstream {upstream}
""")
        self.process = place.proxy([machine.find("haproxy"), "-db", "-f", config], self.name)
        wait_listening(self.process, port)
        self.address = f"127.0.0.1:{port}"
        self.pid = self.process.pid


class Nginx(Subject):
    """nginx's stream module, one worker process; the master is counted too. Half-close is relayed, as
    the others do; defaults otherwise."""

    name = "nginx"

    def missing(self):
        if not machine.find("nginx"):
            return "nginx is not installed"
        return "" if machine.is_present("/usr/lib/nginx/modules/ngx_stream_module.so") else "no stream module"

    def start(self, place, upstream):
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = place.file("nginx.conf", f"""
{user}
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile {place.descriptors};
pid {place.folder}/nginx.pid;
error_log {place.folder}/nginx.log error;
events {{ worker_connections {place.descriptors - 100}; }}
stream {{
  server {{
    listen 127.0.0.1:{port};
    proxy_pass {upstream};
    proxy_half_close on;
  }}
}}
""")
        # SIGTERM, and not SIGKILL, if this program is killed: the master takes its worker along.
        self.process = place.proxy([machine.find("nginx"), "-p", str(place.folder), "-c", config], self.name,
                                   death_signal=signal.SIGTERM)
        wait_listening(self.process, port)
        self.address = f"127.0.0.1:{port}"
        self.pid = self.process.pid


class Socat(Subject):
    """One process a connection. With -v it prints every byte on stderr, here to a file in memory."""

    def __init__(self, verbose=False):
        self.verbose = verbose
        self.name = "socat -v" if verbose else "socat"
        self.output = None

    def missing(self):
        return "" if machine.find("socat") else "socat is not installed"

    def start(self, place, upstream):
        port = free_port()
        command = [machine.find("socat")] + (["-v"] if self.verbose else [])
        command += [f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay", f"TCP:{upstream},nodelay"]
        streams = {}
        if self.verbose:
            self.output = place.memory_file("socat-v.out")
            with open(self.output, "wb") as output:
                self.process = place.proxy(command, self.name, stderr=output)
        else:
            self.process = place.proxy(command, self.name, **streams)
        wait_listening(self.process, port)
        self.address = f"127.0.0.1:{port}"
        self.pid = self.process.pid

    def between_slices(self):
        if self.output is not None:
            os.truncate(self.output, 0)

    def stop(self):
        super().stop()
        if self.output is not None:
            Path(self.output).unlink(missing_ok=True)
            self.output = None


class Toxiproxy(Subject):
    """toxiproxy itself, with toxics of (type, attributes) on the downstream."""

    def __init__(self, toxics=(), label=""):
        self.toxics = toxics
        self.name = f"toxiproxy, {label}" if label else "toxiproxy"

    def missing(self):
        return "" if machine.toxiproxy() else "Go's registry did not give it (bench/README.md)"

    def start(self, place, upstream):
        api, port = free_port(), free_port()
        self.process = place.proxy([machine.toxiproxy(), "-port", str(api)], self.name,
                                   env=dict(os.environ, GOMAXPROCS="1"))
        wait_listening(self.process, api)
        self._post(api, "/proxies", {"name": "relay", "listen": f"127.0.0.1:{port}", "upstream": upstream})
        for kind, attributes in self.toxics:
            self._post(api, "/proxies/relay/toxics", {"type": kind, "attributes": attributes})
        self.address = f"127.0.0.1:{port}"
        self.pid = self.process.pid

    @staticmethod
    def _post(port, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        if answer.status not in (200, 201):
            raise StartError(f"toxiproxy answers {answer.status} to {path}: {answer.read()!r}")
        connection.close()


def read_line(descriptor, limit):
    """One line from a pipe, or what came of it until its end or `limit` seconds."""
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], limit)
        if not ready:
            break
        byte = os.read(descriptor, 1)
        if not byte:
            break
        text += byte
    return text.decode(errors="replace").strip()
