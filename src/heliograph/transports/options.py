"""What heliograph.toml can say: the options of every kind of transport, and routes. carriers.py reads it."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from heliograph.media import DEFAULT, Medium
from heliograph.transports.base import UNLIMITED, Limits
from heliograph.transports.sip.options import SipOptions


class SmppOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="smpp", tag_field="kind"):
    """[transports.NAME] kind = "smpp": a carrier reached as an SMPP 3.4 client (ESME)."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the carrier's SMSC.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 2775
    system_id: Annotated[str, Meta(description="Name to bind with, from the carrier.")] = ""
    password: Annotated[str, Meta(description="Password to bind with, from the carrier.")] = ""
    system_type: Annotated[str, Meta(description="Only when the carrier asks for one.")] = ""
    tls: Annotated[bool, Meta(description="Wrap the connection in TLS.")] = False
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    bind_mode: Annotated[
        Literal["transceiver", "pair"],
        Meta(description="pair: a transmitter and a receiver for each bind, where the carrier has no transceivers."),
    ] = "transceiver"
    binds: Annotated[int, Meta(ge=1, le=64, description="Binds to keep open; a pair is one.")] = 1
    window: Annotated[int, Meta(ge=1, le=10000, description="Unanswered submit_sm a bind may have.")] = 100
    rate: Annotated[
        float, Meta(ge=0, le=1000000, description="Messages a second over all binds; 0: as fast as it goes.")
    ] = 0.0
    enquire_link: Annotated[float, Meta(gt=0, le=3600, description="Seconds of silence before enquire_link.")] = 30.0
    response_timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for a response.")] = 10.0
    reconnect_max: Annotated[float, Meta(gt=0, le=3600, description="Longest pause between two attempts to bind.")] = (
        30.0
    )
    long_messages: Annotated[
        Literal["udh", "payload"], Meta(description="udh: segments with a header. payload: one message_payload TLV.")
    ] = "udh"
    alphabet: Annotated[
        Literal["gsm", "latin1", "utf8"], Meta(description="What the carrier takes data_coding 0 for.")
    ] = "gsm"
    receipt_ids: Annotated[
        Literal["same", "hex-to-decimal", "decimal-to-hex"],
        Meta(description="How the id in a receipt differs from the id in the submit response."),
    ] = "same"
    source_ton: Annotated[int, Meta(ge=-1, le=7, description="TON of the sender; -1: by its form.")] = -1
    dest_ton: Annotated[int, Meta(ge=0, le=7, description="TON of the recipient; 1: international.")] = 1
    dest_npi: Annotated[int, Meta(ge=0, le=18, description="NPI of the recipient; 1: E.164.")] = 1

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the carrier."""
        return self.host, self.port


class SmtpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="smtp", tag_field="kind"):
    """[transports.NAME] kind = "smtp": a mail relay."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the relay.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 25
    username: Annotated[str, Meta(description="Name to log in with; empty: without a login.")] = ""
    password: Annotated[str, Meta(description="Password to log in with.")] = ""
    tls: Annotated[Literal["none", "starttls", "implicit"], Meta(description="How the connection is protected.")] = (
        "none"
    )
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    helo: Annotated[
        str, Meta(pattern="^[!-~]*$", description="Name given in EHLO; empty: this machine's, looked up in the DNS.")
    ] = ""
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for each answer of the relay.")] = 30.0
    connections: Annotated[int, Meta(ge=1, le=100, description="Connections kept open to the relay.")] = 2
    domain_connections: Annotated[
        int, Meta(ge=0, le=100, description="How many of them mails to one domain may use at once; 0: all.")
    ] = 0
    domain_rate: Annotated[
        float, Meta(ge=0, le=1000000, description="Mails a second to one domain; 0: as fast as it goes.")
    ] = 0.0
    domain_pause: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Seconds without mails to a domain after the relay put one of them off; doubles. 0: none.",
        ),
    ] = 5.0

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the relay."""
        return self.host, self.port


LargestBytes = Annotated[
    int, Meta(ge=10_000, le=UNLIMITED.largest_bytes, description="Bytes of a picture; a larger one is made smaller.")
]
LargestSide = Annotated[
    int,
    Meta(
        ge=64, le=UNLIMITED.largest_side, description="Pixels of a picture's longer side; a larger one is made smaller."
    ),
]

Mm7Optional = Literal[
    "ServiceCode", "MessageClass", "TimeStamp", "ExpiryDate", "DeliveryReport", "ReadReply", "Priority"
]


class Mm7Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mm7", tag_field="kind"):
    """[transports.NAME] kind = "mm7": a carrier's MMSC, reached by MM7 (3GPP TS 23.140)."""

    url: Annotated[str, Meta(pattern="^https?://[^ ]+$", description="Where the MMSC takes messages.")]
    username: Annotated[str, Meta(description="Name for HTTP Basic; empty: without a login.")] = ""
    password: Annotated[str, Meta(description="Password for HTTP Basic.")] = ""
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    vasp_id: Annotated[str, Meta(description="VASPID, from the carrier.")] = ""
    vas_id: Annotated[str, Meta(description="VASID, from the carrier.")] = ""
    service_code: Annotated[str, Meta(description="ServiceCode, only when the carrier asks for one.")] = ""
    release: Annotated[
        str,
        Meta(
            pattern="^(REL-[0-9]+-MM7-[0-9]+-[0-9]+|https?://[^ ]+)$",
            description="Release of the schema, as REL-5-MM7-1-0, or a namespace as the carrier writes it.",
        ),
    ] = "REL-6-MM7-1-4"
    version: Annotated[str, Meta(description="MM7Version; empty: the one of the release.")] = ""
    sender_form: Annotated[
        Literal["auto", "number", "short-code"],
        Meta(description="Element of the sender; auto: ShortCode up to 8 digits, else Number."),
    ] = "auto"
    plus: Annotated[bool, Meta(description="Numbers begin with a plus.")] = True
    omit: Annotated[tuple[Mm7Optional, ...], Meta(description="Optional elements that the carrier refuses.")] = ()
    read_reply: Annotated[bool, Meta(description="Ask for a report when the message is read.")] = False
    connections: Annotated[int, Meta(ge=1, le=256, description="Requests at once.")] = 8
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for an answer.")] = 30.0
    retry: Annotated[
        tuple[int, ...],
        Meta(description="StatusCodes after which a message is tried again; any other refusal is final."),
    ] = (3000, 3500, 3510, 4000, 4006)
    inbound_username: Annotated[str, Meta(description="Name that the carrier shows when it reports.")] = ""
    inbound_password: Annotated[str, Meta(description="Password that it shows; empty: it may not report.")] = ""
    largest_bytes: LargestBytes = UNLIMITED.largest_bytes
    largest_side: LargestSide = UNLIMITED.largest_side

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the MMSC."""
        return _address(self.url)

    @property
    def limits(self) -> Limits:
        """How large a picture may be."""
        return Limits(self.largest_bytes, self.largest_side)


class HttpReceipts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[transports.NAME.receipts]: where the parts of a delivery receipt stand, as `data.0.id`."""

    id: Annotated[str, Meta(min_length=1, description="The id that the carrier gave when it took the message.")]
    status: Annotated[str, Meta(min_length=1, description="The word for what became of it.")]
    error: Annotated[str, Meta(description="The carrier's code for what went wrong.")] = ""
    delivered: Annotated[tuple[str, ...], Meta(description="Words for delivered.")] = ("delivered",)
    failed: Annotated[tuple[str, ...], Meta(description="Words for failed; any other word: on its way.")] = (
        "failed",
        "undelivered",
        "rejected",
        "expired",
    )


