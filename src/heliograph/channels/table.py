"""The channel table: one line a channel."""

from collections.abc import Mapping

from heliograph.channels.sms.channel import Sms
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings


def channels(settings: Settings) -> Mapping[str, Channel]:
    """The channels by name, in the order in which a reader looks for them."""
    table: tuple[Channel, ...] = (Sms(settings),)
    return {channel.name: channel for channel in table}
