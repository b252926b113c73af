"""The most memory that a program had resident: VmHWM of proc(5) as it ends. Not wait4(2)'s ru_maxrss, which a
program inherits from whoever started it."""

import ctypes
import os
import re
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, PTRACE_CONT, PTRACE_SETOPTIONS = 0, 7, 0x4200
PTRACE_O_TRACEEXIT, PTRACE_EVENT_EXIT, PTRACE_O_EXITKILL = 0x40, 6, 0x100000


def ptrace(request, pid, data=0):
    if LIBC.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def peak_kib(words, environment, text):
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    pid = os.fork()
    if pid == 0:
        os.dup2(read, 0)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        LIBC.ptrace(PTRACE_TRACEME, 0, None, None)
        os.execve(words[0], words, environment)
    os.close(read)
    os.waitpid(pid, 0)  # stopped by its exec
    ptrace(PTRACE_SETOPTIONS, pid, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)
    ptrace(PTRACE_CONT, pid)
    peak = None
    while True:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            break
        deliver = 0
        if status >> 8 == signal.SIGTRAP | (PTRACE_EVENT_EXIT << 8):
            with open(f"/proc/{pid}/status") as file:
                peak = int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.MULTILINE)[1])
        elif os.WSTOPSIG(status) != signal.SIGTRAP:
            deliver = os.WSTOPSIG(status)
        ptrace(PTRACE_CONT, pid, deliver)
    if status != 0 or peak is None:
        raise RuntimeError(f"{' '.join(words)} failed ({status}) or ended unseen")
    return peak
