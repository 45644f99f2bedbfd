"""One bind to a carrier, opened again whenever it is lost. Knows nothing of messages."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from heliograph.transports.options import SmppOptions
from heliograph.transports.pace import Backoff
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.session import Session
from heliograph.transports.tls import client_context

log = structlog.get_logger(__name__)

KINDS: Final = {
    pdu.BIND_TRANSCEIVER: "transceiver",
    pdu.BIND_TRANSMITTER: "transmitter",
    pdu.BIND_RECEIVER: "receiver",
}
STEADY: float = 10.0
"""Seconds that a bind has to last before the pauses begin at the first one again."""


class Binder:
    """Keeps a bind of one kind (`command`) open: `run` is a task for as long as the transport lives.

    `make_session` gives a fresh session, `on_bound` is told of each one that is bound. `tried` is set after the first
    attempt, however it ended.
    """

    def __init__(
        self,
        name: str,
        options: SmppOptions,
        command: int,
        make_session: Callable[[], Session],
        on_bound: Callable[[Session], None],
        first_pause: float,
    ) -> None:
        self.tried = asyncio.Event()
        self._name = name
        self._options = options
        self._command = command
        self._kind = KINDS[command]
        self._make_session = make_session
        self._on_bound = on_bound
        self._backoff = Backoff(first_pause, options.reconnect_max)

    async def run(self) -> None:
        """Bind, wait until the connection is lost, pause, and so on. Ends only by being cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            session = await self._attempt()
            self.tried.set()
            if session is not None:
                since = loop.time()
                await session.wait_closed()
                why = session.why_closed
                log.warning("smpp.lost", transport=self._name, bind=self._kind, peer=session.peer, why=why)
                if loop.time() - since >= STEADY:
                    self._backoff.reset()
            await asyncio.sleep(self._backoff.next())

    async def _attempt(self) -> Session | None:
        """A bound session, or None when there is nobody, or nobody who wants us; the log tells."""
        session: Session | None = None
        options = self._options
        try:
            async with asyncio.timeout(options.response_timeout):
                session = await self._connect()
                body = pdu.encode_bind(pdu.Bind(options.system_id, options.password, options.system_type))
                status, _ = await session.call(self._command, body)
        except (OSError, TimeoutError, UnicodeError) as problem:  # UnicodeError: a host that can be no name
            why = str(problem) or type(problem).__name__
            where = {"host": options.host, "port": options.port}
            log.warning("smpp.unreachable", transport=self._name, bind=self._kind, **where, why=why)
            return None
        else:
            if status != pdu.ESME_ROK:
                log.error("smpp.bind_refused", transport=self._name, bind=self._kind, status=pdu.status_name(status))
                return None
            log.info("smpp.bound", transport=self._name, bind=self._kind, peer=session.peer)
            session.bound = True
            self._on_bound(session)
            return session
        finally:
            if session is not None and not session.bound:
                session.abort("not bound")

    async def _connect(self) -> Session:
        options = self._options
        context = await client_context(options.tls_ca) if options.tls else None
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(self._make_session, options.host, options.port, ssl=context)
        return session
