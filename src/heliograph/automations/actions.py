"""What a matching rule does: all of it rows in the transaction of the event."""

import time
from collections.abc import Mapping
from typing import Any

from heliograph.accounts import account
from heliograph.automations import rules
from heliograph.automations.families import SMS_INBOUND, SMS_RECEIPTS
from heliograph.channels.sms.channel import SmsMessage, Writer
from heliograph.contacts import contact
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from heliograph.queue import mail
from heliograph.settings import Settings
from heliograph.webhooks import outgoing, payloads


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
            elif action == "SMS":
                body = f"Message to {message['recipient']}: {receipt['status_text']}"
                self._sms(tx, message, address, "", body)
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
                self._sms(tx, arrived, address, arrived["recipient"], f"{arrived['sender']}: {arrived['body']}")
            elif action == "AUTO_REPLY":
                self._sms(tx, arrived, arrived["sender"], arrived["recipient"], rule["body"] or address)
        return polled

    def _mail_of(self, tx: Tx, row: Mapping[str, Any]) -> str:
        if row.get("from_email"):
            return str(row["from_email"])
        _, sub = account.profile(tx, row["user_id"], row["subaccount_id"])
        return str(sub["email"])

    def _reply_to(self, arrived: Mapping[str, Any]) -> str:
        return f"{arrived['sender']}@{self._settings.reply_domain}"

    def _mail(self, tx: Tx, to: str, subject: str, text: str, reply_to: str | None = None) -> None:
        mail.enqueue(tx, reply_to or self._settings.mail_from, to, subject, text)

    def _sms(self, tx: Tx, row: Mapping[str, Any], to: str, sender: str, body: str) -> None:
        """Send in the account's name and at its cost; a refusal (no credit, bad number) ends it here."""
        who = account.by_user(tx, row["user_id"])
        if who is None:
            return
        given = SmsMessage(to=to, from_=sender, body=body, source="rule", custom_string=row["custom_string"])
        draft = self._writer.draft(who, given, tx.clock)
        # The throttle ends loops: two accounts that answer each other send the same text again and again.
        order = accept.Order(
            principal=who,
            channel="sms",
            request_id="",
            drafts=[draft],
            throttle=max(self._settings.throttle_seconds, 60),
        )
        accept.accept(tx, [order])


def _reply_text(arrived: Mapping[str, Any]) -> str:
    """The mail of a reply. Source: facts E (a third-party test)."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(arrived["timestamp"]))
    return (
        f"You've received a reply from {arrived['sender']}:\n\n{arrived['body']}\n\n"
        f"{'-' * 40}\nOriginal message, answered on {when}:\n\n{arrived['original_body']}\n"
    )
