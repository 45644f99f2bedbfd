"""Mails about events: where they go, whether they may, and what they say."""

from collections.abc import Callable, Sequence

import structlog

from heliograph.accounts import account, consent
from heliograph.accounts.preferences import Mailing
from heliograph.accounts.vault import Vault
from heliograph.automations.event import Event
from heliograph.db.engine import Tx
from heliograph.mailaddress import is_address
from heliograph.mailserver import conversation
from heliograph.messaging import rows
from heliograph.messaging.rows import Message
from heliograph.queue import mail
from heliograph.settings import Settings

log = structlog.get_logger(__name__)


class RuleMails:
    """Writes mails for accounts and their rules, once the owners of the addresses have agreed."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault

    def send(
        self,
        tx: Tx,
        user_id: int,
        to: Sequence[str],
        subject: str,
        text: Callable[[], str],
        arrived: rows.Inbound | None = None,
    ) -> dict[str, str]:
        """Mail to each of these addresses once; what became of each, for the timeline.

        What is no address (an account may have none, a message any) gets nothing. `arrived` is the reply that the
        mail is about: it comes from an address of the number that wrote, and has its files. An answer goes to an
        address that says which conversation it is about, and sends an SMS.
        """
        sender = f"{arrived.sender}@{self._settings.reply_domain}" if arrived else self._settings.mail_from
        files = arrived.file_names() if arrived else ()
        became = {}
        for address in dict.fromkeys(to):
            became[address] = "no mail, since there is no address"
            if is_address(address):
                became[address] = f"no mail, since {address} has not agreed to it"
                if self._may_mail(tx, user_id, address):
                    reply_to = self._answered_at(arrived, address) if arrived else ""
                    mail.enqueue(tx, sender, address, subject, text(), files, reply_to)
                    became[address] = f"a mail to {address}"
        return became

    def _answered_at(self, arrived: rows.Inbound, mailbox: str) -> str:
        ours, theirs = arrived.recipient, arrived.sender
        return conversation.address(
            self._vault, self._settings.reply_domain, arrived.subaccount_id, ours, theirs, mailbox
        )

    def _may_mail(self, tx: Tx, user_id: int, address: str) -> bool:
        """Whether mails of an account may go to an address; who has not agreed to them is asked instead.

        In sandbox mode no mail leaves by default, and whoever tries the rules must see what they do.
        """
        if self._settings.mode != "production" or consent.allows(tx, user_id, address):
            return True
        asked = consent.ask(tx, self._vault, self._settings, user_id, address)
        log.info("rule.mail_withheld", user=user_id, asked=asked)
        return False


def mail_of(tx: Tx, event: Event) -> str:
    """Where mails about an event go: the `from_email` of its message, or else its subaccount's address."""
    if event.original is not None and event.original.from_email:
        return event.original.from_email
    _, sub = account.profile(tx, event.user_id, event.subaccount_id)
    return str(sub["email"])


def report(sent: Message, receipt: rows.Receipt, wants: Mailing) -> str:
    """The mail of a delivery report."""
    return (
        f"Message {sent.message_id} to {sent.recipient}: {receipt.status_text}\n\n"
        f"Sent:     {wants.clock(sent.date)}\nReported: {wants.clock(receipt.timestamp)}\n\n"
        f"{sent.body}\n"
    )


def reply(arrived: rows.Inbound, wants: Mailing) -> str:
    """The mail of a reply. Source: facts E."""
    text = f"You've received a reply from {arrived.sender}:\n\n{arrived.with_links()}\n\n{'-' * 40}\n"
    when = wants.clock(arrived.timestamp)
    if not arrived.original_message_id:
        return text + f"Arrived on {when}; it answers no message.\n"
    return text + f"Original message, answered on {when}:\n\n{arrived.original_body}\n"
