"""The HTTP client for URLs that customers give: it never reaches private addresses unless it is allowed to.

Knows nothing of events, rules or retries.
"""

import ipaddress
import re
import socket
import string
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import IO, Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import aiohttp
import msgspec
from yarl import URL

from heliograph import __version__, webaddress

LONGEST_BODY = 2048
"""Bytes of an answer that are read; the rest is not waited for."""
CONNECTIONS, CONNECTIONS_PER_HOST = 400, 400
"""Connections at once, in all and to one host. More than the worker runs jobs, since the time of a try goes on while it
waits for a connection. A host has no lower limit: many customers may have endpoints behind one name, and the worker
limits each customer's (jobs.Lanes).
"""
KEEP_ALIVE = 4.0
"""Seconds: less than the 5 s after which common servers drop an idle connection, since a POST that meets a dropped
connection fails and is not sent again by itself."""

_SENT_AS_IT_IS = string.digits + string.ascii_letters + string.punctuation
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Answer(msgspec.Struct, frozen=True):
    """What came back: a status and the first LONGEST_BODY bytes, or an error in one sentence. `seconds` it took.

    Both are there when the status came and the body broke off.
    """

    status: int | None
    body: str
    error: str | None
    seconds: float


class _Private(OSError):
    """An address that the client must not connect to."""


def check_url(url: str, *, private: bool = True) -> str | None:
    """What is wrong with the form of a URL, in one sentence; None when it can be tried. Looks nothing up.

    `private` False refuses what needs no look-up to be seen as private: addresses in any spelling, and localhost.
    """
    wrong = webaddress.problem(url)
    if wrong is not None:
        return wrong
    host = URL(url).raw_host or ""
    if not private and _is_plainly_private(host):
        return f"The address {host} is private and not allowed."
    return None


def _is_plainly_private(host: str) -> bool:
    """Whether a host is localhost or an address (dotted, decimal, hexadecimal, IPv6) that is not public."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        found = socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False  # a name: it is judged by what it resolves to, at each connect
    return not all(is_public(str(address[0])) for *_, address in found)


def origin(url: str) -> str:
    """Scheme, host and port of a URL in one spelling: they name the server, which is slow or dead as a whole. Empty for
    a malformed URL.
    """
    try:
        return str(URL(url).origin())
    except ValueError:
        return ""


def _split(url: str) -> tuple[str, str]:
    """(scheme and authority, path and query) of a web address, both as they were given, without the fragment."""
    scheme, mark, rest = url.partition("#")[0].partition("://")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    return scheme + mark + rest[:end], rest[end:]


def _written(text: str) -> str:
    """A path and query for a request line: as given, but for what must not stand there (space, control, not ASCII).

    Nothing is normalised, neither escapes nor dots: whoever signed a URL signed these very characters.
    """
    return quote(text, safe=_SENT_AS_IT_IS, errors="surrogateescape")


def _aimed(url: str, query: Mapping[str, str] | None = None) -> tuple[URL, str, dict[str, str]]:
    """A checked URL as the client takes it, its query (with `query` at its end), and a header of its user and password.

    The path and the query are one piece for yarl, which would leave the mark of an empty query out.
    """
    root, given = _split(url)
    parsed = URL(root)
    target = _written(given)
    if query:
        joint = "&" if target.partition("?")[2] else "" if "?" in target else "?"
        target += joint + urlencode(query)
    port = "" if parsed.explicit_port is None else f":{parsed.explicit_port}"
    path = target if target.startswith("/") else "/" + target
    made = URL.build(scheme=parsed.scheme, authority=f"{parsed.host_subcomponent}{port}", path=path, encoded=True)
    return made, target.partition("?")[2], _credentials(parsed)


def _credentials(url: URL) -> dict[str, str]:
    """User and password of a URL as a header (RFC 7617): the octets that its escapes mean."""
    if url.raw_user is None and url.raw_password is None:
        return {}
    both = unquote_to_bytes(url.raw_user or "") + b":" + unquote_to_bytes(url.raw_password or "")
    return {"Authorization": f"Basic {b64encode(both).decode()}"}


def _redirected(url: str, place: str) -> str:
    """Where the Location `place` leads from a URL (RFC 3986, 5.2), as it was given. Only a path that is relative to
    another has its own leading dots resolved.
    """
    root, target = _split(url)
    path = target.partition("?")[0] or "/"
    place = place.partition("#")[0]
    if place.startswith("//"):
        place = root.partition(":")[0] + ":" + place
    elif place.startswith("/"):
        place = root + place
    elif place.startswith("?"):
        place = root + path + place
    elif not place:
        place = root + target
    elif not _SCHEME(place):
        place = root + _beside(path, place)
    root, target = _split(place)
    return root + _written(target)


def _beside(path: str, place: str) -> str:
    """A relative path (and query) seen from another path."""
    way, mark, query = place.partition("?")
    folders = path.split("/")[:-1]
    steps = way.split("/")
    for step in steps:
        if step == "..":
            folders = folders[:-1] or [""]
        elif step != ".":
            folders.append(step)
    if steps[-1] in (".", ".."):
        folders.append("")
    return "/".join(folders) + mark + query


def is_public(address: str) -> bool:
    """Whether an IP address, as the resolver gave it, is one of the public internet. Anything else is not.

    IPv4 inside IPv6 is judged by the inner address: IPv4-mapped (RFC 4291 2.5.5.2), 6to4 (RFC 3056), NAT64 (RFC 6052).
    No other form that hides an IPv4 address (IPv4-compatible, Teredo) is of the public internet.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _public_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """The socket for a connection to a resolved address. Raises _Private: the address is checked here and not earlier,
    so that a name cannot resolve to a public address for the check and to a private one for the connection.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise _Private("private address")
    return socket.socket(family, kind, protocol)


class WebClient:
    """One HTTP client for the whole process. Keeps no cookies, uses no proxies; only downloads follow redirects."""

    def __init__(self, allow_private: bool, timeout: float) -> None:
        self._allow_private = allow_private
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        """Made at the first use, since it belongs to the event loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS,
                    limit_per_host=CONNECTIONS_PER_HOST,
                    keepalive_timeout=KEEP_ALIVE,
                    socket_factory=None if self._allow_private else _public_socket,
                ),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": f"Heliograph/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._session

    async def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        sign: Callable[[bytes], Mapping[str, str]] | None = None,
    ) -> Answer:
        """Make a request and wait at most `timeout` seconds for the answer. Never raises for what the peer does.

        The URL is called as it was given, to the byte. `json` is JSON already (bytes) or a value to be encoded. `query`
        is added to what the URL has, written in the same way as a form. `sign` makes further headers out of the exact
        bytes that the peer gets: the body, or without one the query string.
        """
        begun = time.monotonic()
        status, body, error = None, bytearray(), check_url(url)
        if error is None:
            target, asked, known = _aimed(url, query)
            content, kind = _encode(form, json)
            signed = sign(asked.encode() if content is None else content) if sign else {}
            every = {**known, **kind, **(headers or {}), **signed}
            try:
                async with self._client().request(
                    method, target, data=content, headers=every, allow_redirects=False
                ) as response:
                    status = response.status
                    await _read(response, body)
            except (aiohttp.ClientError, OSError, ValueError) as problem:
                error = _sentence(problem, target, self._timeout)
        return Answer(status, body.decode("utf-8", "replace"), error, time.monotonic() - begun)

    async def download(self, url: str, into: IO[bytes], most: int, seconds: float) -> tuple[str | None, bool]:
        """Write what a URL answers into a file: at most `most` bytes, within `seconds`, over MOST_REDIRECTS redirects.

        (why it failed, in one sentence; whether another try may help). Each redirect is checked like the first address,
        and like it called as it was given.
        """
        end = time.monotonic() + seconds
        for _ in range(MOST_REDIRECTS + 1):
            fault = check_url(url)
            if fault is not None:
                return fault, False
            target, _, known = _aimed(url)
            limit = aiohttp.ClientTimeout(total=max(0.01, end - time.monotonic()))
            try:
                async with self._client().get(target, headers=known, allow_redirects=False, timeout=limit) as response:
                    if response.status not in _REDIRECTS:
                        return await _save(response, into, most)
                    url = _redirected(url, response.headers.get("Location", ""))
            except (aiohttp.ClientError, OSError, ValueError) as problem:
                private = isinstance(getattr(problem, "os_error", None), _Private)
                return _sentence(problem, target, seconds), not private
        return f"{target.raw_host} redirects more than {MOST_REDIRECTS} times.", False

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _encode(form: Mapping[str, str] | None, json: Any) -> tuple[bytes | None, dict[str, str]]:
    """The body of a request and its Content-Type header."""
    if form is not None:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    if json is not None:
        content = json if isinstance(json, bytes) else msgspec.json.encode(json)
        return content, {"Content-Type": "application/json"}
    return None, {}


