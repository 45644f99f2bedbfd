"""What a matching rule does: all of it rows in the transaction of the event."""

import time
from collections.abc import Mapping
from typing import Any

import structlog

from heliograph.accounts import account
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
        """Run the receipt rules; whether one of them is POLL."""
        polled = False
        for rule in rules.matching_receipt(tx, message["user_id"], SMS_RECEIPTS.name, receipt["status_code"]):
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                outgoing.push(tx, message["user_id"], address, "post", payloads.receipt(receipt))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                to = address if action == "EMAIL_FIXED" else self._mail_of(tx, message)
                subject = f"Delivery report for {message['recipient']}: {receipt['status']}"
                text = (
                    f"Message {message['message_id']} to {message['recipient']}: {receipt['status_text']}\n\n"
                    f"{message['body']}\n"
                )
                self._mail(tx, to, subject, text)
            elif action == "SMS" and message["source"] not in (REPLY, FORWARD):  # its receipt would send the next
                body = f"Message to {message['recipient']}: {receipt['status_text']}"
                self._sms(tx, message, SmsMessage(to=address, body=body, source=FORWARD))
        return polled

    def on_inbound(self, tx: Tx, arrived: dict[str, Any]) -> bool:
        """Run the inbound rules; whether one of them is POLL."""
        polled = False
        found = rules.matching_inbound(tx, arrived["user_id"], SMS_INBOUND.name, arrived["recipient"], arrived["body"])
        for rule in found:
            action, address = rule["action"], rule["action_address"] or ""
            if action == "POLL":
                polled = True
            elif action == "URL":
                kind = rule["webhook_type"] or "post"
                outgoing.push(tx, arrived["user_id"], address, kind, payloads.inbound(arrived))
            elif action in ("EMAIL_FIXED", "EMAIL_USER"):
                to = address if action == "EMAIL_FIXED" else arrived["from_email"] or self._mail_of(tx, arrived)
                self._mail(tx, to, f"Reply from {arrived['sender']}", _reply_text(arrived), self._reply_to(arrived))
            elif action == "MOVE_CONTACT":
                contact.move_sender(tx, arrived["user_id"], arrived["sender"], arrived["list_id"], int(address))
            elif action == "SMS":
                body = f"{arrived['sender']}: {arrived['body']}"
                self._sms(tx, arrived, SmsMessage(to=address, from_=arrived["recipient"], body=body, source=FORWARD))
            elif action == "AUTO_REPLY":
                body = rule["body"] or address
                reply = SmsMessage(to=arrived["sender"], from_=arrived["recipient"], body=body, source=REPLY)
                self._sms(tx, arrived, reply)
        return polled

    def _mail_of(self, tx: Tx, row: Mapping[str, Any]) -> str:
        if row.get("from_email"):
            return str(row["from_email"])
        _, sub = account.profile(tx, row["user_id"], row["subaccount_id"])
        return str(sub["email"])

    def _reply_to(self, arrived: Mapping[str, Any]) -> str:
        return f"{arrived['sender']}@{self._settings.reply_domain}"

    def _mail(self, tx: Tx, to: str, subject: str, text: str, reply_to: str | None = None) -> None:
        if not to:
            return  # an account without an address
        mail.enqueue(tx, reply_to or self._settings.mail_from, to, subject, text)

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


def _reply_text(arrived: Mapping[str, Any]) -> str:
    """The mail of a reply. Source: facts E (a third-party test)."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(arrived["timestamp"]))
    return (
        f"You've received a reply from {arrived['sender']}:\n\n{arrived['body']}\n\n"
        f"{'-' * 40}\nOriginal message, answered on {when}:\n\n{arrived['original_body']}\n"
    )
