"""The channel table: one line a channel."""

from collections.abc import Callable, Mapping

from heliograph.channels.sms.channel import Sms
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings

CHANNELS: tuple[Callable[[Settings], Channel], ...] = (Sms,)
"""What makes each channel of a process, in the order in which a reader looks for them."""


def channels(settings: Settings) -> Mapping[str, Channel]:
    """The channels by name."""
    return {channel.name: channel for channel in (make(settings) for make in CHANNELS)}
