"""The built-in mail server: a real SMTP server on loopback that keeps every mail as a file. Delivers nothing onward."""

import asyncio
import os
import re
import secrets
from collections import deque
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast
from weakref import WeakSet

import msgspec
import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from heliograph.transports.sandbox.inward import Inward
from heliograph.transports.sandbox.mailreaders import Readers, Taken
from heliograph.transports.sandbox.mailvisits import MailVisitor

KEEP = 1000
"""Mails that stay in the folder; older ones are removed."""

SCENARIOS = {
    "bounce": "550 5.1.1 The sandbox has no mailbox of this name",
    "later": "451 4.2.1 The sandbox mailbox is not available now",
}
"""Answers to RCPT by the local part of the recipient, in any case of letters."""

GREYLISTED = "450 4.7.1 The sandbox has not met you before, come again"
"""The answer to the first RCPT for `greylist@` with an envelope sender; the next one is taken."""
MOST_GREYLISTED = 10_000

_TIME = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{12}\.eml")

log = structlog.get_logger(__name__)


def mail_folder(data: Path) -> Path:
    """Where the built-in mail carrier of a data folder keeps its mails."""
    return data / "mail"


class StoredMail(msgspec.Struct, frozen=True):
    """A mail in the folder. `at` is in Unix seconds; `sender` and `recipient` (one or more, by commas) are those of the
    envelope; where that has no sender, it is the one of the From header. `files` are the names of what is attached.
    """

    id: str
    at: int
    sender: str
    recipient: str
    subject: str
    text: str
    files: tuple[str, ...] = ()
    reply_to: str = ""


