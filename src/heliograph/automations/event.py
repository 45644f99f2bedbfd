"""What rules act on: a message that arrived, or the final receipt of one that was sent."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from heliograph.contacts import optout
from heliograph.db.engine import Tx
from heliograph.messaging import message, rows
from heliograph.messaging.rows import Message
from heliograph.webhooks import payloads

REPLY, FORWARD = "rule", "forward"
"""`source` of the messages that rules send: an automatic reply, and what is passed on to another number."""

CONFIRMATIONS = {optout.OUT: "opt-out", optout.IN: "opt-in"}
"""`source` of the messages that confirm an opt-out, or its end."""


class Event(msgspec.Struct, kw_only=True):
    """An event as rules see it; `arrived` is None for a receipt, and `receipt` for an arrival.

    `party` is whom it is about: who wrote, or whom the message went to. `ours` is the number that was written to; what
    is passed on goes out from it. `told` is what is passed on, `barred` the numbers that it must not go to. `list_id`
    is the list that the message went to, `payload` what a URL gets. `lines` go into the timelines of the messages in
    `about`, each under the status of its message.
    """

    user_id: int
    subaccount_id: int
    custom_string: str
    party: str
    ours: str
    list_id: int | None
    told: str
    barred: frozenset[str]
    echo: bool
    payload: Callable[[], Mapping[str, Any]]
    """What a URL gets."""
    original: Message | None
    arrived: rows.Inbound | None
    receipt: rows.Receipt | None = None
    about: Mapping[str, str]
    lines: list[str] = []

    def record(self, tx: Tx) -> None:
        """Write the lines into the timelines."""
        lines = [(self.user_id, key, status, line) for key, status in self.about.items() for line in self.lines]
        message.record(tx, lines)


def of_receipt(sent: Message, receipt: rows.Receipt) -> Event:
    """The event that a message got its final receipt."""
    ended = message.COMPLETED if receipt.status_code == message.Code.DELIVERED else message.FAILED
    return Event(
        user_id=sent.user_id,
        subaccount_id=sent.subaccount_id,
        custom_string=sent.custom_string,
        party=sent.recipient,
        ours="",
        list_id=sent.list_id,
        told=f"Message to {sent.recipient}: {receipt.status_text}",
        barred=frozenset({sent.sender}),
        echo=sent.source in (REPLY, FORWARD, *CONFIRMATIONS.values()),
        payload=lambda: payloads.receipt(receipt),
        original=sent,
        arrived=None,
        receipt=receipt,
        about={sent.message_id: ended},
    )


def of_arrival(arrived: rows.Inbound, original: Message | None) -> Event:
    """The event that a message arrived, and the message that it answers."""
    about = {arrived.message_id: message.RECEIVED}
    if original is not None:
        about[original.message_id] = original.status
    return Event(
        user_id=arrived.user_id,
        subaccount_id=arrived.subaccount_id,
        custom_string=arrived.custom_string,
        party=arrived.sender,
        ours=arrived.recipient,
        list_id=original.list_id if original else None,
        told=f"{arrived.sender}: {arrived.with_links()}",
        barred=frozenset({arrived.sender, arrived.recipient}),
        echo=False,
        payload=lambda: payloads.inbound(arrived),
        original=original,
        arrived=arrived,
        about=about,
    )
