"""Contact lists as recipients: one draft for each contact, and a refusal for those who opted out."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.contacts import audience
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Status
from heliograph.messaging.channel import Channel, Draft, ForList, Order

MOST_CONTACTS = 20_000
"""Recipients of one request, with those of its lists."""


def expanded(tx: Tx, order: Order) -> Order:
    """The order with a draft for each contact of its lists, and with refusals for those who have opted out.

    A list of another account, or one that a subaccount may not see, keeps its refused draft.
    Raises BadRequest: more than MOST_CONTACTS in one request.
    """
    who = account.current(tx, order.principal)
    if not order.lists and not who.strict_opt_out:
        return order
    may_see_lists = "contacts" in who.access
    drafts: list[Draft] = []
    for place, draft in enumerate(order.drafts):
        asked = order.lists.get(place) if may_see_lists else None
        room = max(0, MOST_CONTACTS - len(drafts))
        members = None if asked is None else _members(tx, who, asked, room)
        if asked is None or members is None:
            drafts.append(draft)
        else:
            personal = order.channel.personal(asked.given)
            drafts.extend(for_members(who, order.channel, asked.list_id, members, personal, tx.clock))
    refuse_opted_out(tx, who, drafts)
    return msgspec.structs.replace(order, drafts=drafts)


def _members(tx: Tx, who: Principal, asked: ForList, room: int) -> list[audience.Member] | None:
    """The contacts of a list; None: the account has no such list. Raises BadRequest when there are more than `room`."""
    members = audience.members(tx, who.user_id, asked.list_id, room + 1)
    if members is not None and len(members) > room:
        text = f"Too many recipients: at most {MOST_CONTACTS} contacts in one request."
        raise BadRequest({"messages": text}, message=text)
    return members


def for_members(
    who: Principal,
    channel: Channel,
    list_id: int,
    members: Iterable[audience.Member],
    personal: Callable[[audience.Member], Any],
    now: float,
) -> list[Draft]:
    """A draft for each contact of a list, out of what `personal` asks for. Unreachable ones get a refusal.

    `personal` is `Channel.personal`, or for texts that must stay as they are, something that fills no placeholders.
    """
    drafts = []
    for member in members:
        draft = channel.draft(who, personal(member), now)
        if not draft.recipient:
            draft.refusal = Status.INVALID_RECIPIENT
        draft.list_id, draft.contact_id = list_id, member["contact_id"]
        drafts.append(draft)
    return drafts


def refuse_opted_out(tx: Tx, who: Principal, drafts: list[Draft]) -> None:
    """Only lists are bound by an opt-out (facts G10), unless the account is strict: then every send is."""
    bound = [
        draft for draft in drafts if draft.refusal is None and (who.strict_opt_out or draft.contact_id is not None)
    ]
    gone = audience.opted_out(tx, who.user_id, [draft.recipient for draft in bound])
    for draft in bound:
        if draft.recipient in gone:
            draft.refusal = Status.OPTED_OUT
