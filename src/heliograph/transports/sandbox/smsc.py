"""A simulated SMSC: a real SMPP 3.4 server whose subscribers behave by the last digits of their number.

docs/sandbox.md lists the scenarios. It counts what it does and keeps no messages but those on their way.
"""

import asyncio
import itertools
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from heliograph.transports.memory import Recent
from heliograph.transports.sandbox.scenarios import Scenario, receipts, scenario_of
from heliograph.transports.sandbox.visits import Visitor
from heliograph.transports.smpp import parts, pdu
from heliograph.transports.smpp.address import address_of, text_of
from heliograph.transports.smpp.pdu import Bind, PduError, ShortMessage
from heliograph.transports.smpp.session import Exchange, Request, Session

log = structlog.get_logger(__name__)

SYSTEM_ID: Final = b"heliograph-smsc\0"
SERVED: Final = pdu.BINDS | {pdu.SUBMIT_SM}
WINDOW: Final = 1000
"""deliver_sm that an ESME may leave unanswered."""
ENQUIRE_LINK: Final = 30.0
RESPONSE_TIMEOUT: Final = 10.0

TIMER_ROUNDING: Final = 0.002
"""Seconds by which a timer may seem due later than it was asked for: uvloop counts milliseconds."""

THROTTLINGS: Final = 3
TRIES_REMEMBERED: Final = 10_000
TRIES_FORGOTTEN_AFTER: Final = 300.0
"""Seconds after which the same text to the same number is a new message, throttled or dropped anew."""
MOST_DELIVERY_TRIES: Final = 5
MOST_WAITING: Final = 100_000
"""deliver_sm that wait for one ESME; beyond that its submits are answered with ESME_RMSGQFUL."""

INCOMPLETE_REMEMBERED: Final = 2000
"""Long messages that wait for parts; a simulation keeps them in memory, and forgets the oldest."""

OnMessage = Callable[[str, str, str], None]
"""Told of each whole message: sender, recipient, text."""
Authenticate = Callable[[Bind], bool]


class _Delivery(Exchange):
    """A deliver_sm on its way to an ESME; `done` gets the status that it was answered with in the end."""

    __slots__ = ("account", "done", "smsc", "tries")

    def __init__(
        self, smsc: "SimulatedSmsc", account: str, body: bytes, done: asyncio.Future[int] | None = None
    ) -> None:
        super().__init__(body)
        self.smsc = smsc
        self.account = account
        self.done = done
        self.tries = 1

    def answered(self, status: int, body: bytes) -> None:
        self.smsc._delivered(self, status)

    def lost(self, why: str) -> None:
        self.smsc._queue(self.account, [self])

    def unclear(self, why: str) -> None:
        self.smsc._delivered(self, pdu.ESME_RUNKNOWNERR)


class _Account:
    """An ESME: its receiving binds and what waits for them."""

    def __init__(self) -> None:
        self.receivers: list[Session] = []
        self.waiting: deque[_Delivery] = deque()


