"""A campaign before it is one: what is wanted, who would get a message, and what that costs.

It is read and computed outside of the transaction that orders it, page by page: 20,000 texts would hold the writer for
a second. That transaction only looks whether the plan still holds (`campaign.py`).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from heliograph.accounts.account import Principal
from heliograph.channels.audience import for_members, refuse_opted_out
from heliograph.contacts import audience, lists
from heliograph.contacts.audience import Member
from heliograph.db import epochs
from heliograph.db.database import Database
from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, Status
from heliograph.mailaddress import small
from heliograph.messaging import accept, dates
from heliograph.messaging.channel import Channel, Draft, Order

T = TypeVar("T")

MOST = 20_000
"""Contacts of a campaign's list (api-v3, "Send SMS Campaign")."""

SLICE = 200
"""Recipients that are read and priced, or made messages, at once: the writer takes nothing else for that long."""

AT_ONCE = 10
"""Texts that are written before the thread lets others run (docs/decisions/0016)."""

AS_A_WHOLE = {
    Status.INVALID_SENDER_ID: {"from": "The sender is neither a number of yours nor up to 11 letters and digits."}
}
"""Refusals of single messages that would meet all of them: they refuse the campaign, with the field that is wrong."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `details` is what only the channel knows (values that JSON has).

    `schedule` is as it was given; `draft`: nothing is sent or charged yet.
    """

    name: str
    list_id: int
    body: str = ""
    sender: str = ""
    schedule: int | str | float | None = None
    custom_string: str | None = None
    source: str | None = None
    country: str = ""
    url_to_shorten: str = ""
    draft: bool = False
    details: Mapping[str, Any] = {}


class Recipient(NamedTuple):
    """Who gets a message, and the micros that are taken for it."""

    contact_id: int
    recipient: str
    micros: int


class Plan(msgspec.Struct, kw_only=True):
    """What came of it. It holds for `who` and for the `rates` of this version, in the currency of `who`.

    `schedule` is in Unix seconds, 0: now. `first` is the message to the first recipient; None: there is none.
    `slices` are the recipients as campaign_slices has them; `count` and `micros` are of all, `seen` is how many
    contacts were looked at. `refusals` says why others get no message, and how many they are.
    """

    who: Principal
    rates: int
    wanted: Wanted
    list_name: str
    schedule: int
    first: Draft | None = None
    slices: list[str] = []
    count: int = 0
    micros: int = 0
    seen: int = 0
    refusals: Counter[str] = msgspec.field(default_factory=Counter)


class Texts:
    """Makes drafts of what is wanted, for contacts of its list. `kind` is what the channel takes (channels/table.py).

    `details["senders"]` may name senders for the countries of recipients.
    """

    def __init__(self, who: Principal, channel: Channel, kind: type[msgspec.Struct], wanted: Wanted) -> None:
        self._who, self._channel, self._list_id = who, channel, wanted.list_id
        given = _given(wanted, kind)
        self._personal = channel.personal(given)
        senders = {one["recipient_country_code"].upper(): one["sender_id"] for one in wanted.details.get("senders", ())}
        self._abroad: dict[str, Callable[[Member], Any]] = {
            country: channel.personal(msgspec.structs.replace(given, from_=sender))
            for country, sender in senders.items()
        }

    def drafts(self, members: Iterable[Member], now: float) -> list[Draft]:
        """A draft for each contact; `now` is in Unix seconds."""
        known = list(members)
        made: list[Draft] = []
        for some in chunks(known, AT_ONCE):
            made += self._made(some, self._personal, now)
            time.sleep(0)  # gives way to requests: they would wait 5 ms for the interpreter, each time they need it
        for place, draft in enumerate(made) if self._abroad else ():
            personal = self._abroad.get(draft.country)
            if personal is not None:
                (made[place],) = self._made([known[place]], personal, now)
        return made

    def _made(self, members: Sequence[Member], personal: Callable[[Member], Any], now: float) -> list[Draft]:
        return for_members(self._who, self._channel, self._list_id, members, personal, now)


