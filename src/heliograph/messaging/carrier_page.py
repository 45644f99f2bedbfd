"""POST (or GET) /carriers/{transport}: where a carrier reports by HTTP requests of its own."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from heliograph.limited import Bites
from heliograph.transports.base import Events, Inbox, Told
from heliograph.transports.options import Carriers
from heliograph.transports.table import kind_of

LARGEST = 8 * 1024 * 1024
"""Bytes of a request: an MMS with a film has some hundred kilobytes."""


class CarrierPage:
    """Hands requests to the inbox of the transport that the path names, as the configuration in force has it."""

    def __init__(self, carriers: Callable[[], Carriers], events: Events) -> None:
        self._carriers = carriers
        self._events = events
        self._made: dict[str, tuple[Any, Inbox]] = {}
        self._refused = Bites("carrier.refused")

    async def answer(self, request: Request) -> Response:
        """Store what a carrier says, and answer it. Raises Unavailable: the carrier tries again."""
        name = request.path_params["transport"]
        inbox = self._inbox(name)
        if inbox is None or not inbox.admits(request.headers.get("authorization", "")):
            self._refused.bite(transport=name[:100], known=inbox is not None)
            return PlainTextResponse("Who are you?\n", 401, {"www-authenticate": 'Basic realm="carriers"'})
        octets = await _body(request)
        if octets is None:
            return PlainTextResponse("The request is too large.\n", 413)
        headers = {key.lower(): value for key, value in request.headers.items()}
        answer = await inbox.receive(Told(request.method, request.url.query, headers, octets), self._events)
        return Response(answer.octets, answer.status, media_type=answer.content_type)

    def _inbox(self, name: str) -> Inbox | None:
        """The receiving end of a transport; None: there is none of this name, or it has none."""
        options = self._carriers().transports.get(name)
        make = None if options is None else kind_of(options).inbox
        if make is None:
            return None
        if name not in self._made or self._made[name][0] is not options:
            self._made[name] = options, make(name, options)
        return self._made[name][1]


async def _body(request: Request) -> bytes | None:
    """The body, read no further than LARGEST; None: there is more."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST:
            return None
        pieces.append(piece)
    return b"".join(pieces)
