"""The files of messages that arrive: fetched if need be, they become files of the account, with links that lapse."""

import asyncio
import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import filetype
import structlog

from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.files import store
from heliograph.files.attach import Download
from heliograph.files.store import FileStore
from heliograph.files.task import Refused
from heliograph.mail.letter import Enclosed
from heliograph.settings import Settings, own_url
from heliograph.transports.base import Media

UNKNOWN = ("bin", "application/octet-stream")
"""Ending and type of a file whose octets do not say what it is. What the sender says of it is not believed."""

MOST_FETCHED = 20
"""Files that are fetched at once for all carriers: they are in memory."""

MOST_LINKS, LARGEST_FETCHED, FETCH_SECONDS = 10, 5_000_000, 10.0
"""Files of a message that are fetched, all at once; bytes of each, and seconds for it. Carriers send hundreds of
kilobytes, and give up on an answer after some 15 seconds.
"""

log = structlog.get_logger(__name__)


class Kept(NamedTuple):
    """What became of the files of a message: links to those that are kept, and a sentence for each that is not."""

    links: list[str]
    lost: list[str]


class Keeper:
    """Fetches and stores files outside of any transaction."""

    def __init__(self, settings: Settings, database: Database, files: FileStore, download: Download) -> None:
        self._database = database
        self._files = files
        self._download = download
        self._links = own_url(settings) + "/files/"
        self._life = settings.mms_days * DAY
        self._quota = settings.storage_quota or None
        self._places = asyncio.Semaphore(MOST_FETCHED)

    async def keep(self, user_id: int, media: Sequence[Media], links: Sequence[str] = ()) -> Kept:
        """Keep files of an account, those behind links after the others. Raises Unavailable.

        What cannot be fetched, or has no room, is lost. The carrier waits one and a half FETCH_SECONDS at most.
        """
        kept: list[str] = []
        lost: list[str] = []
        found = await asyncio.gather(*(self._fetched(link) for link in links[:MOST_LINKS]))
        if len(links) > MOST_LINKS:
            lost.append(
                f"A message may have {MOST_LINKS} files that have to be fetched, and this one has {len(links)}."
            )
        for one in (*media, *found):
            try:
                if isinstance(one, str):
                    raise Refused(one)
                kept.append(await self._kept(user_id, one))
            except Refused as why:
                lost.append(str(why))
        for words in lost:
            log.warning("inbound.media_lost", user=user_id, why=words)
        return Kept(kept, [f"A file did not arrive: {words}" for words in lost])

    async def _fetched(self, link: str) -> Media | str:
        """The file behind a link, or why there is none."""
        into = io.BytesIO()
        try:
            async with asyncio.timeout(FETCH_SECONDS / 2):
                await self._places.acquire()
        except TimeoutError:
            return "Too many files are fetched at the moment."
        try:
            why, _ = await self._download(link, into, LARGEST_FETCHED, FETCH_SECONDS)
        finally:
            self._places.release()
        return Media("file", "", into.getvalue()) if why is None else why

    async def _kept(self, user_id: int, media: Media) -> str:
        found = filetype.guess(media.octets)
        ending, kind = UNKNOWN if found is None else (found.extension, found.mime)
        name = f"{store.safe_name(media.name, 'file').partition('.')[0]}.{ending}"

        def record(tx: Tx) -> str:
            size = len(media.octets)
            return store.create(tx, user_id, name, kind, self._life, size=size, quota=self._quota)

        file_id = await store.save(self._database, self._files, media.octets, record)
        return f"{self._links}{file_id}.{ending}"


async def attached(database: Database, files: FileStore, names: Sequence[str]) -> tuple[Enclosed, ...]:
    """Stored files by their names (id and ending), for a mail; one that is gone is left out. Raises Unavailable."""
    ids = [name.partition(".")[0] for name in names]
    rows = await database.read(lambda tx: [store.find(tx, file_id) for file_id in ids]) if ids else []
    found = []
    for row in rows:
        if row is not None:
            with contextlib.suppress(FileNotFoundError):
                octets = await asyncio.to_thread(files.read, row["file_id"], 0, row["size"])
                found.append(Enclosed(row["name"], row["content_type"], octets))
    return tuple(found)
