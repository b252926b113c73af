"""Has calls of a program fail, through failing_calls.cpp: the N-th of a kind, or all from there on for a while."""

import mmap
import os
import struct
from pathlib import Path

from weir_process import BINARY

LIBRARY = Path(os.environ.get("WEIR_FAILING_CALLS", BINARY.parents[2] / "tests" / "libfailing_calls.so"))
KINDS = ("memory", "thread", "descriptor", "write")
FOR_EVER = 2 ** 63


class FailingCalls:
    """Which calls of one process fail. Set before it starts, or while it runs; nothing fails at first."""

    def __init__(self, folder):
        self._path = Path(folder) / "failing_calls"
        self._path.write_bytes(bytes(32 * len(KINDS)))
        with open(self._path, "r+b") as file:
            self._table = mmap.mmap(file.fileno(), 0)

    def environment(self):
        """With which the program is to be started."""
        return {"LD_PRELOAD": str(LIBRARY), "FAILING_CALLS": str(self._path)}

    def _at(self, kind, column):
        return 32 * KINDS.index(kind) + 8 * column

    def _read(self, kind, column):
        return struct.unpack_from("=Q", self._table, self._at(kind, column))[0]

    def calls(self, kind):
        """How many there were so far."""
        return self._read(kind, 0)

    def failed(self, kind):
        """How many of them failed."""
        return self._read(kind, 3)

    def fail(self, kind, number=1, count=1):
        """From the `number`-th call from now on so many fail."""
        first = self.calls(kind) + number
        struct.pack_into("=Q", self._table, self._at(kind, 2), 0)  # never a moment with half of it
        struct.pack_into("=Q", self._table, self._at(kind, 1), first)
        struct.pack_into("=Q", self._table, self._at(kind, 2), min(first + count, FOR_EVER))

    def stop(self):
        """Nothing fails any more."""
        for kind in KINDS:
            struct.pack_into("=Q", self._table, self._at(kind, 2), 0)