class HttpReplies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[transports.NAME.replies]: where the parts of an arriving message stand."""

    sender: Annotated[str, Meta(min_length=1, description="Who wrote.")] = msgspec.field(name="from")
    recipient: Annotated[str, Meta(min_length=1, description="The number that was written to.")] = msgspec.field(
        name="to"
    )
    text: Annotated[str, Meta(min_length=1, description="The text.")]
    id: Annotated[str, Meta(description="The carrier's id of it: what comes again with the same id counts once.")] = ""
    subject: Annotated[str, Meta(description="The subject of an MMS.")] = ""
    media: Annotated[
        str,
        Meta(
            description="The links to its files, which are fetched: `media.*.url` for a list, `MediaUrl*` for fields."
        ),
    ] = ""
    content: Annotated[
        str, Meta(description="The files themselves, in base64, where the carrier sends them along.")
    ] = ""


class HttpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="http", tag_field="kind"):
    """[transports.NAME] kind = "http": a carrier with an HTTP API of its own, told by a template."""

    url: Annotated[str, Meta(pattern="^https?://[^ ]+$", description="Where messages go; may have placeholders.")]
    carries: Annotated[tuple[Literal["sms", "mms"], ...], Meta(description="What it takes.")] = ("sms",)
    method: Annotated[Literal["POST", "PUT", "GET"], Meta(description="Method of the request.")] = "POST"
    form: Annotated[dict[str, str], Meta(description="Fields of a form; with GET, of the query.")] = {}
    json: Annotated[dict[str, Any], Meta(description="A JSON body, in place of a form.")] = {}
    headers: Annotated[dict[str, str], Meta(description="Headers of the request.")] = {}
    username: Annotated[str, Meta(description="Name for HTTP Basic; empty: without.")] = ""
    password: Annotated[str, Meta(description="Password for HTTP Basic.")] = ""
    tls_ca: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    connections: Annotated[int, Meta(ge=1, le=256, description="Requests at once.")] = 8
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds to wait for an answer.")] = 30.0
    id: Annotated[str, Meta(description="Where the message's id stands in a JSON answer; empty: no receipts.")] = ""
    error: Annotated[str, Meta(description="Where an error code stands in an answer that is a 2xx.")] = ""
    retry: Annotated[
        tuple[str, ...],
        Meta(description="HTTP statuses and error codes after which a message is tried again; others are final."),
    ] = ("408", "429", "500", "502", "503", "504")
    inbound_username: Annotated[str, Meta(description="Name that the carrier shows when it reports.")] = ""
    inbound_password: Annotated[str, Meta(description="Password that it shows; empty: it may not report.")] = ""
    receipts: Annotated[HttpReceipts | None, Meta(description="How it reports deliveries.")] = None
    replies: Annotated[HttpReplies | None, Meta(description="How it reports arriving messages.")] = None
    largest_bytes: LargestBytes = UNLIMITED.largest_bytes
    largest_side: LargestSide = UNLIMITED.largest_side

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the carrier."""
        return _address(self.url)

    @property
    def limits(self) -> Limits:
        """How large a picture may be."""
        return Limits(self.largest_bytes, self.largest_side)


