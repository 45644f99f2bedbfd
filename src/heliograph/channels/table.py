"""The channel table: one line a channel."""

from collections.abc import Callable, Mapping

from heliograph.channels.sms.channel import Sms
from heliograph.channels.voice.channel import Voice
from heliograph.files.store import FileStore
from heliograph.messaging.channel import Channel
from heliograph.settings import Settings

CHANNELS: tuple[Callable[[Settings, FileStore], Channel], ...] = (
    lambda settings, files: Sms(settings),
    lambda settings, files: Voice(settings),
)
"""What makes each channel of a process, in the order in which a reader looks for them."""


def channels(settings: Settings, files: FileStore) -> Mapping[str, Channel]:
    """The channels by name."""
    return {channel.name: channel for channel in (make(settings, files) for make in CHANNELS)}
