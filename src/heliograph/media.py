"""The media. A medium is what is priced, counted, permitted and routed; a channel is one list of messages over one.

Letters and postcards are two channels over the medium `post` (docs/decisions/0012).
"""

from collections.abc import Mapping
from typing import Literal, get_args

Medium = Literal["sms", "mms", "voice", "fax", "post", "email"]

DEFAULT: Medium = "sms"
"""What a transport or a route of heliograph.toml is for when it does not say so."""

MEDIA: tuple[Medium, ...] = get_args(Medium)

SINGLE_MAILS = "email_transactional"
"""Name by which usage counts mails outside of campaigns (clients 5)."""

COUNTED: Mapping[Medium, tuple[str, ...]] = {"email": ("email", SINGLE_MAILS)}
"""The names by which usage counts the messages of a medium, where its own is not the only one."""

USAGES: tuple[str, ...] = (*MEDIA, SINGLE_MAILS)
