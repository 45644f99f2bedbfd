"""Long messages that arrive in parts, put together again. Knows no sockets; time comes from outside."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

import msgspec
import structlog

from heliograph.transports.smpp import alphabet, pdu
from heliograph.transports.smpp.alphabet import Alphabet
from heliograph.transports.smpp.memory import Recent
from heliograph.transports.smpp.pdu import Address, ShortMessage

log = structlog.get_logger(__name__)

CONCATENATED_8: Final = 0x00
CONCATENATED_16: Final = 0x08
"""Information elements of the user data header (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8)."""

ALONE: Final = {0: 160, alphabet.UCS2: 140}
BESIDE_HEADER: Final = {0: 153, alphabet.UCS2: 134}
"""Octets of a message alone and of a part, by data_coding: one septet an octet (3GPP TS 23.040, 9.2.3.24.1)."""
MOST_PARTS: Final = 255

PARTS_TIMEOUT: Final = 300.0
MOST_INCOMPLETE: Final = 1000
MOST_FINISHED: Final = 1000

Key = tuple[str, str, int, int]
"""A long message on its way: sender, recipient, reference, number of parts."""


def header(reference: int, total: int, number: int) -> bytes:
    """User data header of a part: an 8-bit reference, the number of parts, its own number from 1."""
    return bytes((5, CONCATENATED_8, 3, reference, total, number))


def split(octets: bytes, data_coding: int) -> list[bytes]:
    """The octets alone where they fit, else in parts that fit beside a header."""
    if len(octets) <= ALONE[data_coding]:
        return [octets]
    return alphabet.cut(octets, BESIDE_HEADER[data_coding], data_coding)


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a part belongs: the reference of its message, the number of parts, its own number from 1."""

    reference: int
    total: int
    number: int


class Whole(msgspec.Struct, frozen=True):
    """A message with all the parts that there are; `missing` counts those that never came.

    `key` names a long one among the incomplete ones.
    """

    source: Address
    dest: Address
    text: str
    key: Key | None = None
    missing: int = 0


class _Incomplete(msgspec.Struct):
    first: ShortMessage
    total: int
    since: float
    parts: dict[int, tuple[int, bytes]]


def take_apart(message: ShortMessage) -> tuple[Place | None, bytes]:
    """Place of a part (by its header, else by the sar_* TLVs) and its text without the header.

    A header that contradicts itself says nothing, and the text is given without it (3GPP TS 23.040, 9.2.3.24). One
    that cannot be there is no header, whatever the flag says: the text is then given as it is.
    """
    octets = message.content
    if not message.esm_class & pdu.UDHI or not _has_header(octets, message.data_coding):
        return _place_in_tlvs(message), octets
    end = octets[0] + 1
    elements = _elements(octets[1:end])
    return _place_in_header(elements or []) or _place_in_tlvs(message), octets[end:]


def _has_header(octets: bytes, data_coding: int) -> bool:
    """Whether the octets can begin with a header; carriers set the flag on plain texts too.

    The length of a header is then a first letter (32 or more) or half of one in UCS-2, and no elements follow. What
    begins with a 0 in UCS-2 is a header without any only if a whole number of letters is left.
    """
    if not octets or octets[0] >= len(octets):
        return False
    ucs2 = alphabet.is_ucs2(data_coding)
    if octets[0] == 0:
        return not ucs2 or len(octets) % 2 == 1
    return _elements(octets[1 : octets[0] + 1]) is not None or (octets[0] < ord(" ") and not ucs2)


def _elements(header: bytes) -> list[tuple[int, bytes]] | None:
    """Information elements and their data; None when they do not end where the header does."""
    elements = []
    position = 0
    while position + 2 <= len(header):
        begin = position + 2
        position = begin + header[position + 1]
        elements.append((header[begin - 2], header[begin:position]))
    return elements if position == len(header) else None


def _place_in_header(elements: Sequence[tuple[int, bytes]]) -> Place | None:
    """The last element that gives a place, as 9.2.3.24 asks where there are several."""
    place = None
    for element, value in elements:
        if element == CONCATENATED_8 and len(value) == 3:
            place = _checked(value[0], value[1], value[2]) or place
        elif element == CONCATENATED_16 and len(value) == 4:
            place = _checked(value[0] << 8 | value[1], value[2], value[3]) or place
    return place


