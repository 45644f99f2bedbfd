"""The SMTP server that mails arrive at: it relays nothing, and says 250 when a desk has stored a mail.

docs/mail-to-sms.md says what it serves.
"""

import asyncio
import base64
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Self

import structlog
from aiosmtpd.smtp import MISSING, AuthResult, Envelope, Session

from heliograph.accounts.account import Principal
from heliograph.errors import TooManyRequests, Unauthorized, Unavailable
from heliograph.limited import Bites
from heliograph.mailserver.desk import Arrived, Desk, Recipient, Refusal, Visit
from heliograph.mailserver.session import TOO_MANY_RECIPIENTS, Visitor
from heliograph.option import SettingsError
from heliograph.settings import Settings, reached

log = structlog.get_logger(__name__)

USUAL_PORT: Final = 2725
"""Of sandbox mode."""
LAST_WAIT: Final = 20.0
"""Seconds that a mail whose end has come may take to be stored when the server ends."""
PER_ADDRESS: Final = 20
"""Connections from one address: one that has more waits, as every sender does."""
NULL: Final = "<>"
"""How aiosmtpd calls the null sender."""
AWAY: Final = "451 4.3.0 It cannot be stored now"
DEFECT: Final = "451 4.3.0 Something is wrong here"
BAD_LOGIN: Final = AuthResult(success=False, handled=False)

Prove = Callable[[bytes, str], Awaitable[Principal]]
"""Who has the credentials of a Basic header, from an address. Raises Unauthorized, TooManyRequests, Unavailable."""


class MailServer:
    """`async with MailServer(…) as server` listens; `port` says where, 0: not."""

    def __init__(self, options: Settings, desks: Sequence[Desk], prove: Prove) -> None:
        self.port = 0
        self.domain = options.reply_domain
        self._options = options
        self._hall = _Hall(options, desks, prove)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen. Raises SettingsError."""
        options = self._options
        wanted = options.smtp_port
        if options.role == "api" or wanted == "off" or (wanted == "auto" and options.mode != "sandbox"):
            return self
        context = self._context() if options.smtp_tls_cert else None
        if wanted == "auto":
            try:
                self.port = await self._open(USUAL_PORT, context)
            except SettingsError:
                self.port = await self._open(0, context)
        else:
            self.port = await self._open(int(wanted), context)
        await asyncio.to_thread(options.smtp_address.write_text, f"{reached(options.smtp_host)} {self.port}")
        log.info("mailserver.listening", host=options.smtp_host, port=self.port, tls=context is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more, answer what has come whole, say goodbye."""
        if self._server is None:
            return
        await asyncio.to_thread(self._options.smtp_address.unlink, missing_ok=True)
        self._server.close()
        await self._hall.end()
        await self._server.wait_closed()

    async def _open(self, port: int, context: ssl.SSLContext | None) -> int:
        """Listen on a port (0: a free one); the port. Raises SettingsError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: self._hall.visitor(context), self._options.smtp_host, port)
        except (OSError, UnicodeError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise SettingsError(f"HELIOGRAPH_SMTP_PORT={port}: cannot listen: {why}.") from None
        return int(self._server.sockets[0].getsockname()[1])

    def _context(self) -> ssl.SSLContext:
        """The server's side of TLS. Raises SettingsError."""
        options = self._options
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(options.smtp_tls_cert, options.smtp_tls_key or None)
        except OSError as problem:  # ssl.SSLError is one as well
            why = problem.strerror or problem
            raise SettingsError(f"HELIOGRAPH_SMTP_TLS_CERT={options.smtp_tls_cert}: {why}.") from None
        return context


