"""What hosts and readers in the sandbox do with a mail that the mail server took: reports, complaints, answers.

The local part of the recipient decides. Each makes a mail in the form that it has outside, and hands it to whoever
brings it to the domain that it is for.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
import msgspec
import structlog
from aiosmtplib import SMTPException

HOST: Final = "sandbox.heliograph.localdomain"
"""The name of the host that the sandbox plays."""
MOST_AT_ONCE: Final = 20
TIMEOUT: Final = 30.0
LONGEST_HEADERS: Final = 64 * 1024
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_AUTOMATIC = "Auto-Submitted: auto-replied"
_MAILTO = re.compile(r"<\s*(mailto:[^<>\s]+)\s*>", re.IGNORECASE)

log = structlog.get_logger(__name__)


class Taken(msgspec.Struct, frozen=True):
    """A mail that was taken for one recipient; `sender` is that of its envelope, "" for none."""

    sender: str
    recipient: str
    octets: bytes


class Reply(msgspec.Struct, frozen=True):
    """A mail that a host or a reader writes, lines ending in CRLF; `sender` is that of its envelope, "" for none."""

    sender: str
    recipient: str
    octets: bytes


HandOver = Callable[[Reply], Awaitable[None]]
"""Brings a reply to the domain of its recipient."""


def hard(taken: Taken) -> Reply | None:
    """The host behind the one that took it has no such mailbox."""
    return _report(taken, "failed", "5.1.1", "550 5.1.1 The sandbox has no mailbox of this name")


def soft(taken: Taken) -> Reply | None:
    """The mailbox is full, and the host has given up."""
    return _report(taken, "failed", "4.2.2", "452 4.2.2 The sandbox mailbox is full")


def delayed(taken: Taken) -> Reply | None:
    """The mailbox is not available, and the host goes on."""
    return _report(taken, "delayed", "4.2.1", "451 4.2.1 The sandbox mailbox is not available now")


def complaint(taken: Taken) -> Reply | None:
    """The reader calls it spam. The host tells it (RFC 5965), and blacks out who it was."""
    if not taken.sender:
        return None
    fields = (
        f"Feedback-Type: abuse\nUser-Agent: Heliograph-Sandbox/1\nVersion: 1\nOriginal-Mail-From: <{taken.sender}>\n"
    )
    headers = _headers(taken).replace(taken.recipient.encode("utf-8", "surrogateescape"), b"redacted@" + HOST.encode())
    parts = [
        ("text/plain; charset=utf-8", b"A reader has called this mail spam.\n"),
        ("message/feedback-report", fields.encode("utf-8", "surrogateescape")),
        ("text/rfc822-headers", headers),
    ]
    return _mail(taken, f"feedback@{HOST}", "Complaint", "feedback-report", parts, sender=f"feedback@{HOST}")


def ooo(taken: Taken) -> Reply | None:
    """The reader is away (RFC 3834)."""
    if not taken.sender:
        return None
    head = _head(taken.recipient, taken.sender, "Automatic reply: out of office", _AUTOMATIC)
    return Reply("", taken.sender, _joined(head, b"I am out of the office until Monday.\n"))


def unsubscribe(taken: Taken) -> Reply | None:
    """The reader's program writes to the address in List-Unsubscribe (RFC 2369); None: the mail has none."""
    found = _MAILTO.search(" ".join(str(message_from_bytes(_headers(taken)).get("List-Unsubscribe", "")).split()))
    if found is None:
        return None
    address = urlsplit(found[1])
    subject = parse_qs(address.query).get("subject", ["unsubscribe"])[0]
    target = unquote(address.path)
    if not target.isprintable() or " " in target:
        return None
    head = _head(taken.recipient, target, " ".join(subject.split()))
    return Reply(taken.recipient, target, _joined(head, b""))


REACTIONS: dict[str, Callable[[Taken], Reply | None]] = {
    "hard": hard,
    "soft": soft,
    "delayed": delayed,
    "complaint": complaint,
    "ooo": ooo,
    "unsubscribe-mail": unsubscribe,
}
"""Local part of a recipient, in small letters -> what is done with a mail that it got."""


