"""One running `weir serve` (or toxiproxy-server), and an HTTP client that hides nothing."""

import http.client
import json
import os
import re
import signal
import subprocess

from deadline import PATIENCE, Deadline, wait_until
from weir_process import BINARY


class Answer:
    """Status, headers (last of each name, lower case) and body of one HTTP answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Serve:
    """`weir serve --api 127.0.0.1:0 OPTIONS`; `program` starts it under another name, `prefix` through another
    program, such as prlimit."""

    def __init__(self, *options, folder, api="127.0.0.1:0", environment=None, program=None, wait=True, prefix=()):
        self.stderr_path = folder / "serve.stderr"
        read_end, write_end = os.pipe()
        command = [*prefix, program or BINARY]
        command += [] if program else ["serve", "--api", api, "--ready-fd", str(write_end)]
        self._stderr = open(self.stderr_path, "wb")
        self.process = subprocess.Popen([*map(str, command), *map(str, options)], stdin=subprocess.DEVNULL,
                                        stdout=self._stderr, stderr=self._stderr, pass_fds=[write_end],
                                        env={**os.environ, **(environment or {})})
        os.close(write_end)
        self.port = None
        with os.fdopen(read_end) as ready:
            line = ready.readline() if wait and not program else ""
        if wait and not program:
            assert line, f"weir serve did not start: {self.stderr()}"
            self.where = line.strip().rpartition(" on ")[2]
            self.port = int(self.where.rpartition(":")[2]) if not self.where.startswith("unix:") else None
        elif wait:
            found = wait_until(lambda: re.search(r"server on \S*:(\d+)", self.stderr()) or self.process.poll() is not None,
                               "toxiproxy-server listens", 20.0)
            assert found is not True, self.stderr()
            self.port = int(found[1])

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * PATIENCE)

    def ask(self, method, path, body=None, **headers):
        connection = self.connection()
        try:
            data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
            connection.request(method, path, body=data,
                               headers={name.replace("_", "-"): value for name, value in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.ask("POST", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(Deadline(1.0).left())
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(Deadline(20.0).left())
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._stderr.close()
