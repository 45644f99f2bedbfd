"""What the mails of campaigns have of mail/tracking.py, in one place: tree tracking builds it."""

import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, literal

from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.mail.text import is_html
from heliograph.mail.verp import UNSUBSCRIBE, Verp
from heliograph.settings import Settings, own_url

MARK = "HELIOGRAPH0RECIPIENT0TOKEN0HERE0"
_PLACEHOLDER = re.compile(r"\(unsubscribe\)", re.IGNORECASE)


class Prepared(NamedTuple):
    """What a campaign sends, with MARK wherever the recipient's token belongs. `links` are the targets by number."""

    html: str
    links: tuple[str, ...] = ()


class Tracker:
    """Makes what leads from a mail back to the house."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._public = own_url(settings)
        self._mailbox = Verp(vault, settings.bounce_domain, UNSUBSCRIBE)

    def prepare(self, html: str, *, track: bool, sender: str = "") -> Prepared:
        """A body with a link to unsubscribe, at the end, below `sender`, if it has none."""
        url = f"{self._public}/e/u/{MARK}"
        if not is_html(html):
            filled, count = _PLACEHOLDER.subn(lambda _: url, html)
            return Prepared(filled if count else f"{html}\n\n--\n{sender}\nUnsubscribe: {url}")
        link = f'<a href="{escape(url)}">Unsubscribe</a>'
        filled, count = _PLACEHOLDER.subn(lambda _: link, html)
        return Prepared(filled if count else f"{html}<p>{escape(sender)}<br>{link}</p>")

    def token(self, message_id: str) -> str:
        """The token of a message."""
        return self._mailbox.address(message_id).partition("@")[0]

    def unsubscribe_headers(self, message_id: str) -> tuple[tuple[str, str], ...]:
        """Headers by which a mail program unsubscribes (RFC 2369, 3.2; RFC 8058, 3.1)."""
        page = f"{self._public}/e/u/{self.token(message_id)}"
        return (
            ("List-Unsubscribe", f"<{page}>, <mailto:{self._mailbox.address(message_id)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )


class Counts(NamedTuple):
    """Of one campaign."""

    opens: int = 0
    clicks: int = 0
    unsubscribes: int = 0


def keep_links(tx: Tx, campaign_id: int, links: Sequence[str]) -> None:
    """Store where the links of a campaign lead, in place of what it had."""


def counts(tx: Tx, campaign_ids: Collection[int]) -> Mapping[int, Counts]:
    """How often the mails of each of these campaigns were opened, clicked and unsubscribed from."""
    return {one: Counts() for one in campaign_ids}


def template_body(tx: Tx, user_id: int, template_id: int) -> str | None:
    """The body of a template of an account; None: it has no such one."""
    return None


def tracks(tx: Tx, settings: Settings, user_id: int) -> bool:
    """Whether an account wants openings and clicks to be counted."""
    return True


def times_used(kind: str) -> ColumnElement[Any]:
    """A column for rows of messages: how often a mail of a campaign was used in this way (open, click)."""
    return literal(0)
