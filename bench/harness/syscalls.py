"""System calls of a process tree between two gates of a load: perf where the kernel lets us, else strace."""

import os
import re
import select
import shutil
import signal
import subprocess

from . import load
from .processes import Process, StartError, tree

EVENTS = ("raw_syscalls:sys_enter", "syscalls:sys_enter_epoll_ctl")


class Perf:
    name = "perf stat"

    @staticmethod
    def works():
        if shutil.which("perf") is None:
            return False
        probe = subprocess.run(["perf", "stat", "-x,", "-e", ",".join(EVENTS), "true"], capture_output=True, text=True,
                               timeout=20, check=False)
        return probe.returncode == 0 and "not supported" not in probe.stderr and "not counted" not in probe.stderr

    def __init__(self, place, pid):
        self.output = place.folder / "perf.txt"
        control_read, self.control = os.pipe()
        self.answers, answer_write = os.pipe()
        pids = ",".join(map(str, tree(pid)))
        try:
            self.process = Process(
                ["perf", "stat", "-x,", "-o", str(self.output), "-D", "-1", "-e", ",".join(EVENTS), "-p", pids,
                 "--control", f"fd:{control_read},{answer_write}"],
                place.load_cpu, str(place.folder / "perf.log"), stop_signal=signal.SIGINT,
                pass_fds=[control_read, answer_write])
        finally:
            os.close(control_read)
            os.close(answer_write)

    def _tell(self, word):
        os.write(self.control, f"{word}\n".encode())
        ready, _, _ = select.select([self.answers], [], [], 10)
        if not ready or b"ack" not in os.read(self.answers, 16):
            raise StartError(f"perf does not answer: {self.process.last_words()}")

    def begin(self):
        self._tell("enable")

    def end(self):
        """{"all": calls, "epoll_ctl": calls}"""
        self._tell("disable")
        self.process.stop()
        counts = {}
        for line in self.output.read_text().splitlines():
            fields = line.split(",")
            if len(fields) > 2 and fields[0].isdigit():
                counts[fields[2]] = int(fields[0])
        return {"all": counts[EVENTS[0]], "epoll_ctl": counts[EVENTS[1]]}

    def close(self):
        self.process.stop(grace=1)
        os.close(self.control)
        os.close(self.answers)


class Strace:
    name = "strace -c"

    def __init__(self, place, pid):
        self.output = place.folder / "strace.txt"
        self.log = str(place.folder / "strace.log")
        words = ["strace", "-c", "-f", "-o", str(self.output)]
        for member in tree(pid):
            words += ["-p", str(member)]
        self.process = Process(words, place.load_cpu, self.log, stop_signal=signal.SIGINT, stderr=subprocess.PIPE,
                               text=True)
        ready, _, _ = select.select([self.process.popen.stderr], [], [], 10)
        if not ready or "attached" not in self.process.popen.stderr.readline():
            raise StartError("strace cannot attach to the proxy")

    def begin(self):
        """The proxy is quiet between attaching and the gate: nothing to reset."""

    def end(self):
        self.process.stop()
        counts = {"all": 0, "epoll_ctl": 0}
        for line in self.output.read_text().splitlines():
            row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if row and row.group(2) != "total":
                counts["all"] += int(row.group(1))
                if row.group(2) == "epoll_ctl":
                    counts["epoll_ctl"] += int(row.group(1))
        return counts

    def close(self):
        self.process.stop(grace=1)


def count(place, counter, subject, rr_arguments, requests):
    """{"all", "epoll_ctl", "requests"} of `requests` exchanges in the steady state, all else at rest."""
    client = load.GatedLoad(place, ["rr", subject.address, *rr_arguments, "--requests", requests, "--gate"])
    observer = None
    try:
        client.wait_gate("measure", 20)
        observer = counter(place, subject.pid)
        observer.begin()
        client.open_gate()
        client.wait_gate("done", 90)
        counts = observer.end()
        client.open_gate()
        done = client.finish(20)
    finally:
        client.abandon()
        if observer is not None:
            observer.close()
    return {**counts, "requests": done["requests"]}
