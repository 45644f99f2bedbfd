"""What the process that reads a customer's file cannot do, and that nothing stays when its server is killed."""

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from heliograph import settings
from heliograph.files import confine, convert, scratch
from heliograph.files.convert import Converter
from heliograph.files.scratch import Scratch
from heliograph.files.task import Refused
from support.listener import Listener
from support.logs import own_logs

TRY = """
import socket, ctypes, sys
for family, kind, to in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port})),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", {port})),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::1", {port})),
    (socket.AF_PACKET, socket.SOCK_RAW, ("lo", 0)),
):
    try:
        socket.socket(family, kind).connect(to)
        print("reached", family, kind)
    except OSError as problem:
        print("kept from", type(problem).__name__)
"""


def walls() -> list[str]:
    """What this machine allows."""
    done = subprocess.run(
        [sys.executable, "-m", "heliograph.files.confine"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def run(text: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=folder, check=True)
    return done.stdout


@pytest.mark.parametrize("wall", ["namespace", "filter"])
def test_each_wall_alone_keeps_from_the_network(wall: str, tmp_path: Path) -> None:
    """Containers often allow only the filter; then it has to do. The first try shows a network."""
    if wall not in walls():
        pytest.skip(f"this machine allows no {wall}")
    build = {"namespace": "_leave_namespace", "filter": "_refuse_sockets"}[wall]
    leave = f"import ctypes; from heliograph.files import confine; confine.{build}(ctypes.CDLL(None, use_errno=True))"
    with Listener() as listener:
        tries = TRY.format(port=listener.port)
        assert "reached" in run(tries, tmp_path)
        before = len(listener.heard)
        told = run(leave + "\n" + tries, tmp_path).splitlines()
        assert [line.split()[0] for line in told if "reached" not in line] == ["kept"] * len(told)
        assert len(listener.heard) == before


@pytest.mark.skipif(sys.platform != "linux", reason="there are system call filters on Linux only")
def test_the_filter_leaves_local_sockets_and_no_way_around(tmp_path: Path) -> None:
    """LibreOffice needs local ones; a ring could open the others without a system call that the filter sees."""
    if "filter" not in walls():
        pytest.skip("this machine allows no filter")
    text = (
        "import ctypes, os, socket\n"
        "from heliograph.files import confine\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert confine._refuse_sockets(libc)\n"
        "socket.socket(socket.AF_UNIX).bind('here')\n"
        "page = ctypes.create_string_buffer(120)\n"
        f"print(libc.syscall({confine.IO_URING_SETUP}, 1, page), ctypes.get_errno())\n"
    )
    assert run(text, tmp_path).split() == ["-1", "13"]


def test_the_filter_lets_nobody_speak_to_local_servers(tmp_path: Path) -> None:
    """A database that asks for no more than the user of whoever connects would answer."""
    if "filter" not in walls():
        pytest.skip("this machine allows no filter")
    ask = "import socket\ntry: socket.socket(socket.AF_UNIX).connect('database'); print('reached')\n"
    ask += "except OSError as problem: print('kept from', problem.errno)\n"
    leave = "import ctypes; from heliograph.files import confine; confine._refuse_sockets(ctypes.CDLL(None))\n"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "database"))
        server.listen()
        assert run(ask, tmp_path) == "reached\n"
        assert run(leave + ask, tmp_path) == f"kept from {errno.EACCES}\n"


def test_leaving_the_network_keeps_the_user(tmp_path: Path) -> None:
    """In a process without privileges a user namespace is needed; it must not change who owns new files."""
    text = "import os; from heliograph.files.confine import leave_network as go; go(); print(os.getuid() == {})"
    assert run(text.format(os.getuid()), tmp_path).strip() == "True"


LOOK = """
import os, signal, sys
from pathlib import Path
kept, reached = [], []
def attempt(name, what):
    try:
        what()
        reached.append(name)
    except OSError as problem:
        (kept if problem.errno in (1, 13, 18) else reached).append(name)
for path in {secrets!r}:
    attempt("read", lambda: Path(path).read_bytes())
    attempt("append", lambda: open(path, "ab").close())
    attempt("cut", lambda: os.truncate(path, 0))
    attempt("link", lambda: os.link(path, "linked"))
    attempt("move", lambda: os.rename(path, "moved"))
attempt("list", lambda: os.listdir({folder!r}))
attempt("make", lambda: Path({folder!r}, "made").touch())
attempt("make a folder", lambda: Path({folder!r}, "folder").mkdir())
attempt("home", lambda: os.listdir({home!r}))
attempt("users", lambda: Path("/etc/passwd").read_bytes())
attempt("processes", lambda: os.listdir("/proc"))
for pid in ({server}, os.getppid()):
    for name in ("environ", "maps", "mem", "cmdline", "root/etc/passwd"):
        attempt(name, lambda: open(f"/proc/{{pid}}/{{name}}", "rb").read(1))
attempt("signal", lambda: os.kill({server}, signal.SIGCONT))
Path("own").write_text("x")
os.rename("own", "renamed")
os.mkdir("inner")
os.rename("renamed", "inner/own")
assert Path("inner/own").read_text() == "x"
sys.stderr.write(f"kept from {{len(kept)}}, reached {{reached}}")
"""


