"""What a web address looks like, and where one stands in a text."""

import re
import string
from urllib.parse import quote

from yarl import URL

LONGEST_URL = 2000
"""Characters of a URL that a customer gives."""


def problem(url: str) -> str | None:
    """What is wrong with the form of a URL, in one sentence; None when it is a web address. Looks nothing up.

    Only http and https are: anything else (javascript:, data:, file:) would run or open what its sender wants.
    """
    if len(url) > LONGEST_URL:
        return f"The URL is longer than {LONGEST_URL} characters."
    if any(character <= " " or character == "\x7f" for character in url):
        return "The URL has spaces or control characters."
    try:
        parsed = URL(url)
    except ValueError:
        return "The URL is malformed."
    if not parsed.scheme:
        return "The URL has no scheme: it must start with http:// or https://."
    if parsed.scheme not in ("http", "https"):
        return "The scheme of the URL must be http or https."
    if not parsed.raw_host:
        return "The URL has no host."
    return None


_URL = re.compile(r"(?i:https?)://[^\s<>\"`{}|^\\«»“”„\u3001\u3002\u3008-\u3011\uff01-\uff0f\uff1a-\uff20]+")
_ENDS = ".,;:!?'*_~)]"
"""What stands behind a URL in a sentence, and is taken for no part of it."""


def first(text: str) -> slice | None:
    """Where the first URL (with its scheme) stands in a text; None when there is none."""
    found = _URL.search(text)
    if found is None:
        return None
    url = found[0]
    opened, closed, end = url.count("("), url.count(")"), len(url)
    while end and url[end - 1] in _ENDS:
        if url[end - 1] == ")":
            if closed <= opened:
                break  # it belongs to one within the URL, as in /wiki/SMS_(disambiguation)
            closed -= 1
        end -= 1
    return slice(found.start(), found.start() + end)


def in_ascii(url: str) -> str:
    """A URL as a header can have it (RFC 3987, 3.1): escapes for what is not ASCII, the rest as it was given."""
    if url.isascii():
        return url
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{URL(url).raw_authority}{quote(rest[len(authority) :], safe=string.printable)}"
