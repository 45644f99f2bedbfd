"""A plain HTTP client for files: no account, no envelope."""

import http.client
from urllib.parse import urlsplit

from support.server import Answer


def fetch(url: str, method: str = "GET", **headers: str) -> Answer:
    """The answer; an underscore in a header's name stands for a dash."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
