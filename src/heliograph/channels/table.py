"""The channel table: one line a channel."""

from collections.abc import Callable, Mapping

import msgspec

from heliograph.channels.mms.channel import NAME as MMS
from heliograph.channels.mms.channel import MmsChannel
from heliograph.channels.mms.shapes import CampaignMms
from heliograph.channels.sms.channel import NAME as SMS
from heliograph.channels.sms.channel import Sms
from heliograph.channels.sms.shapes import CampaignText
from heliograph.channels.voice.channel import Voice
from heliograph.files.shrink import Shrink
from heliograph.files.store import FileStore
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings

CHANNELS: tuple[Callable[[Settings, FileStore, Shrink], Channel], ...] = (
    lambda settings, files, shrink: Sms(settings),
    MmsChannel,
    lambda settings, files, shrink: Voice(settings),
)
"""What makes each channel of a process, in the order in which a reader looks for them."""

CAMPAIGNS: Mapping[str, type[msgspec.Struct]] = {SMS: CampaignText, MMS: CampaignMms}
"""The channels that have campaigns, and what a campaign asks each of them for: what `Channel.personal` takes."""


def channels(settings: Settings, files: FileStore, shrink: Shrink) -> Mapping[str, Channel]:
    """The channels by name."""
    return {channel.name: channel for channel in (make(settings, files, shrink) for make in CHANNELS)}
