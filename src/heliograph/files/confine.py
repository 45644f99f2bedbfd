"""What a process gives up before it reads a customer's file: endless time, memory and disk, the network, other files.

`python -m heliograph.files.confine` prints what this machine allows, a word for each wall.
"""

import contextlib
import ctypes
import glob
import os
import platform
import resource
import signal
import stat
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGEST_RESULT = 100 * 1024 * 1024
"""Bytes of a file that the process may write."""

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

_CALLS = {"x86_64": (0xC000_003E, 41, 42), "aarch64": (0xC000_00B7, 198, 203)}
"""Machine -> AUDIT_ARCH, and the numbers of socket(2) and connect(2). Source: linux/audit.h, asm/unistd.h."""

IO_URING_SETUP = 425
X32 = 0x4000_0000
"""First number of the system calls of the x32 ABI. They have other numbers than the filter checks, so all are
refused."""

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""The same on every machine. Source: asm-generic/unistd.h."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 5
MAKE_SOCK, TRUNCATE, IOCTL_DEV = 1 << 9, 1 << 14, 1 << 15
MAKE_ODDITIES = 1 << 6 | 1 << 10 | 1 << 11 | 1 << 12
ALL_RIGHTS = (1 << 16) - 1
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights of Landlock; to make devices, pipes and symbolic links; and those that a file can have (linux/landlock.h)."""

_FIRST_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Version of Landlock -> how many of the rights it knows; later ones know all."""

_LIBRARIES = (
    *("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share", "/usr/bin", "/lib", "/lib32", "/lib64"),
    *("/bin", "/usr/local/lib", "/usr/local/share", "/opt/libreoffice*", "/nix/store", "/gnu/store"),
    *("/etc/fonts", "/etc/libreoffice", "/etc/ld.so.cache", "/etc/localtime", "/etc/papersize"),
    *("/var/cache/fontconfig", "/var/lib/libreoffice", "/var/spool/libreoffice", "/sys/devices/system/cpu/online"),
)
"""Where programs, libraries and fonts are, and nobody's data: nothing of /home, /root, /srv and /proc."""

_PIPES = "/tmp"  # noqa: S108
"""Where LibreOffice makes a local socket, whatever TMPDIR says, and has to remove it again."""

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


def leave_files(folder: Path, reads: Iterable[str] = (), *, office: bool = False) -> bool:
    """Reach nothing but libraries (to read) and `folder`, now and in every child; whether this machine allows it.

    `reads` are files and folders that are read as well; LibreOffice, named by its program, brings its folder along, and
    with `office` may have its socket. Nor can the process signal others, see into them (/proc is gone), or use TCP. To
    call it again takes away what is not given any more.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else 0
    if version < 1:
        return False
    known = (1 << _FIRST_RIGHTS[version]) - 1 if version in _FIRST_RIGHTS else ALL_RIGHTS
    head = struct.pack("=QQQ", known, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    rules = libc.syscall(LANDLOCK_CREATE_RULESET, head, len(head), 0)
    if rules < 0:
        return False
    try:
        for path in _readable(reads):
            _allow(libc, rules, path, (EXECUTE | READ_FILE | READ_DIR) & known)
        for path in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
            _allow(libc, rules, path, (READ_FILE | WRITE_FILE) & known)
        _allow(libc, rules, str(folder), ALL_RIGHTS & ~MAKE_ODDITIES & known)
        if office:
            _allow(libc, rules, _PIPES, MAKE_SOCK | REMOVE_FILE)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _readable(reads: Iterable[str]) -> Iterator[str]:
    """Every file and folder that is read, with what lies in it: libraries, fonts, Python, and what is named."""
    for pattern in _LIBRARIES:
        yield from glob.glob(pattern)
    yield from (entry for entry in sys.path if entry)
    yield from (str(Path(os.__file__).parent.parent), sys.executable, f"{sys.prefix}/pyvenv.cfg")
    for path in reads:
        yield path
        place = Path(path).resolve().parent
        if place.name == "program":  # of LibreOffice
            yield str(place.parent)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    """Add a rule. What is not there needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= OF_FILES
        libc.syscall(LANDLOCK_ADD_RULE, rules, 1, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _refuse_sockets(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse every socket but local ones (LibreOffice listens at one), and what could make one unseen.

    Nor is any connected: local servers, as a database, may know this process by its user alone.
    """
    if platform.machine() not in _CALLS:
        return False
    architecture, sockets, connect = _CALLS[platform.machine()]
    steps = (
        (LOAD, 0, 0, 4),  # offset of the architecture in struct seccomp_data
        (EQUAL, 0, 8, architecture),
        (LOAD, 0, 0, 0),  # of the system call
        (AT_LEAST, 6, 0, X32),
        (EQUAL, 5, 0, IO_URING_SETUP),
        (EQUAL, 4, 0, connect),
        (EQUAL, 0, 2, sockets),
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


def _still_open(path: str) -> bool:
    """Whether a folder can be looked into, or a file be read."""
    try:
        with os.scandir(path) if Path(path).is_dir() else open(path, "rb"):
            return True
    except OSError:
        return False


def main() -> None:
    """Build every wall and tell of it; then name those of the paths given that can be read all the same."""
    walls = leave_network()
    walls += ["files"] if leave_files(Path.cwd()) else []
    sys.stdout.write(" ".join(walls) + "\n")
    sys.stdout.writelines(path + "\n" for path in sys.argv[1:] if _still_open(path))


if __name__ == "__main__":
    main()
