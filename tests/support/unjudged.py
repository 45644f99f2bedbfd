"""A request as it goes over the wire, whose answer no document judges: odd paths, chunked bodies, defects."""

import base64
import http.client
import json
from typing import Any

from support.server import Api

Got = tuple[int, Any, dict[str, str]]


def token(api: Api) -> str:
    return "Basic " + base64.b64encode(f"{api.username}:{api.key}".encode()).decode()


def connect(api: Api) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", api.server.port, timeout=30)


def ask(wire: http.client.HTTPConnection, api: Api, method: str, path: str, body: Any = None, **headers: str) -> Got:
    """Status, decoded body and headers (in small letters). A body that is an iterator of bytes is sent in chunks."""
    chunked = body is not None and not isinstance(body, bytes)
    sent = {"Authorization": token(api), **({"Transfer-Encoding": "chunked"} if chunked else {}), **headers}
    wire.request(method, path, body, sent, encode_chunked=chunked)
    answer = wire.getresponse()
    raw = answer.read()
    return answer.status, json.loads(raw) if raw else None, {name.lower(): text for name, text in answer.getheaders()}


def ask_once(api: Api, method: str, path: str, body: Any = None, **headers: str) -> Got:
    """The same on a connection of its own."""
    wire = connect(api)
    try:
        return ask(wire, api, method, path, body, **headers)
    finally:
        wire.close()
