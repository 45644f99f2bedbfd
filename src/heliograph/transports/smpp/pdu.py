"""SMPP 3.4 on the wire: command ids, statuses, and PDUs to bytes and back. The only user of the `smpp34` codec.

Bodies are written with `struct` (2.5 times faster than building the codec's objects) and read by the codec, which
takes truncated, padded and non-ASCII bodies as carriers send them. Knows no sockets, sessions or messages.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import smpp34

HEADER: Final = struct.Struct(">IIII")
TLV: Final = struct.Struct(">HH")

RESPONSE: Final = 0x80000000
GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x01
BIND_TRANSMITTER: Final = 0x02
QUERY_SM: Final = 0x03
SUBMIT_SM: Final = 0x04
DELIVER_SM: Final = 0x05
UNBIND: Final = 0x06
CANCEL_SM: Final = 0x08
BIND_TRANSCEIVER: Final = 0x09
OUTBIND: Final = 0x0B
ENQUIRE_LINK: Final = 0x15
ALERT_NOTIFICATION: Final = 0x102
DATA_SM: Final = 0x103
BINDS: Final = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})
UNANSWERED: Final = frozenset({OUTBIND, ALERT_NOTIFICATION})
"""Requests that have no response (SMPP 3.4, 4.1.7 and 4.12)."""

ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RALYBND: Final = 0x05
ESME_RSYSERR: Final = 0x08
ESME_RINVSRCADR: Final = 0x0A
ESME_RINVDSTADR: Final = 0x0B
ESME_RINVMSGID: Final = 0x0C
ESME_RBINDFAIL: Final = 0x0D
ESME_RINVPASWD: Final = 0x0E
ESME_RCANCELFAIL: Final = 0x11
ESME_RMSGQFUL: Final = 0x14
ESME_RSUBMITFAIL: Final = 0x45
ESME_RTHROTTLED: Final = 0x58
ESME_RINVSCHED: Final = 0x61
ESME_RINVEXPIRY: Final = 0x62
ESME_RX_T_APPN: Final = 0x64
ESME_RX_P_APPN: Final = 0x65
ESME_RX_R_APPN: Final = 0x66
ESME_RINVPARLEN: Final = 0xC2
ESME_RUNKNOWNERR: Final = 0xFF
ESME_RINVDCS: Final = 0x104
"""Of SMPP 5.0 (4.7.6); 3.4 has no code for a data_coding that is not served."""

STATUS_NAMES: Final[Mapping[int, str]] = {
    0x00: "ESME_ROK",
    0x01: "ESME_RINVMSGLEN",
    0x02: "ESME_RINVCMDLEN",
    0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS",
    0x05: "ESME_RALYBND",
    0x06: "ESME_RINVPRTFLG",
    0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR",
    0x0A: "ESME_RINVSRCADR",
    0x0B: "ESME_RINVDSTADR",
    0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL",
    0x0E: "ESME_RINVPASWD",
    0x0F: "ESME_RINVSYSID",
    0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL",
    0x14: "ESME_RMSGQFUL",
    0x15: "ESME_RINVSERTYP",
    0x33: "ESME_RINVNUMDESTS",
    0x34: "ESME_RINVDLNAME",
    0x40: "ESME_RINVDESTFLAG",
    0x42: "ESME_RINVSUBREP",
    0x43: "ESME_RINVESMCLASS",
    0x44: "ESME_RCNTSUBDL",
    0x45: "ESME_RSUBMITFAIL",
    0x48: "ESME_RINVSRCTON",
    0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON",
    0x51: "ESME_RINVDSTNPI",
    0x53: "ESME_RINVSYSTYP",
    0x54: "ESME_RINVREPFLAG",
    0x55: "ESME_RINVNUMMSGS",
    0x58: "ESME_RTHROTTLED",
    0x61: "ESME_RINVSCHED",
    0x62: "ESME_RINVEXPIRY",
    0x63: "ESME_RINVDFTMSGID",
    0x64: "ESME_RX_T_APPN",
    0x65: "ESME_RX_P_APPN",
    0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL",
    0xC0: "ESME_RINVOPTPARSTREAM",
    0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN",
    0xC3: "ESME_RMISSINGOPTPARAM",
    0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE",
    0xFF: "ESME_RUNKNOWNERR",
    0x104: "ESME_RINVDCS",
}

TAG_RECEIPTED_MESSAGE_ID: Final = 0x001E
TAG_SC_INTERFACE_VERSION: Final = 0x0210
TAG_SAR_MSG_REF_NUM: Final = 0x020C
TAG_SAR_TOTAL_SEGMENTS: Final = 0x020E
TAG_SAR_SEGMENT_SEQNUM: Final = 0x020F
TAG_NETWORK_ERROR_CODE: Final = 0x0423
TAG_MESSAGE_PAYLOAD: Final = 0x0424
TAG_MESSAGE_STATE: Final = 0x0427

UDHI: Final = 0x40
"""Flag of esm_class: the text begins with a user data header (5.2.12)."""
RECEIPT: Final = 0x04
DELIVERY_ACK: Final = 0x08
USER_ACK: Final = 0x10
INTERMEDIATE: Final = 0x20
MESSAGE_TYPE: Final = 0x3C
"""Bits of esm_class that tell a receipt from a message; the mode and the UDHI flag stand beside them (5.2.12)."""

LONGEST_SHORT_MESSAGE: Final = 254


class PduError(Exception):
    """A body that cannot be read; the text is the codec's."""


class Address(msgspec.Struct, frozen=True, gc=False):
    """A number or name with its type of number and its numbering plan (5.2.5, 5.2.6)."""

    ton: int
    npi: int
    text: str


