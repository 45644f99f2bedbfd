"""Emails to a relay over SMTP (RFC 5321). Owns the connections and the envelope; knows nothing of who pays."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Sequence
from typing import cast

import aiosmtplib
import msgspec
import structlog
from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPStatus,
)

from heliograph.mailaddress import in_ascii
from heliograph.transports.base import Events, Failed, Mail, Outcome, Outgoing, Retry, Sent
from heliograph.transports.options import SmtpOptions
from heliograph.transports.smtp.destinations import MAILS_PER_CONNECTION, Destination, Destinations
from heliograph.transports.tls import client_context
from heliograph.transports.underway import UnderWay

PATIENCE = 3.0
"""A mail gets this many times `options.timeout` in all, from the wait for a connection to the last answer."""
AWAY = 5.0
"""Seconds until a mail is tried again that met no working connection."""
LATER = 60.0
"""Seconds until a mail is tried again that the relay put off: greylisting asks for a minute or more."""
GRACE = 5.0
"""Seconds that mails under way get to end when the transport closes."""
QUIT_TIMEOUT = 2.0
RECONNECT_FIRST, RECONNECT_LONGEST = 0.5, 30.0
LOOK = 1.0
"""Seconds between two looks whether a connection is left."""
LONGEST_ANSWER = 500

CLOSED = Retry(AWAY, "The connections to the mail relay are closed")
NO_CONNECTION = Retry(AWAY, "The mail relay gives no connection")

SERVICE_CLOSING = 421
"""RFC 5321 section 3.8: the relay is about to close this connection; it says nothing about the mail."""

_ATOM = r'[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff@<>()\[\]\\,;:".]+'
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_ATOM}(\.{_ATOM})*")

log = structlog.get_logger(__name__)


class _Letter(msgspec.Struct, frozen=True):
    """A mail as it goes over the wire; `utf8` says that an address needs SMTPUTF8 (RFC 6531)."""

    sender: str
    recipient: str
    data: bytes
    utf8: bool

    @property
    def domain(self) -> str:
        """The recipient's, as the DNS has it."""
        return self.recipient.rpartition("@")[2].lower()


def _letter(message: Outgoing) -> _Letter | Failed:
    """A mail with its envelope, or why it has none. Nothing that could start another command gets in."""
    mail = message.content
    if not isinstance(mail, Mail):
        return Failed(None, "A mail relay takes nothing but emails")
    sender = in_ascii(mail.envelope_sender) or mail.envelope_sender
    recipient = in_ascii(message.recipient) or message.recipient
    if sender and not _ADDRESS.fullmatch(sender):
        return Failed(None, "The sender is not an email address")
    if not _ADDRESS.fullmatch(recipient):
        return Failed(None, "The recipient is not an email address")
    return _Letter(sender, recipient, mail.octets, mail.utf8 or not (sender + recipient).isascii())


