"""Mails that the house itself writes: a job in the caller's transaction, sent later through the email routes."""

import re

from heliograph.db.engine import Tx
from heliograph.queue import jobs

JOB = "mail"
_ADDRESS = re.compile(r'[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,64}@[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,255}')


def is_address(text: str) -> bool:
    """Whether a text has the form of a mail address (RFC 5321, 4.1.2): no quoted names, no addresses in brackets.

    Only a mail that arrives proves one.
    """
    return _ADDRESS.fullmatch(text) is not None


def enqueue(tx: Tx, sender: str, recipient: str, subject: str, text: str) -> None:
    """Send a plain-text mail after the commit."""
    jobs.enqueue(tx, JOB, {"from": sender, "to": recipient, "subject": subject, "text": text})
