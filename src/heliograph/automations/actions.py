"""What a matching rule does: all of it rows in the transaction of the event."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from heliograph.accounts import account, consent, preferences
from heliograph.accounts.account import Principal
from heliograph.accounts.preferences import Mailing
from heliograph.accounts.vault import Vault
from heliograph.automations import rules
from heliograph.channels.audience import for_members, refuse_opted_out
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.clock import HOUR
from heliograph.contacts import audience, contact, lists, optout
from heliograph.db.engine import Tx
from heliograph.mailaddress import is_address
from heliograph.messaging import accept, rows
from heliograph.messaging import message as messages
from heliograph.messaging.channel import Channel, Draft, Order
from heliograph.messaging.rows import Message
from heliograph.phone import msisdn
from heliograph.queue import mail
from heliograph.settings import Settings
from heliograph.webhooks import outgoing, payloads

REPLY, FORWARD = "rule", "forward"
"""`source` of the messages that rules send: an automatic reply, and what is passed on to another number."""

MOST_IN_A_GROUP = 1000
"""Contacts of a list that GROUP_SMS writes to: all of them are written to in the transaction of the event."""

LEARNED: Mapping[str, Sequence[str]] = {
    "CREATE_CONTACT": (),
    "CREATE_CONTACT_PLUS_EMAIL": ("email",),
    "CREATE_CONTACT_PLUS_NAME": ("first_name", "last_name"),
    "CREATE_CONTACT_PLUS_NAME_EMAIL": ("first_name", "last_name", "email"),
}
"""What a new contact gets out of the message, by the action that makes it."""

log = structlog.get_logger(__name__)


class Actions:
    """Runs the rules of receipts and of arriving messages."""

    def __init__(self, settings: Settings, vault: Vault, channels: Mapping[str, Channel]) -> None:
        self._settings = settings
        self._vault = vault
        self._channels = channels

    def on_receipt(self, tx: Tx, message: Message, receipt: rows.Receipt) -> bool:
        """Run the receipt rules, and mail the report where the account has its reports; whether a rule is POLL."""
        polled = False
        wants = preferences.mailing(tx, message.user_id)
        own = wants.delivery_to == preferences.ORIGINAL
        mail_to = [_mail_of(tx, message, message) if own else wants.delivery_to or ""]
        family = self._channels[message.channel].receipt_rules
        for rule in rules.matching_receipt(tx, message.user_id, family, receipt.status_code):
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                outgoing.push(tx, message.user_id, address, "post", payloads.receipt(receipt))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                mail_to.append(address if action == "EMAIL_FIXED" else _mail_of(tx, message, message))
            elif action == "SMS" and message.source not in (REPLY, FORWARD):  # its receipt would send the next
                body = f"Message to {message.recipient}: {receipt.status_text}"
                self._sms(tx, message, SmsMessage(to=address, body=body, source=FORWARD))
        subject = f"Delivery report for {message.recipient}: {receipt.status}"
        self._mail(tx, message.user_id, mail_to, subject, lambda: _report_text(message, receipt, wants))
        return polled

    def on_inbound(self, tx: Tx, arrived: rows.Inbound, original: Message | None) -> bool:
        """Run the inbound rules, and mail the reply where replies go; whether a rule is POLL.

        A reply goes to the `from_email` of the original message or the account's `reply_to`; without both, and when
        no rule takes it, to the subaccount that it is for. Source: api-v3, `from_email` (endpoint 126).
        """
        polled = False
        wants = preferences.mailing(tx, arrived.user_id)
        family = self._channels[arrived.channel].inbound_rules
        matching = rules.matching_inbound(tx, arrived.user_id, family, arrived.recipient, arrived.body)
        asked = (original.from_email if original else None) or ""
        named = asked or (wants.reply_to if wants.reply_to != preferences.ORIGINAL else "")
        list_id = original.list_id if original else None
        mail_to = [named or ("" if matching else _mail_of(tx, arrived, original))]
        for rule in matching:
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                kind = rule["webhook_type"] or "post"
                outgoing.push(tx, arrived.user_id, address, kind, payloads.inbound(arrived))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                mail_to.append(address if action == "EMAIL_FIXED" else named or _mail_of(tx, arrived, original))
            elif action == "MOVE_CONTACT":
                self._move(tx, rule, arrived, list_id)
            elif action in LEARNED:
                self._create_contact(tx, rule, arrived)
                if action.endswith("_EMAIL"):
                    mail_to.append((rule["body"] or "").strip())
            elif action == "SMS":
                given = SmsMessage(to=address, from_=arrived.recipient, body=_passed_on(arrived), source=FORWARD)
                self._sms(tx, arrived, given)
            elif action == "GROUP_SMS":
                self._group_sms(tx, int(address), arrived)
            elif action == "AUTO_REPLY":
                self._auto_reply(tx, rule["body"] or address, arrived, list_id)
        sender = f"{arrived.sender}@{self._settings.reply_domain}"
        subject = f"Reply from {arrived.sender}"
        self._mail(tx, arrived.user_id, mail_to, subject, lambda: _reply_text(arrived, wants), sender)
        return polled

    def _move(self, tx: Tx, rule: Mapping[str, Any], arrived: rows.Inbound, list_id: int | None) -> None:
        """The sender changes lists; into the Opt-Out List by opting out. Source: facts E, G9."""
        into = int(rule["action_address"])
        if into == lists.opt_out_list(tx, arrived.user_id):
            key = arrived.original_message_id or None
            optout.opt_out(tx, arrived.user_id, arrived.sender, f"Rule {rule['rule_name']}", message_id=key)
        else:
            contact.move(tx, arrived.user_id, arrived.sender, list_id, into)

    def _create_contact(self, tx: Tx, rule: Mapping[str, Any], arrived: rows.Inbound) -> None:
        """The sender enters a list, with what the text says of a name and an address. Source: facts E."""
        action, list_id = rule["action"], int(rule["action_address"])
        said = said_of_oneself(rule, arrived.body)
        known = {name: said[name] for name in LEARNED[action] if name in said}
        contact.enter(tx, arrived.user_id, arrived.sender, list_id, known)

    def _auto_reply(self, tx: Tx, text: str, arrived: rows.Inbound, list_id: int | None) -> None:
        """Answer the sender by a text that may have placeholders (facts E, G1)."""
        member = audience.acquainted(tx, arrived.user_id, arrived.sender, list_id)
        body = audience.personal(text)(member)
        reply = SmsMessage(to=arrived.sender, from_=arrived.recipient, body=body, source=REPLY)
        self._sms(tx, arrived, reply)

    def _group_sms(self, tx: Tx, list_id: int, arrived: rows.Inbound) -> None:
        """Pass a message on to everybody in a list but its sender. Source: facts E."""
        members = audience.members(tx, arrived.user_id, list_id, MOST_IN_A_GROUP + 1)
        if members is None:
            return
        if len(members) > MOST_IN_A_GROUP:
            log.warning("rule.group_too_large", user=arrived.user_id, list=list_id, most=MOST_IN_A_GROUP)
            return
        who = self._sender(tx, arrived)
        if who is None:
            return
        given = SmsMessage(from_=arrived.recipient, body=_passed_on(arrived), source=FORWARD)
        given.custom_string = arrived.custom_string

        def address(member: audience.Member) -> SmsMessage:  # a stranger's text: its placeholders are not filled
            return msgspec.structs.replace(given, to=member["phone_number"])

        reachable = [member for member in members if member["phone_number"]]
        drafts = for_members(who, self._channels[SMS], list_id, reachable, address, tx.clock)
        refuse_opted_out(tx, who, drafts)
        self._send(tx, who, arrived, drafts)

    def _mail(
        self, tx: Tx, user_id: int, to: Sequence[str], subject: str, text: Callable[[], str], sender: str = ""
    ) -> None:
        """Mail to each of these addresses once. What is none (an account may have none, a message any) gets nothing."""
        for address in dict.fromkeys(to):
            if is_address(address) and self._may_mail(tx, user_id, address):
                mail.enqueue(tx, sender or self._settings.mail_from, address, subject, text())

    def _may_mail(self, tx: Tx, user_id: int, address: str) -> bool:
        """Whether mails of an account may go to an address; who has not agreed to them is asked instead.

        In sandbox mode no mail leaves by default, and whoever tries the rules must see what they do.
        """
        if self._settings.mode != "production" or consent.allows(tx, user_id, address):
            return True
        asked = consent.ask(tx, self._vault, self._settings, user_id, address)
        log.info("rule.mail_withheld", user=user_id, asked=asked)
        return False

    def _sms(self, tx: Tx, event: Message | rows.Inbound, given: SmsMessage) -> None:
        """Send one SMS in the account's name."""
        who = self._sender(tx, event)
        if who is not None:
            given.custom_string = event.custom_string
            self._send(tx, who, event, [self._channels[SMS].draft(who, given, tx.clock)])

    def _sender(self, tx: Tx, event: Message | rows.Inbound) -> Principal | None:
        """The account in whose name and at whose cost a rule sends; None: it may not send."""
        who = account.by_user(tx, event.user_id)
        return None if who is None or who.banned or not who.active else who

    def _send(self, tx: Tx, who: Principal, event: Message | rows.Inbound, drafts: Sequence[Draft]) -> None:
        """Accept what a rule writes; a refusal (no credit, a bad number) ends it here."""
        # A message is not forwarded back to its sender.
        drafts = [draft for draft in drafts if draft.source != FORWARD or draft.recipient != event.sender]
        order = Order(
            principal=who,
            channel=self._channels[SMS],
            request_id="",
            drafts=self._below_the_cap(tx, who.user_id, drafts),
            throttle=max(self._settings.throttle_seconds, 60),
        )
        accept.accept(tx, [order])

    def _below_the_cap(self, tx: Tx, user_id: int, drafts: Sequence[Draft]) -> list[Draft]:
        """Those to numbers to which the account's rules have not sent so much that machines may be talking.

        The throttle only ends loops of one text within a minute.
        """
        kept: list[Draft] = []
        for source, most in ((REPLY, self._settings.rule_replies), (FORWARD, self._settings.rule_forwards)):
            mine = [(msisdn(one.recipient) or 0, one) for one in drafts if one.source == source]
            sent = messages.count_recent(tx, user_id, {number for number, _ in mine}, source, tx.now - HOUR)
            below = [one for number, one in mine if sent.get(number, 0) < most]
            if len(below) < len(mine):
                log.warning("rule.capped", user=user_id, source=source)
            kept += below
        return kept


