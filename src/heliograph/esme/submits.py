"""What ESMEs submit, query and cancel: many submits in one transaction, and the ids that they were given.

Each part of a long message is stored and answered by itself, since an ESME with a window of one sends the next part
only then. The last one makes the message, which is priced once; all its ids are then known as ids of that message.
"""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from heliograph.accounts.account import Principal
from heliograph.channels import sending
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import ApiError
from heliograph.esme import deliveries, login, reading
from heliograph.esme.deliveries import COLUMNS, DELIVERED, ENROUTE, State, Submitted
from heliograph.esme.login import Login
from heliograph.esme.reading import Submit
from heliograph.ids import new_ids
from heliograph.messaging import cancel as cancelling
from heliograph.messaging import message, parts
from heliograph.messaging.channel import Accepted, Channel, Draft, Order
from heliograph.messaging.rows import Message
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.parts import join

PARTS_TIMEOUT: Final = 900
"""Seconds that a long message waits for its parts."""
MOST_INCOMPLETE: Final = 20_000
"""Long messages that wait for parts; the oldest beyond are given up."""
GIVEN_UP_AT_ONCE: Final = 100
FORGOTTEN_AFTER: Final = DAY
"""Seconds after the validity of a message for which its ids are still known."""


class Batch(msgspec.Struct):
    """What was read of a bind at once; `who` is brought up to date when it is taken."""

    login: Login
    who: Principal
    submits: list[Submit]


class Answer(NamedTuple):
    """command_status and message_id of a response."""

    status: int
    smpp_id: str = ""


class Taker:
    """Takes submits. `throttle` is in seconds, for accounts without a setting of their own."""

    def __init__(self, channel: Channel, throttle: int) -> None:
        self._channel = channel
        self._throttle = throttle

    def take(self, tx: Tx, batches: Sequence[Batch]) -> list[list[Answer] | ApiError]:
        """Accept the submits of many binds; an answer for each in order, or why a bind may submit nothing."""
        gathering = parts.Gathering(tx, [one.part for batch in batches for one in batch.submits if one.part])
        takings: list[_Taking | ApiError] = []
        for batch in batches:
            try:
                who = login.principal(tx, batch.login, batch.who)
            except ApiError as refused:
                takings.append(refused)
                continue
            before, batch.who = batch.who, who
            takings.append(_Taking(tx, self._channel, gathering, batch, before))
        good = [taking for taking in takings if isinstance(taking, _Taking)]
        self._place(tx, good)
        _remember(tx, good)
        return [taking.answers() if isinstance(taking, _Taking) else taking for taking in takings]

    def _place(self, tx: Tx, takings: Sequence["_Taking"]) -> None:
        """Place the messages of all binds together."""
        orders, placed = [], []
        for taking in takings:
            drafts = [entry.draft for entry in taking.entries if entry.draft is not None]
            if drafts:
                orders.append(self._order(taking, drafts))
                placed.append([entry for entry in taking.entries if entry.draft is not None])
        if not orders:
            return
        for entries, fates in zip(placed, sending.place(tx, orders), strict=True):
            for entry, fate in zip(entries, fates, strict=True):
                entry.fate = fate

    def _order(self, taking: "_Taking", drafts: list[Draft]) -> Order:
        who, own = taking.who, taking.who.throttle_seconds
        return Order(
            principal=who,
            channel=self._channel,
            request_id="",
            drafts=drafts,
            throttle=self._throttle if own is None else own,
        )


class _Entry(msgspec.Struct):
    """A submit on its way: `draft` is the message to place, None for a part that is not the last."""

    submit: Submit
    long_id: str = ""
    draft: Draft | None = None
    fate: Accepted | None = None
    smpp_id: str = ""

    @property
    def status(self) -> int:
        return pdu.ESME_ROK if self.fate is None else reading.code_of(self.fate.status)