def secrets(folder: Path) -> tuple[Path, list[str]]:
    """A data folder, and what stands in it."""
    data = folder / "data"
    data.mkdir()
    files = [data / name for name in ("secret.key", "heliograph.db")]
    for file in files:
        file.write_text("a secret")
    return data, [str(file) for file in files]


def needs_landlock() -> None:
    if "files" not in walls():
        pytest.skip("the kernel of this machine has no Landlock, or its container does not allow it")


def test_what_a_conversion_starts_reaches_no_files_but_its_own(tmp_path: Path) -> None:
    """Not those of the server, nor what the server was started with, nor the server itself."""
    needs_landlock()
    data, files = secrets(tmp_path)
    seen = said(tmp_path, LOOK.format(secrets=files, folder=str(data), home=str(Path.home()), server=os.getpid()))
    open_to_all = ["signal"] if landlock_version() < 6 else []
    assert f"kept from {27 - len(open_to_all)}, reached {open_to_all}" in seen
    assert [Path(file).read_text() for file in files] == ["a secret"] * 2
    assert {file.name for file in data.iterdir()} == {"secret.key", "heliograph.db"}


def landlock_version() -> int:
    libc = ctypes.CDLL(None)
    return int(libc.syscall(confine.LANDLOCK_CREATE_RULESET, None, 0, 1))


def test_the_reader_itself_reaches_none_either(tmp_path: Path) -> None:
    """And without the wall everything is reached: the test sees something."""
    needs_landlock()
    data, files = secrets(tmp_path)
    look = LOOK.format(secrets=files, folder=str(data), home=str(Path.home()), server=os.getpid()).replace(
        "sys.stderr", "sys.stdout"
    )
    wall = "from pathlib import Path\nfrom heliograph.files import confine\nassert confine.leave_files(Path.cwd())\n"
    work = tmp_path / "work"
    work.mkdir()
    assert "kept from 2" in run(wall + look, work)
    shutil.rmtree(work)
    work.mkdir()
    assert "kept from 0" in run(look, work)


