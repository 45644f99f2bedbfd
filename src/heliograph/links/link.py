"""A short link as a channel makes it: code, kind, target. Nothing here knows the database."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from heliograph.settings import Settings

Kind = Literal["url", "stop"]
URL: Kind = "url"
"""It leads to a target, and its clicks are counted."""
STOP: Kind = "stop"
"""It leads to the page on which its recipient opts out."""

ALPHABET = "23456789bcdfghjkmnpqrstvwxyzBCDFGHJKLMNPQRSTVWXYZ"
"""Characters of codes. All of them are one septet in GSM 03.38, so that a code never changes what a text costs. Without
vowels a code is no word, nor the path of another page; without 0, 1 and l it can be read out.
"""
SHORTEST_CODE, LONGEST_CODE = 6, 16
"""Characters. Codes of all lengths are known, also of those that an earlier setting made."""
_CHARACTERS = bytes(ord(ALPHABET[number % len(ALPHABET)]) for number in range(256))
_SURPLUS = bytes(range(256 // len(ALPHABET) * len(ALPHABET), 256))
"""Octets to characters; those of the surplus would make some characters likelier."""


class NewLink(NamedTuple):
    """A link of a draft. `target` is the URL that it leads to; "" for STOP."""

    code: str
    kind: Kind
    target: str = ""


def new_code(length: int) -> str:
    """A code that nobody can guess: each character is as likely as any other."""
    code = b""
    while len(code) < length:
        code += secrets.token_bytes(2 * length).translate(_CHARACTERS, _SURPLUS)
    return code[:length].decode("ascii")


class Shortener:
    """Makes links. Each has a code of its own and is as long as any other, so that parts and price are known before.

    `domain` is the host of links, with its port if it has one; "" when the house was not told any: then there are none.
    """

    def __init__(self, settings: Settings) -> None:
        self.domain = settings.links_at
        self._length = settings.link_code_length

    def new(self, kind: Kind, target: str = "") -> NewLink:
        """Another link of this kind."""
        return NewLink(new_code(self._length), kind, target)

    def shown(self, link: NewLink) -> str:
        """How it stands in a text: without a scheme."""
        return f"{self.domain}/{link.code}"


Mask = tuple[int, tuple[tuple[int, int], ...]]
"""The length of a text, and where codes stand in it (from, to)."""


def mask(body: str, links: Iterable[NewLink]) -> Mask:
    """Where the codes of links stand in a text."""
    found = set()
    for link in links:
        at = body.find(link.code)
        while at >= 0:
            found.add((at, at + len(link.code)))
            at = body.find(link.code, at + 1)
    return len(body), tuple(sorted(found))


def codes_at(body: str, places: Mask) -> list[str]:
    """What stands in a text where another of the same length has codes."""
    return [body[start:end] for start, end in places[1]] if len(body) == places[0] else []


def without(body: str, places: Mask, targets: Mapping[str, str]) -> str:
    """A text with the targets of links in place of their codes; these are where another text has them."""
    if len(body) != places[0]:
        return body
    kept, at = [], 0
    for start, end in places[1]:
        kept += [body[at:start], targets.get(body[start:end], "")]
        at = end
    return "\0".join([*kept, body[at:]])
