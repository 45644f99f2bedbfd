"""Connections of ESMEs: from the first octet to a bind that may submit. Knows nothing of messages."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog

from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Forbidden, TooManyRequests, Unauthorized, Unavailable
from heliograph.esme import login as logins
from heliograph.esme.login import Login
from heliograph.limited import Bites, network
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import Bind
from heliograph.transports.smpp.session import Owner, Request, Session

log = structlog.get_logger(__name__)

SERVED: Final = pdu.BINDS | {pdu.SUBMIT_SM, pdu.DATA_SM, pdu.QUERY_SM, pdu.CANCEL_SM}
WINDOW: Final = 1000
"""deliver_sm that may be unanswered on a connection; the login's own window is smaller, as a rule."""
ENQUIRE_LINK: Final = 30.0
"""Facts K2."""
RESPONSE_TIMEOUT: Final = 10.0
BIND_TIMEOUT: float = 10.0
"""Seconds that a connection may take to bind."""
MOST_ATTEMPTS: Final = 3
"""Binds that a connection may try."""
MOST_CONNECTIONS: int = 1000
MOST_UNBOUND: int = 20
"""Connections of one address that are not bound yet."""
ANSWER_ID: Final = b"heliograph\0"
INTERFACE_VERSION: Final = pdu.TLV.pack(pdu.TAG_SC_INTERFACE_VERSION, 1) + b"\x34"


class Attempts(Protocol):
    """A limit for failed logins (http/windows.py)."""

    async def hit(self, *key: str) -> object:
        """Count an attempt. Raises TooManyRequests."""
        ...

    async def give_back(self, *key: str) -> None:
        """It was no failure."""
        ...


class Bound(msgspec.Struct):
    """A connection that is bound: for whom, and how many of its submits are under way."""

    login: Login
    who: Principal
    command: int
    in_flight: int = 0

    @property
    def sends(self) -> bool:
        """Whether it may submit."""
        return self.command != pdu.BIND_RECEIVER

    @property
    def receives(self) -> bool:
        """Whether it gets deliver_sm."""
        return self.command != pdu.BIND_TRANSMITTER


class Connection(Session):
    """A session that its server knows from its first moment on."""

    def __init__(self, owner: Owner, entered: Callable[["Connection"], None]) -> None:
        super().__init__(owner, SERVED, window=WINDOW, enquire_link=ENQUIRE_LINK, response_timeout=RESPONSE_TIMEOUT)
        self.address = ""
        self.attempts = 0
        self.binding = False
        self.state: Bound | None = None
        self._entered = entered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where it comes from, and let the server count it."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        self.address = str(name[0]) if name else ""
        self._entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the server; `state` is still there then."""
        super().connection_lost(exc)
        self.state = None


class Door:
    """Counts connections, and decides on binds."""

    def __init__(self, database: Database, vault: Vault, attempts: Attempts) -> None:
        self._database = database
        self._vault = vault
        self._attempts = attempts
        self.connections: set[Connection] = set()
        self._full, self._crowded = Bites("esme.full"), Bites("esme.unbound_of_one_address")

    def enter(self, connection: Connection) -> None:
        """Count a connection; one too many is cut. It has to bind soon."""
        unbound = [one for one in self.connections if one.state is None and one.address == connection.address]
        self.connections.add(connection)
        if len(self.connections) > MOST_CONNECTIONS:
            self._full.bite(connections=MOST_CONNECTIONS)
            connection.abort("too many connections")
        elif len(unbound) >= MOST_UNBOUND:
            self._crowded.bite(address=connection.address, connections=MOST_UNBOUND)
            connection.abort("too many connections that are not bound")
        else:
            asyncio.get_running_loop().call_later(BIND_TIMEOUT, _close_unbound, connection)

    def leave(self, connection: Connection) -> None:
        """Count it no longer."""
        self.connections.discard(connection)

    def bound(self, system_id: str) -> list[Connection]:
        """The binds of a system_id."""
        return [one for one in self.connections if one.state is not None and one.state.login.system_id == system_id]

    async def bind(self, connection: Connection, request: Request) -> None:
        """Answer a bind request. A refused ESME may try again, a few times (SMPP 3.4, 2.2)."""
        asked = pdu.decode_bind(request.body)
        if connection.state is not None or connection.binding:
            connection.answer([request], pdu.ESME_RALYBND)
            return
        connection.binding = True
        connection.attempts += 1
        try:
            status = await self._status(connection, request.command, asked)
        finally:
            connection.binding = False
        if status != pdu.ESME_ROK:
            connection.answer([request], status)
            if connection.attempts >= MOST_ATTEMPTS:
                connection.close("too many attempts to bind")
            log.warning("esme.bind_refused", peer=connection.peer, status=pdu.status_name(status))
            return
        connection.bound = True
        connection.answer([request], pdu.ESME_ROK, ANSWER_ID + INTERFACE_VERSION)
        log.info("esme.bound", system_id=asked.system_id, peer=connection.peer)

    async def _status(self, connection: Connection, command: int, asked: Bind) -> int:
        """The command_status of a bind; when it is ESME_ROK, the connection has its state."""
        try:
            found = await self._guarded(asked, connection.address)
        except (Unauthorized, TooManyRequests):
            return pdu.ESME_RINVPASWD
        except Forbidden:
            return pdu.ESME_RBINDFAIL
        except Unavailable:
            return pdu.ESME_RSYSERR
        mine, who = found
        if connection.closed or len(self.bound(mine.system_id)) >= mine.binds:
            return pdu.ESME_RBINDFAIL
        connection.state = Bound(mine, who, command)
        return pdu.ESME_ROK

    async def _guarded(self, asked: Bind, address: str) -> tuple[Login, Principal]:
        """Prove a login. An attempt is counted before it is tried, for the address and for the name.

        Raises Unauthorized, Forbidden, TooManyRequests, Unavailable.
        """
        keys = [("smpp", network(address)), ("smpp", network(address), asked.system_id[:15])]
        for key in keys:
            await self._attempts.hit(*key)
        found = await self._database.read(lambda tx: self._proven(tx, asked, address))
        for key in keys:
            await self._attempts.give_back(*key)
        return found

    def _proven(self, tx: Tx, asked: Bind, address: str) -> tuple[Login, Principal]:
        mine = logins.proven(tx, self._vault, asked.system_id, asked.password, address)
        if mine is None:
            raise Unauthorized
        return mine, logins.principal(tx, mine)


def _close_unbound(connection: Connection) -> None:
    if connection.state is None:
        connection.close("did not bind in time")
