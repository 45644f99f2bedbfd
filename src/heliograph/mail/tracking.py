"""Links and a picture in mails by which the house hears of openings and clicks, and the link to unsubscribe.

A campaign's HTML is prepared once; for each recipient only MARK is replaced. What leads back to a message is its id and
a keyed hash of it, so nothing is stored for each recipient.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from html import escape

import msgspec

from heliograph import webaddress
from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.db.tables import email_links
from heliograph.mail import markup
from heliograph.mail.markup import Attribute, Comment, Tag, Text
from heliograph.mail.text import is_html
from heliograph.mail.verp import UNSUBSCRIBE, Verp
from heliograph.settings import Settings, own_url

UNSUBSCRIBES, OPENS, CLICKS = "/e/u/", "/e/o/", "/e/c/"
"""How the paths of the house's own links begin."""

MARK = "HELIOGRAPH0RECIPIENT0TOKEN0HERE0"
"""Stands in prepared HTML for the recipient's token, and is as long: the form of a mail does not change by filling."""

HASH = 8
"""Octets of the hash: nobody guesses 64 bits over the network."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_PLACEHOLDER = re.compile(r"(?:https?://)?(?:\(|%28)[ \u00a0]?unsubscribe[ \u00a0]?(?:\)|%29)", re.IGNORECASE)
_FILLED = re.compile(r"[{}]|\((?:first|last|company|cust|email|phone|geolocation)[^()]{0,12}\)", re.IGNORECASE)
"""What another room fills in for each recipient. Such a link has no one target, so it is not counted."""
_EDGES = "".join(map(chr, range(33)))
_DROPPED = {ord(one): None for one in "\t\n\r"}
_LINKS = ("a", "area")
_PICTURE = '<img src="{}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
_FOOTER = '<p style="margin:24px 16px;font:13px/1.5 sans-serif;text-align:center">{}</p>'
_LINK = '<a href="{}" style="color:inherit;text-decoration:underline">Unsubscribe</a>'


class Prepared(msgspec.Struct, frozen=True):
    """HTML (or a plain text) with MARK wherever the recipient's token belongs. `links` are the targets by number."""

    html: str
    links: tuple[str, ...] = ()


