"""Pictures as small as a carrier takes them: made once, and kept as long as the picture that they are made of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from sqlalchemy import and_, select

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import files, shrunk
from heliograph.files import store
from heliograph.files.convert import Converter
from heliograph.files.store import FileStore
from heliograph.files.task import Refused, Unfinished
from heliograph.transports.base import UNLIMITED, Limits

GONE = "The picture is not kept any more."


class Picture(msgspec.Struct, frozen=True):
    """A stored picture. `file_name` is its id and what it is, as in its link."""

    file_name: str
    content_type: str
    octets: bytes

    @property
    def file_id(self) -> str:
        """The id alone."""
        return self.file_name.partition(".")[0]


Shrink = Callable[[Picture, Limits], Awaitable[Picture]]
"""Gives a picture as it fits the limits of a carrier. Raises Refused with a sentence, Busy, Unavailable."""


class Shrinker:
    """Makes pictures smaller for carriers. Their files belong to the account; they are not refused for want of room."""

    def __init__(self, database: Database, files: FileStore, converter: Converter) -> None:
        self._database = database
        self._files = files
        self._converter = converter
        self._locks: WeakValueDictionary[tuple[str, Limits], asyncio.Lock] = WeakValueDictionary()

    async def fit(self, picture: Picture, limits: Limits) -> Picture:
        """The picture within the limits: itself, the one that was made of it before, or one that is made now.

        Raises Refused, for good unless it is Unfinished; Busy; Unavailable.
        """
        small = len(picture.octets) <= limits.largest_bytes
        if small and limits.largest_side == UNLIMITED.largest_side:
            return picture
        async with self._locks.setdefault((picture.file_id, limits), asyncio.Lock()):
            known = await self._database.read(lambda tx: _known(tx, picture.file_id, limits))
            if known is not None and known["refusal"]:
                raise Refused(known["refusal"])
            if known is not None and known["file_id"] == picture.file_id:
                return picture
            kept = None if known is None else await self._kept(picture, known)
            return kept or await self._made(picture, limits)

    async def _kept(self, picture: Picture, known: Mapping[str, Any]) -> Picture | None:
        """What was made before, if it is there. It is kept longer when the picture was, for a later message."""
        source = await self._database.read(lambda tx: store.find(tx, picture.file_id))
        if source is not None and source["expires_at"] > known["expires_at"]:
            until, user_id = source["expires_at"], source["user_id"]
            await self._database.write(lambda tx: store.keep(tx, user_id, known["file_id"], until), urgent=False)
        try:
            octets = await asyncio.to_thread(self._files.read, known["file_id"], 0, known["size"])
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise store.away(problem) from None
        return Picture(_file_name(known["file_id"], known["name"]), known["content_type"], octets)

    async def _made(self, picture: Picture, limits: Limits) -> Picture:
        """Convert a picture, and remember what came of it."""
        source = picture.file_id
        try:
            made = await self._converter.convert(picture.octets, "picture", "mms", limits=limits)
        except Unfinished:
            raise
        except Refused as why:
            words = str(why)
            await self._database.write(lambda tx: _remember(tx, source, limits, source, words), urgent=False)
            raise
        if made.data == picture.octets:
            await self._database.write(lambda tx: _remember(tx, source, limits, source), urgent=False)
            return picture

        def record(tx: Tx) -> str:
            row = store.find(tx, source)
            if row is None:
                raise Refused(GONE)
            life, size = row["expires_at"] - tx.now, len(made.data)
            file_id = store.create(tx, row["user_id"], made.name, made.content_type, life, size=size)
            _remember(tx, source, limits, file_id)
            return file_id

        file_id = await store.save(self._database, self._files, made.data, record)
        return Picture(_file_name(file_id, made.name), made.content_type, made.data)


def _file_name(file_id: str, name: str) -> str:
    return f"{file_id}.{name.rpartition('.')[2]}"


def _known(tx: Tx, source_id: str, limits: Limits) -> Mapping[str, Any] | None:
    """What was made of a picture for these limits, with the facts of its file; None: nothing that is there."""
    there = and_(files.c.file_id == shrunk.c.file_id, files.c.ready == 1, files.c.expires_at > tx.now)
    wanted = (
        shrunk.c.source_id == source_id,
        shrunk.c.largest_bytes == limits.largest_bytes,
        shrunk.c.largest_side == limits.largest_side,
    )
    return tx.row(select(files, shrunk.c.refusal).join_from(shrunk, files, there).where(*wanted))


def _remember(tx: Tx, source_id: str, limits: Limits, file_id: str, refusal: str = "") -> None:
    tx.driver(
        "INSERT INTO shrunk (source_id, largest_bytes, largest_side, file_id, refusal) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (source_id, largest_bytes, largest_side)"
        " DO UPDATE SET file_id = excluded.file_id, refusal = excluded.refusal",
        [source_id, limits.largest_bytes, limits.largest_side, file_id, refusal],
    )
