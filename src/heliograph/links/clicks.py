"""Counting clicks on short links."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.links import judge
from heliograph.links.notes import Notes


class Seen(NamedTuple):
    """A request that was redirected. `address` is only looked up and never stored."""

    at: int
    code: str
    long_url_id: int
    agent: str
    address: str


_COLUMNS = ("at", "code", "long_url_id", "country", "device", "os", "browser")


class Clicks(Notes[Seen, Sequence[object]]):
    """The clicks of this process on their way to the database."""

    name = "clicks"

    def __init__(self, database: Database, country_file: str = "") -> None:
        super().__init__(database)
        self._countries = judge.Country(country_file)

    def note(self, code: str, long_url_id: int, headers: Mapping[bytes, bytes], address: str) -> None:
        """Take note of a GET for a link. Does nothing that takes time."""
        if not judge.is_ahead(headers):
            self.add(Seen(int(self._database.clock()), code, long_url_id, judge.agent(headers), address))

    def judged(self, batch: Sequence[Seen]) -> list[Sequence[object]]:
        """A row for each click; crawlers and previews leave none."""
        rows: list[Sequence[object]] = []
        for seen in batch:
            client = judge.client(seen.agent)
            if client is not None:
                rows.append((seen.at, seen.code, seen.long_url_id, self._countries.of(seen.address), *client))
        return rows

    def store(self, tx: Tx, rows: Sequence[Sequence[object]]) -> None:
        """Add clicks: time, code, long_url_id, country, device, system, browser."""
        tx.insert_rows("clicks", _COLUMNS, rows)
