"""The transport table: one line a kind, and one line a built-in carrier."""

from collections.abc import Callable
from typing import Any

import msgspec

from heliograph.media import Medium
from heliograph.settings import SandboxOptions, Settings, SipOptions, SmppOptions, SmtpOptions
from heliograph.transports.base import Transport
from heliograph.transports.sandbox.email import SandboxEmail
from heliograph.transports.sandbox.mailsink import mail_folder
from heliograph.transports.sandbox.phone.records import phone_folder
from heliograph.transports.sandbox.sms import SandboxSms
from heliograph.transports.sandbox.voice import SandboxVoice
from heliograph.transports.sip.transport import SipTransport
from heliograph.transports.smpp.transport import SmppTransport
from heliograph.transports.smtp.transport import SmtpTransport


class Kind(msgspec.Struct, frozen=True):
    """A kind of transport: its options in heliograph.toml, what it carries, and how one is made.

    `media` gets the options, `make` a name, the options and the settings.
    """

    options: type[msgspec.Struct]
    media: Callable[[Any], tuple[Medium, ...]]
    make: Callable[[str, Any, Settings], Transport]


BUILT_IN: dict[Medium, Callable[[str, Settings], Transport]] = {
    "sms": lambda name, settings: SandboxSms(name),
    "email": lambda name, settings: SandboxEmail(name, mail_folder(settings.data)),
    "voice": lambda name, settings: SandboxVoice(name, phone_folder(settings.data)),
}
"""The built-in carrier of each medium that has one."""

KINDS: dict[str, Kind] = {
    "smpp": Kind(SmppOptions, lambda options: ("sms",), lambda name, options, settings: SmppTransport(name, options)),
    "smtp": Kind(SmtpOptions, lambda options: ("email",), lambda name, options, settings: SmtpTransport(name, options)),
    "sip": Kind(SipOptions, lambda options: ("voice",), lambda name, options, settings: SipTransport(name, options)),
    "sandbox": Kind(
        SandboxOptions,
        lambda options: (options.medium,),
        lambda name, options, settings: BUILT_IN[options.medium](name, settings),
    ),
}
"""`kind` in heliograph.toml -> what it is."""


def kind_of(options: msgspec.Struct) -> Kind:
    """The kind that a transport's options belong to."""
    return next(kind for kind in KINDS.values() if isinstance(options, kind.options))
