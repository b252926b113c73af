"""A private PostgreSQL cluster on loopback, trust authentication, gone with the run."""

import os
import pwd
import signal
import subprocess

from . import machine
from .processes import StartError, free_port, wait_listening


class Postgres:
    def __init__(self, place):
        self.place = place
        self.process = None
        self.port = None

    @staticmethod
    def missing():
        return "" if machine.postgres_bin() else "PostgreSQL is not installed"

    def start(self):
        binaries = machine.postgres_bin()
        data = self.place.folder / "postgres"
        data.mkdir()
        user = _unprivileged()
        if user:
            os.chown(data, *user)
        made = subprocess.run(
            [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "weir", "--no-sync", "-E", "UTF8",
             "--locale", "C"],
            capture_output=True, text=True, timeout=120, check=False, cwd="/",
            preexec_fn=(lambda: _become(user)) if user else None)
        if made.returncode != 0:
            raise StartError(f"initdb: {made.stderr.strip().splitlines()[-1:]}")
        self.port = free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": str(data),
                    "fsync": "off", "autovacuum": "off", "max_connections": 20, "log_min_messages": "error"}
        command = [str(binaries / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # SIGINT is PostgreSQL's fast shutdown; SIGQUIT, if this program dies, its immediate one.
        self.process = self.place.load(command, "postgres", user=user, death_signal=signal.SIGQUIT,
                                       stop_signal=signal.SIGINT, cwd="/")
        wait_listening(self.process, self.port, limit=30)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is not None:
            self.process.stop(grace=10)
            self.process = None


def _unprivileged():
    """(uid, gid) to run as, for PostgreSQL refuses root; None if this is no root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            continue
    raise StartError("PostgreSQL: neither a user postgres nor nobody to run it as")


def _become(user):
    os.setgroups([])
    os.setgid(user[1])
    os.setuid(user[0])
