"""What mails lead to: the picture, the links, and the page on which a reader unsubscribes."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Set
from html import escape
from typing import Any

from starlette.requests import Request

from heliograph import webaddress
from heliograph.accounts import consent
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import DatabaseAway
from heliograph.htmlpage import ButtonPage, away, button, page, wrong_verb
from heliograph.links.lookup import Lookup
from heliograph.links.pages import redirect
from heliograph.mail import readers
from heliograph.mail.readers import Readers, Record
from heliograph.mail.tracking import CLICKS, OPENS, Tracker
from heliograph.mail.uses import CLICK, OPEN

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PICTURE = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
"""One transparent pixel, 43 octets."""
_SHOWN = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"image/gif"),
        (b"content-length", str(len(PICTURE)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ],
}
_BODY = {"type": "http.response.body", "body": PICTURE}
_NO_BODY = {"type": "http.response.body", "body": b""}
MOST_DIGITS = 9
ONLY_LOOK = "GET, HEAD"


class ReaderPages:
    """An ASGI application for pictures and links: past Starlette, since every reader of a campaign asks for them."""

    def __init__(self, database: Database, tracker: Tracker, noted: Readers) -> None:
        self._tracker, self._readers = tracker, noted
        self._targets = Lookup(database, targets)

    def serves(self, path: str) -> bool:
        """Whether a path is a picture's or a link's."""
        return path.startswith((OPENS, CLICKS))

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """One request. It is noted if it was a GET of something that there is."""
        path, method = scope["path"], scope["method"]
        if method not in ("GET", "HEAD"):
            await wrong_verb(ONLY_LOOK)(scope, receive, send)
        elif path.startswith(OPENS):
            await self._open(path, scope, receive, send)
        else:
            await self._click(path, scope, receive, send)

    async def _open(self, path: str, scope: Scope, receive: Any, send: Send) -> None:
        token, dot, ending = path[len(OPENS) :].partition(".")
        message_id = self._tracker.message_id(token) if dot and ending == "gif" else None
        if message_id is None:
            await _nothing(scope, receive, send)
            return
        if scope["method"] == "GET":
            self._readers.note(OPEN, message_id, 0, dict(scope["headers"]))
        await send(_SHOWN)
        await send(_BODY if scope["method"] == "GET" else _NO_BODY)

    async def _click(self, path: str, scope: Scope, receive: Any, send: Send) -> None:
        token, _, number = path[len(CLICKS) :].partition("/")
        known = number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS
        message_id = self._tracker.message_id(token) if known else None
        try:
            url = None if message_id is None else await self._targets.find((message_id, int(number)))
        except DatabaseAway as gone:
            await away(gone.status, gone.headers)(scope, receive, send)
            return
        if message_id is None or url is None:
            await _nothing(scope, receive, send)
            return
        if scope["method"] == "GET":
            self._readers.note(CLICK, message_id, int(number), dict(scope["headers"]))
        await redirect(send, webaddress.in_ascii(url))


async def _nothing(scope: Scope, receive: Any, send: Send) -> None:
    await page("There is no such link", "<p>Please look whether it is complete.</p>", 404)(scope, receive, send)


Link = tuple[str, int]
"""(message_id, number of the link)."""


def targets(tx: Tx, links: Set[Link]) -> Mapping[Link, str]:
    """Where these links lead."""
    found = readers.mails(tx, {message_id for message_id, _ in links})
    wanted: dict[int, set[int]] = {}
    for message_id, number in links:
        if message_id in found:
            wanted.setdefault(found[message_id].campaign_id, set()).add(number)
    text = "SELECT number, url FROM email_links WHERE campaign_id = ? AND number IN ({})"
    urls: dict[tuple[int, int], str] = {}
    for campaign_id, numbers in wanted.items():
        urls |= {(campaign_id, number): url for number, url in tx.driver_in(text, [campaign_id], numbers)}
    named = {one: (found[one[0]].campaign_id, one[1]) for one in links if one[0] in found}
    return {one: urls[name] for one, name in named.items() if name in urls}


class UnsubscribePage(ButtonPage):
    """Mail programs send a POST at once (RFC 8058), people press the button: both are all that it takes."""

    def __init__(self, database: Database, tracker: Tracker, record: Record) -> None:
        self._database = database
        self._tracker = tracker
        self._record = record

    async def question(self, request: Request) -> tuple[str, str] | None:
        """Whose mails go where."""
        message_id = self._tracker.message_id(request.path_params["token"])
        found = None if message_id is None else await self._database.read(lambda tx: _asked(tx, message_id))
        if found is None:
            return None
        name, recipient = found
        return (
            "No more mails?",
            f"<p><b>{escape(name)}</b> sends mails like this one to a list, and {_hidden(recipient)} is on it."
            " Press the button, and it gets no more of them.</p>\n"
            f"{button('Unsubscribe')}<p>If you want to go on getting them, close this page.</p>",
        )

    async def press(self, request: Request) -> str | None:
        """Unsubscribe, whatever the body says."""
        message_id = self._tracker.message_id(request.path_params["token"])
        if message_id is None:
            return None
        done = await self._database.write(lambda tx: readers.unsubscribe(tx, message_id, self._record))
        return "<p>You get no more of these mails. One that is on its way may still arrive.</p>" if done else None


def _asked(tx: Tx, message_id: str) -> tuple[str, str] | None:
    """(name of the account, recipient) of a campaign's mail."""
    mail = readers.mails(tx, [message_id]).get(message_id)
    return None if mail is None else (consent.public_name(tx, mail.user_id), mail.recipient)


def _hidden(recipient: str) -> str:
    """A recipient as somebody may see it to whom the mail was passed on: enough to know one's own address."""
    local, _, domain = recipient.rpartition("@")
    return f"<b>{escape(local[:1])}…@{escape(domain)}</b>"
