"""One run of bench/run: what all rows share - subjects, slices, time."""

import contextlib
import math
import time

from . import load, slices, syscalls
from .processes import StartError
from .subjects import Direct, HAProxy, Nginx, Socat, Weir

STAND_INS = {"haproxy": HAProxy, "nginx": Nginx, "socat": Socat}
CONTEXT_BLOCKS = 2  # blocks in which the subjects that no claim names are measured too
MAX_FAILURES = 3  # of a subject in a cell


class OutOfTime(Exception):
    """The whole run's time limit was reached."""


class Session:
    def __init__(self, place, progress, *, weir, stand_in, pairs, seconds, limit, count_all=False):
        self.place = place
        self.progress = progress
        self.weir_binary = weir
        self.stand_in = stand_in
        self.against = None  # another weir binary, for the row that compares two
        self.pairs = pairs
        self.seconds = seconds  # of a slice's measured window
        self.deadline = time.monotonic() + limit
        self.count_all = count_all  # also slices that others disturbed
        self.haproxy_rates = {}  # cell -> closed-loop requests a second, for the open loop
        self.counter = next((kind for kind in (syscalls.Perf, syscalls.Strace) if self._counts(kind)), None)

    @staticmethod
    def _counts(kind):
        return kind.works() if kind is syscalls.Perf else True

    def weir(self, show="none", faults=(), label=""):
        if self.stand_in is None:
            return Weir(self.weir_binary, show, faults, label)
        subject = STAND_INS[self.stand_in]()
        subject.name = "weir" if show == "none" else f"weir-{show}"
        return subject

    # What a slice costs beside its measured window: start, connect, warm-up, end.
    overhead = 0.45
    warmup = 0.2

    def block_seconds(self, count):
        return count * (self.seconds + self.overhead)

    def blocks(self):
        return math.ceil(self.pairs / 2)

    @contextlib.contextmanager
    def started(self, subjects, upstream, notes):
        """name -> subject, of those that came up; why the others did not is noted."""
        up = {}
        try:
            for subject in subjects:
                reason = subject.missing()
                if not reason:
                    try:
                        subject.start(self.place, upstream)
                        up[subject.name] = subject
                        continue
                    except StartError as error:
                        reason = str(error)
                if not any(note.startswith(f"{subject.name} was not measured") for note in notes):
                    notes.append(f"{subject.name} was not measured: {reason}")
            yield up
        finally:
            for subject in up.values():
                subject.stop()

    @contextlib.contextmanager
    def peer(self):
        peer = load.Peer(self.place)
        try:
            yield peer
        finally:
            peer.stop()

    def client(self, subject, server_pid, mode, *words, seconds=None):
        """One slice: weir-load against the subject. `seconds`: of its window, if it is no timed load."""
        subject.between_slices()
        arguments = [mode, subject.address, *words, *load.watch_arguments(self.place, subject.pid, server_pid)]
        if mode != "pg":
            arguments += ["--seconds", seconds or self.seconds, "--warmup", self.warmup]
        return load.run(self.place, arguments, (seconds or self.seconds) + 25)

    def measure(self, cell, title, participants, paired, gauge, once, wanted, pairs=None):
        """Fills `cell` with blocks of slices. participants: name -> callable that runs one slice.
        wanted: [(left, right, metric)] whose pairs must number `pairs` (self.pairs), within twice the blocks."""
        pairs = pairs or self.pairs
        paired = [name for name in paired if name in participants]
        once = [name for name in once if name in participants]
        wanted = [item for item in wanted if item[0] in participants and item[1] in participants]
        gauge = gauge if gauge in participants else None
        planned = math.ceil(pairs / 2)
        failures = {}
        block = 0
        while block < planned or (block < 2 * planned and self._short_of_pairs(cell, wanted, pairs)):
            order = slices.block_order(paired, gauge, once if block < CONTEXT_BLOCKS else [])
            for position, name in enumerate(order):
                if time.monotonic() > self.deadline:
                    raise OutOfTime
                self.progress.line(f"{title}, block {block + 1} of {planned}: {name}")
                self._slice(cell, name, block, position, participants[name], failures)
            if block < planned:
                self.progress.advance(self.block_seconds(len(order)))
            if max(failures.values(), default=0) >= MAX_FAILURES:
                break
            block += 1

    def _slice(self, cell, name, block, position, run, failures):
        try:
            told = run()
        except load.LoadFailed as error:
            failures[name] = failures.get(name, 0) + 1
            _note(cell.notes, f"{cell.name}: {name} failed in block {block + 1}: {error}")
            cell.slices.append(slices.Slice(cell.name, name, block, position, {}, "failed"))
            return
        dirty = "" if self.count_all else slices.dirt(told, self.place.cpu_count)
        cell.slices.append(slices.Slice(cell.name, name, block, position, slices.values_of(told), dirty))

    @staticmethod
    def _short_of_pairs(cell, wanted, pairs):
        return any(len(cell.pairs(*item)) < pairs for item in wanted)


def direct():
    return Direct()


def _note(notes, text):
    if text not in notes:
        notes.append(text)
