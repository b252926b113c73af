"""Runs a program and kills it at its N-th system call, whichever that is: ptrace(2) stops it at the entry of each.
By counting all calls and not one kind of them, no call is missed because a run makes one more or less than another."""

import ctypes
import os
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS = 0, 24, 0x4200
PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEEXEC, PTRACE_O_EXITKILL = 1, 0x10, 0x100000
EVENT_EXEC = signal.SIGTRAP | (4 << 8)
SYSCALL_STOP = signal.SIGTRAP | 0x80


def _ptrace(request, pid, data=0):
    if LIBC.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def run_until(number, words, environment, text, namespaces=()):
    """Runs `words` inside `namespaces` (paths, entered in order) with `text` on stdin. Returns True if it was killed
    at the entry of its `number`-th system call after exec, False if it ended before; an exit code that is not 0 is
    an error. Programs that it starts are not traced."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    descriptors = [os.open(path, os.O_RDONLY) for path in namespaces]
    pid = os.fork()
    if pid == 0:
        for descriptor in descriptors:
            if LIBC.setns(descriptor, 0) != 0:
                os._exit(99)
        os.dup2(read, 0)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.dup2(1, 2)
        LIBC.ptrace(ctypes.c_long(PTRACE_TRACEME), 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execve(words[0], words, environment)
    for descriptor in (read, *descriptors):
        os.close(descriptor)
    os.waitpid(pid, 0)
    _ptrace(PTRACE_SETOPTIONS, pid, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
    return _follow(pid, number)


def _follow(pid, number):
    calls, entering, execed, deliver = 0, False, False, 0
    while True:
        _ptrace(PTRACE_SYSCALL, pid, deliver)
        _, status = os.waitpid(pid, 0)
        deliver = 0
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status) != 0:
                raise AssertionError(f"the program failed with {os.WEXITSTATUS(status)}")
            return False
        if os.WIFSIGNALED(status):
            raise AssertionError(f"the program was killed by signal {os.WTERMSIG(status)}")
        if status >> 8 == EVENT_EXEC:
            execed, entering = True, True  # the next stop is execve's own end
        elif os.WSTOPSIG(status) == SYSCALL_STOP:
            entering = not entering
            calls += execed and entering
            if execed and entering and calls == number:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return True
        else:
            deliver = os.WSTOPSIG(status)
