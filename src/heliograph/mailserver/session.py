"""One connection to the mail server: aiosmtpd's, with bounded memory, counted errors, and TLS that any loop can do."""

import asyncio
import ssl
from collections import defaultdict
from typing import Any, AnyStr, Final, Protocol, cast

from aiosmtpd.smtp import SMTP, syntax

from heliograph.limited import network

IDLE: Final = 300.0
"""Seconds that a command may take to come, and a whole mail after DATA (RFC 5321, 4.5.3.2.7, asks for so many)."""
HANDSHAKE: Final = 20.0
MOST_ERRORS: Final = 20
"""Refused commands of a connection, after which it is closed. Recipients that are one too many do not count."""
TOO_MANY_RECIPIENTS: Final = "452 4.5.3 Too many recipients, or of another kind: send it again to the others"
END: Final = b"\r\n.\r\n"
LOOPBACK: Final = ("127.", "::1")


class Owner(Protocol):
    """What counts connections."""

    def enter(self, visitor: "Visitor") -> str:
        """Count a connection; why it is turned away, "" when it is not."""
        ...

    def leave(self, visitor: "Visitor") -> None:
        """It is gone."""
        ...


class Visitor(SMTP):
    """A connection. `handler` has the hooks of aiosmtpd, `max_size` is in octets."""

    line_length_limit = 65536
    """Of commands it is `command_size_limits`; a line of a mail may be longer than anything."""
    command_size_limits: dict[str, int] = defaultdict(lambda: 1024)  # noqa: RUF012 - aiosmtpd has it so

    def __init__(
        self, handler: Any, owner: Owner, *, hostname: str, max_size: int, tls_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(
            handler,
            hostname=hostname,
            ident="ESMTP",
            enable_SMTPUTF8=True,
            data_size_limit=max_size,
            tls_context=tls_context,
            timeout=IDLE,
            loop=asyncio.get_running_loop(),
        )
        self.address = ""
        self.network = ""
        self.busy = False
        self.last = False
        self._owner = owner
        self._max_size = max_size
        self._errors = 0
        self._turned_away = False

    @property
    def secured(self) -> bool:
        """Whether STARTTLS was done."""
        return self._tls_protocol is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the owner count it; one too many is told so and cut."""
        name = transport.get_extra_info("peername")
        self.address = str(name[0]).removeprefix("::ffff:") if name else ""
        self.network = network(self.address)
        # A password that nobody on the way can read is one on this machine.
        self._auth_require_tls = not self.address.startswith(LOOPBACK)
        why = self._owner.enter(self)
        if why:
            self._turned_away = True
            wire = cast(asyncio.WriteTransport, transport)
            wire.write(f"421 4.7.0 {why}\r\n".encode())
            wire.close()
            return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Count it no longer."""
        if not self._turned_away:
            self._owner.leave(self)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client sends nothing more."""
        return False if self._turned_away else super().eof_received()

    def end(self) -> None:
        """Close it, after the answer to a mail that it has just handed in."""
        self.last = True
        if not self.busy and self.transport is not None:
            wire = cast(asyncio.WriteTransport, self.transport)
            wire.write(b"421 4.3.2 The server ends\r\n")
            wire.close()

    def abort(self) -> None:
        """Cut it."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    async def push(self, status: AnyStr) -> None:
        """Answer a command; after too many errors, or at the end of the server, that was the last one."""
        await super().push(status)
        text = status if isinstance(status, str) else bytes(status).decode("latin-1")
        if text.startswith(("4", "5")) and text != TOO_MANY_RECIPIENTS:
            self._errors += 1
        if self.transport is None or self.transport.is_closing():
            return
        if self._errors >= MOST_ERRORS:
            await super().push("421 4.7.0 Too many errors")
            self.transport.close()
        elif self.last and not self.busy:
            self.transport.close()

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:
        """Go on in TLS (RFC 3207). What came in the clear after the command is thrown away: nobody vouches for it."""
        if arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        elif self.tls_context is None or self.secured or self.transport is None:
            await self.push("503 5.5.1 TLS is not available, or there already")
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            await self._secure(self.transport, self.tls_context)

    async def _secure(self, plain: asyncio.BaseTransport, context: ssl.SSLContext) -> None:
        reader, writer = cast(Any, self._reader), cast(Any, self._writer)
        reader._buffer.clear()
        wire = cast(asyncio.WriteTransport, plain)
        try:
            # aiosmtpd's own way needs a class of asyncio that uvloop does not use, and that Python 3.11 has changed
            secure = await self.loop.start_tls(wire, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE)
        except OSError:  # ssl.SSLError is one as well
            wire.abort()
            return
        if secure is None:
            return
        self.transport = reader._transport = writer._transport = secure
        cast(Any, self)._over_ssl = True
        self._tls_protocol = cast(Any, secure)
        peer = self.session.peer if self.session else None
        self.session = self._create_session()
        self.session.peer, self.session.ssl = peer, {"cipher": secure.get_extra_info("cipher")}
        cast(Any, self)._set_rset_state()

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """Take a mail, and have the handler store it."""
        assert self.envelope is not None
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        else:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._take(await self._mail())

    async def _take(self, octets: bytes | None) -> None:
        if octets is None:
            cast(Any, self)._set_post_data_state()
            await self.push(f"552 5.3.4 A mail may have {self._max_size} octets")
            return
        assert self.envelope is not None
        self.envelope.content = self.envelope.original_content = octets
        self.busy = True
        try:
            status = await self._call_handler_hook("DATA")
        finally:
            self.busy = False
        cast(Any, self)._set_post_data_state()
        await self.push(status)

    async def _mail(self) -> bytes | None:
        """The octets of a mail, up to the line with a dot; None: too many, of which none is kept.

        Only CR LF ends a line here: who lets others end the mail can smuggle in a second one. aiosmtpd keeps a line of
        any length in memory.
        """
        cast(Any, self._reader)._buffer[:0] = b"\r\n"  # the line with the dot may be the first one
        pieces: list[bytes] = []
        size, done = 0, False
        while not done:
            try:
                piece = await self._reader.readuntil(END)
                done = True
            except asyncio.LimitOverrunError as long:
                piece = await self._reader.read(long.consumed)
            size += len(piece)
            if size <= self._max_size + len(END):
                pieces.append(piece)
            else:
                pieces.clear()
        if size > self._max_size + len(END):
            return None
        # Up to the line with the dot, of which the two first octets are those that were put in front.
        return b"".join(pieces)[: -len(b".\r\n")].replace(b"\r\n.", b"\r\n")[2:]
