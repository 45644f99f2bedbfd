"""What a sandbox tells in its log, and not in the answer: why a 401 is one, and that an endpoint is not built yet.

In production nothing is told: strangers could learn from it, and logs would fill up with their guesses.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import structlog

from heliograph.accounts import account
from heliograph.db.database import Database
from heliograph.errors import ApiError, DatabaseAway, MethodNotAllowed, NotFound, Unauthorized
from heliograph.http.auth import readings
from heliograph.http.route import Route
from heliograph.http.windows import Headers

log = structlog.get_logger(__name__)


class Hints:
    """The hints of a server with these routes."""

    def __init__(self, database: Database, routes: Sequence[Route]) -> None:
        self._database = database
        self._served = {f"{route.method} {path}" for route in routes for path in route.paths}

    async def tell(self, refused: ApiError, scope: Mapping[str, Any], request_id: str) -> Headers:
        """Log why a request was refused, if that can be told; headers for its answer."""
        method, path = scope["method"], scope["path"].removeprefix("/v3")
        if isinstance(refused, Unauthorized):
            header = dict(scope["headers"]).get(b"authorization", b"")
            log.warning("login.refused", request=request_id, path=path, why=await _fault(header, self._database))
        elif isinstance(refused, NotFound | MethodNotAllowed) and (endpoint := self.unbuilt(method, path)):
            log.warning("endpoint.not_built", request=request_id, endpoint=endpoint, why="It is not built yet.")
            return [(b"x-not-built", endpoint.encode())]
        return []

    def unbuilt(self, method: str, path: str) -> str:
        """The endpoint of the contract that a request is for and that no route serves; "" where there is none.

        `path` is without /v3. contract.txt has a line for each endpoint of the contract, by every spelling.
        """
        bare = path.rstrip("/")
        found = (line for verb, pattern, line in _contract() if verb == method and pattern.fullmatch(bare))
        return next((line for line in found if line not in self._served), "")


async def _fault(header: bytes, database: Database) -> str:
    """Why credentials are none. A name that nobody has is not shown: it may be a key that stands in the wrong place."""
    if not header.strip():
        return "There is no Authorization header."
    if header.strip().partition(b" ")[0].lower() not in (b"basic", b"bearer"):
        return "The scheme is neither Basic nor Bearer."
    found = readings(header)
    if not found:
        return "It is not the Base64 of username:key, or one of the two is empty."
    try:
        for name, _ in found:
            if await database.read(lambda tx: account.taken(tx, name.lower())):  # noqa: B023
                return f"The key or password of {name!r} is wrong, or was replaced."
    except DatabaseAway as away:
        return f"The database is away: {away.why}"
    return "No account and no subaccount has this username."


@cache
def _contract() -> list[tuple[str, re.Pattern[str], str]]:
    text = files("heliograph.http").joinpath("contract.txt").read_text(encoding="utf-8")
    split = [(*line.split(" "), line) for line in text.splitlines()]
    return [(verb, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), line) for verb, path, line in split]
