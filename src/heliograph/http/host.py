"""The Host header. Source: RFC 9112, 3.2: HTTP/1.1 without one, with several, or with one that is no host is a 400."""

import re
from collections.abc import Mapping
from typing import Any

from heliograph.errors import BadRequest

_VALID = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]{0,255}").fullmatch  # RFC 3986, 3.2.2 and 3.2.3
_known: set[bytes] = set()
MOST_KNOWN = 1000


def check(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
    """Refuse a request whose Host is missing, doubled or none; `headers` are those of the scope. Raises BadRequest."""
    host = headers.get(b"host")
    if host not in _known:
        _look_at(host, scope)
    if len(headers) != len(scope["headers"]) and sum(name == b"host" for name, _ in scope["headers"]) > 1:
        raise BadRequest({"Host": "Host header must be given once."})


def _look_at(host: bytes | None, scope: Mapping[str, Any]) -> None:
    if host is None:
        if scope.get("http_version") == "1.1":
            raise BadRequest({"Host": "Host header is required."})
        return
    if not _VALID(host):
        raise BadRequest({"Host": "Host header is no host."})
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known.add(host)
