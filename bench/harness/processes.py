"""Child processes that can never outlive the run: killed when it ends, is interrupted, or is itself killed."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = []


class StartError(Exception):
    """A process did not come up; the sentence says which and why."""


class Process:
    """One child with its own session, CPU, priority and log. `user` = (uid, gid) to become, or None."""

    def __init__(self, command, cpu, log, *, nice=0, death_signal=signal.SIGKILL, stop_signal=signal.SIGTERM,
                 user=None, descriptors=None, **popen):
        self.command = command
        self.stop_signal = stop_signal
        self.log = log
        with open(log, "ab") as log_file:
            popen.setdefault("stdout", subprocess.DEVNULL)
            popen.setdefault("stderr", log_file)
            popen.setdefault("stdin", subprocess.DEVNULL)
            self.popen = subprocess.Popen(
                command, start_new_session=True,
                preexec_fn=lambda: _become(cpu, nice, user, descriptors, death_signal), **popen)
        _running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def check_alive(self):
        if self.popen.poll() is not None:
            raise StartError(f"{self.command[0]} ended with {self.popen.returncode}: {self.last_words()}")

    def last_words(self):
        try:
            with open(self.log, errors="replace") as log_file:
                return (log_file.read().strip().splitlines() or ["it said nothing"])[-1]
        except OSError:
            return "it said nothing"

    def stop(self, grace=3.0):
        """Asks, waits `grace` seconds, then kills the whole session. Returns the exit status."""
        if self not in _running:
            return self.popen.returncode
        _running.remove(self)
        if self.popen.poll() is None:
            self.popen.send_signal(self.stop_signal)
            try:
                self.popen.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)  # stragglers of its process group
        except (ProcessLookupError, PermissionError):
            pass
        status = self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()
        return status


def _become(cpu, nice, user, descriptors, death_signal):
    """Runs in the child, before exec."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    if nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # A new session is a scheduling group of its own where autogroups are on, and then only the
        # group's priority counts against the rest of the machine (sched(7), "The autogroup feature").
        try:
            with open("/proc/self/autogroup", "w") as group:
                group.write(str(nice))
        except OSError:
            pass
    if descriptors:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, hard), hard))
    if user:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    _libc.prctl(PR_SET_PDEATHSIG, death_signal)  # after setuid, which clears it


def stop_all():
    for process in list(_running):
        process.stop(grace=1.0)


def free_port(first=20000, last=30000):
    """A port on 127.0.0.1 that nobody listens on, below the range that outgoing connections take from."""
    for port in range(first + os.getpid() % 5000, last):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
    raise StartError(f"no free port between {first} and {last}")


_given = set()


def is_listening(port):
    """True if 127.0.0.1:port (or all addresses) is in state LISTEN; no connection is made to find out."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp") as table:
        next(table)
        return any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in table)


def wait_listening(process, port, limit=15.0):
    deadline = time.monotonic() + limit
    while not is_listening(port):
        process.check_alive()
        if time.monotonic() > deadline:
            raise StartError(f"{process.command[0]} does not listen on port {port} after {limit:.0f} s: "
                             f"{process.last_words()}")
        time.sleep(0.01)


def tree(pid):
    """pid and all its descendants."""
    parent_of = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    parent_of[int(entry)] = int(stat.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for parent in found:
        found.extend(child for child, its_parent in parent_of.items() if its_parent == parent)
    return found


def pss_kib(pid):
    """Pss of a process tree: user memory, shared pages divided among those who share them."""
    total = 0
    for member in tree(pid):
        try:
            with open(f"/proc/{member}/smaps_rollup") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total
