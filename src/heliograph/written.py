"""Phone numbers as people and programs write them, read as what is to be dialled: a plus and digits. Pure.

It takes what phonenumbers takes, but where a reading is a guess it takes nothing: a message that goes to nobody is
better than one that goes to somebody else. What is no number of any country is for `phone` to say.
"""

import re
import unicodedata
from typing import ClassVar
from urllib.parse import unquote

LONGEST = 250
"""Characters of a text. Source: phonenumbers, whose limit it is."""


class _Characters(dict[int, str]):
    """What a character stands for: a digit of any script for its value, an invisible one for nothing, each dash for
    "-", each bracket for "(" or ")". Those of ASCII are worked out beforehand, the others when they are met.
    """

    _OF_KIND: ClassVar = {"Cf": "", "Pd": "-", "Ps": "(", "Pe": ")", "Zs": " ", "Pi": "'", "Pf": "'"}
    _ALIKE: ClassVar = {
        **dict.fromkeys("\ufe0e\ufe0f\u034f\u115f\u1160\u3164\uffa0", ""),
        **dict.fromkeys("\u2043\u2212\u30fc\uff70\u00b7\u2022\u2219\u22c5\u30fb\uff65", "-"),
        **dict.fromkeys("\u2053\u223c", "~"),
        **dict.fromkeys('\u00b4`"', "'"),
        **dict.fromkeys("\u2044\u2215", "/"),
    }

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kind = unicodedata.category(char)
        if kind == "Nd":
            return str(unicodedata.decimal(char))
        found = self._ALIKE.get(char, self._OF_KIND.get(kind))
        if found is not None:
            return found
        # Wide and narrow forms of what ASCII has; small raised figures are notes, and no digits of a number.
        same = unicodedata.normalize("NFKC", char)
        return same if len(same) == 1 and same.isascii() and not same.isdigit() else char


_characters = _Characters()
_characters.update({code: _characters[code] for code in range(128)})

_SIMPLE = re.compile(r"\(?\+?[0-9][0-9 ()-]*+")
"""What most numbers are like, and needs no second look."""

_SPELT = re.compile(
    r"([0-9][0-9 ()./-]*+)"
    r"((?:;ext=|,* *(?:ext(?:ensi[oó]n|n)?|x(?:tn?)?|#|int|anexo|доб)[.:]?|,,+|, |;) *[0-9]{1,6}#?)?",
    re.IGNORECASE,
)
"""Digits with what stands between them, and an extension, which is left out. A longer one is a second number."""

_LETTERS = re.compile(r"[0-9][0-9 ()./-]*+(?:[A-Z][ -]?){3}[A-Z0-9 -]*+")
_FLOAT = re.compile(r"[0-9]{6,}[.,]0+")
_ROUNDED = "00000"
"""The end of a number that a spreadsheet has rounded to six figures."""

MARKS = re.compile(r"[^0-9]+")
"""What stands between groups of digits."""

_FIRST = re.compile(r"[0-9+(]")
_PUNCTUATION = re.compile(r"[ ()./-]+")
_GROUPS = re.compile(r"([^0-9]+)")
_WEAK = frozenset(" ()-")
"""Marks that have no other meaning; a dot may begin a fraction, and a slash what else the last digits can be."""

_BEFORE = " \t\r\n'-.,:;~<=()+"
BEHIND = " \t\r\n'-.,:;~>()+/"
"""What may stand behind a number, and means nothing there."""
_KIND = re.compile(
    "tel|tél|telephone|téléphone|telefon|telefone|teléfono|telefono|telf|tlf|phone|ph|fon|mob|mobile|mobil|móvil|movil|m"
    "|cel|cell|celular|cellular|cellulare|cellphone|portable|gsm|handy|hp|whatsapp|wa|sms|home|work|office"
    "|тел|телефон|т|моб|м"
)
"""Words that say what kind of telephone it is, and never have a number of their own, as a flat has."""
_ANY_CARRIER = "0xx"
"""What stands for a trunk prefix in Brazil, where one chooses the carrier of a call by the two digits that follow."""
_SCHEMES = ("tel", "sms", "callto")
_CONTEXT = "phone-context="


def dialled(text: str) -> str | None:
    """What a text says to dial: "+" where it is international, then digits, or letters for digits as in 1-800-FLOWERS.

    Left out: spaces, dashes, dots, slashes and brackets of any script, invisible characters, an extension, quotes and
    words before it ("Tel. 0491…", '="0491…"'), the ".0" of a spreadsheet's number. Of a URI (RFC 3966) the number and
    its phone-context count. None: several numbers, a fraction, a number in powers of ten, or whatever else.
    """
    if len(text) > LONGEST:
        return None
    if _SIMPLE.fullmatch(text):
        return _PUNCTUATION.sub("", text)
    given = _without_words(out_of_uri(plain(text).strip()))
    body = given.lstrip(_BEFORE)
    if body[:3].lower() == _ANY_CARRIER:
        body = "0" + body[3:]
    plus = "+" if "+" in given[: len(given) - len(body)] else ""
    body = body.rstrip(BEHIND)
    if _FLOAT.fullmatch(body):
        whole = body.replace(",", ".").partition(".")[0]
        return None if whole.endswith(_ROUNDED) else plus + whole
    found = _SPELT.fullmatch(body)
    if (found and _is_one(found[1])) or _LETTERS.fullmatch(body):
        return plus + _PUNCTUATION.sub("", found[1] if found else body)
    return None


def plain(text: str) -> str:
    """A text with the digits, dashes, brackets and slashes of ASCII for those of any script, and nothing invisible."""
    return text.translate(_characters)


def out_of_uri(text: str) -> str:
    """The number of a tel:, sms: or callto: URI, behind its phone-context if it is a local one (RFC 3966).

    Another text as it is; nothing for a URI of two numbers.
    """
    scheme, _, rest = text.partition(":")
    if scheme.lower() not in _SCHEMES:
        return text
    number, *parameters = unquote(rest).lstrip("/ ").split(";")
    if any(one[:1] in "+0123456789" for one in parameters):
        return ""  # a second number, and no parameter
    contexts = [one[len(_CONTEXT) :] for one in parameters if one.lower().startswith(_CONTEXT + "+")]
    return contexts[0] + number if contexts and not number.startswith("+") else number


def _without_words(text: str) -> str:
    """The number without a word before it, such as "Tel."; nothing when the word may belong to its digits."""
    first = _FIRST.search(text)
    if first is None:
        return ""
    word, number = text[: first.start()], text[first.start() :]
    others = {unicodedata.category(char) for char in word if char not in _BEFORE and not char.isalpha()}
    if not others <= {"So", "Sk"}:
        return ""
    named = any(char.isalpha() for char in word)
    kind = word.strip(_BEFORE).casefold()
    marked = word.rstrip().endswith(":") or number.lstrip("(")[:1] in ("0", "+") or bool(_KIND.fullmatch(kind))
    return number if not named or (marked and not word[-1].isalpha()) else ""


def _is_one(number: str) -> bool:
    """Whether these groups of digits can be one number: 0491/570156 and 04.91.57.01.56 are, 4915701.56 is none, and
    491570/56 and 412345/412346 are two.
    """
    *_, before, mark, last = ["", "", *_GROUPS.split(number.rstrip(BEHIND))]
    if len(last) < 3 and len(last) != len(before) and not _WEAK.issuperset(mark):
        return False
    left, right = (_PUNCTUATION.sub("", part) for part in number.partition("/")[::2])
    return len(left) < 6 or len(left) != len(right) or (left[0] == "0") != (right[0] == "0")