def _place_in_tlvs(message: ShortMessage) -> Place | None:
    tags = (pdu.TAG_SAR_MSG_REF_NUM, pdu.TAG_SAR_TOTAL_SEGMENTS, pdu.TAG_SAR_SEGMENT_SEQNUM)
    values = [message.tlvs.get(tag, b"") for tag in tags]
    if not all(0 < len(value) <= 4 for value in values):  # the standard has 1 or 2 octets (5.3.2.22 to 24)
        return None
    return _checked(*(int.from_bytes(value, "big") for value in values))


def _checked(reference: int, total: int, number: int) -> Place | None:
    return Place(reference, total, number) if 1 < total <= MOST_PARTS and 1 <= number <= total else None


class Assembler:
    """Collects parts by sender, recipient, reference and number of parts; a repeated part replaces the first one.

    `clock` gives seconds. Incomplete messages are overdue after `timeout` seconds, or when there are too many.
    """

    def __init__(self, alphabet: Alphabet, clock: Callable[[], float], timeout: float = PARTS_TIMEOUT) -> None:
        self._alphabet: Alphabet = alphabet
        self._clock = clock
        self._timeout = timeout
        self._incomplete: dict[Key, _Incomplete] = {}
        self._finished: Recent[Key, dict[int, tuple[int, bytes]]] = Recent(MOST_FINISHED)

    @property
    def full(self) -> bool:
        """Whether there are more incomplete messages than memory is meant for: see to those that are overdue."""
        return len(self._incomplete) > MOST_INCOMPLETE

    def add(self, message: ShortMessage) -> Whole | None:
        """The message, if this was all of it or its last part; None while parts are missing.

        A long one stays here until it is removed, so that a repeated last part finds the others again.
        """
        place, octets = take_apart(message)
        if place is None:
            text = alphabet.decode(octets, message.data_coding, self._alphabet)
            return Whole(message.source, message.dest, text)
        key = (message.source.text, message.dest.text, place.reference, place.total)
        known = self._incomplete.get(key)
        if known is None:
            known = self._incomplete[key] = _Incomplete(message, place.total, self._clock(), {})
        known.parts[place.number] = (message.data_coding, octets)
        return self._whole(key, known) if len(known.parts) == place.total else None

    def remove(self, whole: Whole) -> None:
        """Forget a long message: it is in safe hands."""
        known = self._incomplete.pop(whole.key, None) if whole.key is not None else None
        if whole.key is not None and known is not None and not whole.missing:
            self._finished.put(whole.key, known.parts)

    def overdue(self, everything: bool = False) -> list[Whole]:
        """Long messages that were given up (or all there are), as far as they came.

        Their parts were acknowledged and nobody sends them again, so what there is must not be lost.
        """
        limit = self._clock() - self._timeout
        excess = len(self._incomplete) - MOST_INCOMPLETE
        due = [
            (key, known)
            for rank, (key, known) in enumerate(self._incomplete.items())
            if everything or known.since <= limit or rank < excess
        ]
        return [self._whole(key, known) for key, known in due if not self._came_again(key, known)]

    def _came_again(self, key: Key, known: _Incomplete) -> bool:
        """Whether these are parts of a message that was whole before; they are dropped then.

        A carrier that missed an acknowledgement sends such a part a second time, alone.
        """
        finished = self._finished.get(key)
        if finished is None or not known.parts.items() <= finished.items():
            return False
        del self._incomplete[key]
        return True

    def _whole(self, key: Key, known: _Incomplete) -> Whole:
        """Octets are joined before they are decoded: a surrogate or escape pair may stand across two parts."""
        ordered = [known.parts[number] for number in sorted(known.parts)]
        text = "".join(
            alphabet.decode(b"".join(octets for _, octets in run), coding, self._alphabet)
            for coding, run in groupby(ordered, key=lambda part: part[0])
        )
        missing = known.total - len(ordered)
        source, dest = known.first.source, known.first.dest
        if missing:
            log.warning("smpp.parts_missing", source=source.text, dest=dest.text, missing=missing, total=known.total)
        return Whole(source, dest, text, key, missing)