def _address(url: str) -> tuple[str, int]:
    parsed = urlsplit(url)
    return parsed.hostname or "", parsed.port or (443 if parsed.scheme == "https" else 80)


class SandboxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sandbox", tag_field="kind"):
    """[transports.NAME] kind = "sandbox": the built-in carrier of a medium."""

    medium: Annotated[Medium, Meta(description="What it carries.")] = msgspec.field(default=DEFAULT, name="channel")


TransportOptions = SmppOptions | SmtpOptions | Mm7Options | HttpOptions | SipOptions | SandboxOptions


class RouteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[routes]]: which messages go to which transport. What is left empty matches everything."""

    transport: Annotated[str, Meta(description="Name of the transport that carries the message.")]
    medium: Annotated[Medium, Meta(description="Medium of the message.")] = msgspec.field(
        default=DEFAULT, name="channel"
    )
    country: Annotated[str, Meta(pattern="^([A-Za-z]{2})?$", description="ISO code of the recipient's country.")] = ""
    prefix: Annotated[
        str, Meta(pattern=r"^(\+[0-9]{1,15})?$", description="Beginning of the recipient's number in E.164.")
    ] = ""
    sender: Annotated[str, Meta(description="Exact sender ID.")] = ""
    account: Annotated[str, Meta(description="Username of the account.")] = ""
    priority: Annotated[int, Meta(ge=0, description="Lower is tried first; higher ones are the failover.")] = 10
    weight: Annotated[int, Meta(ge=1, description="Share among routes of the same priority.")] = 1


class Carriers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of heliograph.toml."""

    transports: dict[str, TransportOptions] = {}
    routes: list[RouteOptions] = []
