"""What a carrier delivers: receipts and messages, stored first and acknowledged after. Knows nothing of submits."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Final

import structlog

from heliograph.transports.base import Events, Inbound, MessageKey, Part, Receipt
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu, receipts
from heliograph.transports.smpp.address import text_of
from heliograph.transports.smpp.parts import join, take_apart, whole
from heliograph.transports.smpp.pdu import PduError, ShortMessage
from heliograph.transports.smpp.session import Request, Session

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 1000
"""Deliveries in one call of on_receipts."""
MOST_WAITING: Final = 5000
"""Deliveries in memory before the peers have to wait."""

PARTS_AT_ONCE: Final = 100
"""Parts that are stored together. Each may be the last of a message that runs rules, and requests wait for the commit.
"""

PARTS_TIMEOUT: Final = 300.0
MOST_INCOMPLETE: Final = 1000
"""Long messages of a carrier that wait for parts; the oldest beyond are given up."""

Delivery = tuple[Session, Request]


class Inbox:
    """Takes the deliver_sm and data_sm of all binds of a carrier, in the order in which they were read.

    `recall` gives the message that a remote id belongs to, while it is remembered.
    """

    def __init__(
        self,
        name: str,
        options: SmppOptions,
        events: Events,
        recall: Callable[[str], MessageKey | None],
        parts_timeout: float,
    ) -> None:
        self._name = name
        self._options = options
        self._events = events
        self._recall = recall
        self._join = partial(whole, default=options.alphabet)
        self._parts_timeout = parts_timeout
        self._opened = asyncio.get_running_loop().time()
        self._unlooked = 0
        self._waiting: deque[Delivery] = deque()
        self._paused: set[Session] = set()
        self._worker: asyncio.Task[None] | None = None

    def put(self, session: Session, requests: Sequence[Request]) -> None:
        """Take what a session read. When too much waits, the session reads no more for a while."""
        self._waiting.extend((session, request) for request in requests)
        if len(self._waiting) > MOST_WAITING:
            session.pause_reading()
            self._paused.add(session)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def settled(self) -> None:
        """Return when nothing waits."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def stop(self) -> None:
        """End at once: what is not acknowledged yet comes again at the next bind."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def give_up_parts(self) -> None:
        """Report long messages whose parts are overdue, or that are too many, as far as they came.

        None is overdue before the carrier had its time to bring the rest, also after a long stop of this process.
        """
        self._unlooked = 0
        had_its_time = asyncio.get_running_loop().time() >= self._opened + self._parts_timeout
        age = self._parts_timeout if had_its_time else math.inf
        given_up = self._events.on_overdue_parts(self._name, age, MOST_INCOMPLETE, self._join)
        await self._status(given_up, "smpp.parts_not_given_up")

    async def _work(self) -> None:
        waiting = self._waiting
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), MOST_AT_ONCE))]
            await self._handle(batch)
            if self._paused and len(waiting) < MOST_WAITING // 2:
                for session in self._paused:
                    session.resume_reading()
                self._paused.clear()

    async def _handle(self, batch: Sequence[Delivery]) -> None:
        reported: list[Receipt] = []
        receipted: list[Delivery] = []
        messages: list[tuple[Delivery, Part | Inbound]] = []
        now = int(time.time())
        for delivery in batch:
            session, request = delivery
            try:
                message = pdu.decode_short_message(request.command, request.body)
            except PduError as problem:
                log.warning("smpp.unreadable", transport=self._name, peer=session.peer, why=str(problem))
                session.answer([request], pdu.ESME_RINVPARLEN, b"\0")
                continue
            report = receipts.sort(message, self._options.receipt_ids)
            if report == "message":
                messages.append((delivery, self._arrived(message, now)))
                continue
            receipted.append(delivery)
            if report == "nothing":
                kind = f"0x{message.esm_class:02X}"
                log.warning("smpp.receipt_unreadable", transport=self._name, peer=session.peer, esm_class=kind)
                log.debug("smpp.receipt_octets", transport=self._name, octets=message.content.hex())
            else:
                key = self._recall(report.remote_id)
                reported.append(Receipt(self._name, report.remote_id, report.state, now, report.error, report.raw, key))
        if receipted:
            _answer(receipted, await self._store_receipts(reported))
        for is_part, run in groupby(messages, key=lambda one: isinstance(one[1], Part)):
            together = PARTS_AT_ONCE if is_part else 1
            arrived = list(run)
            for start in range(0, len(arrived), together):
                await self._take(arrived[start : start + together])

    async def _store_receipts(self, reported: Sequence[Receipt]) -> int:
        if not reported:
            return pdu.ESME_ROK
        return await self._status(self._events.on_receipts(reported), "smpp.receipts_not_stored", count=len(reported))

    def _arrived(self, message: ShortMessage, now: int) -> Part | Inbound:
        place, octets = take_apart(message)
        sender, recipient = text_of(message.source), text_of(message.dest)
        coding = message.data_coding
        if place is not None:
            ends = (self._name, sender, recipient)
            return Part(*ends, place.reference, place.total, place.number, coding, octets, now)
        return Inbound(self._name, "sms", sender, recipient, join([(coding, octets)], self._options.alphabet), now)

    async def _take(self, arrived: Sequence[tuple[Delivery, Part | Inbound]]) -> None:
        """Store and acknowledge: a part when it is durable, the last one with the whole message."""
        statuses = await asyncio.gather(*(self._store(one) for _, one in arrived))
        for ((session, request), _), status in zip(arrived, statuses, strict=True):
            session.answer([request], status, b"\0")
        self._unlooked += sum(isinstance(one, Part) for _, one in arrived)
        if self._unlooked >= MOST_INCOMPLETE // 10:
            await self.give_up_parts()

    async def _store(self, one: Part | Inbound) -> int:
        if isinstance(one, Part):
            return await self._status(self._events.on_part(one, self._join), "smpp.part_not_stored")
        return await self._status(self._events.on_inbound(one), "smpp.message_not_stored")

    async def _status(self, storing: Awaitable[None], event: str, **more: int) -> int:
        """Status for the acknowledgement of what is stored: a temporary error lets the carrier send it again."""
        try:
            await storing
        except Exception:  # whatever broke there, the other messages must go on, and the carrier keeps these
            log.exception(event, transport=self._name, **more)
            return pdu.ESME_RX_T_APPN
        return pdu.ESME_ROK


def _answer(deliveries: Sequence[Delivery], status: int) -> None:
    for session, run in groupby(deliveries, key=itemgetter(0)):
        session.answer([request for _, request in run], status, b"\0")
