"""An ESME by hand: it binds to a running server, acknowledges what it gets, and keeps it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self

from heliograph.db.engine import Tx
from heliograph.esme import login
from heliograph.esme.login import Login
from heliograph.transports.smpp import parts, pdu
from heliograph.transports.smpp.pdu import Address, ShortMessage
from support.server import Api, Running
from transports.conformance import PATIENCE
from transports.wire import Pdu, Wire

TO = "61491570156"
FROM = Address(5, 0, "Shop")
RECEIVING = pdu.BIND_RECEIVER
TRANSCEIVING = pdu.BIND_TRANSCEIVER
_names = itertools.count(1)


def add_login(server: Running, api: Api, *, subaccount_id: int = 0, **more: Any) -> tuple[str, str]:
    """system_id and password of a new login of an account."""

    def work(tx: Tx) -> tuple[str, str]:
        sub = subaccount_id or login.subaccount(tx, api.user_id, None)
        usual = {"system_id": f"esme{next(_names)}", "window": 100, "binds": 4}
        made = Login(user_id=api.user_id, subaccount_id=sub, password_hash="", **{**usual, **more})
        return made.system_id, login.add(tx, server.house.vault, made)

    found: tuple[str, str] = server.write(work)
    return found


class Esme:
    """`refuse` gives the status of the answer to a deliver_sm, None: no answer."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.delivered: list[ShortMessage] = []
        self.refuse: Callable[[ShortMessage], int | None] = lambda message: 0
        self._sequence = itertools.count(1)

    @classmethod
    async def connect(cls, server: Running) -> Self:
        return cls(await Wire.connect(server.smpp_port))

    async def bind(self, system_id: str, password: str, command: int = TRANSCEIVING) -> int:
        return (await self.ask(command, pdu.encode_bind(pdu.Bind(system_id, password)))).status

    def send(self, command: int, body: bytes = b"") -> int:
        """Write a request; its number."""
        sequence = next(self._sequence)
        self.wire.write(Pdu(command, 0, sequence, body))
        return sequence

    async def ask(self, command: int, body: bytes = b"") -> Pdu:
        return (await self.answers([self.send(command, body)]))[0]

    async def answers(self, sequences: Iterable[int]) -> list[Pdu]:
        """The responses to these requests, in the order of the requests."""
        wanted, found = list(sequences), {}
        while len(found) < len(wanted):
            got = await self.wire.read()
            if got.command & pdu.RESPONSE:
                found[got.sequence] = got
            else:
                self._take(got)
        return [found[sequence] for sequence in wanted]

    async def until(self, count: int) -> list[ShortMessage]:
        """What was delivered, once it is so much."""
        while len(self.delivered) < count:
            self._take(await self.wire.read())
        return self.delivered

    def _take(self, got: Pdu) -> None:
        if got.command == pdu.ENQUIRE_LINK:
            self.wire.write(Pdu(got.command | pdu.RESPONSE, 0, got.sequence, b""))
        if got.command != pdu.DELIVER_SM:
            return
        message = pdu.decode_short_message(got.command, got.body)
        status = self.refuse(message)
        if status is not None:
            self.wire.write(Pdu(got.command | pdu.RESPONSE, status, got.sequence, b"\0"))
        if status == 0:
            self.delivered.append(message)

    async def submit(self, text: str | bytes = "Hello", **more: Any) -> Pdu:
        return await self.ask(pdu.SUBMIT_SM, submit(text, **more))


@contextlib.asynccontextmanager
async def bound(server: Running, system_id: str, password: str, command: int = TRANSCEIVING) -> AsyncIterator[Esme]:
    esme = await Esme.connect(server)
    try:
        assert await esme.bind(system_id, password, command) == pdu.ESME_ROK
        yield esme
    finally:
        await esme.wire.close()


def submit(
    text: str | bytes = "Hello",
    *,
    to: str = TO,
    source: Address = FROM,
    registered: int = 1,
    data_coding: int = 0,
    schedule: str = "",
    validity: str = "",
    **more: Any,
) -> bytes:
    """Body of a submit_sm."""
    octets = text.encode() if isinstance(text, str) else text
    ends = pdu.encode_address(source), pdu.encode_address(Address(1, 1, to))
    usual = {"registered_delivery": registered, "data_coding": data_coding, "validity": pdu.c_string(validity)}
    body = pdu.encode_short_message(*ends, octets, **usual, **more)
    at = 1 + sum(map(len, ends)) + 3  # service type, addresses, esm_class, protocol, priority
    return body[:at] + pdu.c_string(schedule) + body[at + 1 :]


def long(text: str, reference: int = 7, **more: Any) -> list[bytes]:
    """Bodies of the submit_sm of the parts of a text in GSM 03.38."""
    pieces = parts.split(text.encode(), 0)
    return [
        submit(parts.header(reference, len(pieces), number) + piece, esm_class=pdu.UDHI, **more)
        for number, piece in enumerate(pieces, 1)
    ]


def id_of(answer: Pdu) -> str:
    assert answer.status == pdu.ESME_ROK, pdu.status_name(answer.status)
    return pdu.read_c_string(answer.body)[0]


async def soon(work: Any) -> Any:
    return await asyncio.wait_for(work, PATIENCE)
