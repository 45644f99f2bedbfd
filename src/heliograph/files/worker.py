"""The process that reads customers' files: it has limits, no network and no files but those in the folder it works in.

Started by convert.py as `python -m heliograph.files.worker`, one for each file: a hostile file can break only this
process.
"""

import sys
import traceback
from pathlib import Path

import msgspec

from heliograph.files import confine, kinds, office
from heliograph.files.task import CONTACTS, Outcome, Refused, Task
from heliograph.files.text import text_of


def main() -> None:
    """Read the task from stdin, a line, and work in the current folder as long as stdin is open."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    folder = Path.cwd()
    data = (folder / "source").read_bytes()
    confine.limit(task.memory, task.seconds)
    confine.leave_network()
    confine.leave_files(folder, [*task.reads, *filter(None, [task.soffice])], office=True)
    confine.end_with_parent()  # last: a process of several threads cannot move into a user namespace
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


def convert(data: bytes, task: Task, folder: Path) -> tuple[bytes, Outcome]:
    """The file as the target wants it. Raises Refused, and whatever a library raises at a broken file.

    Each process converts one file, and imports only what that needs: it takes longer than most of the work.
    """
    kind = kinds.check(kinds.kind_of(data, task.code_page), task.target)
    if kind not in kinds.OFFICE:
        confine.leave_files(folder)  # what only LibreOffice needs
    if task.target in ("csv", CONTACTS):
        from heliograph.files import sheets

        make = sheets.to_csv if task.target == "csv" else sheets.to_lines
        return make(data, kind, task.code_page), Outcome("csv")
    from heliograph.files import images

    if task.target == "mms":
        picture, extension = images.to_mms(data, kind, task.limits)
        return picture, Outcome(extension)
    from heliograph.files import paper

    if kind in kinds.IMAGES:
        data = images.to_pages(data, kind, paper.PAPER[task.target], paper.MOST_PAGES[task.target])
    elif kind in kinds.OFFICE:
        text = text_of(data, task.code_page) if kind == "txt" else None
        data = office.to_pdf(data if text is None else text.encode(), kind, folder, task.soffice)
    document, pages = paper.fit(data, task.target)
    return document, Outcome("pdf", pages)


if __name__ == "__main__":
    main()
