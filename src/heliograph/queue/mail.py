"""Mails that the house itself writes: a job in the caller's transaction, sent later through the email routes."""

import re

from heliograph.db.engine import Tx
from heliograph.queue import jobs

JOB = "mail"
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}").fullmatch


def is_address(text: str) -> bool:
    """Whether this can be an email address; only a mail that arrives proves one."""
    return _ADDRESS(text) is not None


def enqueue(tx: Tx, sender: str, recipient: str, subject: str, text: str) -> None:
    """Send a plain-text mail after the commit."""
    jobs.enqueue(tx, JOB, {"from": sender, "to": recipient, "subject": subject, "text": text})
