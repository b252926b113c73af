"""Where a run happens: its temporary folder, its two CPUs, its priority, its log."""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from . import machine
from .processes import Process


class Place:
    def __init__(self, weir_load):
        self.weir_load = weir_load
        self.folder = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user and finds its data below
        in_memory = Path("/dev/shm")
        self.memory = Path(tempfile.mkdtemp(prefix="weir-bench-", dir=in_memory)) if os.access(in_memory, os.W_OK) \
            else self.folder
        usable = sorted(os.sched_getaffinity(0))
        self.load_cpu, self.proxy_cpu = usable[0], usable[1 % len(usable)]
        self.one_cpu = len(usable) == 1
        self.cpu_count = os.cpu_count()
        self.nice = machine.best_nice()
        self.descriptors = machine.raise_descriptor_limit()
        self.kernel_workers = machine.kernel_workers()

    def close(self):
        for folder in {self.folder, self.memory}:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def unpinned(self):
        """Processes that are started meanwhile run where the scheduler puts them."""
        pinned = self.load_cpu, self.proxy_cpu
        self.load_cpu = self.proxy_cpu = None
        try:
            yield
        finally:
            self.load_cpu, self.proxy_cpu = pinned

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def memory_file(self, name):
        return self.memory / name

    def proxy(self, command, name, **more):
        """A subject: on the proxy's CPU."""
        return Process(command, self.proxy_cpu, self._log(name), nice=self.nice, descriptors=self.descriptors, **more)

    def load(self, command, name, **more):
        """A client or a server: on the CPU of the load."""
        return Process(command, self.load_cpu, self._log(name), nice=self.nice, descriptors=self.descriptors, **more)

    def _log(self, name):
        return str(self.folder / f"{re.sub('[ /]+', '-', name)}.log")

    def setup_text(self):
        cpus = "everything on one CPU (there is no second)" if self.one_cpu else \
            f"the proxy pinned to CPU {self.proxy_cpu}, client and server to CPU {self.load_cpu}"
        priority = f", all at priority nice {self.nice}" if self.nice else ""
        output = "files of views in memory (tmpfs)" if self.memory != self.folder else "files of views on disk"
        return f"one worker each; {cpus}{priority}; {output}; loopback"