class SimulatedSmsc:
    """An SMPP server. Its counters are `counts`: binds, submits, receipts, mo, acknowledged, undelivered.

    `authenticate` decides on binds; without it every ESME is let in. Receipts and replies come `receipt_delay`
    seconds after the response, delayed ones after `long_delay`; what an ESME refuses comes again after `retry_delay`.
    A connection that does not bind within `bind_timeout` seconds is closed. `tls` makes it speak TLS. Subscribers open
    links by `visitor`; without it they do not.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate | None = None,
        on_message: OnMessage | None = None,
        receipt_delay: float = 0.02,
        long_delay: float = 30.0,
        retry_delay: float = 1.0,
        bind_timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
        visitor: Visitor | None = None,
    ) -> None:
        self.authenticate = authenticate
        self.counts: Counter[str] = Counter()
        self._on_message = on_message
        self._receipt_delay = receipt_delay
        self._long_delay = long_delay
        self._retry_delay = retry_delay
        self._bind_timeout = bind_timeout
        self._tls = tls
        self._visitor = visitor
        self._sessions: set[Session] = set()
        self._bound: dict[Session, tuple[int, str]] = {}
        self._accounts: dict[str, _Account] = {}
        self._ids = itertools.count(time.time_ns())
        self._references = itertools.count()
        self._tries: Recent[tuple[str, int, bytes], tuple[int, float]] = Recent(TRIES_REMEMBERED)
        self._timers: set[asyncio.TimerHandle] = set()
        self._incomplete: Recent[tuple[str, str, int, int], dict[int, tuple[int, bytes]]] = Recent(
            INCOMPLETE_REMEMBERED
        )
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the port (a free one for 0). Raises OSError when it is taken."""
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(self._accept, host, port, ssl=self._tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, cut every connection, forget what was to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._visitor is not None:
            await self._visitor.stop()
        if self._server is None:
            return
        self._server.close()
        sessions = [session for session in self._sessions if not session.closed]
        for session in sessions:
            session.abort("the SMSC stops")
        for session in sessions:
            await session.wait_closed()
        await self._server.wait_closed()
        self._server = None

    def disconnect(self) -> None:
        """Cut every connection and go on listening, as a carrier does that restarts."""
        for session in tuple(self._sessions):
            session.abort("the SMSC hangs up")

    async def quiet(self, seconds: float) -> None:
        """Return when every receipt and reply that is due was acknowledged, after so many seconds at most."""
        end = self._loop.time() + seconds if self._server is not None else 0.0
        while end and self._loop.time() < end and self._busy():  # noqa: ASYNC110 - no one event tells of all this
            await asyncio.sleep(0.01)

    def _busy(self) -> bool:
        soon = self._loop.time() + self._receipt_delay + TIMER_ROUNDING
        return (
            any(timer.when() <= soon for timer in self._timers)
            or any(session.room < WINDOW for session in self._bound)
            or any(account.waiting and account.receivers for account in self._accounts.values())
            or (self._visitor is not None and self._visitor.busy)
        )

    async def deliver(self, sender: str, recipient: str, text: str) -> None:
        """Send an MO to the first ESME that receives; returns when each part of it is acknowledged.

        Raises ConnectionError when nobody is bound, or when the ESME refuses it for good.
        """
        account = next((name for name, known in self._accounts.items() if known.receivers), None)
        if account is None:
            raise ConnectionError("no receiver is bound")
        bodies = parts.deliveries(address_of(sender), address_of(recipient), text, next(self._references))
        answers: list[asyncio.Future[int]] = [self._loop.create_future() for _ in bodies]
        self._queue(account, [_Delivery(self, account, *pair) for pair in zip(bodies, answers, strict=True)])
        for status in await asyncio.gather(*answers):
            if status != pdu.ESME_ROK:
                raise ConnectionError(f"the ESME answered {pdu.status_name(status)}")
        self.counts["mo"] += 1

    # What the sessions call

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        """Binds and submits of one read: answered in one write, their receipts due at one moment."""
        answers: list[bytes] = []
        due: list[_Delivery] = []
        status: int | None = pdu.ESME_ROK
        for request in requests:
            if request.command in pdu.BINDS:
                answers.append(self._bind(session, request))
                continue
            status, remote_id = self._submit(session, request, due)
            if status is None:
                break
            body = pdu.c_string(remote_id) if remote_id else b""
            answers.append(pdu.encode(request.command | pdu.RESPONSE, status, request.sequence, body))
        session.write(answers)
        if status is None:
            session.close("scenario: the connection drops")
        if due:
            self._later(self._receipt_delay, lambda: self._queue(due[0].account, due))

    def on_room(self, session: Session) -> None:
        """The ESME acknowledged something, or reads again."""
        if session in self._bound:
            self._pump(self._accounts[self._bound[session][1]])

    def on_closed(self, session: Session) -> None:
        """A connection is gone; what it had not acknowledged waits for the ESME's next bind."""
        self._sessions.discard(session)
        _, name = self._bound.pop(session, (0, ""))
        account = self._accounts.get(name)
        if account is not None and session in account.receivers:
            account.receivers.remove(session)
            self._pump(account)

    # Binds

    def _accept(self) -> Session:
        session = Session(self, SERVED, window=WINDOW, enquire_link=ENQUIRE_LINK, response_timeout=RESPONSE_TIMEOUT)
        self._sessions.add(session)
        self._later(self._bind_timeout, lambda: self._drop_unbound(session))
        return session

    def _drop_unbound(self, session: Session) -> None:
        if session.closed:  # also one whose TLS handshake failed: nobody else tells of it
            self._sessions.discard(session)
        elif not session.bound:
            session.abort("did not bind in time")

    def _bind(self, session: Session, request: Request) -> bytes:
        """The response to a bind request; a refused ESME may try again on the same connection (SMPP 3.4, 2.2)."""
        bind = pdu.decode_bind(request.body)
        status = pdu.ESME_ROK
        if session.bound:
            status = pdu.ESME_RALYBND
        elif self.authenticate is not None and not self.authenticate(bind):
            status = pdu.ESME_RINVPASWD
        answer = pdu.encode(request.command | pdu.RESPONSE, status, request.sequence, SYSTEM_ID)
        if status == pdu.ESME_ROK:
            session.bound = True
            self._bound[session] = request.command, bind.system_id
            account = self._accounts.setdefault(bind.system_id, _Account())
            if request.command != pdu.BIND_TRANSMITTER:
                account.receivers.append(session)
                self._loop.call_soon(self._pump, account)  # the response goes first
            self.counts["binds"] += 1
        log.info("smsc.bind", system_id=bind.system_id, peer=session.peer, status=pdu.status_name(status))
        return answer

    # Submits

    def _submit(self, session: Session, request: Request, due: list[_Delivery]) -> tuple[int | None, str]:
        """Status and id for the response; None as status: taken, but the connection drops. Adds receipts to `due`."""
        kind, account = self._bound.get(session, (pdu.BIND_RECEIVER, ""))
        if kind == pdu.BIND_RECEIVER:
            return pdu.ESME_RINVBNDSTS, ""
        try:
            message = pdu.decode_short_message(request.command, request.body)
        except PduError:
            return pdu.ESME_RINVPARLEN, ""
        scenario = scenario_of(message.dest.text)
        status = self._verdict(message, scenario, account)
        if status != pdu.ESME_ROK:
            return status, ""
        remote_id = f"{next(self._ids):x}"
        self.counts["submits"] += 1
        made = [_Delivery(self, account, body) for body in receipts(message, remote_id, scenario)]
        self.counts["receipts"] += len(made)
        if scenario.delayed:
            self._later(self._long_delay, lambda: self._queue(account, made))
        else:
            due += made
        if self._on_message is not None or scenario.reply or scenario.echo or scenario.visit:
            self._arrived(account, message, scenario)
        dropped = scenario.dropped and self._try(message) == 1
        return None if dropped else pdu.ESME_ROK, remote_id

    def _verdict(self, message: ShortMessage, scenario: Scenario, account: str) -> int:
        if not (message.dest.text.isascii() and message.dest.text.isdigit()):
            return pdu.ESME_RINVDSTADR
        if len(self._accounts[account].waiting) >= MOST_WAITING:
            return pdu.ESME_RMSGQFUL
        if scenario.throttled and self._try(message) <= THROTTLINGS:
            return pdu.ESME_RTHROTTLED
        return scenario.status

    def _try(self, message: ShortMessage) -> int:
        """How often this text (or this part of it) was submitted; the reference in its header does not count."""
        place, octets = parts.take_apart(message)
        key = (message.dest.text, place.number if place else 0, octets)
        now = self._loop.time()
        tries, at = self._tries.get(key) or (0, now)
        tries = tries + 1 if now - at < TRIES_FORGOTTEN_AFTER else 1
        self._tries.put(key, (tries, now))
        return tries

    def _arrived(self, account: str, message: ShortMessage, scenario: Scenario) -> None:
        """Tell of the message once all its parts are there, and let the subscriber answer it."""
        text = self._whole(message)
        if text is None:
            return
        if self._on_message is not None:
            self._on_message(text_of(message.source), text_of(message.dest), text)
        if self._visitor is not None and scenario.visit:
            visitor = self._visitor
            self._later(self._receipt_delay, lambda: visitor.start(text, scenario.visit))
        answer = text if scenario.echo else scenario.reply
        if answer:
            made = [
                _Delivery(self, account, body)
                for body in parts.deliveries(message.dest, message.source, answer, next(self._references))
            ]
            self.counts["mo"] += 1
            self._later(self._receipt_delay, lambda: self._queue(account, made))

    def _whole(self, message: ShortMessage) -> str | None:
        """The text of a message, if this was all of it or its last part."""
        place, octets = parts.take_apart(message)
        if place is None:
            return parts.join([(message.data_coding, octets)], "gsm")
        key = (message.source.text, message.dest.text, place.reference, place.total)
        came = {**(self._incomplete.get(key) or {}), place.number: (message.data_coding, octets)}
        whole = len(came) == place.total
        self._incomplete.put(key, {} if whole else came)
        return parts.join((came[number] for number in sorted(came)), "gsm") if whole else None

    # Deliveries

    def _queue(self, name: str, deliveries: Iterable[_Delivery]) -> None:
        account = self._accounts[name]
        account.waiting.extend(deliveries)
        self._pump(account)

    def _pump(self, account: _Account) -> None:
        """Write what waits, as far as the windows of the receiving binds go."""
        waiting = account.waiting
        for session in account.receivers:
            count = min(session.room, len(waiting))
            if count:
                session.submit(pdu.DELIVER_SM, [waiting.popleft() for _ in range(count)])

    def _delivered(self, delivery: _Delivery, status: int) -> None:
        if status != pdu.ESME_ROK and delivery.tries < MOST_DELIVERY_TRIES:
            delivery.tries += 1
            self._later(self._retry_delay, lambda: self._queue(delivery.account, [delivery]))
            return
        if status != pdu.ESME_ROK:
            self.counts["undelivered"] += 1
            log.warning("smsc.undelivered", system_id=delivery.account, status=pdu.status_name(status))
        else:
            self.counts["acknowledged"] += 1
        if delivery.done is not None and not delivery.done.done():
            delivery.done.set_result(status)

    def _later(self, delay: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            work()

        timer = self._loop.call_later(delay, run)
        self._timers.add(timer)


async def serve_alone(host: str, port: int, system_id: str, password: str, on_message: OnMessage) -> None:
    """Run an SMSC until the task is cancelled. An empty `system_id` lets every ESME in. Raises OSError."""

    def known(bind: Bind) -> bool:
        return (bind.system_id, bind.password) == (system_id, password)

    smsc = SimulatedSmsc(authenticate=known if system_id else None, on_message=on_message)
    bound_to = await smsc.start(host, port)
    log.info("smsc.listening", host=host, port=bound_to)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await smsc.stop()
