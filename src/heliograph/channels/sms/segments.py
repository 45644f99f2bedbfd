"""How a text becomes segments. Source: 3GPP TS 23.038 (alphabets), 23.040 (UDH); the tables of api-v3, "Send SMS"."""

import re

import msgspec

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
"""Each of these takes two septets: escape and character."""

GSM_ONE, GSM_PART = 160, 153
UCS2_ONE, UCS2_PART = 70, 67
MOST_PARTS = 8

_gsm = re.compile(f"[{re.escape(BASIC + EXTENSION)}]*")
_extended = re.compile(f"[{re.escape(EXTENSION)}]")
_astral = re.compile("[\U00010000-\U0010ffff]")


class Segmented(msgspec.Struct, frozen=True, gc=False):
    """How a text will go: its alphabet, the number of segments, and the text after truncation."""

    unicode: bool
    count: int
    text: str
    truncated: bool = False


def measure(text: str, limit: int = MOST_PARTS) -> Segmented:
    """Count the segments of a text; what does not fit into `limit` segments (1 to 8) is cut off."""
    unicode = _gsm.fullmatch(text) is None
    one = UCS2_ONE if unicode else GSM_ONE
    if len(text) <= one and _units(text, unicode) <= one:
        return Segmented(unicode, 1, text)
    parts = split(text, unicode)
    if len(parts) <= limit:
        return Segmented(unicode, len(parts), text)
    if limit == 1:
        return Segmented(unicode, 1, _head(text, unicode, one), True)
    return Segmented(unicode, limit, "".join(parts[:limit]), True)


def split(text: str, unicode: bool) -> tuple[str, ...]:
    """Cut a text into segments; an escape pair or a surrogate pair never lies across a cut."""
    one, part = (UCS2_ONE, UCS2_PART) if unicode else (GSM_ONE, GSM_PART)
    if _units(text, unicode) <= one:
        return (text,)
    parts = []
    while text:
        head = _head(text, unicode, part)
        parts.append(head)
        text = text[len(head) :]
    return tuple(parts)


def _units(text: str, unicode: bool) -> int:
    """Septets, or UTF-16 code units."""
    return len(text) + len((_astral if unicode else _extended).findall(text))


def _head(text: str, unicode: bool, room: int) -> str:
    """The longest beginning of a text that fits into `room` units."""
    wide = _astral if unicode else _extended
    head = text[:room]
    while (over := len(head) + len(wide.findall(head)) - room) > 0:
        head = head[: -((over + 1) // 2)]
    rest = room - len(head) - len(wide.findall(head))
    while len(head) < len(text):
        step = 2 if wide.match(text[len(head)]) else 1
        if step > rest:
            break
        head += text[len(head)]
        rest -= step
    return head
