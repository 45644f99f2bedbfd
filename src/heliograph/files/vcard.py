"""vCards (2.1, 3.0, 4.0) as properties, line by line. Nothing is held but the card that is being read.

Source: the vCard 2.1 specification of versit, RFC 2426, RFC 6350. Read from bytes, since a line may be folded within a
character (RFC 6350, 3.2). Where phones write something else, their spelling is taken: a line that cannot be read loses
itself and nothing more.
"""

import binascii
import io
import re
from collections.abc import Iterator

import msgspec

from heliograph.files.text import BROKEN, HEAD, is_utf_8, opened, utf_16

LONGEST = 4096
"""Bytes of a line, unfolded, that are kept: only photographs and notes are longer, and nobody reads them here."""

LONGEST_HEAD = 1000
"""Bytes of a line in which a colon is looked for that is not within quotes."""

MOST_PROPERTIES = 200
"""Properties of a card that are kept."""

LEAST_PREFERRED = 101
"""Preference of what has none; the most preferred has 1. Source: RFC 6350, 5.3."""

_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)?")
_NAME = re.compile(r"[A-Z0-9_-]{1,64}")
_VALUE = re.compile(r"\\(.)|([;,])|([^\\;,]+)|\\", re.DOTALL)
_CHARSET = re.compile(
    r"utf-?(8|16)|us-?ascii|iso-?8859-?\d{1,2}|(windows|cp)-?\d{3,4}|koi8-[ru]|shift[_-]?jis"
    r"|euc-?(jp|kr)|iso-?2022-jp|gb(k|2312|18030)|big5|tis-?620|mac(intosh|roman)?",
    re.IGNORECASE,
)
_ENDS = (b"BEGIN:VCARD", b"END:VCARD")


class Property(msgspec.Struct, frozen=True):
    """A line of a card. `types` are the words of its parameters TYPE, and those without a name (2.1), in capitals.

    `value` is as it stands, with its escapes; `commas` says whether commas separate anything in it.
    """

    name: str
    group: str
    types: frozenset[str]
    preference: int
    value: str
    commas: bool

    @property
    def text(self) -> str:
        """The value as one text, without escapes."""
        return ";".join(map(",".join, self._parts())).strip()

    def part(self, number: int) -> str:
        """A part of the value, which semicolons separate; empty when there are not so many."""
        parts = self._parts()
        return " ".join(parts[number]).strip() if number < len(parts) else ""

    def _parts(self) -> list[list[str]]:
        """The value at its semicolons, and each part at its commas. It is not kept: it may need much memory."""
        parts = [[""]]
        for found in _VALUE.finditer(self.value):
            escaped, mark, plain = found.groups("")
            if mark == ";":
                parts.append([""])
            elif mark and self.commas:
                parts[-1].append("")
            else:
                parts[-1][-1] += "\n" if escaped in ("n", "N") else escaped or mark or plain
        return parts


class Card(msgspec.Struct):
    """A card: the line (from 1) of its BEGIN, its properties, the lines that cannot be read, and whether it ends."""

    line: int
    version: str = "3.0"
    properties: list[Property] = msgspec.field(default_factory=list)
    unread: list[int] = msgspec.field(default_factory=list)
    complete: bool = False

    def of(self, name: str) -> list[Property]:
        """Its properties of a name, in the order of the file."""
        return [one for one in self.properties if one.name == name]


class _Line(msgspec.Struct):
    """A line, unfolded: its number, what stands before its colon and behind it, and whether it was too long to keep."""

    number: int
    head: str
    value: bytes
    over: bool

    @property
    def label(self) -> str:
        """Its name without its group."""
        return self.head.partition(";")[0].rpartition(".")[2].strip().upper()


def cards(data: bytes, code_page: str, wanted: frozenset[str]) -> Iterator[Card]:
    """Each card with those of its properties whose names are wanted. `code_page` is what is used outside of Unicode.

    A card within a card (AGENT) is left out. A card that does not end before the next begins ends there; one that does
    not end at all is not complete.
    """
    units = utf_16(data[:HEAD])
    if units:
        with opened(io.BytesIO(data), units) as file:
            data = file.read().replace(BROKEN, "\ufffd").encode()
    name = "utf-8" if is_utf_8(line.value for line in _unfolded(data) if not line.over) else code_page
    card: Card | None = None
    inner, agent = 0, False
    for line in _unfolded(data.removeprefix(b"\xef\xbb\xbf")):
        label, said = line.label, line.value[:32].strip().upper()
        if (label, said) == ("BEGIN", b"VCARD"):
            if card is not None and agent:
                inner += 1
            else:
                if card is not None:
                    card.complete = True
                    yield card
                card, inner = Card(line.number), 0
        elif (label, said) == ("END", b"VCARD"):
            if card is not None and not inner:
                card.complete = True
                yield card
                card = None
            inner = max(0, inner - 1)
        elif card is not None:
            if not inner:
                _add(card, line, wanted, (name, code_page))
            # An inner card that goes on behind its BEGIN is a text within the line (3.0) and ends with it.
            inner += label == "AGENT" and line.value.strip().upper() == b"BEGIN:VCARD"
        agent = label == "AGENT" and not said
    if card is not None:
        yield card


