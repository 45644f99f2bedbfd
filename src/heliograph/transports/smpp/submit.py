"""A message to bodies of submit_sm, by the habits of one carrier (alphabet, TON, long messages). Pure."""

import time
from functools import lru_cache
from typing import Final

from heliograph.transports.base import Outgoing, SmsText
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import address, alphabet, parts, pdu

LONGEST_PAYLOAD: Final = 65_535
"""Octets of a TLV's value, whose length is a 16-bit number (SMPP 3.4, 5.3.1)."""


class UnfitMessage(Exception):
    """A message that no submit_sm can carry; the text says why."""


@lru_cache(maxsize=1024)
def validity(until: int) -> bytes:
    """Unix seconds as SMPP's absolute time in UTC (7.1.1), with its NUL; 0 leaves it to the carrier."""
    return time.strftime("%y%m%d%H%M%S000+", time.gmtime(until)).encode() + b"\0" if until > 0 else b"\0"


class SubmitBuilder:
    """Builds the bodies of submit_sm for one carrier."""

    def __init__(self, options: SmppOptions) -> None:
        self._options = options
        self._source = lru_cache(maxsize=1024)(self._encode_source)
        self._dest = bytes((options.dest_ton, options.dest_npi))

    def bodies(self, message: Outgoing, reference: int, *, with_validity: bool = True) -> list[bytes]:
        """One body for each submit_sm. `reference` (0-255) ties the segments of a long message together.

        Raises UnfitMessage.
        """
        if not isinstance(message.content, SmsText):
            raise UnfitMessage("SMPP carries text messages only")
        segments, data_coding = self._octets(message.content)
        if not 1 <= len(segments) <= parts.MOST_PARTS:
            raise UnfitMessage(f"a message has 1 to {parts.MOST_PARTS} segments, but this one has {len(segments)}")
        dest = self._dest + _fitting(message.recipient.removeprefix("+"), "recipient")
        source = self._source(message.sender)
        until = validity(message.valid_until) if with_validity else b"\0"
        if self._options.long_messages == "payload":
            return [self._body(source, dest, until, data_coding, b"".join(segments))]
        if len(segments) == 1:
            return [self._body(source, dest, until, data_coding, segments[0])]
        total = len(segments)
        return [
            self._body(source, dest, until, data_coding, parts.header(reference, total, number) + octets, pdu.UDHI)
            for number, octets in enumerate(segments, 1)
        ]

    def _octets(self, content: SmsText) -> tuple[list[bytes], int]:
        """The parts in the carrier's alphabet, or in UCS-2 when that lacks a character (`€` in Latin-1)."""
        if not content.unicode:
            try:
                return [alphabet.encode(part, self._options.alphabet) for part in content.parts], 0
            except UnicodeEncodeError:
                return parts.split(alphabet.encode_ucs2("".join(content.parts)), alphabet.UCS2), alphabet.UCS2
        return [alphabet.encode_ucs2(part) for part in content.parts], alphabet.UCS2

    def _body(
        self, source: bytes, dest: bytes, until: bytes, data_coding: int, octets: bytes, esm_class: int = 0
    ) -> bytes:
        tlvs = []
        if len(octets) > LONGEST_PAYLOAD:
            raise UnfitMessage(f"a message has at most {LONGEST_PAYLOAD} octets")
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

    def _encode_source(self, sender: str) -> bytes:
        source = address.address_of(sender, self._options.source_ton)
        return bytes((source.ton, source.npi)) + _fitting(source.text, "sender")


def _fitting(text: str, what: str) -> bytes:
    """The text as it stands in an address; raises UnfitMessage for one that would not arrive as it is."""
    if len(text) > address.LONGEST:
        raise UnfitMessage(f"the {what} is longer than {address.LONGEST} characters")
    encoded = pdu.c_string(text)
    if not text.isprintable() or pdu.read_c_string(encoded)[0] != text:
        raise UnfitMessage(f"the {what} has characters that SMPP does not carry")
    return encoded