def _report(taken: Taken, action: str, status: str, said: str) -> Reply | None:
    """A report of delivery (RFC 3464; RFC 6533 for addresses outside ASCII); None: the mail may cause none."""
    if not taken.sender:
        return None
    form, kind = ("rfc822", "") if taken.recipient.isascii() else ("utf-8", "global-")
    fields = (
        f"Reporting-MTA: dns; {HOST}\n\n"
        f"Original-Recipient: {form};{taken.recipient}\nFinal-Recipient: {form}; {taken.recipient}\n"
        f"Action: {action}\nStatus: {status}\nRemote-MTA: dns; {HOST}\nDiagnostic-Code: smtp; {said}\n"
    )
    text = f"This is the mail system of the sandbox.\n\n<{taken.recipient}>: host {HOST} said: {said}\n"
    parts = [
        ("text/plain; charset=utf-8", text.encode("utf-8", "surrogateescape")),
        (f"message/{kind}delivery-status", fields.encode("utf-8", "surrogateescape")),
        ("text/rfc822-headers", _headers(taken)),
    ]
    subject = "Delivery status notification"
    return _mail(taken, f"Mail Delivery System <MAILER-DAEMON@{HOST}>", subject, "delivery-status", parts)


def _mail(
    taken: Taken, author: str, subject: str, kind: str, parts: list[tuple[str, bytes]], sender: str = ""
) -> Reply:
    mark = f"=_{secrets.token_hex(12)}"
    form = f'Content-Type: multipart/report; report-type={kind}; boundary="{mark}"'
    head = _head(author, taken.sender, subject, _AUTOMATIC, form)
    body = b"".join(f"--{mark}\nContent-Type: {name}\n\n".encode() + content + b"\n" for name, content in parts)
    return Reply(sender, taken.sender, _joined(head, body + f"--{mark}--\n".encode()))


def _head(author: str, recipient: str, subject: str, *more: str) -> list[str]:
    date = format_datetime(datetime.now(UTC))
    message_id = f"<{secrets.token_hex(12)}@{HOST}>"
    fields = (("From", author), ("To", recipient), ("Subject", subject), ("Date", date), ("Message-ID", message_id))
    return [*(f"{name}: {value}" for name, value in fields), "MIME-Version: 1.0", *more]


def _headers(taken: Taken) -> bytes:
    start = taken.octets[:LONGEST_HEADERS]
    end = _END_OF_HEADERS.search(start)
    return (start[: end.start()] if end else start) + b"\n"


def _joined(head: list[str], body: bytes) -> bytes:
    whole = "".join(f"{line}\n" for line in head).encode("utf-8", "surrogateescape") + b"\n" + body
    return re.sub(rb"\r?\n", b"\r\n", whole)


class Readers:
    """Reads what the mail server took, beside it: a reply is handed over when its mail was answered, as outside."""

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    def read(self, taken: Taken) -> None:
        """Begin to do with a mail what its recipient does."""
        react = REACTIONS.get(taken.recipient.partition("@")[0].lower())
        reply = react(taken) if react else None
        if reply is not None:
            task = asyncio.ensure_future(self._bring(reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Break off what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _bring(self, reply: Reply) -> None:
        try:
            async with self._turn:
                await self._hand_over(reply)
        except (SMTPException, OSError) as problem:
            log.warning("mailreaders.not_taken", recipient=reply.recipient, problem=str(problem))


async def by_smtp(port: int, reply: Reply) -> None:
    """Hand a reply to the SMTP server on a port of 127.0.0.1. Raises SMTPException or OSError."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname=HOST, start_tls=False, timeout=TIMEOUT)
    async with client:
        options = [] if (reply.sender + reply.recipient).isascii() else ["SMTPUTF8"]
        await client.sendmail(reply.sender, [reply.recipient], reply.octets, mail_options=options)
