"""Mails that the server itself writes: a job in the caller's transaction, sent later through the email routes."""

from collections.abc import Sequence
from typing import Any

from heliograph.db.engine import Tx
from heliograph.queue import jobs

JOB = "mail"


def enqueue(
    tx: Tx, sender: str, recipient: str, subject: str, text: str, files: Sequence[str] = (), reply_to: str = ""
) -> None:
    """Send a plain-text mail after the commit. `files` are names of stored files (id and ending) to attach."""
    mail: dict[str, Any] = {"from": sender, "to": recipient, "subject": subject, "text": text}
    further = {"files": list(files), "reply_to": reply_to}
    jobs.enqueue(tx, JOB, mail | {name: value for name, value in further.items() if value})