class ShortMessage(msgspec.Struct, frozen=True, gc=False):
    """What submit_sm, deliver_sm and data_sm share (4.4.1, 4.6.1, 4.7.1), as far as it is used.

    `tlvs` holds the first of each tag. `schedule` and `validity` are times as 7.1.1 writes them.
    """

    source: Address
    dest: Address
    esm_class: int
    data_coding: int
    registered_delivery: int
    octets: bytes
    tlvs: Mapping[int, bytes]
    schedule: str = ""
    validity: str = ""

    @property
    def content(self) -> bytes:
        """The text with its header: message_payload, or short_message where that is missing or empty (5.3.2.32)."""
        return self.tlvs.get(TAG_MESSAGE_PAYLOAD) or self.octets


def status_name(status: int) -> str:
    """The name of a command_status, or its number where the standard has no name for it."""
    return STATUS_NAMES.get(status) or f"command_status 0x{status:08X}"


def encode(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    """One whole PDU."""
    return HEADER.pack(16 + len(body), command, status, sequence) + body


def c_string(text: str) -> bytes:
    """A C-Octet String (3.1). What ASCII lacks goes as Latin-1 or `?`; a NUL inside would end it early, so it goes."""
    return text.encode("latin-1", "replace").replace(b"\0", b"") + b"\0"


def read_c_string(data: bytes, position: int = 0) -> tuple[str, int]:
    """The C-Octet String at a position and the position after it; one without its NUL ends with the data."""
    end = data.find(b"\0", position)
    end = len(data) if end < 0 else end
    return data[position:end].decode("latin-1"), end + 1


def encode_address(address: Address) -> bytes:
    """TON, NPI and the address as they stand in a body."""
    return bytes((address.ton, address.npi)) + c_string(address.text)


def encode_short_message(
    source: bytes,
    dest: bytes,
    octets: bytes,
    *,
    esm_class: int = 0,
    validity: bytes = b"\0",
    registered_delivery: int = 0,
    data_coding: int = 0,
    tlvs: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """Body of a submit_sm or deliver_sm. `source` and `dest` are made by `encode_address`, `validity` ends with NUL.

    Raises ValueError for more than 255 octets: longer ones go as the TLV message_payload.
    """
    body = b"".join(
        (
            b"\0",
            source,
            dest,
            bytes((esm_class, 0, 0, 0)),
            validity,
            bytes((registered_delivery, 0, data_coding, 0, len(octets))),
            octets,
        )
    )
    for tag, value in tlvs:
        body += TLV.pack(tag, len(value)) + value
    return body


def decode_short_message(command: int, body: bytes) -> ShortMessage:
    """Read the body of a submit_sm, deliver_sm or data_sm. Raises PduError when it is not one."""
    if command == DATA_SM:
        command, body = DELIVER_SM, _as_deliver_sm(body)
    try:
        read = smpp34.decode(encode(command, 0, 0, body))
    except smpp34.SmppError as problem:
        raise PduError(str(problem)) from None
    if isinstance(read, smpp34.RawPdu):
        raise PduError(f"command 0x{command:08X} carries no short message")
    tlvs: dict[int, bytes] = {}
    for tlv in read.tlvs:
        tlvs.setdefault(tlv.tag, tlv.value)
    return ShortMessage(
        Address(read.source_addr_ton, read.source_addr_npi, read.source_addr),
        Address(read.dest_addr_ton, read.dest_addr_npi, read.destination_addr),
        read.esm_class,
        read.data_coding,
        read.registered_delivery,
        read.short_message,
        tlvs,
        read.schedule_delivery_time,
        read.validity_period,
    )


class Named(msgspec.Struct, frozen=True):
    """The message that a query_sm or a cancel_sm names (4.8.1, 4.9.1), and its sender."""

    message_id: str
    source: Address


def decode_named(command: int, body: bytes) -> Named:
    """Read the body of a query_sm or cancel_sm. Raises PduError when it is not one."""
    position = read_c_string(body)[1] if command == CANCEL_SM else 0
    message_id, position = read_c_string(body, position)
    if len(body) < position + 3:
        raise PduError("no message id with a source address")
    return Named(message_id, Address(body[position], body[position + 1], read_c_string(body, position + 2)[0]))


def _as_deliver_sm(body: bytes) -> bytes:
    """A data_sm has the fields of a deliver_sm without those in between, and its text is a TLV (4.7.1)."""
    position = 0
    for before in (0, 2, 2):  # octets before the service type and the two addresses
        end = body.find(b"\0", position + before)
        if end < 0:
            raise PduError("a data_sm whose addresses do not end")
        position = end + 1
    if len(body) < position + 3:
        raise PduError("a data_sm that ends after its addresses")
    esm_class, registered_delivery, data_coding = body[position : position + 3]
    between = bytes((esm_class, 0, 0, 0, 0, registered_delivery, 0, data_coding, 0, 0))
    return body[:position] + between + body[position + 3 :]


class Bind(msgspec.Struct, frozen=True):
    """What a peer says when it binds (4.1.1)."""

    system_id: str
    password: str
    system_type: str = ""


def encode_bind(bind: Bind) -> bytes:
    """Body of a bind request for interface version 3.4 and any address range. Over-long fields go as they are."""
    return c_string(bind.system_id) + c_string(bind.password) + c_string(bind.system_type) + b"\x34\0\0\0"


def decode_bind(body: bytes) -> Bind:
    """Read the body of a bind request; what is missing is empty."""
    system_id, position = read_c_string(body)
    password, position = read_c_string(body, position)
    return Bind(system_id, password, read_c_string(body, position)[0])
