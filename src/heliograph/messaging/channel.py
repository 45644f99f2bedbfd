"""What a channel is to the life of a message: one list of messages over a medium (media.py)."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.media import Medium


class Draft(msgspec.Struct, kw_only=True, gc=False):
    """One message as its channel made it out of a request. `refusal` set: nothing but the answer is left to do.

    `kind` and `units` are what the rates file prices. `free` marks the documented test recipients, which are neither
    charged nor sent. `schedule` 0 means now.
    """

    recipient: str
    sender: str
    body: str
    country: str = ""
    carrier: str = ""
    encoding: str = ""
    kind: str = "message"
    units: int = 1
    schedule: int = 0
    custom_string: str = ""
    from_email: str | None = None
    list_id: int | None = None
    contact_id: int | None = None
    source: str = ""
    free: bool = False
    refusal: str | None = None


class Channel(Protocol):
    """What is special about the messages of a channel."""

    name: str
    medium: Medium

    def draft(self, who: Principal, given: Any, now: float) -> Draft:
        """What a request asks for, or the first reason to refuse it. Pure: no database, no network, no file."""
        ...

    def judge(self, tx: Tx, orders: "Sequence[Order]") -> None:
        """Refuse what only the database can refuse, by `Draft.refusal`."""
        ...


class Order(msgspec.Struct, kw_only=True):
    """All drafts of one request. `quote`: only price them. `gratis`: the house pays."""

    principal: Principal
    channel: Channel
    request_id: str
    drafts: list[Draft]
    throttle: int = 0
    quote: bool = False
    gratis: bool = False


class Accepted(msgspec.Struct, gc=False):
    """What became of a draft: its status, id, price in micros and date."""

    draft: Draft
    status: str
    message_id: str
    price_micros: int
    date: int
