"""What a mail says that came back: a bounce, a complaint, an absence, a wish to get no more. Safe for any octets.

The message that it is about is known by the address that it came to (`verp.py`), or by `Original` where that is none of
ours; the mail itself may name anything. Whether a message failed for good (`Kind`) and whether its address is dead
(`dead`) are two questions: a relay gives up on a mailbox that is full, which lives.
"""

import re
from collections.abc import Iterator
from email import message_from_bytes, message_from_string
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from itertools import islice
from typing import Literal

import msgspec

from heliograph.mail import judgement
from heliograph.mail.verp import BOUNCE, UNSUBSCRIBE, Purpose

Kind = Literal["failed", "delayed", "complaint", "unsubscribe", "auto-reply", "other"]
FAILED: Kind = "failed"
"""A host refused it for good, or a relay gave up."""
DELAYED: Kind = "delayed"
"""A passing fault: it is still tried."""
COMPLAINT: Kind = "complaint"
"""Its recipient called it spam."""
WISH: Kind = "unsubscribe"
"""Its recipient wants no more."""
AUTO_REPLY: Kind = "auto-reply"
"""Nobody has written it, and it says nothing of the message: an absence, a ticket."""
OTHER: Kind = "other"
"""Something else, a report that a mail has arrived for example."""

MOST_OCTETS = 128 * 1024
"""What is read of a mail. What a report has to say comes before the returned mail."""
MOST_PARTS = 20
"""Multiparts and messages in it that are read, so that nothing can be nested deeper; recipients of a report, too."""
LONGEST_LINE = 2000
MOST_FOR_HEURISTICS = 12 * 1024
LONGEST_WORDS = 500