def _mail_of(tx: Tx, event: Message | rows.Inbound, message: Message | None) -> str:
    """Where mails about an event go: the `from_email` of its message, or else its subaccount's address."""
    if message is not None and message.from_email:
        return message.from_email
    _, sub = account.profile(tx, event.user_id, event.subaccount_id)
    return str(sub["email"])


_EDGES = " \t\r\n,.;:!-"


def said_of_oneself(rule: Mapping[str, Any], text: str) -> dict[str, str]:
    """What the sender of a text says of a name and an address, as fields of a contact.

    `email` is the first word with an @; `first_name` and `last_name` are the other words after the search term of the
    rule (the whole text when it has none that must occur). Source: facts E.
    """
    term = (rule["message_search_term"] or "").strip() if rule["message_search_type"] in (1, 2) else ""
    after = re.search(re.escape(term) + (r"\w*" if term else ""), text, re.IGNORECASE)
    words = [word.strip(_EDGES)[: contact.LONGEST] for word in text[after.end() if after else 0 :].split()]
    addresses = [word for word in words if is_address(word)]
    first, *last = [word for word in words if word and "@" not in word] or [""]
    found = {"email": addresses[0] if addresses else "", "first_name": first, "last_name": " ".join(last)}
    return {name: value[: contact.LONGEST] for name, value in found.items() if value}


def _passed_on(arrived: rows.Inbound) -> str:
    return f"{arrived.sender}: {arrived.body}"


def _report_text(message: Message, receipt: rows.Receipt, wants: Mailing) -> str:
    return (
        f"Message {message.message_id} to {message.recipient}: {receipt.status_text}\n\n"
        f"Sent:     {wants.clock(message.date)}\nReported: {wants.clock(receipt.timestamp)}\n\n"
        f"{message.body}\n"
    )


def _reply_text(arrived: rows.Inbound, wants: Mailing) -> str:
    """The mail of a reply. Source: facts E."""
    text = f"You've received a reply from {arrived.sender}:\n\n{arrived.body}\n\n{'-' * 40}\n"
    when = wants.clock(arrived.timestamp)
    if not arrived.original_message_id:
        return text + f"Arrived on {when}; it answers no message.\n"
    return text + f"Original message, answered on {when}:\n\n{arrived.original_body}\n"
