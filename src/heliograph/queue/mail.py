"""Mails that the server itself writes: a job in the caller's transaction, sent later through the email routes."""

from heliograph.db.engine import Tx
from heliograph.queue import jobs

JOB = "mail"


def enqueue(tx: Tx, sender: str, recipient: str, subject: str, text: str) -> None:
    """Send a plain-text mail after the commit."""
    jobs.enqueue(tx, JOB, {"from": sender, "to": recipient, "subject": subject, "text": text})
