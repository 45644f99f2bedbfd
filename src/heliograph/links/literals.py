"""The literals that stand for a short link in a campaign's text. Source: api-v3, "URL Shortening"; facts G4, G5."""

import re
from collections.abc import Set as AbstractSet

from heliograph import webaddress
from heliograph.errors import BadRequest, required
from heliograph.links.link import STOP, URL, Kind

PATTERN = (
    r"(?<![A-Za-z0-9_-])(?<![A-Za-z0-9]\.)"
    r"(?:(?P<url>(?i:smsu\.io|smsg\.io|sm-su\.io)/(?i:xxxxx))|(?P<stop>(?i:stopmsg\.me)/(?i:xxxxx)))"
    r"(?![A-Za-z0-9_])"
)
"""Each as a word of its own, in any case. A scheme before it stays in the text. The groups are named as the kinds."""

_LITERAL = re.compile(PATTERN)


def found(body: str) -> set[Kind]:
    """The kinds of links that a text asks for."""
    return {kind for one in _LITERAL.finditer(body) for kind in (URL, STOP) if one[kind]}


def check(body: str, url_to_shorten: str) -> AbstractSet[Kind]:
    """The kinds of links in a campaign's text, once text and URL go together. Raises BadRequest with the bad field.

    A literal of kind URL needs `url_to_shorten`, a web address of at most 2000 characters, and the other way round
    (api-v3, "URL Shortening").
    """
    kinds = found(body)
    if URL in kinds and not url_to_shorten:
        raise BadRequest({"url_to_shorten": required("url_to_shorten")})
    if url_to_shorten and URL not in kinds:
        raise BadRequest({"body": "Body field must have smsu.io/xxxxx, which stands for the url_to_shorten."})
    if url_to_shorten and (wrong := webaddress.problem(url_to_shorten)):
        raise BadRequest({"url_to_shorten": wrong})
    return kinds
