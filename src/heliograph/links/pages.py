"""What stands behind a short link: a redirect to its target, or the page on which its recipient opts out.

Previews follow links before a person does. So a GET changes nothing but a count; only the button of the page, a POST,
opts out. The page works without JavaScript. Where a link leads to is in the database and nowhere else.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any, Protocol

from starlette.responses import Response

from heliograph import webaddress
from heliograph.accounts import consent
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import DatabaseAway, TooManyRequests
from heliograph.htmlpage import away, page, wrong_verb
from heliograph.limited import Bites, network
from heliograph.links import register
from heliograph.links.clicks import Clicks
from heliograph.links.link import ALPHABET, LONGEST_CODE, SHORTEST_CODE, STOP
from heliograph.links.lookup import Lookup
from heliograph.links.register import Found

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CAUSE = "StopMsg link"
"""How the Opt-Out List came to know of somebody."""

_PATH = re.compile(rf"/([{ALPHABET}]{{{SHORTEST_CODE},{LONGEST_CODE}}})[]/.,;:!?)'\"]*").fullmatch
"""A code, and what a telephone may take for a part of the link that a text has."""

_bites = Bites("links.limited")


class Guesses(Protocol):
    """How many codes that do not exist one address may try."""

    async def hit(self, *key: str) -> Any:
        """Count one. Raises TooManyRequests."""
        ...

    async def give_back(self, *key: str) -> None:
        """Take it back, since the code exists."""
        ...


class OptOut(Protocol):
    """Enters a recipient in the Opt-Out List of an account; whether it was not there before."""

    def __call__(self, tx: Tx, user_id: int, recipient: str, cause: str, *, message_id: str | None = None) -> bool:
        """`cause` is kept with it."""
        ...


class LinkPages:
    """An ASGI application for the paths that are codes. Redirects go past Starlette, whose layers take as long."""

    def __init__(self, database: Database, clicks: Clicks, guesses: Guesses, opt_out: OptOut) -> None:
        self._database, self._clicks, self._guesses, self._opt_out = database, clicks, guesses, opt_out
        self._lookup = Lookup(self._database, register.find)

    def serves(self, path: str) -> bool:
        """Whether a path looks like a link's."""
        return _PATH(path) is not None

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """One request."""
        try:
            response = await self._answer(scope)
        except TooManyRequests as refused:
            response = page("Too many attempts", "<p>Please wait a minute.</p>", refused.status, refused.headers)
        except DatabaseAway as gone:
            response = away(gone.status, gone.headers)
        if isinstance(response, str):
            await redirect(send, response)
        else:
            await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | str:
        """A page, or the URL that the link leads to. Raises TooManyRequests, DatabaseAway."""
        method, client = scope["method"], scope["client"][0] if scope.get("client") else ""
        matched = _PATH(scope["path"])
        assert matched is not None
        link = await self._find(matched[1], network(client))
        if link is None:
            return page("There is no such link", "<p>Please look whether it is complete.</p>", 404)
        if link.kind == STOP:
            return await self._stop(link, method)
        if method not in ("GET", "HEAD"):
            return wrong_verb("GET, HEAD")
        if link.disabled or link.long_url_id is None:
            return page("This link was switched off", "<p>It does not lead anywhere any more.</p>", 410)
        if method == "GET":
            self._clicks.note(link.code, link.long_url_id, dict(scope["headers"]), client)
        return webaddress.in_ascii(link.url)

    async def _find(self, code: str, address: str) -> Found | None:
        """The link, if there is one. Counted beforehand, so that a thousand guesses at once are a thousand."""
        try:
            await self._guesses.hit(address)
        except TooManyRequests:
            _bites.bite(address=address)
            raise
        link = await self._lookup.find(code)
        if link is not None:
            await self._guesses.give_back(address)
        return link

    async def _stop(self, link: Found, method: str) -> Response:
        if method == "POST":
            to = link.recipient
            await self._database.write(
                lambda tx: self._opt_out(tx, link.user_id, to, CAUSE, message_id=link.message_id)
            )
            return page("Done", "<p>You get no more of these messages.</p>")
        if method not in ("GET", "HEAD"):
            return wrong_verb("GET, HEAD, POST")
        name = await self._database.read(lambda tx: consent.public_name(tx, link.user_id))
        return page(
            "No more messages?",
            f"<p><b>{escape(name)}</b> sends messages like this one to a list, and {_hidden(link.recipient)} is on it."
            " Press the button, and it gets no more of them.</p>\n"
            '<form method="post"><button>Stop these messages</button></form>\n'
            "<p>If you want to go on getting them, close this page.</p>",
        )


def _hidden(recipient: str) -> str:
    """A recipient as somebody may see it who only knows the link: the end is enough to know one's own number."""
    return f"the number that ends with <b>{escape(recipient[-3:])}</b>"


async def redirect(send: Send, url: str) -> None:
    """Answer with a redirect to a URL, in ASCII, that the house has stored."""
    headers = [
        (b"location", url.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-robots-tag", b"noindex"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
