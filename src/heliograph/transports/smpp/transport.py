"""The SMPP client of one carrier: spreads messages over its binds within window and rate, and collects the answers.

Knows messages and PDUs; no accounts, no money, no database.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from heliograph.transports.base import Events, Failed, MessageKey, Outcome, Outgoing, Retry, Sent
from heliograph.transports.memory import Recent
from heliograph.transports.options import SmppOptions
from heliograph.transports.pace import Pace
from heliograph.transports.smpp import pdu, receipts
from heliograph.transports.smpp.bind import Binder
from heliograph.transports.smpp.inbox import PARTS_TIMEOUT, Inbox
from heliograph.transports.smpp.session import Exchange, Request, Session
from heliograph.transports.smpp.submit import SubmitBuilder, UnfitMessage

log = structlog.get_logger(__name__)

REMEMBERED_IDS: Final = 50_000
REMEMBERED_REFERENCES: Final = 10_000
SEGMENT_TRIES: Final = 4
"""How often a segment of a long message is sent before its temporary error becomes the message's."""

AFTER_DISCONNECT: Final = 2.0
AFTER_REFUSED_VALIDITY: Final = 1.0
AFTER_ERROR: Final = 10.0
AFTER_SILENCE: Final = 10.0

THROTTLING: Final = frozenset({pdu.ESME_RTHROTTLED, pdu.ESME_RMSGQFUL})
TEMPORARY: Final = THROTTLING | {
    pdu.ESME_RINVBNDSTS,
    pdu.ESME_RSYSERR,
    pdu.ESME_RX_T_APPN,
    pdu.ESME_RUNKNOWNERR,
}
"""Statuses that another try may change. ESME_RSUBMITFAIL is none: carriers use it for what they never take."""

BIND_MODES: Final = {"transceiver": (pdu.BIND_TRANSCEIVER,), "pair": (pdu.BIND_TRANSMITTER, pdu.BIND_RECEIVER)}