async def _save(response: aiohttp.ClientResponse, into: IO[bytes], most: int) -> tuple[str | None, bool]:
    """Write a whole answer into a file; see WebClient.download."""
    if response.status != 200:
        return f"{response.url.raw_host} answered with status {response.status}.", response.status >= 500
    size = 0
    async for piece in response.content.iter_chunked(1 << 16):
        size += len(piece)
        if size > most:
            return f"The file is larger than {most} bytes.", False
        into.write(piece)
    return None, False


async def _read(response: aiohttp.ClientResponse, body: bytearray) -> None:
    """Fill `body` with the beginning of an answer. A connection with unread data is closed when it is released."""
    while len(body) < LONGEST_BODY:
        chunk = await response.content.read(LONGEST_BODY - len(body))
        if not chunk:
            return
        body += chunk


def _sentence(problem: Exception, url: URL, timeout: float) -> str:
    """Why there is no answer, as a sentence for the customer. It names only the host: a URL may hold a password or a
    token.
    """
    match problem:
        case TimeoutError():
            return f"{url.raw_host} did not answer within {timeout:g} seconds."
        case aiohttp.InvalidURL():
            return f"The host {url.raw_host} is malformed."
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return f"The name {url.raw_host} was not found."
        case aiohttp.ClientConnectorCertificateError():
            return f"The TLS certificate of {url.raw_host} is not trusted."
        case aiohttp.ClientConnectorError(os_error=_Private()):
            return f"The address {url.raw_host} is private and not allowed."
        case aiohttp.ClientSSLError():
            return f"{url.raw_host} does not speak TLS on port {url.port}."
        case aiohttp.ClientConnectorError():
            return f"{url.raw_host} could not be connected to on port {url.port}."
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | OSError():
            return f"{url.raw_host} closed the connection before its answer was complete."
    return f"{url.raw_host} did not give an HTTP answer."
