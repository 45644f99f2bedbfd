"""A message to bodies of submit_sm, by the habits of one carrier (alphabet, TON, long messages). Pure."""

import time
from functools import lru_cache
from typing import Final

from heliograph.settings import SmppOptions
from heliograph.transports.base import Outgoing, SmsText
from heliograph.transports.smpp import alphabet, pdu
from heliograph.transports.smpp.pdu import Address

LONGEST_ADDRESS: Final = 20
"""source_addr and destination_addr: 21 octets with the NUL (SMPP 3.4, 4.4.1)."""
LONGEST_SHORT_CODE: Final = 6
UCS2_PART: Final = 134
"""Octets of UCS-2 beside a concatenation header: 67 UTF-16 units (3GPP TS 23.040, 9.2.3.24.1)."""

INTERNATIONAL: Final = (1, 1)
SHORT_CODE: Final = (3, 0)
ALPHANUMERIC: Final = (5, 0)


class UnfitMessage(Exception):
    """A message that no submit_sm can carry; the text says why."""


def sender_address(sender: str, ton: int = -1) -> Address:
    """The sender with its type: a name, a short code (up to 6 digits without a plus) or an international number.

    `ton` of 0 or more overrides the type, as a carrier may ask; E.164 is then the plan of TON 1 and 2.
    """
    digits = sender.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        kind, text = ALPHANUMERIC, sender
    elif len(digits) <= LONGEST_SHORT_CODE and digits == sender:
        kind, text = SHORT_CODE, digits
    else:
        kind, text = INTERNATIONAL, digits
    if ton >= 0:
        kind = (ton, 1 if ton in (1, 2) else 0)
    return Address(*kind, text)


@lru_cache(maxsize=1024)
def validity(until: int) -> bytes:
    """Unix seconds as SMPP's absolute time in UTC (7.1.1), with its NUL; 0 leaves it to the carrier."""
    return time.strftime("%y%m%d%H%M%S000+", time.gmtime(until)).encode() + b"\0" if until > 0 else b"\0"


class Writer:
    """Writes the bodies for one carrier."""

    def __init__(self, options: SmppOptions) -> None:
        self._options = options
        self._sender = lru_cache(maxsize=1024)(self._encode_sender)
        self._dest = bytes((options.dest_ton, options.dest_npi))

    def bodies(self, message: Outgoing, reference: int, *, with_validity: bool = True) -> list[bytes]:
        """One body for each submit_sm. `reference` (0-255) ties the segments of a long message together.

        Raises UnfitMessage.
        """
        if not isinstance(message.content, SmsText):
            raise UnfitMessage("SMPP carries text messages only")
        parts, data_coding = self._octets(message.content)
        dest = self._dest + _fitting(pdu.c_string(message.recipient.removeprefix("+")), "recipient")
        source = self._sender(message.sender)
        until = validity(message.valid_until) if with_validity else b"\0"
        if self._options.long_messages == "payload":
            return [self._body(source, dest, until, data_coding, b"".join(parts))]
        if len(parts) == 1:
            return [self._body(source, dest, until, data_coding, parts[0])]
        total = len(parts)
        return [
            self._body(source, dest, until, data_coding, bytes((5, 0, 3, reference, total, number)) + part, pdu.UDHI)
            for number, part in enumerate(parts, 1)
        ]

    def _octets(self, content: SmsText) -> tuple[list[bytes], int]:
        """The parts in the carrier's alphabet, or in UCS-2 when that lacks a character (`€` in Latin-1)."""
        if not content.unicode:
            try:
                return [alphabet.encode(part, self._options.alphabet) for part in content.parts], 0
            except UnicodeEncodeError:
                return _as_ucs2("".join(content.parts)), alphabet.UCS2
        return [alphabet.encode_ucs2(part) for part in content.parts], alphabet.UCS2

    def _body(
        self, source: bytes, dest: bytes, until: bytes, data_coding: int, octets: bytes, esm_class: int = 0
    ) -> bytes:
        tlvs = []
        if len(octets) > pdu.LONGEST_SHORT_MESSAGE:
            tlvs, octets = [(pdu.TAG_MESSAGE_PAYLOAD, octets)], b""
        return pdu.encode_short_message(
            source,
            dest,
            octets,
            esm_class=esm_class,
            validity=until,
            registered_delivery=1,
            data_coding=data_coding,
            tlvs=tlvs,
        )

    def _encode_sender(self, sender: str) -> bytes:
        return _fitting(pdu.encode_address(sender_address(sender, self._options.source_ton)), "sender", 2)


def _as_ucs2(text: str) -> list[bytes]:
    octets = alphabet.encode_ucs2(text)
    return [octets] if len(octets) <= 140 else alphabet.cut(octets, UCS2_PART, alphabet.UCS2)


def _fitting(encoded: bytes, what: str, before: int = 0) -> bytes:
    if len(encoded) > before + LONGEST_ADDRESS + 1:
        raise UnfitMessage(f"the {what} is longer than {LONGEST_ADDRESS} characters")
    return encoded
