"""What a person wrote in a mail: without what it answers, without signatures, and without what an account strips.

`mail-parser-reply` knows the forms of many mail programs. Beside it stand what it lacks (Spanish, quotes in any other
language) and what would be wrong for short messages: it cuts lists with hyphens, and sentences that begin with
"Warning:". Texts are cut before its patterns see them.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

LONGEST: Final = 6000
"""Characters that are looked at: four times what the longest SMS has."""
LONGEST_LINE: Final = 300
"""Characters of a line that may introduce a quote: on longer ones the patterns take the square of the length."""
LANGUAGES: Final = ("en", "de", "fr", "it", "nl", "pl", "cs", "ja", "ko", "zh")
"""Danish and Swedish are left out: their signatures ("Tak", "/name") cut sentences of other languages."""

LEAST_DIGITS: Final = 3
"""Digits that a time has at least."""
PHONES: Final = (
    "sent from my ",
    "sent from outlook",
    "sent from yahoo",
    "sent via ",
    "get outlook for ",
    "von meinem iphone gesendet",
    "von meinem ipad gesendet",
    "gesendet von ",
    "gesendet mit ",
    "diese nachricht wurde von meinem ",
    "outlook für ",
    "envoyé de mon ",
    "envoyé depuis ",
    "envoyé à partir de ",
    "télécharger outlook ",
    "enviado desde ",
    "obtener outlook ",
    "descargar outlook ",
    "enviado do meu ",
    "enviado a partir d",
    "inviato da ",
    "scarica outlook ",
    "verstuurd vanaf ",
    "verzonden vanaf ",
    "wysłane z ",
    "wysłano z ",
    "iphoneから送信",
    "ipadから送信",
    "从我的",
    "發自我的",
    "发自我的",
    "나의 iphone에서 보냄",
)
"""What phones and mail programs write under a mail, in small letters."""

SEPARATORS: Final = ("-----original", "-----ursprüngliche", "-----message d'origine", "-----mensaje original")
"""Lines above a quoted mail, in small letters."""
_NO_WIDTH: Final = dict.fromkeys(map(ord, "\ue000\ue001\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"))
_SPACES: Final = re.compile(r"[ \t\xa0\u2000-\u200a\u202f\u3000]+")
_MARKED: Final = re.compile("\ue000([0-9]+)\ue001")
_BLANKS: Final = re.compile(r"\n{3,}")


def written(text: str) -> str:
    """The text of a mail that is new in it."""
    lines = _tidy(text).split("\n")
    new = "\n".join(_above_the_quote(lines)).strip()
    if not new:  # who answers below the quote
        new = "\n".join(_below_the_quote(lines)).strip()
    return _tidy(_signed(_unquoted(new)))


def stripped(text: str, strings: Iterable[str]) -> str:
    """The text without these strings, wherever they stand and however they are capitalised. Source: facts H5."""
    for one in strings:
        text = _without(text, one.strip())
    return _tidy(text)


def _without(text: str, unwanted: str) -> str:
    small, wanted, kept, at = _small(text), _small(unwanted), [], 0
    while wanted and (found := small.find(wanted, at)) >= 0:
        kept.append(text[at:found])
        at = found + len(wanted)
    return "".join(kept) + text[at:]


def _small(text: str) -> str:
    """In small letters, each in its place: a letter that would become two stays as it is."""
    return "".join(low if len(low := one.lower()) == 1 else one for one in text)


def _tidy(text: str) -> str:
    """Without characters that nobody sees, without blanks at the ends of lines, and with one empty line at most."""
    text = text[: 4 * LONGEST].translate(_NO_WIDTH).replace("\r", "")
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANKS.sub("\n\n", "\n".join(lines)).strip()[:LONGEST]


def _above_the_quote(lines: list[str]) -> list[str]:
    """The lines before the first quoted one, without the one or two that say who wrote it."""
    for place, line in enumerate(lines):
        if line.startswith(">") or line.lower().replace(" ", "").startswith(SEPARATORS):
            return lines[: _attribution(lines, place)]
        pair = f"{line} {lines[place + 1]}" if place + 1 < len(lines) else line
        if line.startswith("El ") and (line.endswith("escribió:") or pair.endswith("escribió:")):
            return lines[:place]
    return lines


def _attribution(lines: list[str], place: int) -> int:
    """Where the words begin that introduce the quote at `place`, in any language: up to three lines."""
    end = place
    while end and not lines[end - 1]:
        end -= 1
    if not end or not lines[end - 1].endswith((":", "\uff1a")):
        return place
    for first in range(end - 1, max(end - 4, -1), -1):
        if not lines[first]:
            break
        if _names_a_time(lines[first]):
            return first
    return end - 1 if "@" in lines[end - 1] else place


def _names_a_time(line: str) -> bool:
    """Whether a line looks like the beginning of who wrote something and when: digits outside of addresses."""
    return sum(one.isdigit() for word in line.split() if "@" not in word for one in word) >= LEAST_DIGITS


def _below_the_quote(lines: list[str]) -> list[str]:
    """The lines that are no quotes, of a mail that begins with one."""
    quotes = [place for place, line in enumerate(lines) if line.startswith(">")]
    return lines[quotes[-1] + 1 :] if quotes else []


def _unquoted(text: str) -> str:
    """The text before the mail that it answers, and without what stands under it, as `mail-parser-reply` sees it."""
    if not text:
        return ""
    lines = text.split("\n")
    marked = [f"\ue000{place}\ue001" if len(line) > LONGEST_LINE else line for place, line in enumerate(lines)]
    message = _parser()(text="\n".join(marked), languages=list(LANGUAGES), keep_hyphen_lists=True).read()
    first = message.replies[0]
    if first.headers:
        return ""
    content = str(first.content)
    content = content.partition(first.signatures)[0] if first.signatures else content
    return _MARKED.sub(lambda found: lines[int(found[1])], content)


def _signed(text: str) -> str:
    """The text up to the line that begins a signature (RFC 3676, 4.3), or to what a phone writes under it."""
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if line in ("--", "__") or line.lower().startswith(PHONES):
            return "\n".join(lines[:place])
    return text


@cache
def _parser() -> Any:
    from mailparser_reply.parser import EmailMessage  # patterns of many languages, for servers that get mails

    return EmailMessage
