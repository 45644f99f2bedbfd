"""Accepting messages: check, price, charge, insert, enqueue, for many requests in one transaction.

A price request runs the same code and stops before the charge.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
import structlog

from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, usage
from heliograph.billing.prices import Rates, RatesError
from heliograph.billing.tariff import rates_of
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.ids import new_ids
from heliograph.messaging import counters, message
from heliograph.messaging.channel import Accepted, Draft, Order
from heliograph.messaging.rows import Message
from heliograph.phone import msisdn
from heliograph.queue import claim

BULK = 50
"""A request with more messages than this is queued behind single messages."""

Fingerprint = tuple[int, str, str, str]
"""(user_id, channel, recipient, body): what must not be sent twice within the throttle."""

_UNKNOWN = -1
log = structlog.get_logger(__name__)


def accept(tx: Tx, orders: Sequence[Order]) -> list[list[Accepted]]:
    """Accept (or price) the orders, one after the other; for each the fate of its drafts, in order."""
    rates = rates_of(tx)
    charged = [order for order in orders if not order.quote]
    balances = ledger.lock(tx, [order.principal.user_id for order in orders]) if charged else {}
    if not charged:
        balances = {order.principal.user_id: ledger.balance(tx, order.principal.user_id) for order in orders}
    recent = _recent(tx, orders)
    left = dict(balances)
    answers = []
    entries = []
    for order in orders:
        fates, cost = _judge(tx, order, rates, left, recent)
        answers.append(fates)
        if not order.quote and cost:
            entries.append((order.principal.user_id, -cost, order.channel.name, order.request_id))
    if entries:
        ledger.post_many(tx, balances, entries)
    accepted = [(order, fates) for order, fates in zip(orders, answers, strict=True) if not order.quote]
    _store(tx, accepted)
    _share(tx, [(order, fates) for order, fates in accepted if order.principal.terms.shared])
    return answers


def _judge(
    tx: Tx, order: Order, rates: Rates, left: dict[int, int], recent: set[Fingerprint]
) -> tuple[list[Accepted], int]:
    """Decide on each draft of an order; what all of them cost. `left` and `recent` are carried on."""
    who = order.principal
    ids = new_ids(len(order.drafts), tx.clock)
    fates = []
    total = 0
    prices = PriceList(order, rates)
    for draft, key in zip(order.drafts, ids, strict=True):
        status, price = draft.refusal or Status.SUCCESS, 0
        if draft.refusal is None and not draft.free:
            cost = prices.of(draft)
            fingerprint = (who.user_id, order.channel.name, draft.recipient, draft.body)
            if cost is None:
                status = Status.SOMETHING_IS_WRONG
            elif order.throttle and fingerprint in recent:
                status = Status.THROTTLED
            elif cost > left.get(who.user_id, 0):
                status = Status.INSUFFICIENT_CREDIT
            else:
                price = cost
                left[who.user_id] -= price
                total += price
                if order.throttle:
                    recent.add(fingerprint)
        fates.append(Accepted(draft, status, key, price, tx.now))
    return fates, total


class PriceList:
    """What the drafts of one order cost. A price is looked up once for each kind and country."""

    def __init__(self, order: Order, rates: Rates) -> None:
        self._order = order
        self._rates = rates
        self._units: dict[tuple[str, str], int | None] = {}

    def of(self, draft: Draft) -> int | None:
        """The price in micros: the sum of the draft's charges; None when the rates lack one of them."""
        price = 0
        country = draft.country
        for kind, units in draft.charges:
            unit = self._units.get((kind, country), _UNKNOWN)
            if unit is _UNKNOWN:
                unit = self._units[kind, country] = self._unit(kind, country)
            if unit is None:
                return None
            price += unit * units
        return price

    def _unit(self, kind: str, country: str) -> int | None:
        order, who = self._order, self._order.principal
        if order.gratis:
            return 0
        try:
            return who.terms.price(self._rates.price(order.channel.medium, kind, country, who.currency))
        except RatesError as problem:
            log.warning("message.unpriced", channel=order.channel.name, why=str(problem), request=order.request_id)
            return None


