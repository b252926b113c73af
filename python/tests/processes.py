"""Scripts that run in a process of their own, as they are to be killed or forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

import weir
from peers import PATIENCE
from weir._server import find_binary

PATHS = [str(Path(weir.__file__).parents[1]), str(Path(__file__).parent)]


def hear_sigint() -> None:
    """A shell starts what it runs in the background with SIGINT ignored, and Python then takes no notice of it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Script:
    """A running Python script. `line()` is the next it prints; it is killed at the end, if it still runs."""

    def __init__(self, source: str, *arguments: object) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "WEIR_BIN": find_binary(),
                       "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
                                        preexec_fn=hear_sigint)

    def line(self) -> str:
        assert self.process.stdout is not None
        late = threading.Timer(60 * PATIENCE, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        assert line, f"the script ended with {self.process.wait()}"
        return line.rstrip("\n")

    def go_on(self) -> None:
        """What waits for input() gets a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Script:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.process.kill()
        self.process.communicate()
