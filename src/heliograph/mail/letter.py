"""The form of a mail (RFC 5322, MIME): from names, texts and files to the octets that go over the wire."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import NamedTuple

import msgspec

from heliograph.mailaddress import in_ascii
from heliograph.transports.base import Mail

_ATOM = r'[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff@<>()\[\]\\,;:".]+'
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_ATOM}(\.{_ATOM})*")
_NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_TEXTS = re.compile(r"[\x00\ud800-\udfff]")
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")
_CONTENT_TYPE = re.compile(r"([A-Za-z0-9!#$&^_.+-]{1,127})/([A-Za-z0-9!#$&^_.+-]{1,127})")


class Unwritable(Exception):
    """There is no such mail. The text is a sentence for whoever sends it, without a dot at its end."""


class Person(NamedTuple):
    """Whom a mail comes from or goes to; a name may be missing."""

    address: str
    name: str = ""


class Enclosed(msgspec.Struct, frozen=True):
    """A file in a mail. One with a `content_id` (without brackets) belongs into the HTML, where `cid:` names it."""

    name: str
    content_type: str
    octets: bytes
    content_id: str = ""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail before it is written. `date` is in Unix seconds.

    `message_id` is its local part: the same at each hand-over, so that a mail that comes twice can be told by it.
    `headers` are further ones, (name, value) in ASCII, that the house has written itself.
    """

    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...] = ()
    reply_to: Person | None = None
    subject: str
    text: str
    html: str = ""
    files: tuple[Enclosed, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    message_id: str
    date: float


def writable(person: Person) -> bool:
    """Whether a mail can have this address and this name in its headers."""
    return _ADDRESS.fullmatch(person.address) is not None and not _NOT_IN_HEADERS.search(person.name)


def one_line(text: str) -> bool:
    """Whether a text can stand in a header: nothing in it could begin another one."""
    return not _NOT_IN_HEADERS.search(text)


def carried(text: str) -> bool:
    """Whether a text can be a body: no NUL, no half of a character."""
    return not _NOT_IN_TEXTS.search(text)


def written(letter: Letter, envelope_sender: str) -> Mail:
    """The mail, lines ending in CRLF. Bodies are 7 bit, so that no relay has to know 8BITMIME. Raises Unwritable."""
    people = [letter.sender, *letter.to, *letter.cc, *([letter.reply_to] if letter.reply_to else [])]
    for person in people:
        if not writable(person):
            raise Unwritable(f"{person.address[:100]!r} is no email address, or its name has a control character")
    if not one_line(letter.subject):
        raise Unwritable("The subject has a line break or another control character")
    if not (carried(letter.text) and carried(letter.html)):
        raise Unwritable("The text has characters that an email cannot carry")
    utf8 = not all(_ascii(person.address).isascii() for person in people)
    return Mail(_octets(letter, utf8), envelope_sender, utf8)


def _octets(letter: Letter, utf8: bool) -> bytes:
    mail = EmailMessage(policy=(SMTPUTF8 if utf8 else SMTP).clone(cte_type="7bit"))
    mail["From"] = _field([letter.sender])
    if letter.to:
        mail["To"] = _field(letter.to)
    if letter.cc:
        mail["Cc"] = _field(letter.cc)
    if letter.reply_to:
        mail["Reply-To"] = _field([letter.reply_to])
    mail["Subject"] = letter.subject
    mail["Date"] = datetime.fromtimestamp(letter.date, UTC)
    mail["Message-ID"] = f"<{letter.message_id}@{_ascii(letter.sender.address).rpartition('@')[2]}>"
    for name, value in letter.headers:
        mail[name] = value
    mail.set_content(letter.text)
    if letter.html:
        mail.add_alternative(letter.html, subtype="html")
        _enclose(mail, letter.files)
    else:
        for file in letter.files:
            _attach(mail, file)
    return mail.as_bytes()


def _ascii(address: str) -> str:
    """With its domain as DNS has it, where that can be."""
    return in_ascii(address) or address


def _field(people: Iterable[Person]) -> tuple[Address, ...]:
    found = []
    for person in people:
        local, _, domain = _ascii(person.address).rpartition("@")
        found.append(Address(person.name, local, domain))
    return tuple(found)


def _enclose(mail: EmailMessage, files: Iterable[Enclosed]) -> None:
    """Files of the HTML beside it (multipart/related), the others at the end."""
    html = mail.get_body(("html",))
    assert isinstance(html, EmailMessage)
    for file in files:
        if file.content_id and _CONTENT_ID.fullmatch(file.content_id):
            main, sub = _type(file)
            html.add_related(
                file.octets,
                maintype=main,
                subtype=sub,
                cid=f"<{file.content_id}>",
                disposition="inline",
                filename=_name(file),
            )
    for file in files:
        if not (file.content_id and _CONTENT_ID.fullmatch(file.content_id)):
            _attach(mail, file)


def _attach(mail: EmailMessage, file: Enclosed) -> None:
    main, sub = _type(file)
    mail.add_attachment(file.octets, maintype=main, subtype=sub, filename=_name(file))


def _name(file: Enclosed) -> str:
    return _NOT_IN_HEADERS.sub("_", file.name)


def _type(file: Enclosed) -> tuple[str, str]:
    """What is no type, or would have another structure than a file (a mail, several parts), is just octets."""
    found = _CONTENT_TYPE.fullmatch(file.content_type.partition(";")[0].strip().lower())
    if found is None or found[1] in ("multipart", "message"):
        return "application", "octet-stream"
    return found[1], found[2]