class _Line:
    """One connection to the relay: opened when needed, used for one mail after another."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            local_hostname=options.helo or None,
            timeout=options.timeout,
            use_tls=options.tls == "implicit",
            start_tls=False,  # `connect` does it, so that it can release what it began
        )
        self.in_doubt = False
        """The last mail went out whole, and its answer did not come."""
        self._admitted = False

    @property
    def connected(self) -> bool:
        """Whether mails can go over it: protected and logged in as the options ask, and not lost since."""
        return self._admitted and self._client.is_connected

    async def connect(self) -> None:
        """Connect, protect, log in. Raises SMTPException or OSError."""
        self.in_doubt = self._admitted = False
        options, client = self._options, self._client
        try:
            trust = await client_context(options.tls_ca) if options.tls != "none" else None
            await client.connect(tls_context=trust)
            if options.tls == "starttls":
                await client.starttls()
            if options.username:
                await client.login(options.username, options.password)
        except BaseException as problem:
            self.drop()
            if isinstance(problem, UnicodeError):  # Python's word for a host that can be no name
                raise OSError(f"{options.host}: {problem}") from problem
            raise
        self._admitted = True

    async def offers_utf8(self) -> bool:
        """Whether the relay takes addresses outside ASCII. Raises SMTPException or OSError."""
        if self._client.is_ehlo_or_helo_needed:
            await self._client.ehlo()
        return self._client.supports_extension("smtputf8")

    async def hand_over(self, letter: _Letter) -> str:
        """One mail transaction (RFC 5321 section 3.3); the relay's answer. Raises SMTPException or OSError."""
        encoding, options = ("utf-8", ["SMTPUTF8"]) if letter.utf8 else ("ascii", [])
        try:
            await self._client.mail(letter.sender, options=options, encoding=encoding)
            await self._client.rcpt(letter.recipient, encoding=encoding)
            return await self._content(letter.data)
        except SMTPResponseException as answer:
            if answer.code // 100 in (4, 5) and answer.code != SERVICE_CLOSING:
                await self._reset()
            else:
                self.drop()
            raise

    async def _content(self, data: bytes) -> str:
        """DATA in two steps: the library's one step does not tell an answer lost after the mail from one before it."""
        start = await self._client.execute_command(b"DATA")
        if start.code != SMTPStatus.start_input:
            raise SMTPDataError(start.code, start.message)
        protocol = self._client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        end = b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n"
        protocol.write(_stuffed(data) + end)
        self.in_doubt = True
        answer = await protocol.read_response(timeout=self._options.timeout)
        self.in_doubt = answer.code // 100 not in (2, 4, 5)
        if answer.code // 100 != 2:
            raise SMTPDataError(answer.code, answer.message)
        return _words(answer.code, answer.message)

    async def _reset(self) -> None:
        try:
            await self._client.rset()
        except (SMTPException, OSError):
            self.drop()

    async def quit(self) -> None:
        """Say goodbye and release the connection."""
        wire = self._client.transport
        with contextlib.suppress(SMTPException, OSError):
            await self._client.quit(timeout=QUIT_TIMEOUT)
        self._release(wire)

    def drop(self) -> None:
        """Release the connection at once."""
        self._release(self._client.transport)

    def _release(self, wire: asyncio.BaseTransport | None) -> None:
        """Closing alone would leave a TLS connection waiting for the relay's goodbye, half a minute if need be."""
        self._client.close()
        if wire is not None:
            cast(asyncio.WriteTransport, wire).abort()  # uvloop's is none by class


