"""A mail that goes to many: encoded once, in pieces between what each recipient has of its own.

Bodies are quoted-printable. A soft line break may stand between any two characters of it (RFC 2045, 6.7), so a piece
keeps its form whatever is put before or after it, and no line is longer than 76 characters.
"""

import base64
import re
from binascii import b2a_qp
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from itertools import chain
from typing import NamedTuple

import msgspec

from heliograph.mail.letter import Person

WIDTH = 76
"""Characters of a line (RFC 2045, 6.7; RFC 2047, 2)."""
SOFT = b"=\r\n"
_WORD_OCTETS = 39
"""Of a text in one encoded word: with base64, its wrapping and the name of a header, that is a line."""
_PLAIN = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Slot(NamedTuple):
    """Where the value of this name belongs, which is another one for each recipient."""

    name: str


Piece = str | Slot


def encoded(text: str) -> bytes:
    """A text in quoted-printable, so that SOFT may follow."""
    octets = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    return b"\r\n".join(map(_line, octets.split(b"\n")))


def _line(octets: bytes) -> bytes:
    """A line. The library is given one at a time: of several, it makes those too long that end in a blank."""
    lines = b2a_qp(octets, istext=True).replace(b"=\n", SOFT)
    if len(lines) - lines.rfind(b"\n") - 1 < WIDTH:
        return lines
    last = 3 if lines[-3:-2] == b"=" else 1
    return lines[:-last] + SOFT + lines[-last:]


class Part:
    """One body of a mail, `subtype` plain or html, which escapes what is filled in."""

    def __init__(self, subtype: str, pieces: Sequence[Piece]) -> None:
        self.head = (
            f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n'
        ).encode("ascii")
        self._escape = subtype == "html"
        self._names: list[str] = []
        self._fixed: list[bytes] = [b""]
        for piece in pieces:
            if isinstance(piece, Slot):
                self._fixed[-1] += SOFT
                self._names.append(piece.name)
                self._fixed.append(b"")
            else:
                self._fixed[-1] += encoded(piece)

    @property
    def size(self) -> int:
        """Octets that it holds."""
        return sum(map(len, self._fixed))

    def written(self, values: Mapping[str, str]) -> Iterable[bytes]:
        """The body for a recipient, in pieces, ending in CRLF."""
        filled = {name: self._filled(values.get(name, "")) for name in dict.fromkeys(self._names)}
        both = zip(self._fixed, (filled[name] for name in self._names), strict=False)
        return chain(chain.from_iterable(both), (self._fixed[-1], b"\r\n"))

    def _filled(self, value: str) -> bytes:
        return encoded(escape(value) if self._escape else value) + SOFT if value else b""


class Form(msgspec.Struct, frozen=True):
    """The bodies of a mail, one after the other, the richest last (RFC 2046, 5.1.4); `boundary` stands in none."""

    parts: tuple[Part, ...]
    boundary: str

    @property
    def size(self) -> int:
        """Octets that it holds."""
        return sum(part.size for part in self.parts)

    def written(self, headers: Sequence[bytes], values: Mapping[str, str]) -> bytes:
        """A mail for a recipient. `headers` end in CRLF, each of them."""
        if len(self.parts) == 1:
            (only,) = self.parts
            return b"".join([*headers, b"MIME-Version: 1.0\r\n", only.head, b"\r\n", *only.written(values)])
        line = f"--{self.boundary}".encode("ascii")
        pieces: list[bytes] = [
            *headers,
            b"MIME-Version: 1.0\r\n",
            f'Content-Type: multipart/alternative; boundary="{self.boundary}"\r\n\r\n'.encode("ascii"),
        ]
        for part in self.parts:
            pieces += [line, b"\r\n", part.head, b"\r\n", *part.written(values)]
        pieces += [line, b"--\r\n"]
        return b"".join(pieces)


# Headers.


def in_one_line(text: str) -> str:
    """A text as a header can have it: what ends a line, or cannot be sent, is a blank."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def unstructured(name: str, text: str) -> bytes:
    """A header with a text (RFC 5322, 2.2.1), such as Subject. `text` is one line."""
    words = text.split()
    plain = _PLAIN.fullmatch(text) is not None and "=?" not in text and all(len(word) < WIDTH - 10 for word in words)
    return _folded(name, words if plain else _encoded_words(text))


def mailbox(name: str, person: Person) -> bytes:
    """A header with an address, such as From (RFC 5322, 3.4). An address outside ASCII stands there as UTF-8."""
    if not person.name:
        return f"{name}: {person.address}\r\n".encode()
    return _folded(name, [*_phrase(person.name), f"<{person.address}>"])


def dated(at: float) -> bytes:
    """The header Date, of Unix seconds."""
    return f"Date: {format_datetime(datetime.fromtimestamp(int(at), UTC))}\r\n".encode("ascii")


def _phrase(text: str) -> Sequence[str]:
    """A name before an address, in words."""
    if len(text) < WIDTH - 10 and "=?" not in text:
        if _ATOMS.fullmatch(text):
            return [text]
        if _PLAIN.fullmatch(text):
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            return [f'"{quoted}"']
    return _encoded_words(text)


def _encoded_words(text: str) -> list[str]:
    """Encoded words (RFC 2047), none of which ends within a character."""
    octets, words, start = text.encode("utf-8", "replace"), [], 0
    while start < len(octets):
        end = min(start + _WORD_OCTETS, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{base64.b64encode(octets[start:end]).decode('ascii')}?=")
        start = end
    return words


def _folded(name: str, words: Iterable[str]) -> bytes:
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > WIDTH and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    return ("\r\n".join(lines) + "\r\n").encode()
