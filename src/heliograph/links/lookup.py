"""Looking things up for many requests at once: one read of the database answers all that came meanwhile."""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Set
from typing import Generic, TypeVar

from heliograph.db.database import Database
from heliograph.db.engine import Tx

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Lookup(Generic[Key, Value]):
    """What `find` finds in a database, by its key. What was removed is gone at once: nothing is remembered."""

    def __init__(self, database: Database, find: Callable[[Tx, Set[Key]], Mapping[Key, Value]]) -> None:
        self._database = database
        self._read = find
        self._keys: set[Key] = set()
        self._answer: asyncio.Future[Mapping[Key, Value]] | None = None

    async def find(self, key: Key) -> Value | None:
        """What has this key, if there is anything. Raises DatabaseAway."""
        if self._answer is None:
            loop = asyncio.get_running_loop()
            self._answer = loop.create_future()
            loop.call_soon(self._ask)
        self._keys.add(key)
        found = await asyncio.shield(self._answer)
        return found.get(key)

    def _ask(self) -> None:
        """Read for all who asked until now. It runs once the loop has seen to whatever else had come."""
        keys, answer = self._keys, self._answer
        self._keys, self._answer = set(), None
        assert answer is not None
        reading = self._database.read(lambda tx: self._read(tx, keys))
        reading.add_done_callback(lambda done: _pass_on(done, answer))


def _pass_on(done: "asyncio.Future[Mapping[Key, Value]]", answer: "asyncio.Future[Mapping[Key, Value]]") -> None:
    problem = done.exception()
    if problem is not None:
        answer.set_exception(problem)
    else:
        answer.set_result(done.result())
