"""Looking up codes for many requests at once: one read of the database answers all that came meanwhile."""

import asyncio
from collections.abc import Mapping

from heliograph.db.database import Database
from heliograph.links import register
from heliograph.links.register import Found

Answer = Mapping[str, Found]


class Lookup:
    """The links of a database, by code. A link that was killed is dead at once: nothing is remembered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._codes: set[str] = set()
        self._answer: asyncio.Future[Answer] | None = None

    async def find(self, code: str) -> Found | None:
        """The link with this code, if there is one. Raises DatabaseAway."""
        if self._answer is None:
            loop = asyncio.get_running_loop()
            self._answer = loop.create_future()
            loop.call_soon(self._ask)
        self._codes.add(code)
        found = await asyncio.shield(self._answer)
        return found.get(code)

    def _ask(self) -> None:
        """Read for all who asked until now. It runs once the loop has seen to whatever else had come."""
        codes, answer = self._codes, self._answer
        self._codes, self._answer = set(), None
        assert answer is not None
        reading = self._database.read(lambda tx: register.find(tx, codes))
        reading.add_done_callback(lambda done: _pass_on(done, answer))


def _pass_on(done: "asyncio.Future[dict[str, Found]]", answer: "asyncio.Future[Answer]") -> None:
    problem = done.exception()
    if problem is not None:
        answer.set_exception(problem)
    else:
        answer.set_result(done.result())
