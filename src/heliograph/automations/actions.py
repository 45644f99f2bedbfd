"""What a matching rule does: all of it rows in the transaction of the event."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from heliograph.accounts import account, preferences
from heliograph.accounts.preferences import Mailing
from heliograph.automations import rules
from heliograph.automations.families import SMS_INBOUND, SMS_RECEIPTS
from heliograph.channels.sms.channel import SmsMessage, Writer
from heliograph.contacts import contact
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from heliograph.messaging import message as messages
from heliograph.queue import mail
from heliograph.settings import Settings
from heliograph.webhooks import outgoing, payloads

REPLY, FORWARD = "rule", "forward"
"""`source` of the messages that rules send: an automatic reply, and what is passed on to another number."""

HOUR = 3600
log = structlog.get_logger(__name__)


class Actions:
    """Runs the rules of receipts and of arriving messages."""

    def __init__(self, settings: Settings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer

    def on_receipt(self, tx: Tx, message: dict[str, Any], receipt: dict[str, Any]) -> bool:
        """Run the receipt rules, and mail the report where the account has its reports; whether a rule is POLL."""
        polled = False
        wants = preferences.mailing(tx, message["user_id"])
        mail_to = [self._mail_of(tx, message) if wants.delivery_to == preferences.ORIGINAL else wants.delivery_to or ""]
        for rule in rules.matching_receipt(tx, message["user_id"], SMS_RECEIPTS.name, receipt["status_code"]):
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                outgoing.push(tx, message["user_id"], address, "post", payloads.receipt(receipt))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                mail_to.append(address if action == "EMAIL_FIXED" else self._mail_of(tx, message))
            elif action == "SMS" and message["source"] not in (REPLY, FORWARD):  # its receipt would send the next
                body = f"Message to {message['recipient']}: {receipt['status_text']}"
                self._sms(tx, message, SmsMessage(to=address, body=body, source=FORWARD))
        subject = f"Delivery report for {message['recipient']}: {receipt['status']}"
        self._mail(tx, mail_to, subject, lambda: _report_text(message, receipt, wants))
        return polled

    def on_inbound(self, tx: Tx, arrived: dict[str, Any]) -> bool:
        """Run the inbound rules, and mail the reply where replies go; whether a rule is POLL.

        A reply goes to the `from_email` of the original message or the account's `reply_to`; without both, and when
        no rule takes it, to the subaccount that it is for. Source: api-v3, `from_email` (endpoint 126).
        """
        polled = False
        wants = preferences.mailing(tx, arrived["user_id"])
        found = rules.matching_inbound(tx, arrived["user_id"], SMS_INBOUND.name, arrived["recipient"], arrived["body"])
        named = arrived["from_email"] or (wants.reply_to if wants.reply_to != preferences.ORIGINAL else "")
        mail_to = [named or ("" if found else self._mail_of(tx, arrived))]
        for rule in found:
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                kind = rule["webhook_type"] or "post"
                outgoing.push(tx, arrived["user_id"], address, kind, payloads.inbound(arrived))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                mail_to.append(address if action == "EMAIL_FIXED" else named or self._mail_of(tx, arrived))
            elif action == "MOVE_CONTACT":
                contact.move_sender(tx, arrived["user_id"], arrived["sender"], arrived["list_id"], int(address))
            elif action == "SMS":
                body = f"{arrived['sender']}: {arrived['body']}"
                self._sms(tx, arrived, SmsMessage(to=address, from_=arrived["recipient"], body=body, source=FORWARD))
            elif action == "AUTO_REPLY":
                body = rule["body"] or address
                reply = SmsMessage(to=arrived["sender"], from_=arrived["recipient"], body=body, source=REPLY)
                self._sms(tx, arrived, reply)
        sender = f"{arrived['sender']}@{self._settings.reply_domain}"
        self._mail(tx, mail_to, f"Reply from {arrived['sender']}", lambda: _reply_text(arrived, wants), sender)
        return polled

    def _mail_of(self, tx: Tx, row: Mapping[str, Any]) -> str:
        if row.get("from_email"):
            return str(row["from_email"])
        _, sub = account.profile(tx, row["user_id"], row["subaccount_id"])
        return str(sub["email"])

    def _mail(self, tx: Tx, to: Sequence[str], subject: str, text: Callable[[], str], sender: str = "") -> None:
        """Mail to each of these addresses once. What is none (an account may have none, a message any) gets nothing."""
        for address in dict.fromkeys(to):
            if mail.is_address(address):
                mail.enqueue(tx, sender or self._settings.mail_from, address, subject, text())

    def _sms(self, tx: Tx, event: Mapping[str, Any], given: SmsMessage) -> None:
        """Send in the account's name and at its cost; a refusal (no credit, bad number) ends it here."""
        who = account.by_user(tx, event["user_id"])
        if who is None or who.banned or not who.active:
            return
        given.custom_string = event["custom_string"]
        draft = self._writer.draft(who, given, tx.clock)
        if draft.source == FORWARD and draft.recipient == event.get("sender"):
            return  # whoever writes knows what he wrote
        if self._looping(tx, who.user_id, draft):
            log.warning("rule.capped", user=who.user_id, source=draft.source)
            return
        order = accept.Order(
            principal=who,
            channel="sms",
            request_id="",
            drafts=[draft],
            throttle=max(self._settings.throttle_seconds, 60),
        )
        accept.accept(tx, [order])

    def _looping(self, tx: Tx, user_id: int, draft: accept.Draft) -> bool:
        """Whether the account's rules have sent so much to this number that two machines may be talking.

        The throttle only ends loops of one text within a minute.
        """
        most = self._settings.rule_replies if draft.source == REPLY else self._settings.rule_forwards
        return messages.count_recent(tx, user_id, draft.recipient, draft.source, tx.now - HOUR) >= most


def _report_text(message: Mapping[str, Any], receipt: Mapping[str, Any], wants: Mailing) -> str:
    return (
        f"Message {message['message_id']} to {message['recipient']}: {receipt['status_text']}\n\n"
        f"Sent:     {wants.clock(message['date'])}\nReported: {wants.clock(receipt['timestamp'])}\n\n"
        f"{message['body']}\n"
    )


def _reply_text(arrived: Mapping[str, Any], wants: Mailing) -> str:
    """The mail of a reply. Source: facts E (a third-party test)."""
    text = f"You've received a reply from {arrived['sender']}:\n\n{arrived['body']}\n\n{'-' * 40}\n"
    when = wants.clock(arrived["timestamp"])
    if not arrived["original_message_id"]:
        return text + f"Arrived on {when}; it answers no message.\n"
    return text + f"Original message, answered on {when}:\n\n{arrived['original_body']}\n"