class _Hall:
    """All connections, and the hooks of aiosmtpd for each of them."""

    def __init__(self, options: Settings, desks: Sequence[Desk], prove: Prove) -> None:
        self._options = options
        self._desks = desks
        self._prove = prove
        self._visitors: set[Visitor] = set()
        self._of_network: Counter[str] = Counter()
        self._full, self._crowded = Bites("mailserver.full"), Bites("mailserver.many_of_one_address")
        self._left = asyncio.Event()

    def visitor(self, context: ssl.SSLContext | None) -> Visitor:
        """A connection, before it is made."""
        options = self._options
        name = options.smtp_name or options.reply_domain
        return Visitor(self, self, hostname=name, max_size=options.smtp_max_size, tls_context=context)

    def enter(self, visitor: Visitor) -> str:
        """Count a connection; why it is turned away, "" when it is not."""
        if len(self._visitors) >= self._options.smtp_connections:
            self._full.bite(connections=self._options.smtp_connections)
            return "Too many connections"
        if self._of_network[visitor.network] >= PER_ADDRESS:
            self._crowded.bite(address=visitor.network, connections=PER_ADDRESS)
            return "Too many connections from your address"
        self._visitors.add(visitor)
        self._of_network[visitor.network] += 1
        return ""

    def leave(self, visitor: Visitor) -> None:
        """It is gone."""
        self._visitors.discard(visitor)
        self._of_network[visitor.network] -= 1
        if not self._of_network[visitor.network]:
            del self._of_network[visitor.network]
        self._left.set()

    async def end(self) -> None:
        """Close all; who waits for the answer to a mail gets it."""
        for visitor in tuple(self._visitors):
            visitor.end()
        try:
            async with asyncio.timeout(LAST_WAIT):
                while any(visitor.busy for visitor in self._visitors):
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            pass
        for visitor in tuple(self._visitors):
            if visitor.transport is None or not visitor.transport.is_closing():
                visitor.abort()

    # Hooks: aiosmtpd finds them by their names

    async def handle_MAIL(
        self, server: Visitor, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A sender, of which nothing is proved yet."""
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: Visitor, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A recipient: one of some desk, and of the same one as those before it."""
        if len(envelope.rcpt_tos) >= self._options.smtp_recipients:
            return TOO_MANY_RECIPIENTS
        try:
            desk = await self._desk(_visit(server, session, envelope), Recipient.of(address))
        except Refusal as refused:
            return refused.answer
        except Unavailable:
            return AWAY
        if getattr(envelope, "desk", desk) is not desk:
            return TOO_MANY_RECIPIENTS
        setattr(envelope, "desk", desk)  # noqa: B010 - it is not one of aiosmtpd's
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Visitor, session: Session, envelope: Envelope) -> str:
        """A mail: its desk stores it, and only then it is acknowledged."""
        desk: Desk = getattr(envelope, "desk")  # noqa: B009 - the same
        recipients = tuple(dict.fromkeys(map(Recipient.of, envelope.rcpt_tos)))
        octets = envelope.original_content or b""
        visit = _visit(server, session, envelope)
        try:
            said = await desk.take(Arrived(visit=visit, recipients=recipients, octets=octets))
        except Refusal as refused:
            log.info("mailserver.refused", peer=visit.peer, sender=visit.sender, why=refused.answer)
            return refused.answer
        except Unavailable:
            return AWAY
        except Exception:
            log.exception("mailserver.not_taken", octets=len(octets))
            return DEFECT
        return f"250 2.0.0 {said}"

    async def handle_exception(self, error: Exception) -> str:
        """A defect, which the client is to try again after."""
        log.error("mailserver.defect", exc_info=error)
        return DEFECT

    async def auth_PLAIN(self, server: Visitor, args: list[str]) -> AuthResult:
        """Credentials of the API in one go (RFC 4616): username and API key, or password."""
        told = await _told(server, args, "")
        if isinstance(told, AuthResult):
            return told
        username, _, secret = told[0].partition(b"\0")[2].partition(b"\0")
        return await self._login(server, username, secret)

    async def auth_LOGIN(self, server: Visitor, args: list[str]) -> AuthResult:
        """The same in two questions, as Outlook does it."""
        told = await _told(server, args, "Username:", "Password:")
        return told if isinstance(told, AuthResult) else await self._login(server, *told)

    # Inside

    async def _desk(self, visit: Visit, recipient: Recipient) -> Desk:
        """The desk of a recipient. Raises Refusal, Unavailable."""
        near = [desk for desk in self._desks if recipient.domain in desk.domains]
        if not near:
            raise Refusal("550 5.7.1 Mail for this domain is not taken here")
        for desk in near:
            if await desk.knows(visit, recipient):
                return desk
        raise Refusal("550 5.1.1 There is no such recipient")

    async def _login(self, server: Visitor, username: bytes, secret: bytes) -> AuthResult:
        if not username or not secret or b":" in username:
            return BAD_LOGIN
        header = b"Basic " + base64.b64encode(username + b":" + secret)
        try:
            who = await self._prove(header, server.address)
        except Unauthorized:
            return BAD_LOGIN
        except TooManyRequests:
            return AuthResult(success=False, handled=False, message="454 4.7.0 Too many failed logins: wait a while")
        except Unavailable:
            return AuthResult(success=False, handled=False, message="454 4.7.0 Logins cannot be checked now")
        return AuthResult(success=True, auth_data=who)


async def _told(server: Visitor, args: list[str], *questions: str) -> list[bytes] | AuthResult:
    """The answers to the questions of a mechanism, of which the first may stand in the command; or the end of it."""
    found = []
    if len(args) == 2:
        try:
            found.append(base64.b64decode(args[1], validate=True))
        except ValueError:
            return AuthResult(success=False, handled=False, message="501 5.5.2 That is no base64")
    for question in questions[len(found) :]:
        answer = await server.challenge_auth(question)
        if answer is MISSING:  # and it was answered
            return AuthResult(success=False)
        found.append(bytes(answer))
    return found


def _visit(server: Visitor, session: Session, envelope: Envelope) -> Visit:
    who: Any = session.auth_data if session.authenticated else None
    sender = envelope.mail_from or ""
    return Visit(
        peer=server.address,
        helo=session.host_name or "",
        login=who,
        tls=server.secured,
        sender="" if sender == NULL else sender,
    )
