"""Pages for browsers: what this server is (`/` and `/v3`), and the API document to read and try out (`/v3/docs`).

They load nothing from elsewhere, and what stands in them may run only as it stands there: their policy names its hash
(Content Security Policy Level 3, 2.3.1).
"""

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from typing import NamedTuple

SANDBOX = ("<!-- sandbox -->", "<!-- end -->")
"""Between these a page says what is so in sandbox mode only."""


class Demo(NamedTuple):
    """Credentials that a page may show to everybody: those of the sandbox's demo account."""

    username: str
    key: str


@cache
def _template(name: str) -> str:
    return files("heliograph.http").joinpath(name).read_text(encoding="utf-8")


def start(base_url: str, demo: Demo | None) -> bytes:
    """What this server is, under the address `base_url`; in sandbox mode with the credentials of the demo account."""
    return _filled("start.html", demo, base_url)


@cache
def docs(demo: Demo | None) -> bytes:
    """The API document as a page, which reads ./openapi.json; in sandbox mode with credentials filled in."""
    return _filled("docs.html", demo, "")


def _filled(name: str, demo: Demo | None, base_url: str) -> bytes:
    text = _template(name)
    for inner in () if demo else _between(text, *SANDBOX):
        text = text.replace(inner.join(SANDBOX), "")
    for mark, value in zip(("base", "username", "key"), (base_url, *(demo or ("", ""))), strict=True):
        text = text.replace(f"@{mark}@", escape(value))
    return text.encode()


def _between(text: str, begin: str, end: str) -> list[str]:
    """What stands in a text between these marks, each time."""
    return [piece.partition(end)[0] for piece in text.split(begin)[1:]]


@cache
def policy(name: str) -> str:
    """The Content-Security-Policy of a page, `start.html` or `docs.html`."""
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, hashes in allowed.items():
        for text in _between(_template(name), f"<{kind}>", f"</{kind}>"):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            hashes.append(f"'sha256-{digest}'")
    rules = [f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items() if hashes]
    connect = ["connect-src 'self'"] * bool(allowed["script"])
    own = ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    return "; ".join(["default-src 'none'", *connect, "img-src data:", *rules, *own])
