"""The SMPP server that customers bind to: requests come in, rows go into the database, answers go out after the commit.

docs/smpp-server.md says what it serves, decision 0017 why it is so.
"""

import asyncio
import ssl
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, Self

import structlog

from heliograph.accounts.vault import Vault
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import ApiError, Unavailable
from heliograph.esme import deliveries, reading, submits
from heliograph.esme import login as logins
from heliograph.esme.bind import Attempts, Bound, Connection, Door
from heliograph.esme.outbox import Outbox
from heliograph.esme.reading import Refused, Submit
from heliograph.esme.submits import Answer, Batch, Taker
from heliograph.messaging.channel import Channel
from heliograph.option import SettingsError
from heliograph.settings import Settings
from heliograph.transports.pace import Pace
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import PduError
from heliograph.transports.smpp.session import Request, Session

log = structlog.get_logger(__name__)

USUAL_PORT: Final = 2780
"""Of sandbox mode. `heliograph smsc` has 2775."""
UNBIND_WAIT: Final = 2.0
MOST_AT_ONCE: Final = 50
"""Submits of one bind in one order: a longer one would count as a bulk send."""

SUBMITS: Final = frozenset({pdu.SUBMIT_SM, pdu.DATA_SM})


class EsmeServer:
    """`async with EsmeServer(…) as server` listens; `port` and `tls_port` say where, 0: not."""

    def __init__(
        self, options: Settings, database: Database, vault: Vault, channels: Mapping[str, Channel], attempts: Attempts
    ) -> None:
        self.port = self.tls_port = 0
        self._options = options
        self._database = database
        self._channel = channels[SMS]
        self._taker = Taker(self._channel, options.throttle_seconds)
        self._door = Door(database, vault, attempts)
        self._outboxes: dict[str, Outbox] = {}
        self._paces: dict[str, Pace] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        """Listen. Raises SettingsError, DatabaseAway."""
        self._loop = asyncio.get_running_loop()
        self._database.on_wake(deliveries.WAKE, self._stir)
        if self._database.alone:
            await self._database.write(deliveries.free, slow=True)
        try:
            await self._listen()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Read nothing more, answer what was read, say goodbye."""
        for server in self._servers:
            server.close()
        connections = tuple(self.connections)
        for connection in connections:
            connection.pause_reading()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for connection in connections:
            connection.resume_reading()
        await asyncio.gather(*(outbox.stop() for outbox in self._outboxes.values()))
        await asyncio.gather(*(connection.unbind(UNBIND_WAIT) for connection in connections))
        for server in self._servers:
            await server.wait_closed()

    @property
    def connections(self) -> Collection[Connection]:
        """Those that are open."""
        return self._door.connections

    async def _listen(self) -> None:
        options = self._options
        wanted = options.smpp_port
        if wanted == "auto" and options.mode == "sandbox":
            try:
                self.port = await self._open("SMPP_PORT", USUAL_PORT)
            except SettingsError:
                self.port = await self._open("SMPP_PORT", 0)
        elif wanted not in ("auto", "off"):
            self.port = await self._open("SMPP_PORT", int(wanted))
        if options.smpp_tls_port != "off":
            self.tls_port = await self._open("SMPP_TLS_PORT", int(options.smpp_tls_port), self._context())
        if self._servers:
            log.info("esme.listening", host=options.smpp_host, port=self.port, tls_port=self.tls_port)

    async def _open(self, option: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen on a port (0: a free one); the port. Raises SettingsError."""
        try:
            server = await self._loop.create_server(self._connection, self._options.smpp_host, port, ssl=context)
        except (OSError, UnicodeError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise SettingsError(f"HELIOGRAPH_{option}={port}: cannot listen: {why}.") from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _context(self) -> ssl.SSLContext:
        """The server's side of TLS. Raises SettingsError."""
        options = self._options
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(options.smpp_tls_cert, options.smpp_tls_key or None)
        except OSError as problem:  # ssl.SSLError is one as well
            why = problem.strerror or problem
            raise SettingsError(f"HELIOGRAPH_SMPP_TLS_CERT={options.smpp_tls_cert}: {why}.") from None
        return context

    def _connection(self) -> Connection:
        return Connection(self, self._door.enter)

    # What the sessions call

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        """Requests of one read, in order: what needs the database is answered later, the rest at once."""
        assert isinstance(session, Connection)
        taken: list[tuple[Request, Submit]] = []
        for request in requests:
            bound = session.state
            if request.command in pdu.BINDS:
                self._start(self._bind(session, request))
            elif bound is None or not session.bound or not bound.sends:
                session.answer([request], pdu.ESME_RINVBNDSTS)
            elif request.command in SUBMITS:
                submit = self._read(session, bound, request)
                if submit is not None:
                    taken.append((request, submit))
            elif bound.in_flight >= bound.login.window:
                session.answer([request], pdu.ESME_RTHROTTLED)
            else:
                bound.in_flight += 1
                self._start(self._look_up(session, bound, request))
        if taken and session.state is not None:
            for begin in range(0, len(taken), MOST_AT_ONCE):
                self._start(self._take(session, session.state, taken[begin : begin + MOST_AT_ONCE]))

    def on_room(self, session: Session) -> None:
        """The ESME acknowledged something, or reads again."""

    def on_closed(self, session: Session) -> None:
        """A connection is gone."""
        assert isinstance(session, Connection)
        self._door.leave(session)
        if session.state is None:
            return
        name = session.state.login.system_id
        log.info("esme.unbound", system_id=name, peer=session.peer, why=session.why_closed)
        if name in self._outboxes:
            self._outboxes[name].leave(session)

    # Inside

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stir(self) -> None:
        for outbox in self._outboxes.values():
            outbox.stir()

    async def _bind(self, session: Connection, request: Request) -> None:
        before = session.state
        await self._door.bind(session, request)
        bound = session.state
        if bound is None or bound is before:
            return
        name = bound.login.system_id
        if len(self._door.bound(name)) == 1:
            self._paces[name] = Pace(bound.login.rate, 0.0, self._loop.time)
            if name not in self._outboxes or self._outboxes[name].is_idle:
                self._outboxes[name] = Outbox(self._database, bound.login)
        if bound.receives:
            self._outboxes[name].join(session)

    def _read(self, session: Connection, bound: Bound, request: Request) -> Submit | None:
        """A submit that may be taken; None: it was answered already."""
        pace = self._paces[bound.login.system_id]
        if bound.in_flight >= bound.login.window or pace.allowed() < 1:
            session.answer([request], pdu.ESME_RTHROTTLED)
            return None
        try:
            now = self._database.clock()
            submit = reading.read(self._channel, bound.who, bound.login.system_id, request, now)
        except Refused as refused:
            session.answer([request], refused.status)
            return None
        pace.spend(1)
        bound.in_flight += 1
        return submit

    async def _take(self, session: Connection, bound: Bound, taken: Sequence[tuple[Request, Submit]]) -> None:
        """Take submits together, and answer them after the commit."""
        batch = Batch(bound.login, bound.who, [submit for _, submit in taken])
        try:
            answers: Sequence[Answer] = await self._database.write_merged(self._taker.take, batch, weight=len(taken))
        except Unavailable:
            answers = [Answer(pdu.ESME_RSYSERR)] * len(taken)
        except ApiError as refused:
            log.warning("esme.shut_out", system_id=bound.login.system_id, why=refused.message)
            answers = [Answer(pdu.ESME_RSUBMITFAIL)] * len(taken)
            session.write(_encoded(taken, answers))
            session.close("the login is no longer good")
            return
        except Exception:
            log.exception("esme.not_taken", system_id=bound.login.system_id)
            answers = [Answer(pdu.ESME_RSYSERR)] * len(taken)
        bound.in_flight -= len(taken)
        bound.who = batch.who
        session.write(_encoded(taken, answers))

    async def _look_up(self, session: Connection, bound: Bound, request: Request) -> None:
        """Answer a query_sm or a cancel_sm."""
        body, status = b"", pdu.ESME_RSYSERR
        try:
            named = pdu.decode_named(request.command, request.body)
            if request.command == pdu.QUERY_SM:
                found = await self._database.read(lambda tx: self._queried(tx, bound, named.message_id))
                status, body = (pdu.ESME_ROK, found) if found is not None else (pdu.ESME_RINVMSGID, b"")
            else:
                status = await self._database.write(lambda tx: self._cancelled(tx, bound, named.message_id))
        except PduError:
            status = pdu.ESME_RINVPARLEN
        except Unavailable:
            status = pdu.ESME_RSYSERR
        except ApiError:
            session.close("the login is no longer good")
        finally:
            bound.in_flight -= 1
        session.answer([request], status, body)

    def _queried(self, tx: Tx, bound: Bound, smpp_id: str) -> bytes | None:
        logins.principal(tx, bound.login, bound.who)
        return submits.query(tx, bound.login, smpp_id)

    def _cancelled(self, tx: Tx, bound: Bound, smpp_id: str) -> int:
        logins.principal(tx, bound.login, bound.who)
        return submits.cancel(tx, self._channel, bound.login, smpp_id)


def _encoded(taken: Sequence[tuple[Request, Submit]], answers: Sequence[Answer]) -> list[bytes]:
    """The responses; one with an error has no body (SMPP 3.4, 4.4.2)."""
    return [
        pdu.encode(
            request.command | pdu.RESPONSE,
            status,
            request.sequence,
            pdu.c_string(smpp_id) if status == pdu.ESME_ROK else b"",
        )
        for (request, _), (status, smpp_id) in zip(taken, answers, strict=True)
    ]
