"""SSML: what of a body is spoken, and a copy of its markup that has nothing but what a speech engine may get.

An engine must never see `<audio>`: eSpeak NG opens the file that it names and hands the name to a shell. So the markup
is read, and written anew out of a short list of elements and of values. Source: SSML 1.1 (W3C), chapter 3.
"""

import re
from collections.abc import Callable, Mapping
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import msgspec

LONGEST_MARKUP = 20_000
"""Characters of a body up to which it is looked at for markup; a longer one is a text."""

DEEPEST = 16
"""Elements around another one; what lies deeper is spoken without its markup."""

LONGEST_BREAK = 10.0
MOST_BREAKS = 60.0
"""Seconds of one pause, and of all pauses of a message together."""

LEVELS = "x-slow|slow|medium|fast|x-fast|x-low|low|high|x-high|silent|x-soft|soft|loud|x-loud|default"
_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)").fullmatch
_LEVEL = re.compile(LEVELS).fullmatch
_PERCENT = re.compile(r"[+-]?([0-9]{1,3})%").fullmatch
_SPEED = re.compile(r"[0-9](?:\.[0-9]{1,2})?").fullmatch
_STRENGTH = re.compile(r"none|x-weak|weak|medium|strong|x-strong").fullmatch
_EMPHASIS = re.compile(r"strong|moderate|none|reduced").fullmatch
_WORD = re.compile(r"[a-z0-9:.-]{1,20}").fullmatch


def _manner(value: str) -> bool:
    """Rate, pitch or volume: a level, or a change that leaves the speech understandable."""
    percent, speed = _PERCENT(value), _SPEED(value)
    if percent:
        relative = value[0] in "+-"
        return (-50 if relative else 50) <= int(value[:-1]) <= (100 if relative else 200)
    return bool(_LEVEL(value)) or (speed is not None and 0.5 <= float(value) <= 2)


def _is(pattern: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda value: pattern(value) is not None


ELEMENTS: Mapping[str, Mapping[str, Callable[[str], bool]]] = {
    "speak": {},
    "p": {},
    "s": {},
    "break": {"strength": _is(_STRENGTH)},
    "prosody": {"rate": _manner, "pitch": _manner, "volume": _manner},
    "say-as": {"interpret-as": _is(_WORD), "format": _is(_WORD)},
    "sub": {"alias": lambda value: 0 < len(value) <= 200},
    "emphasis": {"level": _is(_EMPHASIS)},
}
"""Element -> its attributes and which values they may have. `time` of a break is cut instead."""


class Speech(msgspec.Struct, frozen=True):
    """What is spoken: the characters without markup, and the markup for an engine, which is complete and harmless."""

    text: str
    markup: str


class _NotForUs(Exception):
    """The body is markup, but declares entities or the like."""


class _Rewriter:
    """Writes allowed elements anew while a parser reads; at most `most` characters are spoken."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.known = False
        self.spoken: list[str] = []
        self.out: list[str] = []
        self._open: list[bool] = []
        self._pauses = MOST_BREAKS

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.lower()
        allowed = ELEMENTS.get(name)
        written = allowed is not None and name != "speak" and len(self._open) < DEEPEST and self._room(name)
        self.known = self.known or (allowed is not None and len(self._open) > 0)
        self._open.append(written and name != "break")
        if written and allowed is not None:
            kept = {key: value for key, value in attributes.items() if key in allowed and allowed[key](value)}
            kept |= self._pause(attributes) if name == "break" else {}
            inside = "".join(f" {key}={quoteattr(value)}" for key, value in kept.items())
            self.out.append(f"<{name}{inside}{'/' if name == 'break' else ''}>")

    def end(self, name: str) -> None:
        if self._open.pop():
            self.out.append(f"</{name.lower()}>")

    def text(self, data: str) -> None:
        kept = data[: self.left]
        self.left -= len(kept)
        self.spoken.append(kept)
        self.out.append(escape(kept))

    def _room(self, name: str) -> bool:
        """Whether an element may still come: nothing after the cut, and no pause when all are used up."""
        return self.left > 0 and (name != "break" or self._pauses > 0)

    def _pause(self, attributes: Mapping[str, str]) -> dict[str, str]:
        found = _TIME(attributes.get("time", "").strip())
        asked = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 1.0
        seconds = min(asked, LONGEST_BREAK, self._pauses)
        self._pauses -= seconds
        return {"time": f"{seconds * 1000:.0f}ms"} if found else {}

    def refuse(self, *_: object) -> None:
        raise _NotForUs


def read(body: str, most: int) -> Speech | None:
    """What of a body with markup is spoken, cut after `most` characters; None: it is a text, and read as it stands.

    A body may be a whole `<speak>` document, or a text with elements in it. Without any known element, or when it is
    not well-formed, it is a text.
    """
    if "<" not in body or len(body) > LONGEST_MARKUP:
        return None
    whole = body.strip()
    document = whole if re.match(r"<speak[\s>]", whole) else f"<speak>{whole}</speak>"
    writer = _Rewriter(most)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = writer.start, writer.end
    parser.CharacterDataHandler = writer.text
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = writer.refuse
    try:
        parser.Parse(document.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _NotForUs):
        return None
    if not writer.known and document is not whole:
        return None
    return Speech("".join(writer.spoken), f"<speak>{''.join(writer.out)}</speak>")


def written(text: str) -> str:
    """A text without markup as markup that says just that."""
    return f"<speak>{escape(''.join(char for char in text if char >= ' ' or char in _SPACES))}</speak>"


_SPACES = "\t\n\r"
