"""What is going on and how long it will take, on stderr; one line that is rewritten on a terminal."""

import os
import sys
import time


class Progress:
    def __init__(self):
        self.terminal = sys.stderr.isatty()
        self.color = self.terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.begin = time.monotonic()
        self.planned = 0.0  # seconds of slices, as the rows estimate them
        self.done = 0.0
        self.last_line = 0.0
        self.dangling = False

    def plan(self, seconds):
        self.planned += seconds

    def advance(self, seconds):
        self.done += seconds

    def elapsed(self):
        return time.monotonic() - self.begin

    def _left(self):
        if self.done < 3 or self.planned <= 0:
            return self.planned - self.done
        return max(0.0, self.planned - self.done) * self.elapsed() / self.done

    def line(self, text):
        """Rewritten in place on a terminal; elsewhere at most one every ten seconds."""
        now = time.monotonic()
        stamp = f"[{_clock(self.elapsed())}, about {_clock(self._left())} left]"
        if self.terminal:
            sys.stderr.write(f"\r\033[K{self._dim(stamp)} {text}")
            self.dangling = True
        elif now - self.last_line >= 10:
            sys.stderr.write(f"{stamp} {text}\n")
        else:
            return
        self.last_line = now
        sys.stderr.flush()

    def say(self, text):
        if self.dangling:
            sys.stderr.write("\r\033[K")
            self.dangling = False
        sys.stderr.write(f"bench: {text}\n")
        sys.stderr.flush()

    def _dim(self, text):
        return f"\033[2m{text}\033[0m" if self.color else text


def _clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