NOT_CONNECTED: Final = Retry(AFTER_DISCONNECT, "not connected", waiting=True)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that no carrier asks to change: pauses, and how long to wait for what may never come."""

    throttle_pause: float = 1.0
    segment_pause: float = 1.0
    first_reconnect: float = 0.25
    open_wait: float = 2.0
    close_wait: float = 3.0
    unbind_wait: float = 1.0
    parts_timeout: float = PARTS_TIMEOUT


class _Job:
    """One call of `send`: a place for each outcome, and one future for all."""

    __slots__ = ("done", "left", "outcomes")

    def __init__(self, count: int) -> None:
        self.outcomes: list[Outcome] = [NOT_CONNECTED] * count
        self.left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class _Message:
    """A message under way: what its segments have come to."""

    __slots__ = ("doubt", "ids", "index", "job", "key", "left", "reference", "taken", "trouble", "with_validity")

    def __init__(
        self, job: _Job, index: int, key: MessageKey, segments: int, reference: int, with_validity: bool
    ) -> None:
        self.job = job
        self.index = index
        self.key = key
        self.reference = reference
        self.with_validity = with_validity
        self.ids = [""] * segments
        self.left = segments
        self.taken = 0
        self.doubt = False
        self.trouble: Retry | Failed | None = None

    @property
    def long(self) -> bool:
        return len(self.ids) > 1

    def outcome(self) -> Outcome:
        """Each id once: a carrier that gives all segments the same one sends one receipt for them."""
        trouble = self.trouble
        if trouble is None:
            return Sent(tuple(dict.fromkeys(filter(None, self.ids))))
        why = f"{trouble.why}; {self.taken} of {len(self.ids)} segments were taken" if self.taken else trouble.why
        if isinstance(trouble, Failed):
            return Failed(trouble.code, why)
        return Retry(trouble.after, why, trouble.code, self.doubt or self.taken > 0)


class _Segment(Exchange):
    """A submit_sm."""

    __slots__ = ("message", "number", "route", "tries")

    def __init__(self, route: "SmppTransport", message: _Message, number: int, body: bytes) -> None:
        super().__init__(body)
        self.route = route
        self.message = message
        self.number = number
        self.tries = 1

    def answered(self, status: int, body: bytes) -> None:
        if status == pdu.ESME_ROK:
            self.route._accepted(self, body)
        else:
            self.route._refused(self, status)

    def lost(self, why: str) -> None:
        self.message.doubt = True
        self.route._trouble(self, Retry(AFTER_SILENCE, why))


class SmppTransport:
    """A carrier that is reached as an SMPP 3.4 ESME over `options.binds` transceiver binds, or as many pairs.

    Of a pair, the transmitter takes what is sent and the receiver brings what the carrier delivers; each is opened
    again by itself. While only a transmitter is there, receipts wait at the carrier. They may also overtake the
    response that names their id, and have no key then.

    A long message goes as several submit_sm. A temporary error of one of them is retried here, up to SEGMENT_TRIES
    times in all. If that does not help, the outcome is Retry with `maybe_sent` as soon as any segment was taken; the
    next try sends all segments again under the same reference, so that a handset replaces those that it has.
    `options.rate` counts submit_sm, which is what carriers count.
    """

    def __init__(self, name: str, options: SmppOptions, *, timing: Timing | None = None) -> None:
        self.name = name
        self._options = options
        self._timing = timing or Timing()
        self._builder = SubmitBuilder(options)
        self._with_validity = True
        self._known: Recent[str, MessageKey] = Recent(2 * REMEMBERED_IDS)  # it keeps half for sure
        self._references: Recent[MessageKey, int] = Recent(REMEMBERED_REFERENCES)
        self._next_reference = itertools.count()
        self._waiting: deque[_Segment] = deque()
        self._delayed: dict[_Segment, asyncio.TimerHandle] = {}
        self._sessions: deque[Session] = deque()  # those that may submit
        self._receivers: set[Session] = set()
        self._jobs: set[_Job] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._inbox: Inbox
        self._pace: Pace
        self._loop: asyncio.AbstractEventLoop

    @property
    def connected(self) -> bool:
        """Whether there is a bind that may submit."""
        return bool(self._sessions) and not self._closing

    @property
    def ready(self) -> bool:
        """Bound, and not asked by the carrier to slow down at the moment."""
        return self.connected and not self._pace.paused_for

    @property
    def capacity(self) -> int:
        """Two windows, so that the next messages wait here; with a rate, what goes out within a second or two."""
        windows = 2 * self._options.binds * self._options.window
        return min(windows, math.ceil(2 * self._options.rate)) if self._options.rate else windows

    async def open(self, events: Events) -> None:
        """Start binding; returns after the first attempts, or after `Timing.open_wait` seconds."""
        self._loop = asyncio.get_running_loop()
        timing = self._timing
        self._pace = Pace(self._options.rate, timing.throttle_pause, self._loop.time)
        self._inbox = Inbox(self.name, self._options, events, self._known.get, timing.parts_timeout)
        binders = [self._binder(command) for command in BIND_MODES[self._options.bind_mode] * self._options.binds]
        self._closing = False
        self._tasks = [asyncio.create_task(binder.run()) for binder in binders]
        self._tasks.append(asyncio.create_task(self._keep_house()))
        first_tries = [asyncio.create_task(binder.tried.wait()) for binder in binders]
        _, pending = await asyncio.wait(first_tries, timeout=timing.open_wait)
        for task in pending:
            task.cancel()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Submit messages; returns when each has been answered, refused or given up."""
        if not self.connected:
            return [NOT_CONNECTED] * len(batch)
        job = _Job(len(batch))
        for index, outgoing in enumerate(batch):
            self._enqueue(job, index, outgoing)
        self._jobs.add(job)
        try:
            self._pump()
            if job.left:
                await job.done
        except asyncio.CancelledError:
            self._forget(job)
            raise
        finally:
            self._jobs.discard(job)
        return job.outcomes

    async def close(self) -> None:
        """Let what was written be answered and what was read be stored, unbind, and close: a few seconds at most."""
        self._closing = True
        if not self._tasks:
            return
        until = self._loop.time() + self._timing.close_wait
        self._strand()
        for segment in tuple(self._delayed):
            self._requeue(segment)
        if self._jobs:
            await asyncio.wait([job.done for job in self._jobs], timeout=self._timing.close_wait)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        try:
            async with asyncio.timeout_at(max(until, self._loop.time() + 1)):
                await self._inbox.settled()
        except TimeoutError:
            log.warning("smpp.closed_with_unstored", transport=self.name)
        bound = (*self._sessions, *self._receivers)
        await asyncio.gather(*(session.unbind(self._timing.unbind_wait) for session in bound))
        await self._inbox.stop()

    # What the sessions call

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        """What a session delivers."""
        self._inbox.put(session, requests)

    def on_room(self, session: Session) -> None:
        """A session can take more."""
        self._pump()

    def on_closed(self, session: Session) -> None:
        """A session is gone; its exchanges have been told."""
        self._receivers.discard(session)
        if session in self._sessions:
            self._sessions.remove(session)
        if not self._sessions:
            self._strand()

    # Binding

    def _binder(self, command: int) -> Binder:
        on_bound = self._receivers.add if command == pdu.BIND_RECEIVER else self._bound
        return Binder(self.name, self._options, command, self._make_session, on_bound, self._timing.first_reconnect)

    def _make_session(self) -> Session:
        return Session(
            self,
            frozenset({pdu.DELIVER_SM, pdu.DATA_SM}),
            window=self._options.window,
            enquire_link=self._options.enquire_link,
            response_timeout=self._options.response_timeout,
        )

    def _bound(self, session: Session) -> None:
        self._sessions.append(session)
        self._pump()

    async def _keep_house(self) -> None:
        """Look after parts that never become whole."""
        while True:
            await asyncio.sleep(self._timing.parts_timeout / 10)
            await self._inbox.give_up_parts()

    # Sending

    def _enqueue(self, job: _Job, index: int, outgoing: Outgoing) -> None:
        reference = self._references.get(outgoing.key)
        if reference is None:
            reference = next(self._next_reference) & 0xFF
        try:
            bodies = self._builder.bodies(outgoing, reference, with_validity=self._with_validity)
        except UnfitMessage as problem:
            job.put(index, Failed(None, str(problem)))
            return
        message = _Message(job, index, outgoing.key, len(bodies), reference, self._with_validity)
        self._waiting.extend(_Segment(self, message, number, body) for number, body in enumerate(bodies))

    def _pump(self) -> None:
        """Write as much of what waits as windows, sockets and the rate allow."""
        waiting = self._waiting
        if not waiting or not self._sessions:
            return
        self._sessions.rotate()
        left = min(len(waiting), self._pace.allowed())
        for rank, session in enumerate(tuple(self._sessions)):
            count = min(session.room, -(-left // (len(self._sessions) - rank)))
            if count:
                left -= count
                self._pace.spend(count)
                session.submit(pdu.SUBMIT_SM, [waiting.popleft() for _ in range(count)])
        if waiting and self._timer is None and any(session.room for session in self._sessions):
            # The pace holds them back; a second look at it could find a token that came since, and nothing to wait for.
            self._timer = self._loop.call_later(self._pace.wait(), self._pump_again)

    def _pump_again(self) -> None:
        self._timer = None
        self._pump()

    def _forget(self, job: _Job) -> None:
        """What was not written of a cancelled call must not be: its caller takes it for unsent."""
        self._waiting = deque(segment for segment in self._waiting if segment.message.job is not job)
        self._pump()

    def _strand(self) -> None:
        """Nothing that waits can be written any more."""
        stranded, self._waiting = self._waiting, deque()
        for segment in stranded:
            self._trouble(segment, NOT_CONNECTED)

    # Answers

    def _accepted(self, segment: _Segment, body: bytes) -> None:
        message = segment.message
        remote_id = receipts.response_id(pdu.read_c_string(body)[0], self._options.receipt_ids)
        if remote_id:
            message.ids[segment.number] = remote_id
            self._known.put(remote_id, message.key)
        message.taken += 1
        if self._pace.slowed:
            self._pace.accepted()
        self._settle(message)

    def _refused(self, segment: _Segment, status: int) -> None:
        name = pdu.status_name(status)
        if status in THROTTLING:
            self._slow_down(name)
        if status == pdu.ESME_RINVEXPIRY and segment.message.with_validity:
            self._leave_validity_out()
            self._trouble(segment, Retry(AFTER_REFUSED_VALIDITY, name, status))
        elif status not in TEMPORARY:
            self._trouble(segment, Failed(status, name))
        elif segment.message.long and segment.tries < SEGMENT_TRIES and not self._closing:
            self._try_again(segment)
        else:
            after = self._pace.paused_for if status in THROTTLING else AFTER_ERROR
            self._trouble(segment, Retry(after, name, status))

    def _leave_validity_out(self) -> None:
        """From now on; what is in flight with a validity will be refused as well, and comes again without one."""
        if self._with_validity:
            log.warning("smpp.validity_refused", transport=self.name)
        self._with_validity = False

    def _slow_down(self, name: str) -> None:
        if not self._pace.paused_for:
            self._pace.throttled()
            log.warning("smpp.throttled", transport=self.name, status=name, pause=round(self._pace.paused_for, 1))

    def _try_again(self, segment: _Segment) -> None:
        pause = max(self._pace.paused_for, self._timing.segment_pause * segment.tries)
        segment.tries += 1
        self._delayed[segment] = self._loop.call_later(pause, self._requeue, segment)

    def _requeue(self, segment: _Segment) -> None:
        self._delayed.pop(segment).cancel()
        if segment.message.job.done.cancelled():
            return
        if self._sessions and not self._closing:
            self._waiting.appendleft(segment)
            self._pump()
        else:
            self._trouble(segment, NOT_CONNECTED)

    def _trouble(self, segment: _Segment, trouble: Retry | Failed) -> None:
        """A segment that is not taken; a refusal for good outweighs what might pass."""
        message = segment.message
        if message.trouble is None or isinstance(trouble, Failed):
            message.trouble = trouble
        self._settle(message)

    def _settle(self, message: _Message) -> None:
        message.left -= 1
        if message.left:
            return
        outcome = message.outcome()
        if message.long and isinstance(outcome, Retry):
            self._references.put(message.key, message.reference)
        message.job.put(message.index, outcome)
