"""The text of a receipt (SMPP 3.4, appendix B) as carriers really write it. Pure; no step is slower than linear.

Fields may stand in any order, behind blanks, commas, line breaks or nothing at all; states may be phrases.
"""

import re
from typing import Final

import msgspec

from heliograph.transports.base import ReceiptState

_USUAL: Final = re.compile(
    r"id:([\w./+-]+) sub:[\w-]* dlvrd:[\w-]* submit date:[\w+-]* done date:[\w+-]* stat:([a-z]+) err:([\w.+-]*)(?= |$)",
    re.IGNORECASE | re.ASCII,
)
_NAME: Final = re.compile(
    r"(?:(?P<id>(?:message|msg)[ _]?id|id)|(?P<stat>stat(?:us|e)?)|(?P<err>err(?:or)?(?:[ _]?code)?)|(?P<text>text)"
    r"|(?:submit|done)[ _]?date|sub|dlvrd)\s{0,9}[:=]",
    re.IGNORECASE,
)
_SEPARATORS: Final = " \t\r\n,;|&"
_TOKEN: Final = re.compile(r"[^\s,;|&]+")
_PHRASE_END: Final = re.compile(r"[\r\n,;|&]")
_WORD: Final = re.compile(r"[^\W_]+")
_QUOTES: Final = "\"'[]<>(){}"
_GLUE: Final = "/._-*#~"
_MOST_WORDS: Final = 5


class Fields(msgspec.Struct, frozen=True, gc=False):
    """What the text names: an id, a state in capitals, an error. Empty where it names none."""

    remote_id: str = ""
    stat: str = ""
    error: str = ""


def fields(text: str) -> Fields:
    """Read a text. What follows `text:` is the message itself and proves nothing; the first field of a name counts."""
    usual = _USUAL.match(text)
    if usual:
        return Fields(usual[1], usual[2].upper(), usual[3])
    found = _segments(text)
    return Fields(_token(found.get("id", "")), _phrase(found.get("stat", "")), _token(found.get("err", "")))


def _segments(text: str) -> dict[str, str]:
    """The texts between the names of fields, by id, stat and err.

    A name that begins inside a word (`001stat:`) ends the field before it, but names one only where no other does: it
    may be the end of a longer name (`network_err:`).
    """
    found: dict[str, str] = {}
    glued: dict[str, str] = {}
    into, name, begin = found, "", 0
    for match in _NAME.finditer(text):
        before = text[match.start() - 1] if match.start() else ""
        inside = before.isalnum() or before in ("_", "-", ".")
        kind = match.lastgroup or "other"
        if inside and (match[0].endswith("=") or (kind == "id" and not before.isdecimal())):
            continue  # the padding of an id in base 64; `valid:`
        segment = text[begin : match.start()]
        if before == "_":  # the rest of a name that nobody knows
            segment = segment.rpartition(" ")[0] or segment
        into.setdefault(name, segment.rstrip(_GLUE))
        into, name, begin = glued if inside else found, kind, match.end()
        if kind == "text":
            break
    else:
        into.setdefault(name, text[begin:])
    return glued | found


def _token(segment: str) -> str:
    token = _TOKEN.search(segment)
    return token[0].strip(_QUOTES) if token else ""


def _phrase(segment: str) -> str:
    """The words of a state; a name that nobody knows (`DELIVRD network:26201`) is none of them."""
    phrase = _PHRASE_END.split(segment.lstrip(_SEPARATORS), maxsplit=1)[0]
    own, *unknown = re.split("[:=]", phrase, maxsplit=1)
    if unknown:
        own = own.rpartition(" ")[0] or own
    words = _WORD.findall(own)
    return " ".join(words[:_MOST_WORDS]).upper()


_LATER: Final = frozenset(
    (
        "BE",
        "BEING",
        "DELAYED",
        "PARTIAL",
        "PARTIALLY",
        "PENDING",
        "RETRY",
        "RETRYING",
        "TEMP",
        "TEMPORARILY",
        "TEMPORARY",
        "WAITING",
        "WILL",
        "YET",
    )
)
"""With one of them nothing is decided, whatever else is said: TEMPORARY FAILURE, NOT YET DELIVERED."""
_FAILED: Final = (
    "ABORT",
    "BARRED",
    "BLACKLIST",
    "BLOCK",
    "CANCEL",
    "DELE",
    "DENIED",
    "DISCARD",
    "DROPPED",
    "INVALID",
    "NOCRED",
    "NONDEL",
    "NOTDEL",
    "REFUS",
    "REJ",
    "SKIP",
    "SYSERR",
    "UNDEL",
    "UNDLV",
    "UNKN",
    "UNSUCC",
)
"""Beginnings of words that say the end without delivery: UNDELIV, UNDELIVERABLE, REJECTD, REJECTED, DELETED …"""
_DENIALS: Final = frozenset(("CANNOT", "LOST", "NEVER", "NON", "NOT", "SPAM", "UN"))
_ERRORS: Final = ("ERR", "DELIVERY ERR")
_ON_ITS_WAY: Final = (
    "ACC",
    "ACK",
    "BUFF",
    "CARRIER",
    "ENR",
    "FORWARD",
    "GATEWAY",
    "NETWORK",
    "OPERATOR",
    "QUEUE",
    "SCHED",
    "SENT",
    "SMSC",
    "SUBMI",
    "UPSTREAM",
)
"""Beginnings of words that say it is not there yet: ENROUTE, ACCEPTD, BUFFRED; DELIVERED TO NETWORK."""
_DELIVERED: Final = frozenset(
    (
        "DELIV",
        "DELIVD",
        "DELIVERD",
        "DELIVERED",
        "DELIVRD",
        "DELIVRED",
        "DELVRD",
        "DLV",
        "DLVD",
        "DLVRD",
        "SUCC",
        "SUCCEEDED",
        "SUCCESS",
        "SUCCESSFUL",
        "SUCCESSFULLY",
    )
)
"""Exact words: much begins like them and is none (DELIVERY FAILED, DELIVERING, DELIVERABLE)."""


def state_of(stat: str) -> ReceiptState | None:
    """The state that the words of a `stat` (in capitals) mean; None for words that nobody knows.

    Only exact words are a delivery, and no word beside them may speak against it. Beside the standard's own DELIVRD
    the name of a network is a field that lost its colon.
    """
    words = stat.split()
    if any(word in _LATER for word in words):
        return "enroute"
    if any("EXPIR" in word or word in ("EXP", "EXPD") for word in words):
        return "expired"
    if any("FAIL" in word or word in _DENIALS or word.startswith(_FAILED) for word in words):
        return "failed"
    if stat.startswith(_ERRORS):
        return "failed"
    by_code = words[:1] == ["DELIVRD"] and "TO" not in words
    if not by_code and any(word.startswith(_ON_ITS_WAY) for word in words):
        return "enroute"
    return "delivered" if any(word in _DELIVERED for word in words) else None
