"""The calls that the built-in phone has taken, in a folder: what it heard as WAV files, and the facts beside them."""

import os
import re
import secrets
import wave
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from heliograph.transports.sandbox.phone.sound import RATE

KEEP = 500
"""Calls that stay in the folder; older ones are removed."""

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{12})\.json")
_TIME = "%Y%m%dT%H%M%S.%fZ"


class CallRecord(msgspec.Struct, frozen=True):
    """A call. `at` is in Unix seconds, `heard` in seconds; `status` is the SIP status that it was answered with."""

    id: str
    at: int
    caller: str
    called: str
    scenario: str
    status: int
    heard: float = 0.0
    pressed: str = ""


def phone_folder(data: Path) -> Path:
    """Where the built-in phone of a data folder keeps its calls."""
    return data / "phone"


def new_id(at: float) -> str:
    """An id that sorts by time. `at` is in Unix seconds."""
    return f"{datetime.fromtimestamp(at, UTC).strftime(_TIME)}-{secrets.token_hex(6)}"


def keep(folder: Path, record: CallRecord, sound: bytes) -> None:
    """Keep a call and what was heard (16-bit samples, 8000 a second). Raises OSError."""
    if sound:
        with wave.open(str(folder / f"{record.id}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(sound)
    part = folder / f".{record.id}.part"
    part.write_bytes(msgspec.json.encode(record))
    os.replace(part, folder / f"{record.id}.json")
    for old in _ids(folder)[:-KEEP]:
        for end in ("json", "wav"):
            (folder / f"{old}.{end}").unlink(missing_ok=True)


def _ids(folder: Path) -> Sequence[str]:
    return sorted(found[1] for entry in folder.iterdir() if (found := _NAME.fullmatch(entry.name)))


def listing(folder: Path) -> list[CallRecord]:
    """The calls of a folder, newest last; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return [msgspec.json.decode((folder / f"{one}.json").read_bytes(), type=CallRecord) for one in _ids(folder)]


def heard(folder: Path, call_id: str) -> Path | None:
    """The WAV file of a call; None when there is no such call, or nothing was heard."""
    path = folder / f"{call_id}.wav"
    return path if _NAME.fullmatch(f"{call_id}.json") and path.is_file() else None
