"""A carrier's HTTP API as a template: placeholders become values, each encoded for the place where it stands. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from aiohttp import encode_basic_auth

from heliograph.transports.base import Failed, Mms, Outgoing, SmsText
from heliograph.transports.http.client import HttpRequest
from heliograph.transports.options import HttpOptions

PLACEHOLDERS = (
    "sender",
    "recipient",
    "recipient_digits",
    "text",
    "subject",
    "media_url",
    "media_urls",
    "message_id",
    "valid_until",
)
"""What may stand between curly brackets in a template."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_]*)\}")
_NOT_IN_HEADERS = re.compile(r"[^\t -~]")


def fault(options: HttpOptions) -> tuple[str, str] | None:
    """(key, what is wrong with it) of a template that cannot be used; None for a good one."""
    if options.json and options.form:
        return "json", "a request has a form or a JSON body, not both."
    if options.json and options.method == "GET":
        return "json", "a GET has no body; use form."
    parts = {"url": options.url, "form": options.form, "json": options.json, "headers": options.headers}
    for key, part in parts.items():
        for name in _names(part):
            if name not in PLACEHOLDERS:
                return key, f"there is no placeholder {{{name}}}; there are: {', '.join(PLACEHOLDERS)}."
    if not options.carries:
        return "carries", "it must carry something."
    if options.replies and (options.replies.media or options.replies.content) and "mms" not in options.carries:
        return "replies", "a carrier whose messages have files must carry mms."
    if "{" in options.url.partition("://")[2].partition("/")[0]:
        return "url", "the host cannot be a placeholder."
    return None


def _names(part: Any) -> list[str]:
    """The placeholders in a text, and in the texts of tables and lists."""
    if isinstance(part, str):
        return _PLACEHOLDER.findall(part)
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [name for one in inner for name in _names(one)]


def filled(options: HttpOptions, message: Outgoing) -> HttpRequest | Failed:
    """The request for a message, or why there can be none."""
    values = _values(options, message)
    if isinstance(values, Failed):
        return values

    def plain(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: _text(values[found[1]]), text)

    url = _PLACEHOLDER.sub(lambda found: quote(_text(values[found[1]]), safe=""), options.url)
    headers = {name: plain(text) for name, text in options.headers.items()}
    if any(_NOT_IN_HEADERS.search(text) for text in headers.values()):
        return Failed(None, "The message has characters that a header of the carrier's request cannot hold")
    if options.username:
        headers["Authorization"] = encode_basic_auth(options.username, options.password, "utf-8")
    form = urlencode({name: plain(text) for name, text in options.form.items()})
    if options.method == "GET":
        joint = "&" if "?" in url else "?"
        return HttpRequest("GET", f"{url}{joint if form else ''}{form}", headers, None)
    if options.json:
        body = msgspec.json.encode(_filled(options.json, values, plain))
        return HttpRequest(options.method, url, {"Content-Type": "application/json", **headers}, body)
    kind = "application/x-www-form-urlencoded"
    return HttpRequest(options.method, url, {"Content-Type": kind, **headers}, form.encode())


def _values(options: HttpOptions, message: Outgoing) -> Mapping[str, Any] | Failed:
    """What the placeholders stand for."""
    content = message.content
    subject, urls = "", list[str]()
    if isinstance(content, SmsText) and "sms" in options.carries:
        text = "".join(content.parts)
    elif isinstance(content, Mms) and "mms" in options.carries:
        text, subject, urls = content.text, content.subject, [media.url for media in content.media]
    else:
        return Failed(None, "The carrier does not take this kind of message")
    if not all(urls):
        return Failed(None, "The carrier fetches files, and this server has no public address (public_url)")
    values = {
        "sender": message.sender,
        "recipient": message.recipient,
        "recipient_digits": message.recipient.removeprefix("+"),
        "text": text,
        "subject": subject,
        "media_url": urls[0] if urls else "",
        "media_urls": urls,
        "message_id": message.key.message_id,
        "valid_until": message.valid_until,
    }
    try:
        "".join(map(_text, values.values())).encode()
    except UnicodeEncodeError:
        return Failed(None, "The message has characters that cannot be written")
    return values


def _text(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _filled(part: Any, values: Mapping[str, Any], plain: Callable[[str], str]) -> Any:
    """A JSON template with values. A text that is one placeholder and nothing else becomes its value, of its type."""
    if isinstance(part, str):
        alone = _PLACEHOLDER.fullmatch(part)
        return values[alone[1]] if alone else plain(part)
    if isinstance(part, dict):
        return {name: _filled(inner, values, plain) for name, inner in part.items()}
    return [_filled(inner, values, plain) for inner in part] if isinstance(part, list) else part


def found(document: Any, path: str) -> str:
    """What stands at a path as `data.0.id` in a document; empty for nothing, and for what is no single value."""
    return next((_text_of(value) for value in _at(document, path)), "")


def every(document: Any, path: str) -> list[str]:
    """All that stands at a path: `*` means each of a list, or in the name of a field each number (`MediaUrl*`)."""
    values = _at(document, path)
    flat = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
    return [text for text in map(_text_of, flat) if text]


def _text_of(value: Any) -> str:
    """A single value as text that a database takes."""
    known = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).replace("\0", "") if known else ""


def _at(document: Any, path: str) -> list[Any]:
    here = [document] if path else []
    for name in path.split("."):
        here = [inner for one in here for inner in _inside(one, name)]
    return here


def _inside(value: Any, name: str) -> list[Any]:
    """What a value has under one name of a path."""
    if isinstance(value, list):
        if name == "*":
            return value
        return [value[int(name)]] if _is_number(name) and int(name) < len(value) else []
    if not isinstance(value, Mapping) or name in value or "*" not in name:
        return [value[name]] if isinstance(value, Mapping) and name in value else []
    before, _, after = name.partition("*")
    keys = (key for key in value if key.startswith(before) and key.endswith(after))
    numbers = {key[len(before) : len(key) - len(after)]: key for key in keys}
    return [value[numbers[number]] for number in sorted(filter(_is_number, numbers), key=int)]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def document(content_type: str, octets: bytes, query: str = "") -> Any:
    """The document that a carrier sends: JSON, a form, or (with neither) its query. None when it cannot be read."""
    try:
        if "json" in content_type or octets[:1] in (b"{", b"["):
            return msgspec.json.decode(octets)
        text = octets.decode() if octets else query
        return _form(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except (ValueError, RecursionError):
        return None


def _form(fields: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Fields by name; one that comes several times is a list."""
    every: dict[str, list[str]] = {}
    for name, value in fields:
        every.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in every.items()}
