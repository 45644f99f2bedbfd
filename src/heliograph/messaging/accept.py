"""Accepting messages: check, price, charge, insert, enqueue, for many requests in one transaction.

A price request runs the same code and stops before the charge.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, usage
from heliograph.billing.prices import Rates
from heliograph.billing.tariff import rates_of
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.ids import new_ids
from heliograph.messaging import counters, message
from heliograph.phone import msisdn
from heliograph.queue import claim

BULK = 50
"""A request with more messages than this goes to the bulk lane."""


class Draft(msgspec.Struct, kw_only=True, gc=False):
    """One message as its channel made it out of a request. `refusal` set: nothing but the answer is left to do.

    `kind` and `units` are what the rates file prices. `free` marks the documented test recipients, which are neither
    charged nor sent. `schedule` 0 means now.
    """

    recipient: str
    sender: str
    body: str
    country: str = ""
    carrier: str = ""
    encoding: str = ""
    kind: str = "message"
    units: int = 1
    schedule: int = 0
    custom_string: str = ""
    from_email: str | None = None
    list_id: int | None = None
    contact_id: int | None = None
    source: str = ""
    free: bool = False
    refusal: str | None = None


class Order(msgspec.Struct, kw_only=True):
    """All drafts of one request. `quote`: only price them. `gratis`: the house pays."""

    principal: Principal
    channel: str
    request_id: str
    drafts: list[Draft]
    throttle: int = 0
    quote: bool = False
    gratis: bool = False


class Accepted(msgspec.Struct, gc=False):
    """What became of a draft: its status, id, price in micros and date."""

    draft: Draft
    status: str
    message_id: str
    price_micros: int
    date: int


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
            entries.append((order.principal.user_id, -cost, order.channel, order.request_id))
    if entries:
        ledger.post_many(tx, balances, entries)
    accepted = [(order, fates) for order, fates in zip(orders, answers, strict=True) if not order.quote]
    _store(tx, accepted)
    _share(tx, [(order, fates) for order, fates in accepted if order.principal.terms.shared])
    return answers


def _judge(
    tx: Tx, order: Order, rates: Rates, left: dict[int, int], recent: set[tuple[int, str, str]]
) -> tuple[list[Accepted], int]:
    """Decide on each draft of an order; what all of them cost. `left` and `recent` are carried on."""
    who = order.principal
    ids = new_ids(len(order.drafts), tx.clock)
    fates = []
    total = 0
    known: dict[tuple[str, str], int] = {}
    for draft, key in zip(order.drafts, ids, strict=True):
        status, price = draft.refusal or Status.SUCCESS, 0
        if draft.refusal is None and not draft.free:
            unit = known.get((draft.kind, draft.country))
            if unit is None:
                listed = 0 if order.gratis else rates.price(order.channel, draft.kind, draft.country, who.currency)
                unit = who.terms.price(listed)
                known[draft.kind, draft.country] = unit
            price = unit * draft.units
            fingerprint = (who.user_id, draft.recipient, draft.body)
            if order.throttle and fingerprint in recent:
                status, price = Status.THROTTLED, 0
            elif price > left.get(who.user_id, 0):
                status, price = Status.INSUFFICIENT_CREDIT, 0
            else:
                left[who.user_id] -= price
                total += price
                if order.throttle:
                    recent.add(fingerprint)
        fates.append(Accepted(draft, status, key, price, tx.now))
    return fates, total


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


def _recent(tx: Tx, orders: Sequence[Order]) -> set[tuple[int, str, str]]:
    """(user, recipient, body) of what was accepted within the throttle window of these orders."""
    window = max((order.throttle for order in orders), default=0)
    drafts = [d for order in orders if order.throttle for d in order.drafts if d.refusal is None]
    numbers = {msisdn(draft.recipient) for draft in drafts}
    if not window or not numbers:
        return set()
    found = tx.driver_in(
        "SELECT user_id, recipient, body FROM messages WHERE date >= ? AND msisdn IN ({})", [tx.now - window], numbers
    )
    return {(row[0], row[1], row[2]) for row in found}


def _store(tx: Tx, accepted: Sequence[tuple[Order, list[Accepted]]]) -> None:
    """Insert the messages and their queue rows: one multi-row insert for all orders together."""
    rows: list[tuple[object, ...]] = []
    queued: dict[str, list[tuple[int, float, int, str]]] = {}
    good = [(order, [fate for fate in fates if fate.status == Status.SUCCESS]) for order, fates in accepted]
    wanted: Counter[tuple[int, str]] = Counter()
    for order, fates in good:
        wanted[order.principal.user_id, order.channel] += len(fates)
    places = {key: counters.take(tx, *key, count) for key, count in wanted.items() if count}
    tally = usage.Tally()
    for order, fates in good:
        if not fates:
            continue
        user_id, channel = order.principal.user_id, order.channel
        ordinal, date = places[user_id, channel]
        places[user_id, channel] = ordinal + len(fates), date
        day = tally.of(user_id, channel, date, order.principal.subaccount_id)
        day.sent += len(fates)
        day.micros += sum(fate.price_micros for fate in fates)
        lane = claim.LANES[2] if len(order.drafts) > BULK else claim.LANES[1]
        work = queued.setdefault(channel, [])
        for at, fate in enumerate(fates, ordinal):
            later = fate.draft.schedule > date
            rows.append(_row(order, fate, at, date, later))
            fate.date = date
            if not fate.draft.free:
                work.append((lane, fate.draft.schedule if later else tx.clock, user_id, fate.message_id))
    tx.insert_rows("messages", message.COLUMNS, rows)
    tally.write(tx)
    for channel, work in queued.items():
        if work:
            claim.enqueue(tx, channel, work)


def _row(order: Order, fate: Accepted, ordinal: int, date: int, later: bool) -> tuple[object, ...]:
    draft, who = fate.draft, order.principal
    status = message.COMPLETED if draft.free else message.SCHEDULED if later else message.QUEUED
    return (
        who.user_id,
        order.channel,
        ordinal,
        fate.message_id,
        who.subaccount_id,
        date,
        draft.schedule or date,
        draft.sender,
        draft.recipient,
        msisdn(draft.recipient),
        draft.country,
        draft.carrier,
        draft.body,
        draft.encoding,
        draft.units,
        draft.units,
        fate.price_micros,
        status,
        None if draft.free else "200",
        draft.custom_string,
        draft.from_email,
        draft.list_id,
        draft.contact_id,
        draft.source,
        order.request_id,
    )