def _given(wanted: Wanted, kind: type[T]) -> T:
    """What the channel takes: each field by its name there."""
    values = {
        "from": wanted.sender or None,
        "body": wanted.body,
        "custom_string": wanted.custom_string,
        "source": wanted.source,
        "country": wanted.country or None,
        "list_id": wanted.list_id,
        "url_to_shorten": wanted.url_to_shorten,
    }
    return msgspec.convert({**values, **wanted.details}, kind)


async def make(
    database: Database,
    who: Principal,
    channel: Channel,
    kind: type[msgspec.Struct],
    wanted: Wanted,
    kept: Sequence[int] | None = None,
) -> Plan:
    """Price a campaign for the contacts of its list, or for those of them that are `kept` (contact ids).

    One message a recipient; who has opted out, and who cannot be reached, gets none and costs nothing.
    Raises NotFound: no such list; BadRequest: too many contacts, a sender or a schedule that cannot be used.
    """
    plan = await database.read(lambda tx: _opened(tx, who, wanted))
    texts = Texts(who, channel, kind, wanted)
    pages = _Pages(wanted.list_id, kept)
    known: set[str] = set()
    waiting: list[Recipient] = []
    while not pages.over:
        for draft, cost in await database.read(lambda tx: _priced(tx, who, channel, texts, pages)):
            plan.seen += 1
            if draft.refusal in AS_A_WHOLE:
                raise BadRequest(AS_A_WHOLE[draft.refusal])
            if cost is None:
                plan.refusals[draft.refusal or Status.SOMETHING_IS_WRONG] += 1
                continue
            if small(draft.recipient) in known:
                continue
            known.add(small(draft.recipient))
            plan.first = plan.first or draft
            assert draft.contact_id is not None
            waiting.append(Recipient(draft.contact_id, draft.recipient, cost))
            plan.micros += cost
        while len(waiting) >= SLICE or (waiting and pages.over):
            plan.slices.append(msgspec.json.encode(waiting[:SLICE]).decode())
            del waiting[:SLICE]
    plan.count = len(known)
    return plan


def _opened(tx: Tx, who: Principal, wanted: Wanted) -> Plan:
    row = lists.find(tx, who.user_id, wanted.list_id)
    if row["contacts_count"] > MOST:
        raise _too_many()
    schedule = dates.scheduled(wanted.schedule, tx.clock)
    if schedule is None:
        raise BadRequest({"schedule": "Schedule must be a Unix time, at most four months ahead."})
    rates = epochs.value(tx, "rates")
    return Plan(who=who, rates=rates, wanted=wanted, list_name=row["list_name"], schedule=schedule, slices=[])


def _too_many() -> BadRequest:
    text = f"Too many recipients: at most {MOST} contacts in the list of a campaign."
    return BadRequest({"list_id": text}, message=text)


class _Pages:
    """Reads contacts SLICE by SLICE: those of a list, or those of them that are kept."""

    def __init__(self, list_id: int, kept: Sequence[int] | None) -> None:
        self._list_id, self._kept = list_id, kept
        self._after = self._seen = 0
        self.over = False

    def next(self, tx: Tx, user_id: int) -> Sequence[Member]:
        """The next ones. Raises NotFound, BadRequest."""
        if self._kept is not None:
            ids = self._kept[self._seen : self._seen + SLICE]
            self._seen += SLICE
            self.over = self._seen >= len(self._kept)
            left = audience.those_left(tx, self._list_id, ids)
            return [left[contact_id] for contact_id in ids if contact_id in left]
        found = audience.members(tx, user_id, self._list_id, SLICE, self._after)
        if found is None:
            raise NotFound(lists.NO_RECORD)
        self._seen += len(found)
        if self._seen > MOST:
            raise _too_many()
        self.over = len(found) < SLICE
        if found:
            self._after = found[-1]["place"]
        return found


def _priced(tx: Tx, who: Principal, channel: Channel, texts: Texts, pages: _Pages) -> list[tuple[Draft, int | None]]:
    """The drafts of the next page, and what each costs; None: it gets no message."""
    drafts = texts.drafts(pages.next(tx, who.user_id), tx.clock)
    order = Order(principal=who, channel=channel, request_id="", drafts=drafts, quote=True)
    channel.judge(tx, [order])
    refuse_opted_out(tx, who, drafts)
    return list(zip(drafts, accept.costs(tx, order), strict=True))
