"""Waiting for something to become true, with a deadline: the only way these tests wait."""

import os
import time

# Sanitizer and valgrind builds are slower by a known factor; every deadline is multiplied by it.
PATIENCE = float(os.environ.get("WEIR_TEST_PATIENCE", "1"))


class Deadline:
    """A moment by which something must have happened."""

    def __init__(self, seconds):
        self.seconds = seconds * PATIENCE
        self.moment = time.monotonic() + self.seconds

    def left(self):
        """Seconds left, never negative."""
        return max(0.0, self.moment - time.monotonic())

    def passed(self):
        return self.left() == 0.0


def wait_until(condition, what, seconds=10.0):
    """Polls `condition` until it returns something true and returns that.

    Fails with `what` (a clause: "the session is closed") when the deadline passes. `condition` may
    raise AssertionError: its text is then part of the failure.
    """
    deadline = Deadline(seconds)
    pause = 0.0005
    while True:
        last = None
        try:
            result = condition()
            if result:
                return result
        except AssertionError as not_yet:
            last = not_yet
        if deadline.passed():
            because = f": {last}" if last is not None else ""
            raise AssertionError(f"not within {deadline.seconds:g} s: {what}{because}")
        time.sleep(pause)  # the grain of the polling, not a guess at when things are ready
        pause = min(pause * 1.5, 0.02)