class Tracker:
    """Makes and reads what leads from a mail back to the house."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._public = own_url(settings)
        self._key = vault.further_key("tokens in mails")
        self._mailbox = Verp(vault, settings.bounce_domain, UNSUBSCRIBE)

    def prepare(self, html: str, *, track: bool, sender: str = "") -> Prepared:
        """What a campaign sends; in linear time for any text. All but what is replaced stays as it was.

        `track`: links are counted and a picture is added. `(Unsubscribe)` becomes a link, or in an href its target;
        where there is none, a link is added at the end, below `sender`: name and address of the account, in lines.
        A plain text gets the link, and nothing in it is counted.
        """
        if not is_html(html):
            return Prepared(self._in_text(html, sender))
        page = _Page(html, escape(self._public), track=track)
        page.close(sender)
        return Prepared(page.written(), tuple(page.targets))

    def _in_text(self, text: str, sender: str) -> str:
        url = f"{self._public}{UNSUBSCRIBES}{MARK}"
        filled, count = _PLACEHOLDER.subn(lambda _: url, text)
        return filled if count else "\n".join(filter(None, (text.rstrip("\n"), "\n--", sender, f"Unsubscribe: {url}")))

    def token(self, message_id: str) -> str:
        """The token of a message, 32 characters that a URL has as they are. Raises ValueError: the id is no UUID."""
        name = bytes.fromhex(message_id.replace("-", ""))
        if len(name) != 16:
            raise ValueError(f"{message_id!r} is no id of a message")
        return urlsafe_b64encode(name + self._hash(name)).decode("ascii")

    def message_id(self, token: str) -> str | None:
        """The message of a token; None: the house has not made it."""
        if _TOKEN.fullmatch(token) is None:
            return None
        octets = urlsafe_b64decode(token)
        if not hmac.compare_digest(octets[16:], self._hash(octets[:16])):
            return None
        name = octets[:16].hex().upper()
        return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"

    def _hash(self, name: bytes) -> bytes:
        return hmac.digest(self._key, name, hashlib.sha256)[:HASH]

    def unsubscribe_headers(self, message_id: str) -> tuple[tuple[str, str], ...]:
        """Headers by which a mail program unsubscribes (RFC 2369, 3.2; RFC 8058, 3.1)."""
        page = f"{self._public}{UNSUBSCRIBES}{self.token(message_id)}"
        return (
            ("List-Unsubscribe", f"<{page}>, <mailto:{self._mailbox.address(message_id)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )


class _Page:
    """HTML while it is prepared: what is replaced, by place. `base` is the house's address, as HTML has it."""

    def __init__(self, html: str, base: str, *, track: bool) -> None:
        self._html = html
        self._base = base
        self._track = track
        self._edits: list[tuple[int, int, str]] = []
        self._unsubscribe = f"{base}{UNSUBSCRIBES}{MARK}"
        self._visible = False
        self._within = False
        self.targets: dict[str, int] = {}
        pieces, end = markup.scan(html)
        closings = {piece.name: piece.start for piece in pieces if isinstance(piece, Tag)}
        self._end = closings.get("/body", closings.get("/html", end))
        for piece in pieces:
            if isinstance(piece, Tag):
                self._tag(piece)
            elif isinstance(piece, Comment):
                self._hidden(piece)
            else:
                self._text(piece)

    def close(self, sender: str) -> None:
        """Add what belongs at the end: the link to unsubscribe if nobody would see one, and the picture."""
        more = ""
        if not self._visible:
            lines = [*map(escape, sender.splitlines()), _LINK.format(self._unsubscribe)]
            more += _FOOTER.format("<br>".join(lines))
        if self._track:
            more += _PICTURE.format(f"{self._base}{OPENS}{MARK}.gif")
        self._replace(self._end, self._end, more)

    def written(self) -> str:
        """The HTML with everything replaced."""
        parts, at = [], 0
        for start, end, text in sorted(self._edits):
            parts += [self._html[at:start], text]
            at = end
        return "".join([*parts, self._html[at:]])

    def _of(self, piece: Text | Comment) -> str:
        return self._html[piece.start : piece.end]

    def _replace(self, start: int, end: int, text: str) -> None:
        self._edits.append((start, end, text))

    def _text(self, text: Text) -> None:
        words = self._of(text)
        link = "Unsubscribe" if self._within else _LINK.format(self._unsubscribe)
        filled, count = _PLACEHOLDER.subn(lambda _: link, words)
        self._visible = self._visible or bool(count) or (self._within and not words.isspace())
        if count:
            self._replace(text.start, text.end, filled)

    def _tag(self, tag: Tag) -> None:
        if tag.name in ("a", "/a"):
            self._within = False
        self._visible = self._visible or (self._within and tag.name == "img")
        href = _href(tag)
        for one in tag.attributes:
            if _PLACEHOLDER.search(one.value):
                self._replace(one.start, one.end, _quoted(_PLACEHOLDER.sub(lambda _: self._unsubscribe, one.value)))
                self._within = self._within or (one is href and _is_way_out(tag, one))
            elif one is href and self._track and (url := target(one.value)) is not None:
                number = self.targets.setdefault(url, len(self.targets))
                self._replace(one.start, one.end, f'"{self._base}{CLICKS}{MARK}/{number}"')

    def _hidden(self, comment: Comment) -> None:
        """What only Outlook shows: its links are not counted, but must lead out of the list as well."""
        text = self._of(comment)
        if text.startswith("[if") and _PLACEHOLDER.search(text):
            self._replace(comment.start, comment.end, _Page(text, self._base, track=False).written())


def _href(tag: Tag) -> Attribute | None:
    """The attribute by which a tag is a link; SVG has an older name for it."""
    if tag.name not in _LINKS:
        return None
    found: dict[str, Attribute] = {}
    for one in tag.attributes:
        found.setdefault(one.name, one)
    return found.get("href") or found.get("xlink:href")


def _is_way_out(tag: Tag, href: Attribute) -> bool:
    """Whether what the tag holds is a link to unsubscribe."""
    return tag.name == "a" and _PLACEHOLDER.fullmatch(href.value.strip()) is not None


def _quoted(value: str) -> str:
    """A value in quotes, with what it is written with."""
    return '"' + value.replace('"', "&quot;") + '"'


def target(href: str) -> str | None:
    """The web address that an href (as it is written) leads to in a browser, if clicks on it are to be counted.

    They are not where the recipient's own data belong, nor on a way to unsubscribe, nor on what is no web address.
    """
    url = markup.written(href).strip(_EDGES).translate(_DROPPED)
    if _FILLED.search(url) or "unsubscribe" in url.lower():
        return None
    url = url.replace(" ", "%20")
    unstorable = any("\ud800" <= one <= "\udfff" for one in url)
    return None if unstorable or webaddress.problem(url) else url


def keep_links(tx: Tx, campaign_id: int, links: Sequence[str]) -> None:
    """Store where the links of a campaign lead, in place of what it had."""
    tx.execute(email_links.delete().where(email_links.c.campaign_id == campaign_id))
    rows = [(campaign_id, number, url) for number, url in enumerate(links)]
    tx.insert_rows("email_links", ("campaign_id", "number", "url"), rows)