def _add(card: Card, line: _Line, wanted: frozenset[str], encodings: tuple[str, str]) -> None:
    """Add what a line says to a card."""
    if line.label == "VERSION":
        card.version = line.value.decode("ascii", "replace").strip()
    named = _NAME.fullmatch(line.label)
    if (named and line.label not in wanted) or len(card.properties) >= MOST_PROPERTIES:
        return
    found = _property(line, card.version, encodings) if named and not line.over else None
    if found is not None:
        card.properties.append(found)
    elif len(card.unread) < MOST_PROPERTIES:
        card.unread.append(line.number)


def _unfolded(data: bytes) -> Iterator[_Line]:
    """The lines, unfolded; those of nothing are left out, and end a value in Base64 (2.1)."""
    kept, number, over = bytearray(), 0, False
    quoted = coded = old = goes_on = False
    for at, found in enumerate(_LINE.finditer(data), 1):
        raw = data[found.start() : min(found.end(1), found.start() + LONGEST + 1)]
        start = raw.strip()[:12].upper()
        soft = quoted and goes_on and not start.startswith(_ENDS)
        goes_on = data.endswith(b"=", *found.span(1))  # asked of the file: a long line is kept without its end
        folded = raw[:1] in (b" ", b"\t")
        if kept and (soft or folded or (coded and start and b":" not in raw)):
            if soft and not over:
                del kept[-1:]
            room = LONGEST - len(kept)
            over = over or len(raw) > room
            kept += raw[1 if folded and not soft and not old else 0 :][: max(0, room)]
            continue
        if kept:
            yield _split(number, bytes(kept), over)
        kept, number, over = bytearray(raw[:LONGEST] if start else b""), at, len(raw) > LONGEST
        head = raw[:LONGEST_HEAD].upper().partition(b":")[0]
        quoted, coded = b"QUOTED-PRINTABLE" in head, b"BASE64" in head or b"ENCODING=B" in head
        old = start.startswith(b"VERSION:2") or (old and not start.startswith(b"VERSION:"))
    if kept:
        yield _split(number, bytes(kept), over)


def _split(number: int, line: bytes, over: bool) -> _Line:
    """A line at its colon: the first that is not within quotes, or else the first; without one it has no name."""
    at = line.find(b":")
    while line.count(b'"', 0, at) % 2 and 0 <= at < LONGEST_HEAD:
        at = line.find(b":", at + 1)
        if at < 0:
            at = line.find(b":")
            break
    return _Line(number, line[:at].decode("latin-1") if at >= 0 else "", line[at + 1 :], over)


def _property(line: _Line, version: str, encodings: tuple[str, str]) -> Property | None:
    """What a line says; None when that cannot be read."""
    types: set[str] = set()
    preference, charset, coding = LEAST_PREFERRED, "", ""
    for parameter in _parameters(line.head):
        key, given, value = parameter.partition("=")
        key, value = key.strip().upper(), value.replace('"', "").replace("\\", "").strip()
        if key == "CHARSET":
            charset = value
        elif key == "ENCODING" or (not given and key in ("QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT")):
            coding = (value if given else key).upper()
        elif key == "PREF" and value.isdecimal():
            preference = int(value[:4])
        elif key == "TYPE" or not given:
            types.update(word.strip() for word in (value.upper() if given else key).split(","))
    text = _decoded(line.value, coding, charset, encodings)
    if text is None:
        return None
    if "PREF" in types:
        preference = min(preference, 1)
    group = line.head.partition(";")[0].rpartition(".")[0].strip().upper()
    return Property(line.label, group, frozenset(types), preference, text, not version.startswith("2"))


def _parameters(head: str) -> list[str]:
    """The parameters, cut at semicolons that are not within quotes."""
    pieces = head.split('"')
    pieces[::2] = [piece.replace(";", "\0") for piece in pieces[::2]]
    return "".join(pieces).split("\0")[1:]


def _decoded(value: bytes, coding: str, charset: str, encodings: tuple[str, str]) -> str | None:
    """The text of a value; None when it cannot be read. `encodings`: that of the file, and its code page."""
    if coding == "QUOTED-PRINTABLE":
        value = binascii.a2b_qp(value)
    elif coding in ("B", "BASE64"):
        try:
            value = binascii.a2b_base64(value)
        except binascii.Error:
            return None
    attempts = [charset] if _CHARSET.fullmatch(charset) else []
    attempts += ["utf-8", encodings[1]] if coding or charset else [encodings[0]]
    for attempt in attempts:
        try:
            return value.decode(attempt)
        except (UnicodeDecodeError, LookupError):
            continue
    return None
