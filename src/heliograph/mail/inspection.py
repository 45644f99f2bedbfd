"""What a mail is made of, and whether its signatures are good: for people who look at one that was kept."""

from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from typing import Literal

import msgspec

from heliograph.mail import bounds

MOST_SIGNATURES = 20
"""Signatures of a mail that are checked; each costs as much as the body is long."""


class Part(msgspec.Struct, frozen=True):
    """A part of a mail. `number` counts all parts from 1, as they lie in the mail; `depth` says how many it is in.

    `octets` are what it holds, without its transfer encoding; None for a multipart, which holds only parts.
    """

    number: int
    depth: int
    content_type: str
    name: str
    content_id: str
    disposition: str
    octets: bytes | None


class Target(msgspec.Struct, frozen=True):
    """What HTML leads to (`a`) or shows (`img`), by the name of its element."""

    element: str
    url: str


class Verdict(msgspec.Struct, frozen=True):
    """What is to be said of a signature. `key` is the name of its record in the DNS, "" when it cannot be read.

    unknown: the key is not one of the house.
    """

    key: str
    state: Literal["good", "bad", "unknown"]
    why: str = ""

    def __str__(self) -> str:
        said = f"{self.state}: {self.why}" if self.why else self.state
        return f"{said} ({self.key})" if self.key else said


class Inspected(msgspec.Struct, frozen=True):
    """A mail, taken apart."""

    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    targets: tuple[Target, ...]
    unread: str
    """Why some HTML was not read; "" when all of it was."""


def inspect(octets: bytes) -> Inspected:
    """Take a mail apart. Raises RecursionError when its parts lie some hundred levels deep."""
    mail = message_from_bytes(octets)
    parts = tuple(_part(number, depth, part) for number, (depth, part) in enumerate(_walk(mail), 1))
    pages = [(part.octets or b"").decode("utf-8", "replace") for part in parts if part.content_type == "text/html"]
    faults = [fault for page in pages if (fault := bounds.fault(page))]
    targets = tuple(target for page in pages if not bounds.fault(page) for target in _targets(page))
    headers = tuple((name, readable(str(value))) for name, value in mail.raw_items())
    return Inspected(headers, parts, targets, f"HTML {faults[0]}" if faults else "")


def _walk(mail: Message) -> Iterator[tuple[int, Message]]:
    """(depth, part) of a mail and all its parts, those of enclosed mails as well, in their order."""
    left = [(0, mail)]
    while left:
        depth, part = left.pop()
        yield depth, part
        if part.get_content_maintype() == "multipart" or part.get_content_type() == "message/rfc822":
            left += [(depth + 1, one) for one in reversed(_within(part))]


def _within(part: Message) -> list[Message]:
    inner = part.get_payload() if part.is_multipart() else []
    return [one for one in inner if isinstance(one, Message)]


def _part(number: int, depth: int, part: Message) -> Part:
    return Part(
        number=number,
        depth=depth,
        content_type=part.get_content_type(),
        name=readable(part.get_filename() or ""),
        content_id=readable(str(part.get("Content-ID", ""))).strip("<> "),
        disposition=part.get_content_disposition() or "",
        octets=_octets(part),
    )


def _octets(part: Message) -> bytes | None:
    if not part.is_multipart():
        decoded = part.get_payload(decode=True)
        return decoded if isinstance(decoded, bytes) else b""
    if part.get_content_maintype() == "multipart":
        return None
    return b"\n".join(map(_written, _within(part)))


def _written(mail: Message) -> bytes:
    try:
        return mail.as_bytes()
    except UnicodeError:  # a header that is neither ASCII nor octets that are none
        return mail.as_string().encode("utf-8", "replace")


def readable(value: str) -> str:
    """The value of a header as people read it: on one line, encoded words (RFC 2047) decoded."""
    text = " ".join(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    try:
        return str(make_header(decode_header(text))) if "=?" in text else text
    except (LookupError, ValueError, MessageError):
        return text


def _targets(html: str) -> list[Target]:
    from selectolax.lexbor import LexborHTMLParser

    found = LexborHTMLParser(html).css("[href], [src]")
    return [
        Target(one.tag or "", url) for one in found if (url := one.attributes.get("href") or one.attributes.get("src"))
    ]


class _NotOurs(Exception):
    """The key of a signature is none of the house."""


def verdicts(octets: bytes, records: Mapping[str, str]) -> tuple[Verdict, ...]:
    """What is to be said of each DKIM signature (RFC 6376); nothing when there is none.

    `records` are the keys of the house: name in the DNS (in small letters) -> record. No DNS is asked.
    """
    import dkim

    try:
        signed = dkim.DKIM(octets)
    except (dkim.MessageFormatError, IndexError):  # as dkimpy ends at a fold before any field
        return (Verdict("", "bad", "a line of the head belongs to no field"),)
    count = sum(name.lower() == b"dkim-signature" for name, _ in signed.headers)
    return tuple(_verdict(octets, index, records) for index in range(min(count, MOST_SIGNATURES)))


def _verdict(octets: bytes, index: int, records: Mapping[str, str]) -> Verdict:
    import dkim

    asked = [""]

    def record(name: bytes, timeout: int = 5) -> bytes:
        asked[0] = name.decode("ascii", "replace").rstrip(".").lower()
        if asked[0] not in records:
            raise _NotOurs
        return records[asked[0]].encode("ascii")

    try:
        good = dkim.DKIM(octets).verify(index, dnsfunc=record)
    except _NotOurs:
        return Verdict(asked[0], "unknown", "the house has no such key")
    except (dkim.DKIMException, ValueError, LookupError) as problem:
        changed = str(problem).startswith("body hash mismatch")
        why = "the body was changed" if changed else f"the signature cannot be read: {problem}"
        return Verdict(asked[0], "bad", why)
    if good:
        return Verdict(asked[0], "good")
    return Verdict(asked[0], "bad", "the head was changed, or another key has signed it")
