"""deliver_sm on their way to the receiving binds of one system_id, in this process.

Rows are claimed for a lease, sent within the window, and settled together: other processes may have binds of the same
system_id, and what a lost process had claimed comes again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Forbidden, Unauthorized, Unavailable
from heliograph.esme import deliveries
from heliograph.esme import login as logins
from heliograph.esme.deliveries import Waiting
from heliograph.esme.login import Login
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.session import Exchange, Session

log = structlog.get_logger(__name__)

LEASE: Final = 60.0
"""Seconds; longer than an answer may take."""
LOOK_AGAIN: float = 1.0
"""Seconds between two looks: what another process has queued wakes nobody here."""
PAUSE: float = 2.0
"""Seconds before what was refused is sent again. What stands behind it waits meanwhile, to keep the order."""
STOP: Final = 5.0
"""Seconds that the end waits for what is under way; what is not settled then comes again after its lease."""
FOR_GOOD: Final = frozenset({pdu.ESME_RX_P_APPN, pdu.ESME_RX_R_APPN})
"""Answers that say that another try is of no use (SMPP 3.4, 5.1.3)."""


class _Delivery(Exchange):
    """A deliver_sm; `done` gets the status of its answer, None when there is none."""

    __slots__ = ("done",)

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, body: bytes) -> None:
        self._end(status)

    def lost(self, why: str) -> None:
        self._end(None)

    def _end(self, status: int | None) -> None:
        if not self.done.done():  # who waited for it may be gone
            self.done.set_result(status)


class Outbox:
    """Sends what waits for a system_id as long as there is a receiving bind."""

    def __init__(self, database: Database, login: Login) -> None:
        self._database = database
        self._login = login
        self._receivers: list[Session] = []
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no bind receives here."""
        return not self._receivers and (self._task is None or self._task.done())

    def join(self, session: Session) -> None:
        """A bind receives from now on."""
        self._receivers.append(session)
        self.stir()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def leave(self, session: Session) -> None:
        """It does no longer."""
        if session in self._receivers:
            self._receivers.remove(session)
        self.stir()

    def stir(self) -> None:
        """Something may be due, or there may be room."""
        self._stirred.set()

    async def stop(self) -> None:
        """Claim nothing more, and end when what is under way is settled."""
        self._receivers.clear()
        self.stir()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP)
            self._task.cancel()

    async def _work(self) -> None:
        while self._receivers:
            self._stirred.clear()
            try:
                pause = await self._round()
            except Unavailable:
                pause = LOOK_AGAIN
            if pause:
                await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stirred.wait(), seconds)
        except TimeoutError:
            return

    async def _round(self) -> float:
        """Send what there is room for; seconds to wait before the next round. Raises Unavailable."""
        system_id = self._login.system_id
        room = sum(min(session.room, self._login.window) for session in self._receivers)
        try:
            due = await self._database.read(self._look)
        except (Unauthorized, Forbidden):
            for session in self._receivers:
                session.close("the login is no longer good")
            return LOOK_AGAIN
        if not room or not due:
            return LOOK_AGAIN
        claimed = await self._database.write(lambda tx: deliveries.claim(tx, system_id, room, LEASE), urgent=False)
        if not claimed:
            return LOOK_AGAIN
        answers = await self._send(claimed)
        pairs = list(zip(claimed, answers, strict=True))
        again = [one.delivery_id for one, status in pairs if status not in (pdu.ESME_ROK, *FOR_GOOD)]
        done = [one.delivery_id for one, status in pairs if status in (pdu.ESME_ROK, *FOR_GOOD)]
        for _, status in pairs:
            if status in FOR_GOOD:
                log.warning("esme.refused_for_good", system_id=system_id, status=pdu.status_name(status or 0))
        pause = PAUSE if self._receivers else 0.0
        await self._database.write_until_taken(lambda tx: deliveries.settle(tx, done, again, pause))
        if again and self._receivers:
            await asyncio.sleep(PAUSE)
        return 0.0

    def _look(self, tx: Tx) -> bool:
        """Whether something is due. Raises Unauthorized, Forbidden: nothing may be sent any more."""
        logins.principal(tx, self._login)
        return deliveries.is_any_due(tx, self._login.system_id)

    async def _send(self, claimed: Sequence[Waiting]) -> list[int | None]:
        """Write each to a bind that has room, in their order, and wait for the answers; None: there is none."""
        sent = [_Delivery(one.body) for one in claimed]
        left = list(sent)
        for session in self._receivers:
            room = min(session.room, self._login.window)
            some, left = left[:room], left[room:]
            if some:
                session.submit(pdu.DELIVER_SM, some)
        for one in left:
            one.lost("no bind has room any more")
        return list(await asyncio.gather(*(one.done for one in sent)))
