"""Delivery: what happens to a message from the moment it is due until a carrier's answer is recorded.

The policy is the list of steps in `Delivery`. docs/one-sms.md follows a message through it.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from heliograph.accounts import account
from heliograph.billing import ledger, usage
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import message, receipts
from heliograph.messaging.channel import Channel
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.message import Code
from heliograph.messaging.refund import refund
from heliograph.messaging.routing import Router
from heliograph.messaging.rows import Key, Message
from heliograph.queue import claim, retry
from heliograph.queue.claim import Claimed
from heliograph.transports.base import Content, Failed, Outcome, Outgoing, Receipt, Retry, Sent

log = structlog.get_logger(__name__)

NO_ROUTE = Retry(after=60.0, why="no route fits")

UNROUTED = 100
"""Messages of a channel without a carrier that are looked at together, so that their timelines say what is missing."""

LOOK_AGAIN = 1.0
"""Seconds until messages that wait for a carrier to be there are looked at again."""

HELD = 60.0
"""Seconds until messages of what stands still are looked at again."""

MOST_TOLD = 10_000
"""Messages that are remembered to have been told of an outage: it has one line in a timeline, not one a look."""

VALID_UNTIL = "valid_until"
"""Key of the details of a message whose sender has limited its validity: Unix seconds."""

MOST_NAMES = 10_000
"""Usernames that are remembered for routes of single accounts."""


class Parcel(msgspec.Struct):
    """A claimed message on its way, and how long it may be (Unix seconds)."""

    claimed: Claimed
    row: Message
    valid_until: int


class Attempt(msgspec.Struct):
    """What became of handing a parcel over; `transport` is the name of the carrier, "" when none was asked."""

    parcel: Parcel
    transport: str
    outcome: Outcome


class Delivery:
    """How the messages of one channel leave the house: the hands of its loop (queue/worker.Hands).

    The steps run in the order in which they stand here, and each that ends or delays a message leaves a line in its
    timeline. Those of `before_handover` run in the transaction of the claim, those of `settle` in a second one;
    between the two no transaction is open. `lease` and `validity` are in seconds. `router` is asked each time, since
    a new configuration may replace it.
    """

    def __init__(
        self,
        database: Database,
        router: Callable[[], Router],
        channel: Channel,
        hooks: Hooks,
        *,
        lease: float,
        validity: float,
    ) -> None:
        self._database = database
        self._router = router
        self._channel = channel
        self._hooks = hooks
        self._lease = lease
        self._validity = validity
        self._held: dict[int, Claimed] = {}
        self._turns = claim.Turns()
        self._renew_at = 0.0
        self._names: dict[int, str] = {}
        self._look_at = 0.0
        self._told: set[Key] = set()
        self.before_handover = (
            self.leave_the_final,
            self.fail_opted_out,
            self.fail_expired,
            self.warn_of_doubles,
            self.hold,
        )

    async def take_over(self) -> None:
        """Take up at once what a process that was lost had in hand. Called before the loop begins.

        Where several processes work on a database, nobody knows which of them are gone: leases end there.
        """
        if self._database.alone:
            await self._database.write(lambda tx: claim.free(tx, self._channel.name), slow=True)

    # What the loop asks for.

    def room(self) -> int:
        """Messages that may be on their way at once."""
        if self._database.clock() < self._look_at:
            return 0
        return self._router().capacity(self._channel.medium) or UNROUTED

    async def take(self, limit: int) -> Sequence[Sequence[Parcel]]:
        """Claim up to `limit` messages, in batches that are carried each by itself."""
        parcels = await self._database.write(lambda tx: self.collect(tx, limit), urgent=False)
        self._held.update((parcel.claimed.queue_id, parcel.claimed) for parcel in parcels)
        if self._channel.lasting:
            return [[parcel] for parcel in parcels]
        return [parcels] if parcels else []

    async def carry(self, parcels: Sequence[Parcel]) -> None:
        """Choose a route for each, make the contents as its carrier takes them, hand over, record."""
        try:
            router = self._router()
            only = router.only(self._channel.medium)
            groups: dict[str, list[Parcel]] = {only: list(parcels)} if only else {}
            for parcel in () if only else parcels:
                groups.setdefault(await self._choose(router, parcel), []).append(parcel)
            ways = (self._hand_over(router, name, group) for name, group in groups.items())
            for result in await asyncio.gather(*ways, return_exceptions=True):
                if result is not None:
                    raise result
        finally:
            for parcel in parcels:
                self._held.pop(parcel.claimed.queue_id, None)

    async def renew(self) -> None:
        """Hold what is on its way for another lease, when a third of it has passed."""
        now = self._database.clock()
        if now < self._renew_at:
            return
        held = list(self._held.values())
        if held:
            await self._database.write(lambda tx: claim.renew(tx, held, self._lease), urgent=False)
        self._renew_at = now + self._lease / 3  # a renewal that failed is tried again before anything is claimed

    async def next_due(self) -> float | None:
        """When the next message is due; while no carrier is there, when they are looked at again."""
        due = await self._database.read(lambda tx: claim.next_due(tx, self._channel.name))
        return None if due is None else max(due, self._look_at)

    # Before the hand-over: in the transaction of the claim. A step gets parcels and returns those that go on.

    def collect(self, tx: Tx, limit: int) -> list[Parcel]:
        """Take due messages out of the queue, and run the steps before the hand-over."""
        claims = claim.claim(tx, self._channel.name, limit, self._lease, self._turns)
        messages = message.load(tx, [(claimed.user_id, claimed.message_id) for claimed in claims])
        claim.done(tx, [one for one in claims if (one.user_id, one.message_id) not in messages])
        parcels = [
            Parcel(claimed, row, self._valid_until(row))
            for claimed in claims
            if (row := messages.get((claimed.user_id, claimed.message_id)))
        ]
        for step in self.before_handover:
            parcels = step(tx, parcels)
        return parcels

    def leave_the_final(self, tx: Tx, parcels: list[Parcel]) -> list[Parcel]:
        """A message that is sent or final (its receipt came after a crash, or it was cancelled) leaves the queue."""
        final = [parcel for parcel in parcels if parcel.row.status not in message.OPEN]
        claim.done(tx, [parcel.claimed for parcel in final])
        return [parcel for parcel in parcels if parcel.row.status in message.OPEN] if final else parcels

    def fail_opted_out(self, tx: Tx, parcels: list[Parcel]) -> list[Parcel]:
        """A recipient who opted out after the message was accepted gets nothing."""
        gone = self._hooks.opted_out(tx, [parcel.row for parcel in parcels])
        refused = [parcel for parcel in parcels if parcel.row.key in gone]
        self._end(tx, [(parcel, Failed(None, _OPTED_OUT)) for parcel in refused])
        return [parcel for parcel in parcels if parcel.row.key not in gone] if gone else parcels

    def fail_expired(self, tx: Tx, parcels: list[Parcel]) -> list[Parcel]:
        """A message that no carrier took within its validity fails."""
        late = [parcel for parcel in parcels if tx.clock > parcel.valid_until]
        self._end(tx, [(parcel, Failed(None, _EXPIRED)) for parcel in late])
        return [parcel for parcel in parcels if tx.clock <= parcel.valid_until] if late else parcels

    def warn_of_doubles(self, tx: Tx, parcels: list[Parcel]) -> list[Parcel]:
        """A message whose last claim ended without an answer (a process was killed) may be sent twice."""
        lost = [parcel.row for parcel in parcels if parcel.claimed.lost]
        message.record(tx, [(*row.key, row.status, _CLAIMED_AGAIN) for row in lost])
        return parcels

    def hold(self, tx: Tx, parcels: list[Parcel]) -> list[Parcel]:
        """A message whose campaign stands still keeps its place, and is looked at again. The claim leaves no trace, so
        what was lost has been told before.
        """
        held = self._hooks.held(tx, [parcel.row for parcel in parcels])
        for parcel in parcels if held else ():
            if parcel.row.key in held:
                claim.release(tx, parcel.claimed, tx.clock + HELD)
        return [parcel for parcel in parcels if parcel.row.key not in held] if held else parcels

    # The hand-over: no transaction is open.

    async def _choose(self, router: Router, parcel: Parcel) -> str:
        """The name of the transport that gets a message; "" when no route fits."""
        row = parcel.row
        transport = router.choose(
            self._channel.medium,
            country=row.country,
            recipient=row.recipient,
            sender=row.sender,
            account=await self._username(row.user_id) if router.by_account else "",
            attempt=parcel.claimed.attempt,
        )
        return transport.name if transport else ""

    async def _username(self, user_id: int) -> str:
        if user_id not in self._names:
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            who = await self._database.read(lambda tx: account.by_user(tx, user_id))
            self._names[user_id] = who.username if who else ""
        return self._names[user_id]

    async def _hand_over(self, router: Router, name: str, group: Sequence[Parcel]) -> None:
        """Make what a transport gets of its parcels, give it those that could be made, and record what became of all.

        What could not be made is recorded before: a carrier may take its time.
        """
        if not name:
            await self._settle([Attempt(parcel, "", NO_ROUTE) for parcel in group])
            return
        contents = await self._channel.contents([parcel.row for parcel in group], router.limits_of(name))
        made = list(zip(group, contents, strict=True))
        broken = [Attempt(parcel, "", one) for parcel, one in made if isinstance(one, Retry | Failed)]
        ready = [(parcel, one) for parcel, one in made if not isinstance(one, Retry | Failed)]
        if broken:
            await self._settle(broken)
        if ready:
            outcomes = await router.transports[name].send([self._outgoing(parcel, one) for parcel, one in ready])
            said = zip(ready, outcomes, strict=True)
            await self._settle([Attempt(parcel, name, outcome) for (parcel, _), outcome in said])

    def _outgoing(self, parcel: Parcel, content: Content) -> Outgoing:
        row = parcel.row
        return Outgoing(
            key=row.message_key,
            sender=row.sender,
            recipient=row.recipient,
            content=content,
            valid_until=parcel.valid_until,
            attempt=parcel.claimed.attempt,
        )

    def _valid_until(self, row: Message) -> int:
        latest = int(max(row.date, row.schedule) + self._validity)
        return min(latest, int(row.known().get(VALID_UNTIL, latest)))

    async def _settle(self, attempts: Sequence[Attempt]) -> None:
        """Record outcomes. One that meets a defect takes no other with it, and what was taken does not go out again."""
        try:
            await self._database.write_until_taken(lambda tx: self.settle(tx, attempts))
        except Exception:
            if len(attempts) > 1:
                for one in attempts:
                    await self._settle([one])
                return
            log.exception("delivery.not_settled", message=attempts[0].parcel.row.message_id)
            if isinstance(attempts[0].outcome, Sent):
                await self._database.write_until_taken(lambda tx: self.take_out(tx, attempts[0]))
        else:
            self._note_the_told(attempts)

    def _note_the_told(self, attempts: Sequence[Attempt]) -> None:
        """Remember whose timeline says by now that it waits, so that it says so once. Only what is committed counts."""
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        for one in attempts:
            if isinstance(one.outcome, Retry) and (one.outcome.waiting or one.outcome.early):
                self._told.add(one.parcel.row.key)
            else:
                self._told.discard(one.parcel.row.key)

    # After the hand-over: one transaction for all that a batch came to.

    def settle(self, tx: Tx, attempts: Sequence[Attempt]) -> None:
        """Record what became of parcels: taken, due again, or failed with a refund."""
        refused = [one for one in attempts if isinstance(one.outcome, Retry)]
        self.record_taken(tx, [one for one in attempts if isinstance(one.outcome, Sent)])
        self.wait_for_a_carrier(tx, [one for one in refused if _retry(one).waiting])
        self.wait_for_a_turn(tx, [one for one in refused if _retry(one).early])
        self.try_again(tx, [one for one in refused if not (_retry(one).waiting or _retry(one).early)])
        self._end(tx, [(one.parcel, one.outcome) for one in attempts if isinstance(one.outcome, Failed)])

    def record_taken(self, tx: Tx, taken: Sequence[Attempt]) -> None:
        """The carrier has the message: it waits for receipts, or it is complete where there are none.

        This is recorded also for a claim that was lost meanwhile: the message is out. It may run twice for one answer,
        since the answer to a COMMIT can be lost.
        """
        if not taken:
            return
        words, unconfirmed = self._channel.words, self._channel.unconfirmed
        waiting: list[Attempt] = []
        complete: list[Key] = []
        reports: list[Receipt] = []
        events = []
        handed: dict[tuple[str, str], Message] = {}
        for one in taken:
            row, said = one.parcel.row, _sent(one)
            awaited = _is_awaited(row, said)
            if awaited:
                waiting.append(one)
            elif said.arrived or unconfirmed:
                reports.append(_report(tx, one))
            else:
                complete.append(row.key)
            status = message.SENT if awaited or unconfirmed else message.COMPLETED
            detail = f": {said.detail}" if said.detail else ""
            events.append((row.user_id, row.message_id, status, f"Taken by {one.transport}{detail}."))
            for remote_id in said.remote_ids:
                older = handed.get((one.transport, remote_id), row)
                if older.key != row.key:  # it hears of no receipt any more, but it still expires
                    handed["", older.message_id] = older
                handed[one.transport, remote_id] = row
        claim.done(tx, [one.parcel.claimed for one in taken])
        moved = message.move(tx, [one.parcel.row.key for one in waiting], message.SENT, Code.ACCEPTED, words.sent)
        receipts.end(tx, reports, self._hooks)
        message.move(tx, complete, message.COMPLETED, Code.DELIVERED, words.taken)
        message.record(tx, events)
        heard = [one for one in waiting if one.parcel.row.key in moved and self._expect_fewer(tx, one)]
        receipts.remember(tx, handed, self._hooks)
        for one in heard:
            self._complete(tx, one)

    def take_out(self, tx: Tx, taken: Attempt) -> None:
        """The carrier has the message, and recording what it said met a defect: it must not be sent at every lease."""
        row = taken.parcel.row
        claim.done(tx, [taken.parcel.claimed])
        words, said = self._channel.words, _sent(taken)
        ends = said.arrived or (self._channel.unconfirmed and not _is_awaited(row, said))
        status = message.COMPLETED if ends and not self._channel.unconfirmed else message.SENT
        code, text = (Code.DELIVERED, words.delivered) if ends else (Code.ACCEPTED, words.sent)
        message.move(tx, [row.key], status, code, text)
        message.record(tx, [(*row.key, status, f"Taken by {taken.transport}; its answer could not be recorded.")])
        if not self._channel.unconfirmed:
            receipts.remember(tx, {("", row.message_id): row}, self._hooks)

    def _expect_fewer(self, tx: Tx, taken: Attempt) -> bool:
        """A carrier may send fewer receipts than a message has parts (message_payload, or one id for all parts).

        Known before parked receipts are applied: each of them uses up its hand-over. Returns whether those that came
        already, and were taken for receipts of single parts, are all that will come.
        """
        row, remote_ids = taken.parcel.row, set(_sent(taken).remote_ids)
        spare = row.receipts_left - len(remote_ids)
        if spare <= 0:
            return False
        sql = (
            "UPDATE messages SET receipts_left = receipts_left - ? WHERE user_id = ? AND message_id = ?"
            " RETURNING receipts_left"
        )
        (left,) = tx.driver(sql, [spare, *row.key]).fetchone()
        return bool(left <= 0)

    def _complete(self, tx: Tx, taken: Attempt) -> None:
        """All receipts came before the hand-over was recorded; one that was parked may have completed it by now."""
        row = taken.parcel.row
        if message.load(tx, [row.key])[row.key].status == message.SENT:
            last = _sent(taken).remote_ids[-1]
            delivered = Receipt(taken.transport, last, state="delivered", at=tx.now, key=row.message_key)
            receipts.end(tx, [delivered], self._hooks)

    def wait_for_a_carrier(self, tx: Tx, waiting: Sequence[Attempt]) -> None:
        """The carrier is not there: this was no try. Messages keep their places, and go out when it is back.

        Where another carrier is there, they step back a little, so that they do not stand before its messages.
        """
        if not waiting:
            return
        others = self._router().capacity(self._channel.medium) > 0
        self._look_at = 0.0 if others else tx.clock + LOOK_AGAIN
        due = [_next_look(tx.clock, one.parcel.claimed) if others else one.parcel.claimed.due_at for one in waiting]
        self._release(tx, waiting, due)

    def wait_for_a_turn(self, tx: Tx, early: Sequence[Attempt]) -> None:
        """The carrier is there, and takes no more at the moment of what goes to one place: this was no try either."""
        self._release(tx, early, [tx.clock + _retry(one).after for one in early])

    def _release(self, tx: Tx, waiting: Sequence[Attempt], due: Sequence[float]) -> None:
        """Give messages back that were not tried. Their timelines say so once, and not at each look."""
        events = []
        for one, due_at in zip(waiting, due, strict=True):
            row = one.parcel.row
            if claim.release(tx, one.parcel.claimed, due_at) and row.key not in self._told:
                events.append((*row.key, row.status, f"Waits for {one.transport}: {_retry(one).why}."))
        message.record(tx, events)

    def try_again(self, tx: Tx, refused: Sequence[Attempt]) -> None:
        """Not taken: the message is due again after a pause."""
        events = []
        for one in refused:
            said, row = _retry(one), one.parcel.row
            pause = retry.pause(one.parcel.claimed.attempt, said.after)
            if claim.again(tx, one.parcel.claimed, tx.clock + pause):
                doubt = " The carrier may have taken it, so it may be sent twice." if said.maybe_sent else ""
                where = f" by {one.transport}" if one.transport else ""
                text = f"Not taken{where}: {said.why}. Next try in {pause:.0f} s.{doubt}"
                events.append((*row.key, row.status, text))
        message.record(tx, events)

    def _end(self, tx: Tx, failed: Sequence[tuple[Parcel, Failed]]) -> None:
        """Failed before a carrier took it: final, refunded, and reported like any other end.

        Not so what an earlier hand-over, whose claim was lost, has been taken by: a carrier has it.
        """
        if not failed:
            return
        held = claim.done(tx, [parcel.claimed for parcel, _ in failed])
        now = message.load(tx, [parcel.row.key for parcel, _ in failed])
        ours = [
            (parcel.row, said)
            for parcel, said in failed
            if parcel.claimed.queue_id in held and now[parcel.row.key].status in message.OPEN
        ]
        # Before the counters of a day, as where messages are accepted: two processes must not wait for each other.
        ledger.lock(tx, [row.user_id for row, _ in ours])
        reports = [
            Receipt(
                transport="",
                remote_id="",
                state="failed",
                at=tx.now,
                error=None if said.code is None else str(said.code),
                raw=said.why,
                key=row.message_key,
            )
            for row, said in ours
        ]
        ended = receipts.apply(tx, reports, self._hooks)
        tally = usage.Tally()
        refund(tx, (row for row, _ in ours if row.key in ended), self._channel, tally)
        tally.write(tx)


_OPTED_OUT = "The recipient opted out before the message was sent."
_EXPIRED = "The message expired before a carrier took it."
_CLAIMED_AGAIN = "Claimed again: an earlier hand-over ended without an answer, so it may be sent twice."


def _sent(taken: Attempt) -> Sent:
    assert isinstance(taken.outcome, Sent)
    return taken.outcome


def _report(tx: Tx, taken: Attempt) -> Receipt:
    """The receipt of what arrived with the hand-over."""
    said, key = _sent(taken), taken.parcel.row.message_key
    return Receipt(taken.transport, "", "delivered", tx.now, raw=said.detail, key=key, details=said.details)


def _next_look(now: float, claimed: Claimed) -> float:
    """All that wait are looked at together, in the order in which they were accepted."""
    return (now // LOOK_AGAIN + 1) * LOOK_AGAIN + claimed.queue_id % 100_000 * 1e-6


def _retry(refused: Attempt) -> Retry:
    assert isinstance(refused.outcome, Retry)
    return refused.outcome


def _is_awaited(row: Message, said: Sent) -> bool:
    """Whether the message waits for receipts: its channel has them, and the carrier will send them."""
    return row.receipts_left > 0 and bool(said.remote_ids) and not said.arrived
