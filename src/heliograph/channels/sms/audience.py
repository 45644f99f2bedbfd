"""SMS to contact lists: one draft for each contact, and a refusal for those who opted out."""

import msgspec

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.channels.sms.channel import SmsMessage, Writer
from heliograph.contacts import audience
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Status
from heliograph.messaging.accept import Draft, Order
from heliograph.phone import msisdn

MOST_CONTACTS = 20_000


class SmsOrder(Order, kw_only=True):
    """An order in which some drafts stand for lists: what was asked for, by its place among the drafts."""

    lists: dict[int, SmsMessage]


def expanded(tx: Tx, order: SmsOrder, writer: Writer) -> Order:
    """The order with a draft for each contact of its lists, and with refusals for who has opted out.

    A list of somebody else, or one that a subaccount may not see, keeps its refused draft.
    Raises BadRequest: more than MOST_CONTACTS in one request.
    """
    who = account.current(tx, order.principal)
    shared = "contacts" in who.access
    if not order.lists and not who.strict_opt_out:
        return order
    drafts: list[Draft] = []
    for at, draft in enumerate(order.drafts):
        given = order.lists.get(at) if shared else None
        room = max(0, MOST_CONTACTS - len(drafts))
        found = None if given is None else _list_drafts(tx, who, given, room, writer)
        drafts.extend([draft] if found is None else found)
    refuse_opted_out(tx, who, drafts)
    return msgspec.structs.replace(order, drafts=drafts)


def _list_drafts(tx: Tx, who: Principal, given: SmsMessage, room: int, writer: Writer) -> list[Draft] | None:
    assert given.list_id is not None
    members = audience.members(tx, who.user_id, given.list_id, room + 1)
    if members is None:
        return None
    if len(members) > room:
        text = f"Too many recipients: at most {MOST_CONTACTS} contacts in one request."
        raise BadRequest({"messages": text}, message=text)
    write = audience.personal(given.body or "")
    return [personal(who, given, member, write(member), writer, tx.clock) for member in members]


def personal(
    who: Principal, given: SmsMessage, member: audience.Member, body: str, writer: Writer, now: float
) -> Draft:
    """The draft of a message for a contact of its list. One that has only an email or a fax number gets a refusal."""
    one = msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "", body=body)
    draft = writer.draft(who, one, now)
    if not one.to:
        draft.refusal = Status.INVALID_RECIPIENT
    draft.list_id, draft.contact_id = given.list_id, member["contact_id"]
    return draft


def refuse_opted_out(tx: Tx, who: Principal, drafts: list[Draft]) -> None:
    """Only lists are bound by an opt-out (facts G10), unless the account is strict: then every send is."""
    bound = [one for one in drafts if one.refusal is None and (who.strict_opt_out or one.contact_id is not None)]
    gone = audience.opted_out(tx, who.user_id, (msisdn(one.recipient) for one in bound))
    for one in bound:
        if msisdn(one.recipient) in gone:
            one.refusal = Status.OPTED_OUT
