"""The media. A medium is what is priced, counted, permitted and routed; a channel is one list of messages over one.

Letters and postcards are two channels over the medium `post` (docs/decisions/0012).
"""

from typing import Literal, get_args

Medium = Literal["sms", "mms", "voice", "fax", "post", "email"]

DEFAULT: Medium = "sms"
"""What a transport or a route of heliograph.toml is for when it does not say so."""

MEDIA: tuple[Medium, ...] = get_args(Medium)
