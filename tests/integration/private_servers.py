"""PostgreSQL, Redis and nginx, each in a folder of its own, on loopback ports of its own, gone afterwards."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from deadline import Deadline, wait_until


def find_program(name):
    """The program's path, or None. Debian keeps PostgreSQL's server programs out of PATH."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(reversed(folders)))


def free_port(host="127.0.0.1"):
    """A port that was free a moment ago: for servers that cannot be asked to choose one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def answers(address):
    """True once something accepts a connection at (host, port)."""
    with contextlib.suppress(OSError), socket.create_connection(address, 1.0):
        return True
    return False


class PrivateServer:
    """A server process in `folder`, started by start(), ended by stop()."""

    programs = ()

    def __init__(self):
        # Not pytest's folder: that one is closed to the users that these servers run as.
        self.folder = Path(tempfile.mkdtemp(prefix="weir-test-"))
        self.folder.chmod(0o755)
        self.process = None
        self.port = free_port()

    @classmethod
    def why_unavailable(cls):
        missing = [name for name in cls.programs if find_program(name) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        raise NotImplementedError

    def launch(self, command, **options):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        log.close()

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended: {(self.folder / 'log').read_text()}")
            return self.is_ready()
        wait_until(ready, f"{Path(command[0]).name} is ready", 20.0)

    def is_ready(self):
        return answers(("127.0.0.1", self.port))

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(Deadline(10.0).left())
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(PrivateServer):
    """On 127.0.0.1, ::1 and a Unix socket in its folder. It refuses to run as root: then as `postgres`."""

    programs = ("initdb", "postgres", "psql", "pgbench")

    def __init__(self):
        super().__init__()
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    @classmethod
    def why_unavailable(cls):
        if os.geteuid() == 0:
            try:
                pwd.getpwnam("postgres")
            except KeyError:
                return "PostgreSQL does not run as root, and there is no user `postgres`"
        return super().why_unavailable()

    def _as_its_user(self):
        return {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}

    def start(self):
        data = self.folder / "data"
        subprocess.run([find_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C", "--no-sync"], check=True, capture_output=True, cwd=self.folder,
                       timeout=Deadline(60.0).left(), **self._as_its_user())
        settings = {"port": self.port, "listen_addresses": "127.0.0.1,::1", "unix_socket_directories": self.folder,
                    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "2GB"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.launch([find_program("postgres"), "-D", str(data), *words], cwd=self.folder, **self._as_its_user())

    def is_ready(self):
        return "accept connections" in (self.folder / "log").read_text()

    @property
    def unix_path(self):
        return str(self.folder / f".s.PGSQL.{self.port}")

    def stop(self, number=signal.SIGINT):  # fast shutdown
        super().stop(number)


class Redis(PrivateServer):
    """On 127.0.0.1, ::1 and a Unix socket in its folder; it saves nothing."""

    programs = ("redis-server", "redis-cli", "redis-benchmark")

    @property
    def unix_path(self):
        return str(self.folder / "redis.sock")

    def start(self):
        self.launch([find_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "::1",
                     "--unixsocket", self.unix_path, "--save", "", "--appendonly", "no",
                     "--dir", str(self.folder), "--proto-max-bulk-len", "256mb"])


class Nginx(PrivateServer):
    """Serves the files of `root` over HTTP on 127.0.0.1; one worker."""

    programs = ("nginx",)

    @property
    def root(self):
        return self.folder / "root"

    def start(self):
        self.root.mkdir(exist_ok=True)
        configuration = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        configuration.write_text(f"""
            {user}
            daemon off;
            worker_processes 1;
            pid {self.folder}/pid;
            error_log {self.folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
              access_log off;
              keepalive_requests 1000000;
              sendfile on;
              client_body_temp_path {self.folder}/body;
              proxy_temp_path {self.folder}/proxy;
              fastcgi_temp_path {self.folder}/fastcgi;
              uwsgi_temp_path {self.folder}/uwsgi;
              scgi_temp_path {self.folder}/scgi;
              server {{
                listen 127.0.0.1:{self.port};
                location /status {{ stub_status; }}
                location / {{ root {self.root}; }}
              }}
            }}""")
        self.launch([find_program("nginx"), "-c", str(configuration), "-e", str(self.folder / "error.log")])
