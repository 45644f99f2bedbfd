"""The transport table: one line a kind, and one line a built-in carrier."""

from collections.abc import Callable
from typing import Any

import msgspec

from heliograph.media import Medium
from heliograph.settings import Settings, own_url
from heliograph.transports.base import UNLIMITED, Inbox, Limits, Transport
from heliograph.transports.late import LateTransport
from heliograph.transports.options import (
    Carriers,
    HttpOptions,
    Mm7Options,
    SandboxOptions,
    SmppOptions,
    SmtpOptions,
)
from heliograph.transports.sandbox.email import SandboxEmail
from heliograph.transports.sandbox.inward import Inward
from heliograph.transports.sandbox.mailsink import mail_folder
from heliograph.transports.sandbox.mmsfolder import mms_folder
from heliograph.transports.sandbox.phone.records import phone_folder
from heliograph.transports.sandbox.sms import SandboxSms
from heliograph.transports.sandbox.voice import SandboxVoice
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.transport import SipTransport
from heliograph.transports.smpp.transport import SmppTransport
from heliograph.transports.smtp.transport import SmtpTransport


def _mm7(name: str, options: Mm7Options) -> Transport:
    from heliograph.transports.mm7.transport import Mm7Transport

    return Mm7Transport(name, options)


def _mm7_inbox(name: str, options: Mm7Options) -> Inbox:
    from heliograph.transports.mm7.inbox import Mm7Inbox

    return Mm7Inbox(name, options)


def _template(name: str, options: HttpOptions) -> Transport:
    from heliograph.transports.http.transport import TemplateTransport

    return TemplateTransport(name, options)


def _template_fault(options: HttpOptions) -> tuple[str, str] | None:
    from heliograph.transports.http import template

    return template.fault(options)


def _template_inbox(name: str, options: HttpOptions) -> Inbox:
    from heliograph.transports.http.inbox import TemplateInbox

    return TemplateInbox(name, options)


def _sandbox_mms(name: str, settings: Settings) -> Transport:
    from heliograph.transports.sandbox.mms import SandboxMms

    return SandboxMms(name, mms_folder(settings.data))


class Kind(msgspec.Struct, frozen=True):
    """A kind of transport: its options in heliograph.toml, what it carries, and how one is made.

    `media` gets the options, `make` a name, the options and the settings. `inbox` makes what receives the requests of
    a carrier that reports by requests of its own. `fault` finds what is wrong with options that each by itself are
    right: (key, sentence). `limits` says how large a picture the carrier takes.
    """

    options: type[msgspec.Struct]
    media: Callable[[Any], tuple[Medium, ...]]
    make: Callable[[str, Any, Settings], Transport]
    inbox: Callable[[str, Any], Inbox] | None = None
    fault: Callable[[Any], tuple[str, str] | None] = lambda options: None
    limits: Callable[[Any], Limits] = lambda options: UNLIMITED


BUILT_IN: dict[Medium, Callable[[str, Settings], Transport]] = {
    "sms": lambda name, settings: SandboxSms(name, links_at=settings.links_at),
    "email": lambda name, settings: SandboxEmail(
        name, mail_folder(settings.data), Inward(settings.mail_domains, settings.smtp_address), own_url(settings)
    ),
    "mms": lambda name, settings: LateTransport(name, lambda: _sandbox_mms(name, settings), 32),
    "voice": lambda name, settings: SandboxVoice(name, phone_folder(settings.data)),
}
"""The built-in carrier of each medium that has one."""

KINDS: dict[str, Kind] = {
    "smpp": Kind(SmppOptions, lambda options: ("sms",), lambda name, options, settings: SmppTransport(name, options)),
    "smtp": Kind(SmtpOptions, lambda options: ("email",), lambda name, options, settings: SmtpTransport(name, options)),
    "mm7": Kind(
        Mm7Options,
        lambda options: ("mms",),
        lambda name, options, settings: _mm7(name, options),
        _mm7_inbox,
        limits=lambda options: options.limits,
    ),
    "http": Kind(
        HttpOptions,
        lambda options: options.carries,
        lambda name, options, settings: _template(name, options),
        _template_inbox,
        _template_fault,
        lambda options: options.limits,
    ),
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


def limits(carriers: Carriers) -> dict[str, Limits]:
    """How large a picture each carrier takes, by the name of its transport."""
    return {name: kind_of(options).limits(options) for name, options in carriers.transports.items()}
