"""Mails that the server itself writes: a job in the caller's transaction, sent later through the email routes."""

from collections.abc import Sequence

from heliograph.db.engine import Tx
from heliograph.queue import jobs

JOB = "mail"


def enqueue(tx: Tx, sender: str, recipient: str, subject: str, text: str, files: Sequence[str] = ()) -> None:
    """Send a plain-text mail after the commit. `files` are names of stored files (id and ending) to attach."""
    mail = {"from": sender, "to": recipient, "subject": subject, "text": text}
    jobs.enqueue(tx, JOB, {**mail, "files": list(files)} if files else mail)
