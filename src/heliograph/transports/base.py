"""What a transport gives and takes.

Transports know messages and the wire. They know nothing of accounts, money or the HTTP API, and they answer with a
value (`Sent`, `Retry`, `Failed`); an exception out of `send` is a bug.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

LONGEST_ID = 500
"""Characters of a carrier's id of a message. Databases index them, and PostgreSQL refuses what is too long for that."""


class MessageKey(msgspec.Struct, frozen=True, gc=False):
    """Names one message of one account. Transports pass it back untouched."""

    user_id: int
    channel: str
    message_id: str


class SmsText(msgspec.Struct, frozen=True):
    """The text of an SMS, already cut into segments by the rules of GSM 03.38 or UCS-2.

    `parts` are texts, not bytes: the alphabet of data_coding 0 is a matter of the carrier, so the transport encodes.
    `unicode` says that the message must go as UCS-2 (data_coding 8).
    """

    parts: tuple[str, ...]
    unicode: bool


class Mail(msgspec.Struct, frozen=True):
    """An email in its RFC 5322 form, lines ending in CRLF, signed if it is to be (mail/letter.py, mail/signing.py).

    `envelope_sender` is where bounces go, "" for a mail that may cause none. `utf8`: an address in its headers is
    outside ASCII (RFC 6531).
    """

    octets: bytes
    envelope_sender: str
    utf8: bool = False


class Media(msgspec.Struct, frozen=True):
    """A file of a multimedia message.

    `name` is a file name of letters, digits and a dot; `content_type` is MIME.

    `url` is where a carrier can fetch it, if it can.
    """

    name: str
    content_type: str
    octets: bytes
    url: str = ""


class Limits(msgspec.Struct, frozen=True):
    """How large a picture may be that a carrier takes: bytes of the file, and pixels of the longer side."""

    largest_bytes: int = 250_000
    largest_side: int = 65_535


UNLIMITED = Limits()
"""Whatever was accepted: no larger file is (api-v3, "Send MMS"), and no JPEG or GIF has a longer side."""


class Mms(msgspec.Struct, frozen=True):
    """A multimedia message: a subject and a text (either may be empty) and its files."""

    subject: str
    text: str
    media: tuple[Media, ...]


class Spoken(msgspec.Struct, frozen=True):
    """What is said on a call: 16-bit samples (little-endian, one channel), 8000 a second.

    `keys`: wait for keys afterwards. `machines`: notice an answering machine, and speak after its greeting.
    """

    sound: bytes
    keys: bool = False
    machines: bool = False

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.sound) / 16000


Content = SmsText | Mail | Mms | Spoken
"""What a transport carries: one struct for each medium that has a transport."""


class Outgoing(msgspec.Struct, frozen=True):
    """One message to hand over. `valid_until` is in Unix seconds; `attempt` starts at 1."""

    key: MessageKey
    sender: str
    recipient: str
    content: Content
    valid_until: int
    attempt: int = 1


class Sent(msgspec.Struct, frozen=True, tag=True):
    """The carrier took the message. One remote id for each part that will have a receipt of its own.

    `arrived`: the hand-over was the delivery, as a call is that was answered, and no receipt will follow. `details` is
    then what only its channel knows (the digits that were pressed).
    """

    remote_ids: tuple[str, ...] = ()
    detail: str = ""
    arrived: bool = False
    details: dict[str, Any] | None = None


class Retry(msgspec.Struct, frozen=True, tag=True):
    """Not taken, and another try may help. `after` seconds; `why` is shown to the customer.

    `maybe_sent` marks an answer that was lost: the carrier may have taken the message, so a retry may double it.
    `waiting`: the carrier is not there at all, so this was no try; the message goes out when it is there again.
    `early`: the carrier was not asked, since too much goes where this message goes; its turn comes after `after`.
    """

    after: float
    why: str
    code: int | None = None
    maybe_sent: bool = False
    waiting: bool = False
    early: bool = False


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Refused for good before the carrier took it. `code` is the carrier's own (SMPP command_status, SMTP reply)."""

    code: int | None
    why: str


Outcome = Sent | Retry | Failed

ReceiptState = Literal["delivered", "failed", "expired", "enroute", "delayed", "complaint"]
"""`enroute`: nothing is decided. `delayed`: a passing fault, and the carrier goes on. `complaint`: reported as spam."""


