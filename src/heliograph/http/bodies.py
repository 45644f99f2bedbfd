"""How large a body may be, by what its endpoint reads, and how much of bodies one process holds at once."""

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from heliograph.errors import Unavailable
from heliograph.http.route import Route
from heliograph.limited import Bites
from heliograph.settings import Settings

STRANGERS = 64 * 1024
"""Bytes of a body without credentials, and of one that nobody reads."""
OBJECT = 256 * 1024
"""Bytes of a body that is one object without lists. Lists have HELIOGRAPH_MAX_BODY, uploads HELIOGRAPH_MAX_UPLOAD."""
UNCOUNTED = 64 * 1024
"""Bytes of a body that is not worth counting: the cap of connections bounds them."""
WAIT = "5"
"""Seconds after which a body that found no room may come again."""

_bites = Bites("bodies.no_room")


def most(route: Route, settings: Settings) -> int:
    """Bytes that a body of this route may have."""
    endpoint = route.endpoint
    if endpoint.most_body:
        return endpoint.most_body
    if endpoint.uploads or endpoint.encloses:
        return settings.max_upload
    kind = STRANGERS if route.access is None or endpoint.body is None else OBJECT
    return settings.max_body if kind == OBJECT and _has_lists(endpoint.body) else min(kind, settings.max_body)


def _has_lists(kind: Any) -> bool:
    if get_origin(kind) in (list, dict, tuple, set):
        return True
    if get_origin(kind) in (Union, types.UnionType):
        return any(_has_lists(option) for option in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any(_has_lists(inner) for inner in get_type_hints(kind).values())
    return False


class Room:
    """Bytes of large bodies that are in memory, being received or worked on.

    One account gets half of it at most, so that half-sent bodies of one do not keep out everybody else's.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._held = 0
        self._by: dict[int, int] = {}

    @contextmanager
    def lent(self, user_id: int) -> Iterator["Loan"]:
        """A place for the body of one request of an account (0: of a stranger), given back at the end."""
        loan = Loan(self, user_id)
        try:
            yield loan
        finally:
            self._take(user_id, -loan.size)

    def _take(self, user_id: int, size: int) -> None:
        self._held += size
        left = self._by.get(user_id, 0) + size
        if left:
            self._by[user_id] = left
        else:
            self._by.pop(user_id, None)

    def grow(self, user_id: int, size: int) -> None:
        """Take more. Raises Unavailable."""
        if self._held + size > self._room or self._by.get(user_id, 0) + size > self._room // 2:
            _bites.bite(user_id=user_id, held=self._held)
            raise Unavailable(headers={"retry-after": WAIT})
        self._take(user_id, size)


class Loan:
    """What one body has of the room."""

    def __init__(self, room: Room, user_id: int) -> None:
        self._room = room
        self._user_id = user_id
        self.size = 0

    def grow(self, size: int) -> None:
        """Take more. Raises Unavailable."""
        self._room.grow(self._user_id, size)
        self.size += size