class Original(msgspec.Struct, frozen=True):
    """What a report says of the mail that it is about: its headers and where it came from, each "" when not said."""

    envelope_sender: str = ""
    message_id: str = ""
    feedback_id: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says. `status` is an enhanced code (RFC 3463) or "", `words` what the host or the reporter said.

    `recipient` is the address that the mail names, "" for none; complaints often have it blacked out. `dead`: the
    address that refused is no mailbox, and mails to it can be spared.
    """

    kind: Kind
    status: str = ""
    words: str = ""
    recipient: str = ""
    dead: bool = False
    original: Original = Original()


def read(octets: bytes, *, at: Purpose = BOUNCE) -> Feedback:
    """What a mail says that came to an address of this purpose. It never raises: what cannot be read is OTHER.

    At UNSUBSCRIBE each mail is a wish, whatever its text is, unless a program has answered. Sources: RFC 3464 (reports
    of delivery), RFC 5965 (complaints), RFC 3834 (automatic answers).
    """
    try:
        mail = _parsed(octets)
        return _report(mail) or _complaint(mail) or _without_report(mail, octets, at)
    except Exception:  # noqa: BLE001 - parsers raise anything at a hostile mail, which says nothing then
        return Feedback(kind=OTHER)


# Reports of delivery


def _report(mail: Message) -> Feedback | None:
    """What the report of delivery in a mail says; None: it has none."""
    found = (block for part in _leaves(mail) for block in _blocks(part) if block["status"] or block["action"])
    blocks = list(islice(found, MOST_PARTS))
    if not blocks:
        return None
    original, text = _original(mail), _text(mail)
    return min((_judged(block, text, original) for block in blocks), key=_weight)


def _blocks(part: Message) -> Iterator[Message]:
    """The groups of fields of a delivery-status part (RFC 3464, 2.1; RFC 6533)."""
    kind = part.get_content_type()
    if kind == "message/delivery-status":
        yield from _inner(part)
    elif kind == "message/global-delivery-status":  # which the parser takes for a mail of its own
        for first in _inner(part):
            yield first
            yield from map(message_from_string, _PARAGRAPH.split(_decoded(first)))


def _judged(block: Message, text: str, original: Original) -> Feedback:
    recipient = _address(block, "original-recipient") or _address(block, "final-recipient")
    said = _value(block, "diagnostic-code").partition(";")
    words = _clean(said[2] or said[0]) or _said(text, recipient)
    found = judgement.ENHANCED.search(_value(block, "status"))
    status = judgement.best_status(".".join(found.groups()) if found else "", words)
    action = _value(block, "action").partition(" ")[0].lower()
    kind = _kind(action, status, words)
    return Feedback(
        kind=kind,
        status=status,
        words=words,
        recipient=recipient,
        dead=kind == FAILED and judgement.is_dead(status, words),
        original=original,
    )


def _kind(action: str, status: str, words: str) -> Kind:
    """The action says whether a message is still tried; the status says why. Without an action the status must do.

    OpenSMTPD calls a message delayed that it has given up.
    """
    if action in ("delivered", "relayed", "expanded") or status.startswith("2"):
        return OTHER
    waits = action == "delayed" or (action != "failed" and not status.startswith("5"))
    return DELAYED if waits and "envelope expired" not in words.lower() else FAILED


def _weight(found: Feedback) -> tuple[bool, bool, bool]:
    """The worst comes first."""
    return (not found.dead, found.kind != FAILED, found.kind != DELAYED)


# Complaints


def _complaint(mail: Message) -> Feedback | None:
    """What the feedback report in a mail says; None: it has none."""
    reports = (
        report
        for part in _leaves(mail)
        if part.get_content_type() == "message/feedback-report"
        for report in _inner(part)
    )
    report = next(reports, None)
    if report is None:
        return None
    named = _value(report, "feedback-type").lower()
    kind: Kind = {"opt-out": WISH, "opt-out-list": WISH, "not-spam": OTHER, "auth-failure": OTHER, "dmarc": OTHER}.get(
        named, COMPLAINT
    )
    original = _original(mail)
    return Feedback(
        kind=kind,
        words=_clean(named),
        recipient=_address(report, "original-rcpt-to") or _address(report, "removal-recipient"),
        original=msgspec.structs.replace(
            original, envelope_sender=_address(report, "original-mail-from") or original.envelope_sender
        ),
    )


# Mails without a report

_DAEMONS = ("mailer-daemon", "mailerdaemon", "postmaster", "mail-daemon", "maildaemon")
_DAEMON_NAMES = ("mail delivery", "system administrator", "mail administrator", "delivery subsystem")
_ABSENCE = re.compile(
    "out of office|out-of-office|automatic reply|auto reply|auto-reply|autoreply|vacation|i am away|away from|abwesend|"
    "abwesenheit|automatische antwort|réponse automatique|absence du bureau|absent du bureau|respuesta automática|"
    "fuera de la oficina|risposta automatica|fuori ufficio|resposta automática|automatisch antwoord|afwezig|autosvar"
)
"""How the subject of an absence notice begins."""
_WARNINGS = ("delayed", "will be retried", "not yet been delivered", "still trying", "continue to be made", "warning")
_COPIES = re.compile(
    r"^[ \t>*=-]*(?:below this line is a copy|below is a copy|this is a copy|(?:the )?original message|"
    r"returned message|message text follows|return-path:|received:|forwarded message|begin message|start of returned)",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a host begins to quote what was sent."""
_IN_ASCII = bytes(range(128)) + b"?" * 128
_UNSUBSCRIBE = ("unsubscribe", "remove me", "opt out", "opt-out", "abmelden", "abbestellen", "désabonner", "baja")


def _without_report(mail: Message, octets: bytes, at: Purpose) -> Feedback:
    subject = _subject(mail).lower()
    if _from_daemon(mail):
        return _heuristic(mail, octets) or Feedback(kind=OTHER)
    if _automatic(mail, subject):
        return Feedback(kind=AUTO_REPLY)
    if at == UNSUBSCRIBE or subject.strip(" .!") in _UNSUBSCRIBE:
        return Feedback(kind=WISH, recipient=parseaddr(_value(mail, "from"))[1])
    return Feedback(kind=OTHER)


def _from_daemon(mail: Message) -> bool:
    """Whether a mail system has written it: only such a mail is searched for the words of a bounce."""
    name, address = parseaddr(_value(mail, "from").lower())
    local_part = address.partition("@")[0]
    by_name = any(known in name for known in _DAEMON_NAMES)
    return local_part.startswith(_DAEMONS) or by_name or mail["x-failed-recipients"] is not None


def _automatic(mail: Message, subject: str) -> bool:
    """Whether a program has answered (RFC 3834, 5), also by the signs that came before that standard."""
    if _value(mail, "auto-submitted").lower().startswith("auto-replied"):
        return True
    marks = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from", "x-vacation")
    if any(mail[mark] is not None for mark in marks) or _value(mail, "precedence").lower() in ("auto_reply", "junk"):
        return True
    return _ABSENCE.match(subject) is not None


