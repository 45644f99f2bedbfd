"""Relays for the tests of the SMTP transport: a well-behaved one, and ones that follow a script."""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from heliograph.mail.letter import Letter, Person, written
from heliograph.transports.base import Mail, MessageKey, Outcome, Outgoing
from heliograph.transports.options import SmtpOptions
from heliograph.transports.smtp.transport import SmtpTransport
from transports.conformance import Recorder

KEY = "01938F5C-9C1A-7ABC-8DEF-0123456789AB"


def a_mail(subject: str = "Hello", text: str = "Good day", to: str = "bob@example.net", **other: Any) -> Outgoing:
    """A mail as the SMTP transport takes it. Raises Unwritable."""
    sender, reply_to = other.get("sender", "ann@example.com"), other.get("reply_to")
    key = MessageKey(7, "email", other.get("key", KEY))
    letter = Letter(
        sender=Person(sender),
        to=(Person(to),),
        reply_to=Person(reply_to) if reply_to else None,
        subject=subject,
        text=text,
        message_id=key.message_id.lower(),
        date=time.time(),
    )
    mail = written(letter, other.get("envelope_sender", sender))
    return Outgoing(key, sender, to, mail, valid_until=2_000_000_000)


def to_address(address: str, sender: str = "ann@example.com") -> Outgoing:
    """A mail with an envelope that may be anything."""
    mail = a_mail()
    content = Mail(cast(Mail, mail.content).octets, sender)
    return msgspec.structs.replace(mail, recipient=address, content=content)


class Relay:
    """A relay that keeps what it gets. `answers` maps a command or a recipient to what is said instead.

    `protected` tells of each MAIL whether it came over TLS.
    """

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}
        self.commands: list[str] = []
        self.protected: list[bool] = []
        self.sessions: list[SMTP] = []
        self.gate: Callable[[], Awaitable[None]] | None = None

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        self.commands.append("MAIL")
        self.protected.append(server.transport.get_extra_info("sslcontext") is not None)
        if answer := self.answers.get("MAIL"):
            return answer
        envelope.mail_from = address
        envelope.mail_options = options
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.gate is not None:
            await self.gate()
        if answer := self.answers.get("DATA"):
            return answer
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        self.envelopes.append(envelope)
        return f"250 2.0.0 Ok: queued as {len(self.mails)}"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.commands.append("QUIT")
        return "221 Bye"

    async def auth_PLAIN(self, server: SMTP, args: list[str]) -> AuthResult:
        self.commands.append("AUTH")
        given = await server.challenge_auth("") if len(args) == 1 else _plain(args[1])
        good = given == b"\0relay-user\0relay-password"
        return AuthResult(success=good, handled=False, auth_data=LoginPassword(b"", b""))

    @property
    def read(self) -> list[EmailMessage]:
        return [message_from_bytes(mail, _class=EmailMessage, policy=default) for mail in self.mails]


def _plain(text: str) -> bytes:
    return base64.b64decode(text)


@asynccontextmanager
async def serving(relay: Relay, tls: ssl.SSLContext | None = None, port: int = 0, **how: Any) -> AsyncIterator[int]:
    """The relay's port; `how` goes to the server: tls_context for STARTTLS, auth_require_tls, enable_SMTPUTF8."""
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        relay.sessions.append(SMTP(relay, hostname="relay.test", loop=loop, **how))
        return relay.sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in relay.sessions:
            if one.transport is not None:
                cast(asyncio.WriteTransport, one.transport).abort()
        await server.wait_closed()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """A relay that does what a script says, for each connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: str) -> None:
    """Be a good relay until a command comes; that one is left unanswered."""
    writer.write(b"220 relay.test\r\n")
    while line := (await reader.readuntil(b"\r\n")).decode().strip():
        if line.startswith(until):
            return
        writer.write(b"250 OK\r\n")


@asynccontextmanager
async def transport(port: int, **options: Any) -> AsyncIterator[SmtpTransport]:
    usual = {"host": "127.0.0.1", "port": port, "helo": "client.test", "timeout": 20.0}
    clock = options.pop("clock", time.monotonic)
    relay = SmtpTransport("relay", SmtpOptions(**{**usual, **options}), clock=clock)
    await relay.open(Recorder())
    try:
        yield relay
    finally:
        await relay.close()


async def one(relay: SmtpTransport, message: Outgoing) -> Outcome:
    (outcome,) = await relay.send([message])
    return outcome
