"""What a carrier delivers: receipts and messages, stored first and acknowledged after. Knows nothing of submits."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import structlog

from heliograph.settings import SmppOptions
from heliograph.transports.base import Events, Inbound, MessageKey, Receipt
from heliograph.transports.smpp import pdu, receipts
from heliograph.transports.smpp.address import text_of
from heliograph.transports.smpp.parts import Assembler, Whole
from heliograph.transports.smpp.pdu import PduError, ShortMessage
from heliograph.transports.smpp.session import Request, Session

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 1000
"""Deliveries in one call of on_receipts."""
MOST_WAITING: Final = 5000
"""Deliveries in memory before the peers have to wait."""

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
        self._assembler = Assembler(options.alphabet, asyncio.get_running_loop().time, parts_timeout)
        self._waiting: deque[Delivery] = deque()
        self._paused: set[Session] = set()
        self._worker: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

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

    async def give_up_parts(self, everything: bool = False) -> None:
        """Report long messages whose parts are overdue (or all of them) as far as they came."""
        async with self._one_at_a_time:
            await self._report_overdue(everything)

    async def _work(self) -> None:
        waiting = self._waiting
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), MOST_AT_ONCE))]
            async with self._one_at_a_time:
                await self._handle(batch)
            if self._paused and len(waiting) < MOST_WAITING // 2:
                for session in self._paused:
                    session.resume_reading()
                self._paused.clear()

    async def _handle(self, batch: Sequence[Delivery]) -> None:
        reported: list[Receipt] = []
        receipted: list[Delivery] = []
        messages: list[tuple[Delivery, ShortMessage]] = []
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
                messages.append((delivery, message))
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
            _answer(receipted, await self._store(reported))
        for (session, request), message in messages:
            session.answer([request], await self._take(message), b"\0")

    async def _store(self, reported: Sequence[Receipt]) -> int:
        """Status for the receipts' acknowledgements: a temporary error lets the carrier send them again."""
        if not reported:
            return pdu.ESME_ROK
        try:
            await self._events.on_receipts(reported)
        except Exception:  # whatever broke there, the other messages must go on, and the carrier keeps these
            log.exception("smpp.receipts_not_stored", transport=self._name, count=len(reported))
            return pdu.ESME_RX_T_APPN
        return pdu.ESME_ROK

    async def _take(self, message: ShortMessage) -> int:
        """Status for a message's acknowledgement. A part is acknowledged at once, the last one with the whole."""
        whole = self._assembler.add(message)
        if whole is None:
            if self._assembler.full:
                await self._report_overdue(everything=False)
            return pdu.ESME_ROK
        if not await self._report(whole):
            return pdu.ESME_RX_T_APPN
        self._assembler.remove(whole)
        return pdu.ESME_ROK

    async def _report_overdue(self, everything: bool) -> None:
        for whole in self._assembler.overdue(everything):
            if await self._report(whole):
                self._assembler.remove(whole)

    async def _report(self, whole: Whole) -> bool:
        message = Inbound(
            transport=self._name,
            channel="sms",
            sender=text_of(whole.source),
            recipient=text_of(whole.dest),
            body=whole.text,
            at=int(time.time()),
        )
        try:
            await self._events.on_inbound(message)
        except Exception:  # as above
            log.exception("smpp.message_not_stored", transport=self._name)
            return False
        return True


def _answer(deliveries: Sequence[Delivery], status: int) -> None:
    for session, run in groupby(deliveries, key=itemgetter(0)):
        session.answer([request for _, request in run], status, b"\0")