class _Taking:
    """A batch in its transaction: parts are stored, and whole messages are drafted. `before` is what `who` was."""

    def __init__(self, tx: Tx, channel: Channel, gathering: parts.Gathering, batch: Batch, before: Principal) -> None:
        who = batch.who
        self.login, self.who = batch.login, who
        self.entries: list[_Entry] = []
        for submit in batch.submits:
            entry = _Entry(submit)
            if submit.part is not None:
                entry.long_id = gathering.long_id(submit.part)
                came = gathering.put(submit.part)
                if came is not None:
                    gathering.finish(submit.part.key)
                    given = msgspec.structs.replace(submit.given, body=join(((p.form, p.octets) for p in came), "gsm"))
                    entry.draft = reading.drafted(channel, who, given, submit.valid_until, tx.clock)
            elif who is before:
                entry.draft = submit.draft
            else:
                entry.draft = reading.drafted(channel, who, submit.given, submit.valid_until, tx.clock)
            self.entries.append(entry)

    def answers(self) -> list[Answer]:
        """In the order of the submits."""
        return [Answer(one.status, one.smpp_id if one.status == pdu.ESME_ROK else "") for one in self.entries]


def _remember(tx: Tx, takings: Sequence[_Taking]) -> None:
    """Give each submit that was taken its id, and keep what a receipt or a query will need."""
    made = [(taking, entry) for taking in takings for entry in taking.entries]
    fresh = iter(new_ids(sum(1 for _, entry in made if entry.long_id), tx.clock))
    given = []
    for taking, entry in made:
        fate = entry.fate
        if entry.status != pdu.ESME_ROK:
            continue
        entry.smpp_id = next(fresh) if entry.long_id or fate is None else fate.message_id
        given.append(_row(tx, taking, entry))
    tx.insert_rows("smpp_submits", COLUMNS, [msgspec.structs.astuple(row) for row in given])
    for taking, entry in made:
        if entry.fate is not None:
            _ended(tx, taking, entry, entry.fate)


def _row(tx: Tx, taking: _Taking, entry: _Entry) -> Submitted:
    submit, schedule = entry.submit, entry.draft.schedule if entry.draft else 0
    return Submitted(
        entry.smpp_id,
        taking.who.user_id,
        taking.login.system_id,
        None,
        entry.long_id or None,
        submit.registered,
        submit.source,
        submit.dest,
        0,
        max(tx.now, schedule),
    )


def _ended(tx: Tx, taking: _Taking, entry: _Entry, fate: Accepted) -> None:
    """The parts of a long message are now parts of a message, or of one that was refused with its last part."""
    if entry.long_id and entry.status == pdu.ESME_ROK:
        sql = "UPDATE smpp_submits SET message_id = ?, at = ? WHERE long_id = ?"
        tx.driver(sql, [fate.message_id, max(tx.now, fate.draft.schedule), entry.long_id])
    elif entry.long_id:
        _lose(tx, entry.long_id, deliveries.REJECTED)
    if entry.status == pdu.ESME_ROK and fate.draft.free:  # a documented test number: no carrier will report
        given = deliveries.of_message(tx, taking.who.user_id, fate.message_id)
        deliveries.report(tx, given, DELIVERED, fate.draft.body)


def _lose(tx: Tx, long_id: str, state: State) -> None:
    """No message comes of these parts: their ids say so from now on, and so do receipts."""
    given = [Submitted(*row) for row in tx.driver(f"{deliveries.SELECT} WHERE long_id = ?", [long_id]).fetchall()]
    tx.driver("UPDATE smpp_submits SET state = ? WHERE long_id = ?", [state.number, long_id])
    deliveries.report(tx, given, state, "")


def give_up(tx: Tx) -> bool:
    """End long messages whose parts are overdue; whether more are left. Half a message is not sent.

    Parts that only repeat those of a message that was whole before become known as ids of that message.
    """
    late = parts.overdue(tx, reading.TRANSPORT, tx.now - PARTS_TIMEOUT, MOST_INCOMPLETE)
    for long_id in late[:GIVEN_UP_AT_ONCE]:
        came, repeated = parts.take_out(tx, long_id)
        if came and not repeated:
            _lose(tx, long_id, deliveries.EXPIRED)
        elif came:
            _repeat(tx, long_id, repeated)
    return len(late) > GIVEN_UP_AT_ONCE


