"""A short link as a channel makes it: code, kind, target."""

from typing import Literal, NamedTuple

Kind = Literal["url", "stop"]
URL: Kind = "url"
"""It leads to a target, and its clicks are counted."""
STOP: Kind = "stop"
"""It leads to the page on which its recipient opts out."""


class NewLink(NamedTuple):
    """A link of a draft. `target` is the URL that it leads to; "" for STOP."""

    code: str
    kind: Kind
    target: str = ""
