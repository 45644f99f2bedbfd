"""What an arriving mail says: who it is from, whether a machine wrote it, and the text that a person wrote.

Nothing here trusts the mail. Its size is bounded by the server, its parts and lines are counted before it is parsed,
headers are cut before they are read, and texts before patterns see them: the time grows with the size and no faster.
"""

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final, TypeVar, cast

import msgspec

from heliograph.mail.text import plain
from heliograph.mailaddress import is_address
from heliograph.mailserver.desk import Refusal

T = TypeVar("T")
LONGEST_HEADER: Final = 4000
"""Characters of a header that are read: the parser of the standard library takes the square of it."""
LONGEST_SUBJECT: Final = 500
LONGEST_HEAD: Final = 256 * 1024
MOST_PARTS: Final = 100
MOST_MARKS: Final = 2000
"""Lines that begin as the boundary of a part does."""
MOST_LINES: Final = 300_000
"""Twice those of ten megabytes in base64."""
MOST_WORK: Final = 10_000_000
"""Lines times parts: the parser compares each line with the boundary of each part around it."""
LONGEST_HTML: Final = 300_000
"""Characters of HTML that are read; the styles of Outlook come before the text."""
LONGEST_TEXT: Final = 100_000

UNREADABLE: Final = "550 5.6.0 This mail cannot be read"
BULK: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
MACHINES: Final = ("X-Autoreply", "X-Autorespond", "List-Id")
"""Headers that no mail of a person has. `X-Auto-Response-Suppress` is none of them: Outlook writes it."""


class Letter(msgspec.Struct, frozen=True):
    """`sender` is the address of From."""

    sender: str
    message_id: str
    date: str
    subject: str
    text: str


class Head(msgspec.Struct, frozen=True):
    """What is known of a mail before it is taken apart. `machine` says what shows that no person wrote it, or is ""."""

    sender: str
    machine: str


class _Careful(EmailPolicy):
    """Reads no more of a header than a person writes."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """The header, of a value that was cut."""
        return super().header_fetch_parse(name, value[:LONGEST_HEADER])


def head(octets: bytes) -> Head:
    """The headers of a mail. Raises Refusal for what cannot be read. It takes its time: use a thread."""
    _measure(octets)
    return _read(octets[: _end_of_head(octets)], lambda mail: Head(_sender(mail), _machine(mail)))


def read(octets: bytes) -> Letter:
    """Take a mail apart. Raises Refusal for what cannot be read. It takes its time: use a thread."""
    _measure(octets)
    return _read(
        octets,
        lambda mail: Letter(
            sender=_sender(mail),
            message_id=_header(mail, "Message-ID"),
            date=_header(mail, "Date"),
            subject=" ".join(_header(mail, "Subject").split())[:LONGEST_SUBJECT],
            text=_text(mail),
        ),
    )


def _read(octets: bytes, make: Callable[[EmailMessage], T]) -> T:
    try:
        return make(cast(EmailMessage, message_from_bytes(octets, _class=EmailMessage, policy=cast(Any, _Careful()))))
    except Refusal:
        raise
    except Exception as problem:
        raise Refusal(UNREADABLE) from problem


def _measure(octets: bytes) -> None:
    """Refuse what would take long to parse, or what two parsers read in two ways. Raises Refusal."""
    head = octets[: _end_of_head(octets)]
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n") or b"\0" in head:
        raise Refusal("550 5.6.0 The headers of this mail have a bare CR or LF")
    parts, lines = octets.lower().count(b"content-type:"), octets.count(b"\n")
    many = parts > MOST_PARTS or octets.count(b"\n--") > MOST_MARKS
    if many or lines > MOST_LINES or parts * lines > MOST_WORK or len(head) > LONGEST_HEAD:
        raise Refusal("552 5.3.4 This mail has too many parts")


def _end_of_head(octets: bytes) -> int:
    found = octets.find(b"\r\n\r\n")
    return len(octets) if found < 0 else found


def _header(mail: EmailMessage, name: str) -> str:
    return str(mail.get(name, ""))


def _sender(mail: EmailMessage) -> str:
    """The one address of the one From (RFC 5322, 3.6.2, allows more, DMARC does not). Raises Refusal."""
    found: list[Any] = mail.get_all("From", [])
    addresses = [str(one.addr_spec) for header in found for one in header.addresses]
    if len(found) != 1 or len(addresses) != 1 or not is_address(addresses[0]):
        raise Refusal("550 5.6.0 This mail has not one From with one address")
    return addresses[0]


def _machine(mail: EmailMessage) -> str:
    """What shows that no person wrote a mail (RFC 3834, 5); "" when nothing does."""
    submitted = _header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return f"Auto-Submitted: {submitted[:40]}"
    if _header(mail, "Precedence").strip().lower() in BULK:
        return "Precedence"
    return next((name for name in MACHINES if name in mail), "")


def _text(mail: EmailMessage) -> str:
    """The plain text, or that of the HTML when there is none."""
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        text = _content(part) if part is not None else ""
        if kind == "html" and text:
            text = plain(text[:LONGEST_HTML], targets=False)
        if text.strip():
            return text[:LONGEST_TEXT]
    return ""


def _content(part: Any) -> str:
    """The text of a part in a charset that may be wrong, or one that nobody knows."""
    octets = part.get_payload(decode=True) or b""
    charset = str(part.get_content_charset("utf-8"))
    for known in (charset, "utf-8"):
        try:
            return str(octets.decode(known)).replace("\r\n", "\n").replace("\r", "\n")
        except (LookupError, ValueError):
            continue
    return str(octets.decode("windows-1252", "replace")).replace("\r\n", "\n").replace("\r", "\n")
