"""A private rsyslogd: UDP, TCP and a Unix socket of its own, everything it understands in a file."""

import shutil
import socket
import subprocess

import pytest

from deadline import PATIENCE, wait_until


class Rsyslog:
    """Lines of `template` (rsyslog's properties) for each message it takes, until the context ends.

    `on_socket`: further parameters of the Unix socket's input."""

    def __init__(self, folder, template, on_socket=""):
        self.program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
        if self.program is None:
            pytest.skip("rsyslogd (package rsyslog) is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = folder
        self.socket = folder / "log.sock"
        self.out = folder / "out"
        self.config = folder / "rsyslog.conf"
        self.config.write_text(f'''global(workDirectory="{folder}")
module(load="imtcp")
module(load="imudp")
module(load="imuxsock" SysSock.Use="off")
template(name="t" type="string" string="{template}\\n")
input(type="imtcp" port="{self.port}" address="127.0.0.1")
input(type="imudp" port="{self.port}" address="127.0.0.1")
input(type="imuxsock" Socket="{self.socket}" {on_socket})
*.* action(type="omfile" file="{self.out}" template="t")
''')

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "-n", "-f", self.config, "-i", self.folder / "pid"],
                                        stderr=subprocess.PIPE)
        wait_until(self._listens, "rsyslogd listens", 20.0)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20 * PATIENCE)
        self.process.stderr.close()

    def _listens(self):
        assert self.process.poll() is None, self.process.stderr.read()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return self.socket.exists()

    def lines(self):
        return self.out.read_text().splitlines() if self.out.exists() else []
