"""What is heard of mails after they were handed over: counted at their sends, and remembered of their addresses."""

from collections.abc import Callable, Sequence

from heliograph.channels.email import sends
from heliograph.channels.email.campaigns import counts
from heliograph.channels.email.campaigns.counts import ABUSE, HARD, SOFT
from heliograph.channels.email.draft import NAME
from heliograph.db.engine import Tx
from heliograph.mail import suppressions
from heliograph.mail.judgement import best_status, is_dead
from heliograph.messaging import rows
from heliograph.messaging.message import Code
from heliograph.messaging.receipts import COMPLAINT
from heliograph.messaging.rows import SEND, Key, Message

OnReceipt = Callable[[Tx, rows.Message, rows.Receipt], bool]
OptedOut = Callable[[Tx, Sequence[Message]], set[Key]]


def counting(then: OnReceipt) -> OnReceipt:
    """What a receipt calls (messaging/hooks.py): mails are counted first, then whatever else is done."""

    def on_receipt(tx: Tx, told: Message, receipt: rows.Receipt) -> bool:
        if told.channel == NAME:
            note(tx, told, receipt)
        return then(tx, told, receipt)

    return on_receipt


def note(tx: Tx, told: Message, receipt: rows.Receipt) -> None:
    """Count a bounce at its send; put an address on the account's suppression list that is dead, or has complained.

    A mail that no host refused (it expired, its recipient opted out) is no bounce.
    """
    if receipt.status_code == Code.DELIVERED or receipt.error_code is None:
        return
    words = receipt.error_text or ""
    hard = receipt.status_code == Code.FAILED
    if told.campaign_id is not None:
        spam = receipt.error_code == COMPLAINT
        counts.heard(tx, told.campaign_id, told.message_id, ABUSE if spam else HARD if hard else SOFT)
    if receipt.error_code == COMPLAINT:
        _suppress(tx, told, suppressions.COMPLAINT, words)
        return
    send_id = told.known().get(SEND)
    if send_id:
        sends.count_bounce(tx, told.user_id, send_id, hard=hard)
    status = receipt.error_code if "." in receipt.error_code else ""
    if hard and is_dead(best_status(status, words), words):
        _suppress(tx, told, suppressions.BOUNCE, words)


def _suppress(tx: Tx, told: Message, reason: suppressions.Reason, words: str) -> None:
    if suppressions.is_stored(told.recipient):
        suppressions.add(tx, told.user_id, [told.recipient], reason, detail=words, message_id=told.asked_as)


def suppressed_too(opted_out: OptedOut) -> OptedOut:
    """Which messages must not go out (messaging/hooks.py): also mails to addresses that were suppressed meanwhile."""

    def gone(tx: Tx, messages: Sequence[Message]) -> set[Key]:
        mails = [row for row in messages if row.channel == NAME]
        return opted_out(tx, messages) | (_suppressed(tx, mails) if mails else set())

    return gone


def _suppressed(tx: Tx, mails: Sequence[Message]) -> set[Key]:
    groups: dict[tuple[int, bool], list[Message]] = {}
    for row in mails:
        groups.setdefault((row.user_id, row.campaign_id is not None), []).append(row)
    found = set()
    for (user_id, campaign), listed in groups.items():
        gone = suppressions.suppressed(tx, user_id, (row.recipient for row in listed), campaign=campaign)
        found |= {row.key for row in listed if row.recipient in gone}
    return found
