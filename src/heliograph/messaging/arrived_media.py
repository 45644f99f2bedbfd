"""The files of messages that arrive: they become files of the account, with links that lapse, and go out by mail."""

import asyncio
import contextlib
from collections.abc import Sequence

import filetype
import structlog

from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.files import store
from heliograph.files.store import FileStore
from heliograph.files.task import Refused
from heliograph.mail.letter import Enclosed
from heliograph.settings import Settings, own_url
from heliograph.transports.base import Media

UNKNOWN = ("bin", "application/octet-stream")
"""Ending and type of a file whose octets do not say what it is. What the sender says of it is not believed."""

log = structlog.get_logger(__name__)


class Keeper:
    """Stores files outside of any transaction."""

    def __init__(self, settings: Settings, database: Database, files: FileStore) -> None:
        self._database = database
        self._files = files
        self._links = own_url(settings) + "/files/"
        self._life = settings.mms_days * DAY
        self._quota = settings.storage_quota or None

    async def keep(self, user_id: int, media: Sequence[Media]) -> list[str]:
        """Links to these files of an account, in order. What it has no room for is left out. Raises Unavailable."""
        links = []
        for one in media:
            try:
                links.append(await self._kept(user_id, one))
            except Refused as why:
                log.warning("inbound.media_refused", user=user_id, why=str(why))
        return links

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
