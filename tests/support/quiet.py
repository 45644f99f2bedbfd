"""The life of a message without rules, owners of numbers or opt-outs, for tests of the engine itself."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.channels.sms.channel import Sms
from heliograph.channels.table import Parts, channels
from heliograph.db.database import Database
from heliograph.files.folder import FolderStore
from heliograph.files.shrink import Picture
from heliograph.media import Medium
from heliograph.messaging import rows
from heliograph.messaging.channel import Channel, Charge, Draft, Order
from heliograph.messaging.deliver import Delivery
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.routing import Router
from heliograph.settings import Settings
from heliograph.transports.base import Events, Limits, Outcome, Outgoing, Sent


async def as_it_is(picture: Picture, limits: Limits) -> Picture:
    """No picture has to be smaller."""
    return picture


def parts(settings: Settings, folder: Path, vault: Vault) -> Parts:
    """What channels are made of, without a database: they accept, and hand nothing over."""
    database: Any = None
    return Parts(settings, FolderStore(folder), database, vault, as_it_is)


CHANNELS: Mapping[str, Channel] = channels(parts(Settings(), Path("no-files"), Vault(b"no secret")))
SMS = CHANNELS["sms"]


def hooks(table: Mapping[str, Channel] = CHANNELS, **calls: Any) -> Hooks:
    """Hooks that do nothing, but for the calls that are given."""
    quiet = {
        "on_receipt": lambda tx, message, receipt: False,
        "on_inbound": lambda tx, arrived, original: False,
        "owner": lambda tx, number: None,
        "opted_out": lambda tx, messages: set(),
        "held": lambda tx, messages: set(),
    }
    return Hooks(table, **{**quiet, **calls})


def channel(name: str, medium: Medium, **special: Any) -> Channel:
    """A channel like SMS, but for its name, its medium, and what else is special about it."""
    made: Channel = type(name.title(), (Sms,), {"name": name, "medium": medium, "counted_as": medium, **special})(
        Settings()
    )
    return made


def draft(recipient: str = "+61491570006", units: int = 1, **given: Any) -> Draft:
    """A text of so many parts to Australia."""
    usual: dict[str, Any] = {"sender": "+61481074190", "body": "Hello", "country": "AU", "encoding": "gsm"}
    usual |= {"units": units, "awaits": units, "charges": (Charge("message", units),)}
    return Draft(recipient=recipient, **{**usual, **given})


def order(who: Principal, *drafts: Draft, **given: Any) -> Order:
    """A request for these drafts, of SMS unless another channel is given."""
    return Order(**{"principal": who, "channel": SMS, "request_id": "R1", "drafts": list(drafts), **given})


class Carrier:
    """A transport that says of each recipient what the test has told it to, and takes the others.

    `begun` has a recipient as soon as its message is here; the answer waits for the event in `held`, if there is one.
    """

    def __init__(self, name: str = "acme", *, ready: bool = True, capacity: int = 100) -> None:
        self.name, self.ready, self.capacity = name, ready, capacity
        self.connected = True
        self.batches: list[list[Outgoing]] = []
        self.answers: dict[str, Outcome | Exception] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.begun: asyncio.Queue[str] = asyncio.Queue()

    @property
    def got(self) -> list[str]:
        """The recipients of all messages that were handed over."""
        return [one.recipient for batch in self.batches for one in batch]

    def hold(self, *recipients: str) -> None:
        self.held |= {recipient: asyncio.Event() for recipient in recipients}

    async def open(self, events: Events) -> None:
        """Nothing arrives here."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.batches.append(list(batch))
        for one in batch:
            self.begun.put_nowait(one.recipient)
        for one in batch:
            if one.recipient in self.held:
                await self.held[one.recipient].wait()
        return [self._answer(one) for one in batch]

    def _answer(self, one: Outgoing) -> Outcome:
        said = self.answers.get(one.recipient, Sent((f"{self.name} {one.key.message_id}",)))
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        """Nothing is in flight here."""


def delivery(database: Database, channel: Channel = SMS, router: Router | None = None, **calls: Any) -> Delivery:
    """The delivery of a channel, with a lease of a minute and a validity of an hour."""
    routes = router or Router([], {})
    table = {**CHANNELS, channel.name: channel}
    return Delivery(database, lambda: routes, channel, hooks(table, **calls), lease=60.0, validity=3600.0)


def message(**given: Any) -> rows.Message:
    """A message that was sent to a customer, with some of its columns as the test needs them."""
    usual: dict[str, Any] = dict.fromkeys(rows.Message.__struct_fields__)
    texts = "channel message_id sender recipient country carrier body encoding status custom_string source request_id"
    usual |= dict.fromkeys(texts.split(), "") | {"channel": SMS.name, "units": 1, "receipts_left": 1, "price_micros": 0}
    return rows.Message(**{**usual, **given})


def inbound(who: Principal, at: int, **given: Any) -> rows.Inbound:
    """A message that arrives for an account."""
    usual = {"message_id": "M", "original_message_id": "O", "original_body": "", "custom_string": ""}
    account = {"user_id": who.user_id, "subaccount_id": who.subaccount_id, "channel": SMS.name, "timestamp": at}
    return rows.Inbound(**{**usual, **account, **given})
