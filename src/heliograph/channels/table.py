"""The channel table: one line a channel."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.accounts.vault import Vault
from heliograph.channels.email.campaigns.counts import Reputation
from heliograph.channels.email.campaigns.shapes import CampaignMail
from heliograph.channels.email.channel import Email
from heliograph.channels.email.draft import NAME as EMAIL
from heliograph.channels.email.heard import OnReceipt, OptedOut, counting, suppressed_too
from heliograph.channels.mms.channel import NAME as MMS
from heliograph.channels.mms.channel import MmsChannel
from heliograph.channels.mms.shapes import CampaignMms
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.channels.sms.channel import Sms
from heliograph.channels.sms.shapes import CampaignText
from heliograph.channels.voice.channel import Voice
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.files.shrink import Shrink
from heliograph.files.store import FileStore
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings


class Parts(NamedTuple):
    """What channels are made of."""

    settings: Settings
    files: FileStore
    database: Database
    vault: Vault
    shrink: Shrink


CHANNELS: tuple[Callable[[Parts], Channel], ...] = (
    lambda parts: Sms(parts.settings),
    lambda parts: MmsChannel(parts.settings, parts.files, parts.shrink),
    lambda parts: Voice(parts.settings),
    lambda parts: Email(parts.settings, parts.files, parts.database, parts.vault),
)
"""What makes each channel of a process, in the order in which a reader looks for them."""

CAMPAIGNS: Mapping[str, type[msgspec.Struct]] = {SMS: CampaignText, MMS: CampaignMms, EMAIL: CampaignMail}
"""The channels that have campaigns, and what a campaign asks each of them for: what `Channel.personal` takes."""


def judges_of(settings: Settings) -> Mapping[str, Callable[[Tx, Mapping[str, Any]], str | None]]:
    """By channel, what says why a campaign that is being sent must stand still; None: it need not."""
    return {EMAIL: Reputation(settings).fault}


def channels(parts: Parts) -> Mapping[str, Channel]:
    """The channels by name."""
    return {channel.name: channel for channel in (make(parts) for make in CHANNELS)}


def heard(then: OnReceipt) -> OnReceipt:
    """What a receipt calls (messaging/hooks.py): first what single channels note of it, then the rest."""
    return counting(then)


def withheld(opted_out: OptedOut) -> OptedOut:
    """Which messages must not go out (messaging/hooks.py): also those that single channels hold back."""
    return suppressed_too(opted_out)