def _repeat(tx: Tx, long_id: str, whole: str) -> None:
    sql = "SELECT user_id, message_id FROM smpp_submits WHERE long_id = ? AND message_id IS NOT NULL LIMIT 1"
    found = tx.driver(sql, [whole]).fetchone()
    row = message.find(tx, *found) if found else None
    if row is None:
        _lose(tx, long_id, deliveries.REJECTED)
        return
    tx.driver("UPDATE smpp_submits SET message_id = ? WHERE long_id = ?", [row.message_id, long_id])
    if not message.MOVES[row.status]:
        given = [one for one in deliveries.of_message(tx, *row.key) if one.long_id == long_id]
        deliveries.report(tx, given, deliveries.state_of(row.status, row.status_text), row.body, row.error_code)


def forget(tx: Tx, validity: int, limit: int = 1000) -> bool:
    """Forget ids of messages that ended long ago; whether more are left. `validity` is in seconds."""
    before = tx.now - validity - FORGOTTEN_AFTER
    sql = "SELECT smpp_id FROM smpp_submits WHERE smpp_id < ? AND at < ? ORDER BY smpp_id LIMIT ?"
    old = [row[0] for row in tx.driver(sql, [new_ids(1, before)[0], before, limit]).fetchall()]
    tx.driver_in("DELETE FROM smpp_submits WHERE smpp_id IN ({})", [], old)
    return len(old) == limit


def query(tx: Tx, mine: Login, smpp_id: str) -> bytes | None:
    """Body of the answer to a query_sm (SMPP 3.4, 4.8.2); None for an id that this system_id was not given."""
    given, row = _find(tx, mine, smpp_id)
    if row is not None:
        state, error = deliveries.state_of(row.status, row.status_text), row.error_code or ""
        final = _final_date(tx, row) if not message.MOVES[row.status] else ""
    elif given is not None:
        state, error, final = State(given.state or ENROUTE.number, ""), "", ""
    else:
        return None
    code = int(error) & 0xFF if error.isascii() and error.isdecimal() and len(error) < 10 else 0
    return pdu.c_string(smpp_id) + pdu.c_string(final) + bytes((state.number, code))


def cancel(tx: Tx, channel: Channel, mine: Login, smpp_id: str) -> int:
    """Cancel what no carrier has been given yet; the command_status of the answer (SMPP 3.4, 4.9.2)."""
    given, row = _find(tx, mine, smpp_id)
    if row is not None:
        if not cancelling.cancel(tx, row.user_id, channel, [row.message_id]):
            return pdu.ESME_RCANCELFAIL
        deliveries.report(tx, deliveries.of_message(tx, *row.key), deliveries.DELETED, row.body)
        return pdu.ESME_ROK
    if given is None:
        return pdu.ESME_RINVMSGID
    came, _ = parts.take_out(tx, given.long_id or "")
    if not came:
        return pdu.ESME_RCANCELFAIL
    _lose(tx, given.long_id or "", deliveries.DELETED)
    return pdu.ESME_ROK


def _find(tx: Tx, mine: Login, smpp_id: str) -> tuple[Submitted | None, Message | None]:
    """What is known of an id that this system_id was given: its row, and its message if there is one."""
    row = tx.driver(f"{deliveries.SELECT} WHERE smpp_id = ? AND system_id = ?", [smpp_id, mine.system_id]).fetchone()
    if row is None:
        return None, None
    given = Submitted(*row)
    message_id = given.message_id if given.long_id else smpp_id
    return given, message.find(tx, given.user_id, message_id) if message_id else None


def _final_date(tx: Tx, row: Message) -> str:
    """When a message ended (SMPP 3.4, 7.1.1), in UTC; empty where no receipt says so."""
    sql = "SELECT max(timestamp) FROM receipts WHERE user_id = ? AND message_id = ?"
    (at,) = tx.driver(sql, [*row.key]).fetchone()
    return time.strftime("%y%m%d%H%M%S000+", time.gmtime(at)) if at else ""