def _share(tx: Tx, accepted: Sequence[tuple[Order, list[Accepted]]]) -> None:
    """Book what resellers and referrers earn by these orders, once for each account."""
    spent: Counter[tuple[int, int]] = Counter()
    spenders: dict[int, Principal] = {}
    for order, fates in accepted:
        who = order.principal
        spenders[who.user_id] = who
        for fate in fates:
            if fate.status == Status.SUCCESS:
                spent[who.user_id, fate.date // DAY] += fate.price_micros
    for (user_id, day), micros in sorted(spent.items()):
        if micros:
            who = spenders[user_id]
            commission.book(tx, user_id, who.currency, who.terms, micros, day)


def _recent(tx: Tx, orders: Sequence[Order]) -> set[Fingerprint]:
    """Fingerprints of what was accepted within the throttle window of these orders."""
    window = max((order.throttle for order in orders), default=0)
    drafts = [d for order in orders if order.throttle for d in order.drafts if d.refusal is None]
    numbers = {msisdn(draft.recipient) for draft in drafts}
    if not window or not numbers:
        return set()
    found = tx.driver_in(
        "SELECT user_id, channel, recipient, body FROM messages WHERE date >= ? AND msisdn IN ({})",
        [tx.now - window],
        numbers,
    )
    return {(row[0], row[1], row[2], row[3]) for row in found}


def _store(tx: Tx, accepted: Sequence[tuple[Order, list[Accepted]]]) -> None:
    """Insert the messages and their queue rows: one multi-row insert for all orders together."""
    inserted: list[tuple[object, ...]] = []
    queued: dict[str, list[claim.Work]] = {}
    good = [(order, [fate for fate in fates if fate.status == Status.SUCCESS]) for order, fates in accepted]
    counts: Counter[tuple[int, str]] = Counter()
    for order, fates in good:
        counts[order.principal.user_id, order.channel.name] += len(fates)
    places = {key: counters.take(tx, *key, counts[key]) for key in sorted(counts) if counts[key]}
    tally = usage.Tally()
    for order, fates in good:
        if not fates:
            continue
        user_id, channel = order.principal.user_id, order.channel
        ordinal, date = places[user_id, channel.name]
        places[user_id, channel.name] = ordinal + len(fates), date
        day = tally.of(user_id, channel.medium, date, order.principal.subaccount_id)
        day.sent += len(fates)
        day.micros += sum(fate.price_micros for fate in fates)
        priority = claim.BULK if len(order.drafts) > BULK else claim.SINGLE
        work = queued.setdefault(channel.name, [])
        row = _blank(order, date)
        for place, fate in enumerate(fates, ordinal):
            _fill(row, fate, place)
            inserted.append(msgspec.structs.astuple(row)[:_INSERTED])
            fate.date = date
            if not fate.draft.free:
                due_at = row.schedule if row.schedule > date else tx.clock
                work.append(claim.Work(priority, due_at, user_id, fate.message_id))
    tx.insert_rows("messages", message.COLUMNS[:_INSERTED], inserted)
    tally.write(tx)
    for name, work in queued.items():
        if work:
            claim.enqueue(tx, name, work)


_INSERTED = message.COLUMNS.index("status_text")
"""How many columns a new message has; the others say what became of it."""


def _blank(order: Order, date: int) -> Message:
    """A row with what all messages of an order share. `_fill` sets the rest, for one message after the other."""
    who = order.principal
    return Message(
        user_id=who.user_id,
        channel=order.channel.name,
        ordinal=0,
        message_id="",
        subaccount_id=who.subaccount_id,
        date=date,
        schedule=date,
        sender="",
        recipient="",
        msisdn=None,
        country="",
        carrier="",
        body="",
        encoding="",
        units=0,
        receipts_left=0,
        price_micros=0,
        status="",
        status_code=None,
        custom_string="",
        from_email=None,
        list_id=None,
        contact_id=None,
        source="",
        request_id=order.request_id,
        campaign_id=order.campaign_id,
        details=None,
    )


def _fill(row: Message, fate: Accepted, ordinal: int) -> None:
    draft = fate.draft
    row.ordinal = ordinal
    row.message_id = fate.message_id
    row.schedule = draft.schedule or row.date
    row.sender = draft.sender
    row.recipient = draft.recipient
    row.msisdn = msisdn(draft.recipient)
    row.country = draft.country
    row.carrier = draft.carrier
    row.body = draft.body
    row.encoding = draft.encoding
    row.units = draft.units
    row.receipts_left = draft.awaits
    row.price_micros = fate.price_micros
    row.custom_string = draft.custom_string
    row.from_email = draft.from_email
    row.list_id = draft.list_id
    row.contact_id = draft.contact_id
    row.source = draft.source
    row.details = None if draft.details is None else msgspec.json.encode(draft.details).decode()
    if draft.free:
        row.status, row.status_code = message.COMPLETED, None
    else:
        row.status = message.SCHEDULED if row.schedule > row.date else message.QUEUED
        row.status_code = message.Code.ACCEPTED
