"""Limits that a process sets itself before it reads a customer's file: on time, memory, disk, and the network.

`python -m heliograph.files.confine` prints which ways to cut off the network this machine allows, a word for each.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys
import threading
from pathlib import Path

LARGEST_RESULT = 100 * 1024 * 1024
"""Bytes of a file that the process may write."""

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

_SOCKET = {"x86_64": (0xC000_003E, 41), "aarch64": (0xC000_00B7, 198)}
"""Machine -> (AUDIT_ARCH, number of socket(2)). Source: linux/audit.h, asm/unistd.h."""

IO_URING_SETUP = 425
X32 = 0x4000_0000
"""First number of the system calls of the x32 ABI. They have other numbers than the filter checks, so all are
refused."""

AF_UNIX = 1
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000 | 13
"""Instructions of a filter (linux/bpf_common.h), and its verdicts: the second is EACCES (linux/seccomp.h)."""


def limit(memory: int, seconds: int) -> None:
    """Limit this process and its children: `memory` in bytes of address space, `seconds` of the processor."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, LARGEST_RESULT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def leave_network() -> list[str]:
    """Cut this process and its children off the network; which ways this machine allowed (Linux only).

    Containers often allow no namespaces but always a filter; the filter knows two machines only, a namespace any.
    """
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    walls = {"namespace": _leave_namespace, "filter": _refuse_sockets}
    return [name for name, build in walls.items() if build(libc)]


def _leave_namespace(libc: ctypes.CDLL) -> bool:
    """Move into a network namespace without any interface.

    Without privileges it takes a user namespace as well, in which this process keeps its own ids.
    """
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    # Without these maps the process has no user name, but the network is cut off all the same.
    with contextlib.suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _refuse_sockets(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse all sockets but local ones (LibreOffice needs those), and io_uring, which could open one
    past the filter.
    """
    if platform.machine() not in _SOCKET:
        return False
    architecture, number = _SOCKET[platform.machine()]
    steps = (
        (LOAD, 0, 0, 4),  # offset of the architecture in struct seccomp_data
        (EQUAL, 0, 7, architecture),
        (LOAD, 0, 0, 0),  # of the system call
        (AT_LEAST, 5, 0, X32),
        (EQUAL, 4, 0, IO_URING_SETUP),
        (EQUAL, 0, 2, number),
        (LOAD, 0, 0, 16),  # of its first argument
        (EQUAL, 0, 1, AF_UNIX),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)


def end_with_parent() -> None:
    """Kill this process and what it has started as soon as the other end of its stdin is closed.

    When the server was killed no one waits for the result, and a program that hangs would never end.
    """

    def wait() -> None:
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.stdout.write(" ".join(leave_network()) + "\n")