def _heuristic(mail: Message, octets: bytes) -> Feedback | None:
    """A bounce in a host's own words. The library knows who is meant, the words say why."""
    from flufl.bounce import all_failures

    text = _text(mail)
    plain = octets[:MOST_FOR_HEURISTICS].translate(_IN_ASCII)  # the library breaks at a From in other octets
    passing, lasting = all_failures(_parsed(plain, longest=300))
    recipient = min(lasting or passing, default=b"").decode("ascii", "replace")
    words = _said(text, recipient)
    reply = judgement.REPLY.search(words)
    if not (recipient or reply):
        return None
    status = judgement.best_status("", words)
    digit = status[:1] or (reply[1] if reply else "")
    lower = f"{_subject(mail)} {text[:2000]}".lower()
    waits = bool(passing) or (digit != "5" and any(known in lower for known in _WARNINGS))
    return Feedback(
        kind=DELAYED if waits else FAILED,
        status=status,
        words=words,
        recipient=recipient,
        dead=not waits and digit != "4" and judgement.is_dead(status, words),
        original=_original(mail),
    )


# Reading


_PARAGRAPH = re.compile(r"\n[ \t\r]*\n")
_NESTED = re.compile(rb"multipart/|message/", re.IGNORECASE)


def _parsed(octets: bytes, longest: int = LONGEST_LINE) -> Message:
    """The mail, as far as it is read: its beginning, with lines that are cut and no more parts than can be nested."""
    start = octets[:MOST_OCTETS]
    nested = islice(_NESTED.finditer(start), MOST_PARTS, None)
    start = start[: next((one.start() for one in nested), len(start))]
    return message_from_bytes(b"".join(line[:longest] + b"\n" for line in start.splitlines()))


def _leaves(mail: Message) -> Iterator[Message]:
    """The parts of a mail that are not multiparts, in their order. What stands in a returned mail is not among them."""
    waiting = [mail]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart":
            waiting += reversed(_inner(part))
        else:
            yield part


def _inner(part: Message) -> list[Message]:
    """The parts of a multipart, or the messages inside of a message part."""
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _original(mail: Message) -> Original:
    """What the returned mail, or its headers, say."""
    for part in _leaves(mail):
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global"):
            inner = _inner(part)
        elif kind in ("text/rfc822-headers", "message/global-headers"):
            inner = _inner(part) or [message_from_string(_decoded(part))]
        else:
            continue
        for one in inner:
            sender = parseaddr(_value(one, "return-path"))[1]
            return Original(sender, _value(one, "message-id"), _value(one, "feedback-id"))
    return Original()


def _text(mail: Message) -> str:
    """The text for a human reader, without what is quoted of the mail that was sent."""
    for part in _leaves(mail):
        if part.get_content_type() == "text/plain":
            text = _decoded(part)
            quoted = _COPIES.search(text)
            return text[: quoted.start()] if quoted and quoted.start() else text
    return ""


def _decoded(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")


def _said(text: str, recipient: str) -> str:
    """The words of the refusing host in a text for humans: its reply, else what follows its recipient, else all."""
    reply = judgement.REPLY.search(text)
    place = reply.start() if reply else max(text.find(recipient), 0) if recipient else 0
    return _clean(_PARAGRAPH.split(text[place:], maxsplit=1)[0] if place else text)


def _value(message: Message, name: str) -> str:
    """A header without its folds, in UTF-8 if it is no ASCII; "" when it is not there."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
    return _clean(str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _subject(mail: Message) -> str:
    raw = _value(mail, "subject")
    try:
        return _clean(str(make_header(decode_header(raw))))
    except (LookupError, ValueError, MessageError):
        return raw


def _address(message: Message, name: str) -> str:
    """An address behind its type, as in "rfc822; jane@example.com" (RFC 3464, 2.1.2), or by itself."""
    value = _value(message, name)
    kind, semicolon, address = value.partition(";")
    found = (address if semicolon else kind).strip().strip("<>")
    return found if "@" in found and " " not in found else ""


def _clean(text: str) -> str:
    """One line of characters that can be stored and shown."""
    shown = "".join(one if one.isprintable() else " " for one in text[: 4 * LONGEST_WORDS])
    return " ".join(shown.split())[:LONGEST_WORDS]
