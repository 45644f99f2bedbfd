"""The process that reads customers' files: it has limits, no network and nothing but the folder that it works in.

Started by convert.py as `python -m heliograph.files.worker`, one for each file: what a hostile file breaks is this.
"""

import contextlib
import ctypes
import os
import resource
import sys
import traceback
from pathlib import Path

import msgspec

from heliograph.files import images, kinds, office, paper, sheets
from heliograph.files.task import CONTACTS, Outcome, Refused, Task

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
LARGEST_RESULT = 100 * 1024 * 1024


def main() -> None:
    """Read the task from stdin, work in the current folder."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    folder = Path.cwd()
    data = (folder / "source").read_bytes()
    confine(task)
    try:
        result, outcome = convert(data, task, folder)
        (folder / "result").write_bytes(result)
    except Refused as refused:
        outcome = Outcome(refusal=str(refused))
    except MemoryError:
        outcome = Outcome(refusal="The file needs too much memory.")
    except Exception:  # noqa: BLE001 - parsers raise anything at a hostile file; the parent logs what stderr got
        traceback.print_exc()
        outcome = Outcome(refusal="The file is damaged.")
    (folder / "outcome").write_bytes(msgspec.json.encode(outcome))


def confine(task: Task) -> None:
    """Give up what the work does not need: endless time, memory, disk, and the network where the system allows it."""
    for limit, most in (
        (resource.RLIMIT_CPU, task.seconds),
        (resource.RLIMIT_AS, task.memory),
        (resource.RLIMIT_FSIZE, LARGEST_RESULT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    leave_network()


def leave_network() -> bool:
    """Move into a network namespace without any interface; whether that was allowed (Linux only).

    Without privileges it takes a user namespace as well, in which this process keeps its own ids.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):  # without the maps it has no name, but the network is gone all the same
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True


def convert(data: bytes, task: Task, folder: Path) -> tuple[bytes, Outcome]:
    """The file as the target wants it. Raises Refused, and whatever a library raises at a broken file."""
    kind = kinds.check(kinds.kind_of(data, task.code_page), task.target)
    if task.target == "csv":
        return sheets.to_csv(data, kind), Outcome("csv")
    if task.target == CONTACTS:
        return sheets.to_lines(data, kind, task.code_page), Outcome("csv")
    if task.target == "mms":
        picture, extension = images.to_mms(data, kind)
        return picture, Outcome(extension)
    if kind in kinds.IMAGES:
        data = images.to_pages(data, kind, paper.PAPER[task.target], paper.MOST_PAGES[task.target])
    elif kind in kinds.OFFICE:
        text = kinds.text_of(data) if kind == "txt" else None
        data = office.to_pdf(data if text is None else text.encode(), kind, folder, task.soffice)
    document, pages = paper.fit(data, task.target)
    return document, Outcome("pdf", pages)


if __name__ == "__main__":
    main()