class Receipt(msgspec.Struct, frozen=True):
    """What a carrier reports later. `error` is the carrier's error code as text, `raw` its own words.

    `key` is filled when the transport still remembers which message the remote id belongs to; otherwise the id is
    looked up. `at` is in Unix seconds. `details` is what only its channel knows (the digits that a caller pressed).
    """

    transport: str
    remote_id: str
    state: ReceiptState
    at: int
    error: str | None = None
    raw: str = ""
    key: MessageKey | None = None
    details: dict[str, Any] | None = None


class Inbound(msgspec.Struct, frozen=True):
    """A message that arrived (MO). Long messages are whole here: the transport put the parts together.

    `details` is what only its channel knows (the pages of a fax); `media` are the files of an MMS, `links` the URLs of
    those that have to be fetched. `reference` is the same when the carrier says the same message again, because it got
    no answer; empty: nobody can tell.
    """

    transport: str
    channel: str
    sender: str
    recipient: str
    body: str
    at: int
    details: dict[str, Any] | None = None
    media: tuple[Media, ...] = ()
    links: tuple[str, ...] = ()
    reference: str = ""


PartsKey = tuple[str, str, str, int, int]
"""Names a long message on its way: transport, sender, recipient, reference, number of parts."""


class Part(msgspec.Struct, frozen=True):
    """A part of a long message that arrives (MO): `number` of `total`, from 1.

    `octets` are as they came, since a character may stand across two parts; `form` says how to read them (data_coding
    of SMPP), which is for the transport that joins them. `at` is in Unix seconds.
    """

    transport: str
    sender: str
    recipient: str
    reference: int
    total: int
    number: int
    form: int
    octets: bytes
    at: int

    @property
    def key(self) -> PartsKey:
        """The message that it is a part of."""
        return self.transport, self.sender, self.recipient, self.reference, self.total


class Told(msgspec.Struct, frozen=True):
    """A request by which a carrier reports over HTTP. Names of headers are in small letters."""

    method: str
    query: str
    headers: Mapping[str, str]
    octets: bytes


class Answer(msgspec.Struct, frozen=True):
    """What a carrier is answered over HTTP."""

    status: int
    content_type: str
    octets: bytes


Join = Callable[[Sequence[Part]], Inbound]
"""Makes a message of its parts, which are ordered and perhaps not all there. Pure and quick: a transaction is open."""


class Events(Protocol):
    """Where a transport reports. What was given is stored when the call returns: acknowledge to the peer after that.

    It is dated by the database's clock, and not by the `at` of this machine: several workers serve one carrier.
    """

    async def on_receipts(self, receipts: Sequence[Receipt]) -> None: ...

    async def on_inbound(self, message: Inbound) -> None: ...

    async def on_part(self, part: Part, join: Join) -> None:
        """Keep a part. The last that was missing is stored with the message that `join` makes of all, or not at all.

        A part that comes again replaces what was there. Calls that wait together are stored together.
        """
        ...

    async def on_overdue_parts(self, transport: str, age: float, most: int, join: Join) -> None:
        """Store the incomplete messages of a transport as far as they came, and keep their parts no longer.

        Those whose first part came `age` seconds ago or earlier, and the oldest beyond `most`.
        """
        ...


class Inbox(Protocol):
    """The receiving end of a transport whose carrier reports by requests of its own."""

    def admits(self, authorization: str) -> bool:
        """Whether a request with this Authorization header may come in."""
        ...

    async def receive(self, told: Told, events: Events) -> Answer:
        """Store what a request says, and answer it. Raises what `events` raises: then nothing is stored."""
        ...


class Transport(Protocol):
    """One connection (or pool of connections) to one carrier."""

    name: str

    @property
    def connected(self) -> bool:
        """Whether the carrier is there (bound, logged in). Any thread asks this, and `capacity`."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a message given now would go out at once: connected, and not asked to slow down at the moment."""
        ...

    @property
    def capacity(self) -> int:
        """How many messages it is sensible to have inside `send` at once, over all calls."""
        ...

    async def open(self, events: Events) -> None:
        """Start, and keep trying in the background: an unreachable peer is no error here."""
        ...

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over; one outcome for each message, in order. Never raises for what a peer does."""
        ...

    async def close(self) -> None:
        """Finish what is in flight (bounded by a few seconds), say goodbye to the peer, release everything."""
        ...
