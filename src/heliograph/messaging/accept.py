"""Accepting messages: check, price, charge, insert, enqueue, for many requests in one transaction.

A price request runs the same code and stops before the charge.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import structlog

from heliograph.accounts.account import Principal
from heliograph.billing import commission, ledger, usage
from heliograph.billing.prices import Rates, RatesError
from heliograph.billing.tariff import rates_of
from heliograph.clock import DAY
from heliograph.db import reached
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.ids import new_ids
from heliograph.links import register
from heliograph.links.link import Mask, codes_at, mask, without
from heliograph.messaging import counters, dates, message
from heliograph.messaging.channel import Accepted, Charge, Draft, Order, usage_name
from heliograph.messaging.message import Code
from heliograph.messaging.rows import NewMessage
from heliograph.phone import msisdn
from heliograph.queue import claim

BULK = 50
"""A request with more messages than this is queued behind single messages, as campaigns are."""

Fingerprint = tuple[int, str, str | int, str]
"""What must not be sent twice within the throttle: user_id, channel, the recipient as its msisdn if it has one, and the
body with targets for the codes of links.
"""

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
    ids = iter(new_ids(sum(len(order.drafts) for order in orders), tx.clock))
    known: dict[tuple[int, str, bool], _Costs] = {}
    for order in orders:
        key = id(order.principal), order.channel.name, order.gratis
        costs = known.get(key) or known.setdefault(key, _Costs(order, rates))
        fates, cost = _judge(tx, order, costs, ids, left, recent)
        answers.append(fates)
        if cost and not order.quote and order.prepaid is None:
            entries.append((order.principal.user_id, -cost, order.channel.name, order.request_id))
    if entries:
        ledger.post_many(tx, balances, entries)
    accepted = [(order, fates) for order, fates in zip(orders, answers, strict=True) if not order.quote]
    _store(tx, accepted)
    _tell(tx, accepted)
    _share(tx, [(order, fates) for order, fates in accepted if order.principal.terms.shared])
    return answers


def _judge(
    tx: Tx, order: Order, costs: "_Costs", ids: Iterator[str], left: dict[int, int], recent: dict[Fingerprint, int]
) -> tuple[list[Accepted], int]:
    """Decide on each draft of an order; what all of them cost. `ids`, `left` and `recent` are carried on."""
    user_id, channel, throttle, now = order.principal.user_id, order.channel.name, order.throttle, tx.now
    credit, prepaid = left.get(user_id, 0), order.prepaid
    fates = []
    total = 0
    for place, draft in enumerate(order.drafts):
        status, price = draft.refusal or Status.SUCCESS, 0
        if draft.refusal is None and not draft.free:
            cost = costs[draft.charges, draft.country]
            if throttle:
                text = _plain(draft) if draft.links else draft.body
                fingerprint = (user_id, channel, msisdn(draft.recipient) or draft.recipient, text)
            if cost is None:
                status = Status.SOMETHING_IS_WRONG
            elif throttle and recent.get(fingerprint, 0) >= now - throttle:
                status = Status.THROTTLED
            elif cost > (credit - total if prepaid is None else prepaid[place]):
                status = Status.INSUFFICIENT_CREDIT
            else:
                price = cost
                total += cost
                if throttle:
                    recent[fingerprint] = now
        fates.append(Accepted(draft, status, next(ids), price, now))
    if not order.quote and prepaid is None:
        left[user_id] = credit - total
    return fates, total


def costs(tx: Tx, order: Order) -> list[int | None]:
    """What each draft of an order would cost now, in micros; None: it is refused, or the rates do not price it."""
    known = _Costs(order, rates_of(tx))
    return [
        None if draft.refusal is not None else 0 if draft.free else known[draft.charges, draft.country]
        for draft in order.drafts
    ]


class _Costs(dict[tuple[tuple[Charge, ...], str], int | None]):
    """(charges, country) -> what they cost a principal in a channel: few drafts differ in them."""

    def __init__(self, order: Order, rates: Rates) -> None:
        super().__init__()
        self._order, self._rates = order, rates

    def __missing__(self, asked: tuple[tuple[Charge, ...], str]) -> int | None:
        self[asked] = cost = _cost(self._order, self._rates, *asked)
        return cost


def _cost(order: Order, rates: Rates, charges: tuple[Charge, ...], country: str) -> int | None:
    """The sum of these charges in micros; None when the rates do not say what one of them costs."""
    who, medium = order.principal, order.channel.medium
    if order.gratis:
        return 0
    try:
        prices = [who.terms.price(rates.price(medium, kind, country, who.currency)) * n for kind, n in charges]
    except RatesError as problem:
        log.warning("message.unpriced", channel=order.channel.name, why=str(problem), request=order.request_id)
        return None
    return sum(prices)


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


def _recent(tx: Tx, orders: Sequence[Order]) -> dict[Fingerprint, int]:
    """When what could be a repetition of these orders was accepted last: fingerprint -> Unix seconds."""
    window = max((order.throttle for order in orders), default=0)
    drafts = [d for order in orders if order.throttle for d in order.drafts if d.refusal is None]
    numbers = {msisdn(draft.recipient) for draft in drafts}
    if not window or not numbers:
        return {}
    columns, more = "user_id, channel, msisdn, body, date", "AND date <= ? ORDER BY date"
    sent = reached.seen(tx, columns, numbers, tx.now - window, more, [tx.now + dates.FAR_AHEAD])
    masks: dict[int | None, set[Mask]] = {}
    for draft in drafts:
        if draft.links:
            masks.setdefault(msisdn(draft.recipient), set()).add(mask(draft.body, draft.links))
    found = {(row[0], row[1], row[2], row[3]): row[4] for row in sent}
    known = [(row, one) for row in sent for one in masks.get(row[2], ())] if masks else []
    there = register.find(tx, {code for row, one in known for code in codes_at(row[3], one)})
    targets = {code: link.url for code, link in there.items()}
    return found | {(row[0], row[1], row[2], without(row[3], one, targets)): row[4] for row, one in known}


def _plain(draft: Draft) -> str:
    """What a text with links is compared by: their codes are other ones each time, and say where they lead."""
    return without(draft.body, mask(draft.body, draft.links), {link.code: link.target for link in draft.links})


def _store(tx: Tx, accepted: Sequence[tuple[Order, list[Accepted]]]) -> None:
    """Insert the messages and their queue rows: one multi-row insert for all orders together."""
    inserted: list[tuple[object, ...]] = []
    queued: dict[str, list[claim.Work]] = {}
    good = [(order, [fate for fate in fates if fate.status == Status.SUCCESS]) for order, fates in accepted]
    _enter_links(tx, [(order, fate) for order, fates in good for fate in fates if fate.draft.links])
    counts: Counter[tuple[int, str]] = Counter()
    for order, fates in good:
        counts[order.principal.user_id, order.channel.name] += len(fates)
    places = {key: _places(tx, *key, counts[key]) for key in sorted(counts) if counts[key]}
    tally = usage.Tally()
    for order, fates in good:
        if not fates:
            continue
        user_id, channel = order.principal.user_id, order.channel
        ordinal, date = places[user_id, channel.name]
        places[user_id, channel.name] = ordinal + len(fates), date
        name = usage_name(channel, order.campaign_id)
        day = tally.of(user_id, name, date, order.principal.subaccount_id)
        day.sent += len(fates)
        day.micros += sum(fate.price_micros for fate in fates)
        bulk = len(order.drafts) > BULK or order.campaign_id is not None
        priority = claim.BULK if bulk else claim.SINGLE
        work = queued.setdefault(channel.name, [])
        inserted += _rows(order, fates, ordinal, date)
        for fate in fates:
            fate.date = date
        work += [
            (priority, fate.draft.schedule if fate.draft.schedule > date else tx.clock, user_id, fate.message_id)
            for fate in fates
            if not fate.draft.free
        ]
    tx.insert_rows("messages", _COLUMNS, inserted, _ALIKE)
    reached.enter(tx, [(*key, end - counts[key], end - 1) for key, (end, _) in places.items()])
    tally.write(tx)
    for name, work in queued.items():
        if work:
            claim.enqueue(tx, name, work)


def _tell(tx: Tx, accepted: Sequence[tuple[Order, list[Accepted]]]) -> None:
    """Begin a timeline for the refused messages that have something to tell."""
    message.record(
        tx,
        [
            (order.principal.user_id, fate.message_id, fate.status, fate.draft.why)
            for order, fates in accepted
            for fate in fates
            if fate.draft.why
        ],
    )


def _enter_links(tx: Tx, linked: Sequence[tuple[Order, Accepted]]) -> None:
    """Store the short links of accepted messages; a code that was taken is another one in the text as well."""
    if not linked:
        return
    changed = register.enter(tx, [_linked(order, fate) for order, fate in linked])
    for (place, link), code in changed.items():
        draft = linked[place][1].draft
        draft.body = draft.body.replace(link.code, code)
        draft.links = tuple(one._replace(code=code) if one is link else one for one in draft.links)


def _linked(order: Order, fate: Accepted) -> register.Linked:
    """Clicks are counted for the campaign, or for a message by itself (clients 2)."""
    draft, who, quick = fate.draft, order.principal, order.campaign_id is None
    source = f"quick_{order.channel.name}" if quick else f"{order.channel.name}_campaign"
    source_id = fate.message_id if quick else str(order.campaign_id)
    owner = (who.user_id, who.subaccount_id)
    return register.Linked(*owner, source, source_id, fate.message_id, draft.recipient, draft.links)


def _places(tx: Tx, user_id: int, channel: str, count: int) -> tuple[int, int]:
    """(the first of `count` ordinals, their date)."""
    first, date = counters.take(tx, user_id, channel, count)
    if date > tx.now + dates.FAR_AHEAD:
        date = dates.mend(tx, user_id, channel, first - 1)
    return first, date


_COLUMNS = (*NewMessage.__struct_fields__, "campaign_id", "details")
_OF_AN_ORDER = frozenset(
    ("user_id", "channel", "subaccount_id", "date", "from_email", "list_id", "request_id", "campaign_id")
)
_OF_ONE_TEXT = frozenset(_COLUMNS) - {"ordinal", "message_id", "recipient", "msisdn", "carrier", "body", "contact_id"}
_ALIKE = (_OF_ONE_TEXT, _OF_ONE_TEXT - {"request_id"}, _OF_AN_ORDER)
"""What messages have alike: those of one order that say the same, but for placeholders, to one country; several orders
of one account; and those of one order in any case.
"""


def _rows(order: Order, fates: Sequence[Accepted], ordinal: int, date: int) -> list[tuple[object, ...]]:
    """Rows of `messages` by their columns, without names, which would cost as much; test_accept.py checks each."""
    who, channel, request_id, campaign_id = order.principal, order.channel.name, order.request_id, order.campaign_id
    user_id, subaccount_id = who.user_id, who.subaccount_id
    return [
        (
            user_id,
            channel,
            place,
            fate.message_id,
            subaccount_id,
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
            draft.awaits,
            fate.price_micros,
            message.COMPLETED if draft.free else message.SCHEDULED if draft.schedule > date else message.QUEUED,
            None if draft.free else Code.ACCEPTED,
            draft.custom_string,
            draft.from_email,
            draft.list_id,
            draft.contact_id,
            draft.source,
            request_id,
            campaign_id,
            None if draft.details is None else msgspec.json.encode(draft.details).decode(),
        )
        for place, fate in enumerate(fates, ordinal)
        for draft in (fate.draft,)
    ]