LEFT = {
    "a file": ("open('result', 'w').write('made')", "made"),
    "a symbolic link": ("os.symlink(secret, 'result')", None),
    "a hard link": ("os.link(secret, 'result')", None),
    "a pipe that nobody writes to": ("os.mkfifo('result')", None),
    "a folder": ("os.mkdir('result')", None),
    "nothing": ("pass", None),
    "an outcome that is a link": (
        "open('result', 'w').write('made'); os.unlink('outcome'); os.symlink(secret, 'outcome')",
        None,
    ),
}


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("walled", [True, False])
def test_what_a_conversion_leaves_is_read_with_care(
    left: str, walled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link in place of a result would have the server read its own files and hand them out: wall or no wall."""
    text, made = LEFT[left]
    _, (secret, *_) = secrets(tmp_path)
    Path(secret).write_text('{"extension":"pdf"}')
    monkeypatch.setattr(convert, "_worker", worker_of(f"import os\nsecret = {secret!r}\n", text, walled))

    async def go() -> bytes:
        converter = Converter(settings.load())
        try:
            return (await converter.convert(b"x", "a", "fax")).data
        finally:
            await converter.close()

    if made is None:
        with pytest.raises(Refused):
            asyncio.run(go())
    else:
        assert asyncio.run(go()) == made.encode()


def worker_of(head: str, text: str, walled: bool) -> Callable[[Path, IO[bytes]], subprocess.Popen[bytes]]:
    """A worker that has been taken over: it says that all went well, and then leaves what it likes."""
    wall = "from pathlib import Path\nfrom heliograph.files import confine\nconfine.leave_files(Path.cwd())\n"
    good = "open('outcome', 'w').write('{\"extension\":\"pdf\",\"pages\":1}')\n"

    def start(folder: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", head + wall * walled + good + text]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, 0, cwd=folder, stdin=pipe, stderr=errors, start_new_session=True)

    return start


def test_what_only_an_office_needs_is_taken_from_the_others(tmp_path: Path) -> None:
    """LibreOffice makes a socket in /tmp and removes it; nothing else may remove what lies there."""
    needs_landlock()
    text = (
        "import os, socket, sys\nfrom pathlib import Path\nfrom heliograph.files import confine\n"
        "socket.socket(socket.AF_UNIX).bind(sys.argv[1])\n"
        "confine.leave_files(Path.cwd(), office=True)\n"
        "try: print(open(sys.argv[1] + '.file', 'wb'))\nexcept PermissionError: print('no file')\n"
        "os.unlink(sys.argv[1])\nsocket.socket(socket.AF_UNIX).bind(sys.argv[1])\n"
        "confine.leave_files(Path.cwd())\n"
        "try: os.unlink(sys.argv[1])\nexcept PermissionError: print('kept')\n"
    )
    place = Path(f"/tmp/heliograph-test-{uuid.uuid4().hex}")
    try:
        done = subprocess.run(
            [sys.executable, "-c", text, str(place)], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert done.stdout.split("\n")[:2] == ["no file", "kept"]
    finally:
        place.unlink(missing_ok=True)


def test_a_folder_may_be_added(tmp_path: Path) -> None:
    """Fonts, or a LibreOffice in a place of its own: its program stands in a folder that says so."""
    needs_landlock()
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "a.ttf").write_text("font")
    root = tmp_path / "office" / "program"
    root.mkdir(parents=True)
    (root.parent / "share").write_text("shared")
    show = f"import sys\nfor name in ({str(tmp_path / 'fonts/a.ttf')!r}, {str(root.parent / 'share')!r}):\n"
    show += "    sys.stderr.write(open(name).read() + ' ')\n"
    soffice = program(root, show)

    async def go(**options: str) -> None:
        converter = Converter(settings.load(soffice=soffice, **options))
        try:
            await converter.convert(b"{\\rtf1 x}", "a", "fax")
        finally:
            await converter.close()

    for options, told in (({}, "Permission"), ({"convert_reads": f" {tmp_path / 'fonts'},/nowhere"}, "font shared")):
        with own_logs() as entries, pytest.raises(Refused):
            asyncio.run(go(**options))
        assert told in entries[-1]["complaint"]


def test_a_machine_without_landlock_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old kernel has no such call; a container may refuse it."""

    class Library:
        def syscall(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(confine.ctypes, "CDLL", lambda *_, **__: Library())
    assert not confine.leave_files(tmp_path)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not confine.leave_files(tmp_path)


def test_the_probe_names_what_can_be_read_all_the_same(tmp_path: Path) -> None:
    needs_landlock()
    command = [sys.executable, "-I", "-m", "heliograph.files.confine", str(tmp_path), "/usr/lib", "/nowhere"]
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, check=True)
    assert done.stdout.splitlines()[1:] == ["/usr/lib"]


def program(folder: Path, text: str) -> str:
    """In place of LibreOffice."""
    path = folder / "soffice"
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(0o700)
    return str(path)


def test_what_a_conversion_starts_has_no_network_either(tmp_path: Path) -> None:
    if not walls():
        pytest.skip("this machine allows no wall around the network")
    with Listener() as listener:
        seen = said(tmp_path, "import sys\nsys.stdout = sys.stderr\n" + TRY.format(port=listener.port))
        assert "kept from" in seen
        assert "reached" not in seen
        assert listener.heard == []


def said(folder: Path, text: str, data: bytes = b"{\\rtf1 x}") -> str:
    """What a program in place of LibreOffice says to its standard error: the log has the end of it."""
    with own_logs() as entries, pytest.raises(Refused):
        asyncio.run(once(program(folder, text), data))
    return "".join(str(entry["complaint"]) for entry in entries if entry["event"] == "convert.failed")


async def once(soffice: str, data: bytes = b"{\\rtf1 x}") -> None:
    converter = Converter(settings.load(soffice=soffice))
    try:
        await converter.convert(data, "a", "fax")
    finally:
        await converter.close()


SERVER = """
import asyncio, sys
from heliograph import settings
from heliograph.files.convert import Converter
converter = Converter(settings.load(soffice=sys.argv[1]))
asyncio.run(converter.convert(b"{\\\\rtf1 x}", "a", "fax"))
"""


def test_nothing_stays_of_a_server_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker and what that started end with it, and the next one removes its folder."""
    hang = "import os, time\nopen('pids', 'w').write(f'{os.getpid()} {os.getppid()} ')\ntime.sleep(600)"
    command = [sys.executable, "-c", SERVER, program(tmp_path, hang)]

    def pids() -> list[str]:
        return [file.read_text() for file in tmp_path.glob(scratch.PREFIX + "*/*/pids")]

    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        until(lambda: "".join(pids()).endswith(" "))
        process.send_signal(signal.SIGKILL)
    for pid in map(int, "".join(pids()).split()):
        until(lambda pid=pid: gone(pid))  # type: ignore[misc]
    assert len(list(tmp_path.glob(scratch.PREFIX + "*/*/source"))) == 1
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    living, later = Scratch(), Scratch()
    kept = living.folder()
    assert {kept} == set(tmp_path.glob(scratch.PREFIX + "*"))
    (kept / "file").touch()
    later.folder()
    assert (kept / "file").exists(), "its process lives"
    living.close()
    later.close()
    assert not list(tmp_path.glob(scratch.PREFIX + "*"))


def until(condition: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended (an orphan may be a zombie until init looks)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
