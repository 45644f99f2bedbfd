"""What recipients in the sandbox do with the picture, the links and the list of a campaign's mail: real requests.

The local part of the recipient decides: docs/sandbox-email.md.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from html import unescape
from typing import Final, NamedTuple

from heliograph.transports.sandbox.visits import Ask, Requests

APPLE_MAIL: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
)
SAFARI: Final = APPLE_MAIL.replace("Mobile", "Version/17.5 Mobile") + " Safari/604.1"
PRIVACY_PROXY: Final = "Mozilla/5.0"
SCANNER: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
"""Scanners of mail do not say what they are."""
READS_AFTER: Final = 2.0
"""Seconds until a person has the mail before the eyes; programs look at it at once."""
PICTURES, LINKS = "/e/o/", "/e/c/"
ONE_CLICK: Final = "List-Unsubscribe=One-Click"
LARGEST: Final = 2**20
"""Octets of a mail that are read."""

LONGEST_URL: Final = 2000
_URL = re.compile(r"https?://[^\s\"'<>]+")


class Found(NamedTuple):
    """What a mail has that leads to the house, as URLs."""

    pictures: Sequence[str]
    links: Sequence[str]
    unsubscribe: Sequence[str]


def found(octets: bytes, house: str) -> Found:
    """What leads to `house` (its address, without a slash at its end) in a mail."""
    mail = message_from_bytes(octets[:LARGEST], _class=EmailMessage, policy=default)
    body = mail.get_body(("html", "plain"))
    try:
        text = str(body.get_content()) if body is not None else ""
    except LookupError:  # a charset that nobody knows
        text = ""
    urls = [unescape(url) for url in _URL.findall(text) if url.startswith(house) and len(url) <= LONGEST_URL]
    listed = _URL.findall(str(mail.get("List-Unsubscribe", "")))
    return Found(
        [url for url in urls if url.startswith(house + PICTURES)],
        [url for url in urls if url.startswith(house + LINKS)],
        [url for url in listed if url.startswith(house + "/")],
    )


class MailVisitor(Requests):
    """Does with each mail that was taken what its recipient does. Requests pages of `house` and nothing else."""

    def __init__(self, house: str, reads_after: float = READS_AFTER) -> None:
        super().__init__("mailsink")
        self._house = house
        self._reads_after = reads_after

    def read(self, recipients: Sequence[str], octets: bytes) -> None:
        """Begin to do with a mail what these recipients do."""
        for recipient in recipients:
            visit = recipient.partition("@")[0].lower()
            if visit in VISITS:
                agent, steps = VISITS[visit]
                self.begin(visit, agent, partial(steps, self, octets))

    async def _found(self, octets: bytes) -> Found:
        return await asyncio.to_thread(found, octets, self._house)

    async def _open(self, octets: bytes, ask: Ask) -> int:
        mail = await self._found(octets)
        await asyncio.sleep(self._reads_after)
        return await _each(ask, "GET", mail.pictures)

    async def _click(self, octets: bytes, ask: Ask) -> int:
        """People open the mail, and one of its links."""
        mail = await self._found(octets)
        await asyncio.sleep(self._reads_after)
        return await _each(ask, "GET", [*mail.pictures, *mail.links[:1]])

    async def _prefetch(self, octets: bytes, ask: Ask) -> int:
        return await _each(ask, "GET", (await self._found(octets)).pictures)

    async def _scan(self, octets: bytes, ask: Ask) -> int:
        """All that there is, at once, also the page to unsubscribe; nothing is pressed there."""
        mail = await self._found(octets)
        await _each(ask, "HEAD", mail.links)
        return await _each(ask, "GET", [*mail.pictures, *mail.links, *mail.unsubscribe])

    async def _unsubscribe(self, octets: bytes, ask: Ask) -> int:
        """What the button of a mail program does (RFC 8058, 3.2)."""
        mail = await self._found(octets)
        await asyncio.sleep(self._reads_after)
        return await _each(ask, "POST", mail.unsubscribe, ONE_CLICK)


Steps = Callable[[MailVisitor, bytes, Ask], Awaitable[int]]

VISITS: Mapping[str, tuple[str, Steps]] = {
    "open": (APPLE_MAIL, MailVisitor._open),
    "click": (SAFARI, MailVisitor._click),
    "prefetch": (PRIVACY_PROXY, MailVisitor._prefetch),
    "scanner": (SCANNER, MailVisitor._scan),
    "unsubscribe": (APPLE_MAIL, MailVisitor._unsubscribe),
}
"""Local part of the recipient -> the client, and what it does."""


async def _each(ask: Ask, method: str, urls: Sequence[str], body: str = "") -> int:
    """The status of the last answer; 0: there was nothing to ask for."""
    status = 0
    for url in urls:
        status = await ask(method, url, body)
    return status
