"""The life of a message without rules, owners of numbers or opt-outs, for tests of the engine itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliograph.accounts.account import Principal
from heliograph.channels.table import channels
from heliograph.db.database import Database
from heliograph.files.folder import FolderStore
from heliograph.messaging import rows
from heliograph.messaging.channel import Channel
from heliograph.messaging.deliver import Delivery
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.routing import Router
from heliograph.settings import Settings

CHANNELS: Mapping[str, Channel] = channels(Settings(), FolderStore(Path("no-files")))
SMS = CHANNELS["sms"]


def hooks(table: Mapping[str, Channel] = CHANNELS, **calls: Any) -> Hooks:
    """Hooks that do nothing, but for the calls that are given."""
    quiet = {
        "on_receipt": lambda tx, message, receipt: False,
        "on_inbound": lambda tx, arrived, original: False,
        "owner": lambda tx, number: None,
        "opted_out": lambda tx, messages: set(),
    }
    return Hooks(table, **{**quiet, **calls})


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
