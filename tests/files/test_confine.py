"""What the process that reads a customer's file cannot do, and that nothing stays when its server is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heliograph import settings
from heliograph.files import confine, scratch
from heliograph.files.convert import Converter
from heliograph.files.scratch import Scratch
from heliograph.files.task import Refused
from support.listener import Listener

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
        "socket.socket(socket.AF_UNIX).close()\n"
        "page = ctypes.create_string_buffer(120)\n"
        f"print(libc.syscall({confine.IO_URING_SETUP}, 1, page), ctypes.get_errno())\n"
    )
    assert run(text, tmp_path).split() == ["-1", "13"]


def test_leaving_the_network_keeps_the_user(tmp_path: Path) -> None:
    """In a process without privileges a user namespace is needed; it must not change who owns new files."""
    text = "import os; from heliograph.files.confine import leave_network as go; go(); print(os.getuid() == {})"
    assert run(text.format(os.getuid()), tmp_path).strip() == "True"


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
        seen = tmp_path / "seen"
        text = f"import sys\nsys.stdout = open({str(seen)!r}, 'w')\n" + TRY.format(port=listener.port)
        with pytest.raises(Refused):
            asyncio.run(once(program(tmp_path, text)))
        assert "kept from" in seen.read_text()
        assert "reached" not in seen.read_text()
        assert listener.heard == []


async def once(soffice: str) -> None:
    converter = Converter(settings.load(soffice=soffice))
    try:
        await converter.convert(b"{\\rtf1 x}", "a", "fax")
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
    pids = tmp_path / "pids"
    hang = f"import os, time\nopen({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} ')\ntime.sleep(600)"
    command = [sys.executable, "-c", SERVER, program(tmp_path, hang)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        until(lambda: pids.exists() and pids.read_text().endswith(" "))
        process.send_signal(signal.SIGKILL)
    for pid in map(int, pids.read_text().split()):
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


def until(condition: object, seconds: float = 10.0) -> None:
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
