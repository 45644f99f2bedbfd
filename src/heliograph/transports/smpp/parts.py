"""Long messages in parts: cut, told apart, and put together again. Knows no sockets, and keeps nothing."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec
import structlog

from heliograph.transports.base import Inbound, Part
from heliograph.transports.smpp import alphabet, pdu
from heliograph.transports.smpp.alphabet import Alphabet
from heliograph.transports.smpp.pdu import Address, ShortMessage

log = structlog.get_logger(__name__)

CONCATENATED_8: Final = 0x00
CONCATENATED_16: Final = 0x08
"""Information elements of the user data header (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8)."""

ALONE: Final = {0: 160, alphabet.UCS2: 140}
BESIDE_HEADER: Final = {0: 153, alphabet.UCS2: 134}
"""Octets of a message alone and of a part, by data_coding: one septet an octet (3GPP TS 23.040, 9.2.3.24.1)."""
MOST_PARTS: Final = 255


def header(reference: int, total: int, number: int) -> bytes:
    """User data header of a part: an 8-bit reference, the number of parts, its own number from 1."""
    return bytes((5, CONCATENATED_8, 3, reference, total, number))


def split(octets: bytes, data_coding: int) -> list[bytes]:
    """The octets alone where they fit, else in parts that fit beside a header."""
    if len(octets) <= ALONE[data_coding]:
        return [octets]
    return alphabet.cut(octets, BESIDE_HEADER[data_coding], data_coding)


def deliveries(source: Address, dest: Address, text: str, reference: int) -> list[bytes]:
    """Bodies of the deliver_sm of a text: one, or parts with an 8-bit reference; GSM 03.38 where that has all of it.

    What needs more than 255 parts is cut off there.
    """
    try:
        octets, data_coding = alphabet.encode_gsm(text), 0
    except UnicodeEncodeError:
        octets, data_coding = alphabet.encode_ucs2(text), alphabet.UCS2
    ends = pdu.encode_address(source), pdu.encode_address(dest)
    pieces = split(octets, data_coding)[:MOST_PARTS]
    if len(pieces) == 1:
        return [pdu.encode_short_message(*ends, octets, data_coding=data_coding)]
    return [
        pdu.encode_short_message(
            *ends,
            header(reference & 0xFF, len(pieces), number) + piece,
            esm_class=pdu.UDHI,
            data_coding=data_coding,
        )
        for number, piece in enumerate(pieces, 1)
    ]


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a part belongs: the reference of its message, the number of parts, its own number from 1."""

    reference: int
    total: int
    number: int


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
    if pdu.TAG_SAR_TOTAL_SEGMENTS not in message.tlvs:
        return None
    tags = (pdu.TAG_SAR_MSG_REF_NUM, pdu.TAG_SAR_TOTAL_SEGMENTS, pdu.TAG_SAR_SEGMENT_SEQNUM)
    values = [message.tlvs.get(tag, b"") for tag in tags]
    if not all(0 < len(value) <= 4 for value in values):  # the standard has 1 or 2 octets (5.3.2.22 to 24)
        return None
    return _checked(*(int.from_bytes(value, "big") for value in values))


def _checked(reference: int, total: int, number: int) -> Place | None:
    return Place(reference, total, number) if 1 < total <= MOST_PARTS and 1 <= number <= total else None


def join(pieces: Iterable[tuple[int, bytes]], default: Alphabet) -> str:
    """The text of parts in their order, each with its data_coding; `default` is the carrier's alphabet.

    Octets are joined before they are decoded: a surrogate or escape pair may stand across two parts.
    """
    return "".join(
        alphabet.decode(b"".join(octets for _, octets in run), coding, default)
        for coding, run in groupby(pieces, key=itemgetter(0))
    )


def whole(came: Sequence[Part], default: Alphabet) -> Inbound:
    """The message of parts in their order, whose last came when it arrived. The log tells if not all are there."""
    first = came[0]
    missing = first.total - len(came)
    if missing:
        ends = {"source": first.sender, "dest": first.recipient}
        log.warning("smpp.parts_missing", transport=first.transport, **ends, missing=missing, total=first.total)
    text = join(((part.form, part.octets) for part in came), default)
    return Inbound(first.transport, "sms", first.sender, first.recipient, text, max(part.at for part in came))
