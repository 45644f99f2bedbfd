"""A mail server that keeps what it gets: files in a folder, the newest 1000."""

import asyncio
import os
import time
import uuid
from email import message_from_bytes, policy
from pathlib import Path

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

MOST = 1000
REFUSED = {"bounce": "550 5.1.1 No such user here", "later": "451 4.7.1 Try again later"}
"""What these local parts answer, for tests of failures."""


class StoredMail(msgspec.Struct, frozen=True):
    """A mail in the sink. `at` is in Unix seconds."""

    id: str
    at: int
    sender: str
    recipient: str
    subject: str
    text: str


class MailSink:
    """A real SMTP server on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; the port."""
        self._folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="heliograph-sink", loop=loop, enable_SMTPUTF8=True), "127.0.0.1", 0
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take any recipient but those of the scenarios."""
        refusal = REFUSED.get(address.partition("@")[0].lower())
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store the mail."""
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        await asyncio.to_thread(self._store, name, raw)
        return f"250 OK stored as {name}"

    def _store(self, name: str, raw: bytes) -> None:
        part = self._folder / f".{name}"
        part.write_bytes(raw)
        part.rename(self._folder / f"{name}.eml")
        for old in sorted(entry for entry in os.listdir(self._folder) if entry.endswith(".eml"))[:-MOST]:
            (self._folder / old).unlink(missing_ok=True)


def listing(folder: Path) -> list[StoredMail]:
    """The mails of a sink's folder, newest last."""
    found = []
    for path in sorted(folder.glob("*.eml")):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        body = mail.get_body(("plain",))
        found.append(
            StoredMail(
                id=path.stem,
                at=int(path.stem[:20]) // 10**9,
                sender=str(mail["From"]),
                recipient=str(mail["To"]),
                subject=str(mail["Subject"]),
                text=body.get_content() if body is not None else "",
            )
        )
    return found
