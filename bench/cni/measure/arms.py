"""The two arms: ours and Debian's plugins, each in a host of its own, and how long a call of either takes."""

import ctypes
import json
import os
import subprocess
import time

from cni_host import CniHost

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000


def enter_net(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Arm:
    """A fresh host with one folder of plugins. Calls are made from within it, so that no nsenter is measured."""

    def __init__(self, plugins):
        self.plugins = plugins
        self.host = CniHost(plugins)
        pid = self.host.enter[2]
        self._namespaces = [(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), CLONE_NEWNS),
                            (os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), CLONE_NEWNET)]

    def inside(self):
        for descriptor, kind in self._namespaces:
            if LIBC.setns(descriptor, kind) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def start(self, config, command, container="c1", plugin=None):
        """Starts a call whose input waits in a pipe; it is inside() that has to come first."""
        return Call([str(self.plugins / (plugin or config["type"]))],
                    self.host.environment(command, container=container), json.dumps(config))

    def timed(self, config, command, **how):
        """Milliseconds from exec to wait of a call that has to succeed."""
        self.inside()
        call = self.start(config, command, **how)
        return call.finish()


class Call:
    """A program that runs with `text` on its stdin."""

    def __init__(self, words, environment, text=""):
        read, write = os.pipe()
        os.write(write, text.encode())
        os.close(write)
        self._out = os.memfd_create("out")
        actions = [(os.POSIX_SPAWN_DUP2, read, 0), (os.POSIX_SPAWN_DUP2, self._out, 1)]
        self._words = words
        self._began = time.perf_counter_ns()
        self._pid = os.posix_spawn(words[0], words, environment, file_actions=actions)
        os.close(read)

    def finish(self):
        _, status = os.waitpid(self._pid, 0)
        took = (time.perf_counter_ns() - self._began) / 1e6
        self.text = os.pread(self._out, 1 << 20, 0).decode()
        os.close(self._out)
        if status != 0:
            raise RuntimeError(f"{' '.join(self._words)} failed ({status}): {self.text}")
        return took


def timed_program(words, text=""):
    return Call(words, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, text).finish()


def run_quietly(words, text=""):
    subprocess.run(words, input=text, text=True, check=True, stdout=subprocess.DEVNULL)
