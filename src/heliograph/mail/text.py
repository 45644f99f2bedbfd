"""The plain text of a mail in HTML."""

import re
from html import unescape

LONGEST = 200_000
"""Characters of HTML whose tables are laid out as text; that takes time that grows faster than the HTML."""

_TAG = re.compile(r"<(?:/?[a-z][a-z0-9:-]{0,40}(?=[\s/>])|!doctype\b|!--)", re.IGNORECASE)


_PIECES = re.compile(r"(<[^<>]*>)")
_NAME = re.compile(r"<(/?[A-Za-z][A-Za-z0-9]*|!)")
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")
"""References by number that are no characters; Python reads no number of thousands of digits."""
_HIDDEN = frozenset({"script", "style", "title"})
_INLINE = frozenset({"a", "abbr", "b", "code", "em", "font", "i", "label", "mark", "s", "small", "span", "strong", "u"})


def is_html(body: str) -> bool:
    """Whether a text has tags, so that it is HTML."""
    return _TAG.search(body) is not None


def plain(html: str, *, targets: bool = True) -> str:
    """What a person reads of HTML: tables as columns, links with their `targets`.

    Takes milliseconds to a second.
    """
    import inscriptis
    from inscriptis.model.config import ParserConfig

    if len(html) <= LONGEST:
        text = _trimmed(str(inscriptis.get_text(html, ParserConfig(display_links=targets))))
        if text:
            return text
    return bare(html)


def _trimmed(text: str) -> str:
    """Without the blanks around lines that the tables of a layout leave, and with one empty line at a time."""
    lines = [line.strip() for line in text.split("\n")]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip("\n")


def bare(html: str) -> str:
    """The words of HTML, a line for each block. Time grows as the HTML does, whatever its tags are."""
    words: list[str] = []
    hidden = ""
    for piece in _PIECES.split(html):
        name = found[1].lower() if (found := _NAME.match(piece)) else ""
        if hidden:
            hidden = "" if name == f"/{hidden}" else hidden
        elif name in _HIDDEN:
            hidden = name
        elif name:
            words.append("" if name.lstrip("/") in _INLINE else "\n")
        else:
            words.append(piece)
    lines = (" ".join(line.split()) for line in unescape(_NO_CHARACTER.sub("\ufffd", "".join(words))).split("\n"))
    return "\n".join(filter(None, lines))
