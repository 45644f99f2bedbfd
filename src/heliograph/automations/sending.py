"""SMS that rules send: in the name and at the cost of the account, and never so many that machines talk for ever."""

from collections.abc import Sequence

import msgspec
import structlog

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.automations.event import CONFIRMATIONS, FORWARD, REPLY, Event
from heliograph.channels.audience import for_members, refuse_opted_out
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.clock import DAY, HOUR
from heliograph.contacts import audience
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.messaging import accept, message
from heliograph.messaging.channel import Channel, Draft, Order
from heliograph.phone import msisdn
from heliograph.settings import Settings

MOST_IN_A_GROUP = 1000
"""Contacts of a list that GROUP_SMS writes to: all of them are written to in the transaction of the event."""

log = structlog.get_logger(__name__)


class RuleSms:
    """Sends SMS for rules. Each call answers with what became of it, for the timeline."""

    def __init__(self, settings: Settings, sms: Channel) -> None:
        self._sms = sms
        self._throttle = max(settings.throttle_seconds, 60)
        self._caps = [(REPLY, settings.rule_replies, HOUR), (FORWARD, settings.rule_forwards, HOUR)]
        self._caps += [(source, 1, DAY) for source in CONFIRMATIONS.values()]

    def to_one(self, tx: Tx, event: Event, to: str, body: str, source: str) -> str:
        """Send one SMS, from the number that was written to."""
        who = self._account(tx, event)
        if who is None:
            return "no SMS, since the account may not send"
        given = SmsMessage(to=to, from_=event.ours, body=body, source=source, custom_string=event.custom_string)
        return self._send(tx, who, event, [self._sms.draft(who, given, tx.clock)])

    def to_group(self, tx: Tx, event: Event, list_id: int) -> str:
        """Pass an event on to everybody in a list but whom it is about and those who opted out. Source: facts E."""
        members = audience.members(tx, event.user_id, list_id, MOST_IN_A_GROUP + 1)
        if members is None:
            return "no SMS, since the list is gone"
        if len(members) > MOST_IN_A_GROUP:
            log.warning("rule.group_too_large", user=event.user_id, list=list_id, most=MOST_IN_A_GROUP)
            return f"no SMS, since the list has more than {MOST_IN_A_GROUP} contacts"
        who = self._account(tx, event)
        if who is None:
            return "no SMS, since the account may not send"
        tx.long()
        given = SmsMessage(from_=event.ours, body=event.told, source=FORWARD, custom_string=event.custom_string)

        def address(member: audience.Member) -> SmsMessage:  # a stranger's text: its placeholders are not filled
            return msgspec.structs.replace(given, to=member["phone_number"])

        party = msisdn(event.party)
        reachable = [one for one in members if one["phone_number"] and one["msisdn"] != party]
        drafts = for_members(who, self._sms, list_id, reachable, address, tx.clock)
        refuse_opted_out(tx, who, drafts)
        return self._send(tx, who, event, drafts)

    def _account(self, tx: Tx, event: Event) -> Principal | None:
        """The account in whose name and at whose cost a rule sends; None: it may not send."""
        who = account.by_user(tx, event.user_id)
        return None if who is None or who.banned or not who.active else who

    def _send(self, tx: Tx, who: Principal, event: Event, drafts: Sequence[Draft]) -> str:
        """Accept what a rule writes; a refusal (no credit, a bad number) ends it here."""
        onward = [draft for draft in drafts if not _goes_back(draft, event)]
        kept = self._below_the_cap(tx, who.user_id, onward)
        order = Order(principal=who, channel=self._sms, request_id="", drafts=kept, throttle=self._throttle)
        (fates,) = accept.accept(tx, [order])
        sent = [fate.draft.recipient for fate in fates if fate.status == Status.SUCCESS]
        why = sorted({fate.status for fate in fates if fate.status != Status.SUCCESS})
        why += ["limit reached"] if len(kept) < len(onward) else []
        why += ["it would go back"] if len(onward) < len(drafts) else []
        told = "no SMS" if not sent else f"an SMS to {sent[0]}" if len(sent) == 1 else f"{len(sent)} SMS"
        return f"{told} ({', '.join(why)})" if why else told

    def _below_the_cap(self, tx: Tx, user_id: int, drafts: Sequence[Draft]) -> list[Draft]:
        """Those to numbers to which the account's rules have not sent so much that machines may be talking.

        The throttle only ends loops of one text within a minute.
        """
        kept: list[Draft] = []
        for source, most, seconds in self._caps:
            mine = [(msisdn(one.recipient) or 0, one) for one in drafts if one.source == source]
            numbers = {number for number, _ in mine}
            sent = message.count_recent(tx, user_id, numbers, source, tx.now - seconds) if mine else {}
            below = [one for number, one in mine if sent.get(number, 0) < most]
            if len(below) < len(mine) and source not in CONFIRMATIONS.values():
                log.warning("rule.capped", user=user_id, source=source)
            kept += below
        return kept


def _goes_back(draft: Draft, event: Event) -> bool:
    """Whether a message would go to the number that was written to, or one that is passed on to where it came from."""
    to = msisdn(draft.recipient)
    return to == msisdn(event.ours) or (draft.source == FORWARD and to in map(msisdn, event.barred))