class MailSink:
    """An SMTP server (no TLS, no AUTH: loopback only) that keeps the newest KEEP mails in a folder.

    What is for the house itself goes `inward`, if that is given. `readers`, if there are any, get each mail that was
    kept, once for each recipient; `visitor` does with it what recipients do with what leads to the house.
    """

    def __init__(
        self,
        folder: Path,
        inward: Inward | None = None,
        readers: Readers | None = None,
        visitor: MailVisitor | None = None,
    ) -> None:
        self.visitor = visitor
        self._folder = folder
        self._inward = inward
        self._handing_in: set[asyncio.Task[None]] = set()
        self.readers = readers
        self._met: dict[tuple[str, str], None] = {}
        self._kept: deque[str] = deque()
        self._storing = asyncio.Lock()
        self._sessions: WeakSet[SMTP] = WeakSet()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port (a free one for 0). Raises OSError when it is taken or the folder cannot be."""
        self._kept = deque(await asyncio.to_thread(_prepare, self._folder))
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop to listen and drop the connections that are left."""
        if self._server is None:
            return
        if self.visitor is not None:
            await self.visitor.stop()
        self._server.close()
        for task in self._handing_in:
            task.cancel()
        for session in self._sessions:
            if session.transport is not None:
                cast(asyncio.WriteTransport, session.transport).abort()  # uvloop's is none by class
        await self._server.wait_closed()
        self._server = None
        if self.readers is not None:
            await self.readers.stop()

    def _session(self) -> SMTP:
        session = SMTP(self, hostname="localhost", enable_SMTPUTF8=True, loop=asyncio.get_running_loop())
        self._sessions.add(session)
        return session

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or answer as its scenario says."""
        local_part = address.partition("@")[0].lower()
        answer = SCENARIOS.get(local_part)
        if local_part == "greylist" and not self._has_met(envelope.mail_from or "", address):
            answer = GREYLISTED
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    def _has_met(self, sender: str, recipient: str) -> bool:
        """Whether this pair was here before; it is remembered, the oldest ones are forgotten."""
        pair = (sender, recipient)
        known = pair in self._met
        self._met[pair] = None
        if len(self._met) > MOST_GREYLISTED:
            del self._met[next(iter(self._met))]
        return known

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail. A full disk is a reason to try again, not to give the mail up."""
        async with self._storing:
            try:
                name = await asyncio.to_thread(self._store, envelope)
            except OSError as problem:
                log.error("mailsink.not_stored", problem=str(problem))
                return "452 4.3.1 The sandbox could not store the mail"
        if self.readers is not None:
            sender = (envelope.mail_from or "").strip("<>")  # aiosmtpd's word for none is "<>"
            for recipient in envelope.rcpt_tos:
                self.readers.read(Taken(sender, recipient, _octets(envelope)))
        if self.visitor is not None:
            self.visitor.read(envelope.rcpt_tos, envelope.original_content or b"")
        self._hand_in(envelope)
        return f"250 2.0.0 Kept as {name}"

    def _hand_in(self, envelope: Envelope) -> None:
        """Give the house what is for itself, after the answer: it may well answer by another mail."""
        own = self._inward.own(envelope.rcpt_tos) if self._inward else []
        if self._inward and own:
            sender = (envelope.mail_from or "").strip("<>")
            task = asyncio.ensure_future(self._inward.hand_in(sender, own, envelope.original_content or b""))
            self._handing_in.add(task)
            task.add_done_callback(self._handing_in.discard)

    def _store(self, envelope: Envelope) -> str:
        """Write a mail with its envelope on top (Return-Path, RFC 5321 section 4.4; Delivered-To), drop the oldest."""
        sender = (envelope.mail_from or "").strip("<>")  # aiosmtpd's word for none is "<>"
        trace = [f"Return-Path: <{sender}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        head = "".join(line + "\r\n" for line in trace).encode("utf-8", "surrogateescape")
        name = f"{datetime.now(UTC).strftime(_TIME)}-{secrets.token_hex(6)}.eml"
        unfinished = self._folder / f".{name}.part"
        try:
            unfinished.write_bytes(head + _octets(envelope))
            os.replace(unfinished, self._folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
        self._kept.append(name)
        while len(self._kept) > KEEP:
            (self._folder / self._kept.popleft()).unlink(missing_ok=True)
        return name


def _octets(envelope: Envelope) -> bytes:
    content = envelope.content
    return content.encode() if isinstance(content, str) else content or b""


def _prepare(folder: Path) -> list[str]:
    """Make the folder, readable by its owner only; the names of the mails that it holds, oldest first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _names(folder)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


def listing(folder: Path) -> list[StoredMail]:
    """The mails of a folder, newest last; none when there is no such folder. Reads every file: not for a request."""
    if not folder.exists():
        return []
    mails = []
    for name in _names(folder):
        try:
            mails.append(_read(name, (folder / name).read_bytes()))
        except FileNotFoundError:  # a newer mail has just pushed it out
            continue
    return mails


def find(folder: Path, mail_id: str) -> bytes | None:
    """The octets of a mail, its envelope on top, by the id that `listing` gives it; None: it is not there."""
    name = (
        next((name for name in _names(folder) if name.endswith(f"-{mail_id}.eml")), None) if folder.exists() else None
    )
    try:
        return None if name is None else (folder / name).read_bytes()
    except FileNotFoundError:  # a newer mail has just pushed it out
        return None


def _read(name: str, content: bytes) -> StoredMail:
    time, _, rest = name.partition("-")
    mail = message_from_bytes(content, _class=EmailMessage, policy=default)
    return StoredMail(
        id=rest.removesuffix(".eml"),
        at=int(datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp()),
        sender=str(mail.get("Return-Path", "")).strip("<> ") or _from(mail),
        recipient=", ".join(str(to) for to in mail.get_all("Delivered-To", [])),
        subject=str(mail.get("Subject", "")),
        text=_text(mail),
        files=tuple(part.get_filename() or "" for part in mail.iter_attachments()),
        reply_to=str(mail.get("Reply-To", "")),
    )


def _from(mail: EmailMessage) -> str:
    found = mail["From"].addresses if mail["From"] is not None else ()
    return found[0].addr_spec if found else ""


def _text(mail: EmailMessage) -> str:
    """The plain text (HTML when there is none), without the line end that every body closes with."""
    body = mail.get_body(("plain", "html"))
    if body is None:
        return ""
    try:
        text = str(body.get_content())
    except LookupError:  # a charset that nobody knows
        text = bytes(body.get_payload(decode=True)).decode("ascii", "replace")
    return text.replace("\r\n", "\n").removesuffix("\n")
