"""What the mails of campaigns have of mail/tracking.py."""

from typing import Any

from sqlalchemy import ColumnElement, literal

from heliograph.db.engine import Tx
from heliograph.mail.templates import template
from heliograph.mail.tracking import MARK, Prepared, Tracker, keep_links
from heliograph.mail.tracking_counts import Counts, counts

__all__ = ["MARK", "Counts", "Prepared", "Tracker", "counts", "keep_links"]


def template_body(tx: Tx, user_id: int, template_id: int) -> str | None:
    """The body of a template of an account; None: it has no such one."""
    found = template.find(tx, user_id, template_id)
    return found.body if found else None


def tracks(tx: Tx, user_id: int) -> bool:
    """Whether an account wants openings and clicks to be counted."""
    return True


def times_used(kind: str) -> ColumnElement[Any]:
    """A column for rows of messages: how often a mail of a campaign was used in this way (open, click)."""
    return literal(0)
