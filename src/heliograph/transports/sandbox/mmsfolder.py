"""The messages that the simulated MMSC has got, as files to look at. Knows no protocol."""

import contextlib
import os
import re
import shutil
import time
from collections import deque
from pathlib import Path

import msgspec

from heliograph.transports.base import Mms

KEEP = 200
"""Messages whose files stay in the folder; older ones are removed."""

_NAME = re.compile(r"\d{17}-[0-9a-f]{12}")


class StoredMms(msgspec.Struct, frozen=True):
    """A message in the folder. `at` is in Unix seconds; `files` are names in the folder of the message, `id`."""

    id: str
    at: int
    sender: str
    recipient: str
    subject: str
    text: str
    files: list[str]


def mms_folder(data: Path) -> Path:
    """Where the built-in MMS carrier of a data folder keeps its messages."""
    return data / "mms"


def listing(folder: Path) -> list[StoredMms]:
    """The messages of a folder, newest last; none when there is no such folder."""
    if not folder.exists():
        return []
    found = []
    for name in sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name)):
        with contextlib.suppress(FileNotFoundError):  # a newer one has just pushed it out
            found.append(msgspec.json.decode((folder / name / "message.json").read_bytes(), type=StoredMms))
    return found


class Kept:
    """A folder with a folder for each message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: deque[str] = deque()

    def prepare(self) -> None:
        """Make the folder, readable by its owner only, or take what an earlier run left there. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._names = deque(sorted(entry.name for entry in self._folder.iterdir() if _NAME.fullmatch(entry.name)))

    def store(self, sender: str, recipient: str, subject: str, message: Mms) -> None:
        """Keep a message in a folder of its own, and drop the oldest. Raises OSError."""
        name = f"{time.time_ns() // 1_000_000:017d}-{os.urandom(6).hex()}"
        place = self._folder / name
        place.mkdir(mode=0o700)
        files = [f"{number}-{media.name}" for number, media in enumerate(message.media, 1)]
        for file, media in zip(files, message.media, strict=True):
            (place / file).write_bytes(media.octets)
        stored = StoredMms(name, int(time.time()), sender, recipient, subject, message.text, files)
        (place / "message.json").write_bytes(msgspec.json.encode(stored))
        self._names.append(name)
        while len(self._names) > KEEP:
            shutil.rmtree(self._folder / self._names.popleft(), ignore_errors=True)