class SmtpTransport:
    """Emails through a relay, over at most `options.connections` connections that stay open between mails.

    One is opened at the start and replaced when it is lost; the others are opened when there is work for them.
    While the relay is away mails are put off at once and only the transport itself keeps trying to connect. A mail for
    whose domain too many are on their way holds none of them (destinations.py). `clock` gives monotonic seconds.
    """

    def __init__(self, name: str, options: SmtpOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._options = options
        self._destinations = Destinations(options, clock)
        self._lines: list[_Line] = []
        self._idle: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()
        self._under_way = UnderWay()
        self._keeper: asyncio.Task[None] | None = None
        self._open = False
        self._away = False

    @property
    def connected(self) -> bool:
        """Whether a connection to the relay stands."""
        return any(line.connected for line in self._lines)

    ready = connected

    @property
    def capacity(self) -> int:
        """Mails that it is sensible to have inside `send` at once."""
        return self._options.connections * MAILS_PER_CONNECTION

    async def open(self, events: Events) -> None:
        """Start to connect in the background. A relay reports nothing later, so `events` is not used."""
        self._lines = [_Line(self._options) for _ in range(self._options.connections)]
        self._idle = asyncio.LifoQueue()
        for line in self._lines:
            self._idle.put_nowait(line)
        self._open, self._away = True, False
        self._keeper = asyncio.create_task(self._keep())

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over; one outcome for each message, in order."""
        return await self._under_way.all(self._deliver, batch)

    async def close(self) -> None:
        """Let mails under way end (GRACE seconds), then quit. Those that did not begin are told to try again."""
        self._open = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._under_way.end(GRACE)
        await asyncio.gather(*(line.quit() for line in self._lines))

    async def _keep(self) -> None:
        """Keep one connection standing, so that `connected` tells whether the relay is there."""
        pause = RECONNECT_FIRST
        while self._open:
            up = self.connected or await self._revive()
            if self._open:  # asyncio.wait_for, inside the library, may swallow the cancellation that `close` asks for
                await asyncio.sleep(LOOK if up else pause)
            pause = RECONNECT_FIRST if up else min(pause * 2, RECONNECT_LONGEST)

    async def _revive(self) -> bool:
        line = await self._idle.get()
        try:
            return line.connected or await self._connect(line) is None
        finally:
            self._idle.put_nowait(line)

    async def _connect(self, line: _Line) -> Retry | None:
        """Nothing when the line stands; otherwise what to tell those who wanted it. Details are for the log only."""
        try:
            await line.connect()
        except (SMTPException, OSError) as problem:
            if not self.connected:
                if not self._away:
                    log.warning("smtp.away", transport=self.name, problem=str(problem))
                self._away = True
            code = problem.code if isinstance(problem, SMTPResponseException) else None
            return msgspec.structs.replace(NO_CONNECTION, code=code)
        if self._away:
            log.info("smtp.back", transport=self.name)
        self._away = False
        return None

    async def _deliver(self, message: Outgoing) -> Outcome:
        letter = _letter(message)
        if isinstance(letter, Failed):
            return letter
        if not self._open:
            return CLOSED
        if self._away:
            return NO_CONNECTION
        user_id = message.key.user_id
        destination = self._destinations.enter(letter.domain, user_id)
        if isinstance(destination, Retry):
            return destination
        try:
            return await self._in_time(letter, destination, user_id)
        finally:
            self._destinations.leave(destination)

    async def _in_time(self, letter: _Letter, destination: Destination, user_id: int) -> Outcome:
        """One mail over the next line that is free, once its destination may have one."""
        line: _Line | None = None
        try:
            async with asyncio.timeout(PATIENCE * self._options.timeout), destination.lanes:
                line = await self._idle.get()
                stopped = self._destinations.stopped(destination, user_id)
                return stopped or await self._over(line, letter, destination)
        except (TimeoutError, asyncio.CancelledError) as ended:
            doubt = _abandon(line)
            if isinstance(ended, asyncio.CancelledError) and self._open:
                raise
            return Retry(AWAY, "The mail relay did not answer in time", maybe_sent=doubt)
        finally:
            if line is not None:
                self._idle.put_nowait(line)

    async def _over(self, line: _Line, letter: _Letter, destination: Destination) -> Outcome:
        """One mail over a line. A connection that the relay had closed while it was idle is replaced once."""
        if not self._open:
            return CLOSED
        if self._away and not line.connected:
            return NO_CONNECTION
        reused = line.connected
        refused = None if reused else await self._connect(line)
        if refused is not None:
            return refused
        try:
            if letter.utf8 and not await line.offers_utf8():
                return Failed(None, "The mail relay takes no addresses outside ASCII")
            sent = Sent(detail=await line.hand_over(letter))
            destination.accepted()
            return sent
        except SMTPResponseException as answer:
            stale = reused and answer.code == SERVICE_CLOSING
            outcome = _refusal(answer, line.in_doubt)
            self._slow_down(destination, answer)
        except (SMTPException, OSError) as problem:
            line.drop()
            stale = reused and not line.in_doubt and isinstance(problem, SMTPServerDisconnected)
            outcome = Retry(AWAY, "The connection to the mail relay broke", maybe_sent=line.in_doubt)
        return await self._over(line, letter, destination) if stale else outcome

    def _slow_down(self, destination: Destination, answer: SMTPResponseException) -> None:
        """What is said to the recipient or to the mail, not to the sender or to all, slows the recipient's domain."""
        about_it = isinstance(answer, SMTPRecipientRefused | SMTPDataError)
        if about_it and answer.code // 100 == 4 and answer.code != SERVICE_CLOSING:
            pause = destination.put_off(_words(answer.code, answer.message))
            if pause:
                log.info("smtp.domain_pauses", transport=self.name, domain=destination.domain, pause=pause)


def _stuffed(data: bytes) -> bytes:
    """A dot more before each that begins a line (RFC 5321 section 4.5.2). A pattern takes 25 times as long."""
    return (b"." if data.startswith(b".") else b"") + data.replace(b"\n.", b"\n..")


def _abandon(line: _Line | None) -> bool:
    """Drop a line in the middle of a mail; whether the relay may have taken that mail."""
    if line is None:
        return False
    line.drop()
    return line.in_doubt


def _refusal(answer: SMTPResponseException, in_doubt: bool) -> Outcome:
    """RFC 5321 section 4.2.1: the first digit decides; what is no reply at all says nothing about the mail."""
    words = _words(answer.code, answer.message)
    if answer.code // 100 == 5:
        return Failed(answer.code, words)
    if answer.code // 100 == 4:
        return Retry(LATER, words, answer.code)
    return Retry(AWAY, f"The mail relay gave an odd answer: {words}", maybe_sent=in_doubt)


def _words(code: int, text: str) -> str:
    """A relay's reply on one line. Replies are bytes of any kind: what is no UTF-8 is replaced, NUL is left out."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "")
    return " ".join(f"{code} {clean}".split())[:LONGEST_ANSWER].rstrip(".")
