"""Whether a request for a short link is a click, and of what device in what country."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import maxminddb

from heliograph.option import SettingsError

LONGEST_AGENT = 512
"""Characters of a User-Agent that are looked at: what browsers send is shorter, and a thousand patterns see it."""

AHEAD = frozenset((b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
"""Headers by which browsers say that they fetch a page before anybody has asked for it."""

OWN_FILE = Path(__file__).parent / "countries" / "iptoasn-country.mmdb"
"""Its origin, licence and hash stand beside it."""

PHONES = {"Android", "iOS", "Windows Phone", "KaiOS", "BlackBerry OS", "BlackBerry Tablet OS", "Tizen"}
COMPUTERS = {"Windows", "Mac OS X", "Linux", "Chrome OS", "Ubuntu", "Fedora", "Debian", "FreeBSD", "OpenBSD", "NetBSD"}


class Client(NamedTuple):
    """What opened a link; each in small letters, "" when it is not known."""

    device: str
    os: str
    browser: str


class Country:
    """Countries of addresses out of a file in the MaxMind DB format: ours, GeoLite2's or one like them.

    Raises SettingsError: the file is no such one.
    """

    def __init__(self, path: str = "") -> None:
        try:
            self._file = maxminddb.open_database(path or OWN_FILE)
        except (maxminddb.InvalidDatabaseError, OSError) as problem:
            raise SettingsError(f"HELIOGRAPH_COUNTRY_FILE={path!r} cannot be read: {problem}") from None

    def of(self, address: str) -> str:
        """ISO 3166 code of the country of an address; "" when it is not known, or is no address."""
        try:
            found = self._file.get(_plain(address))
        except ValueError:
            return ""
        if not isinstance(found, Mapping):
            return ""
        country = found.get("country_code") or found.get("country") or ""
        return str(country.get("iso_code", "") if isinstance(country, Mapping) else country)


def _plain(address: str) -> str:
    """An address without its zone; an IPv4 address that is mapped into IPv6 as itself."""
    address = address.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address


def is_ahead(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says of itself that nobody has asked for the page yet."""
    if AHEAD.isdisjoint(headers):
        return False
    said = b" ".join(headers.get(name, b"") for name in AHEAD).lower()
    return b"prefetch" in said or b"preview" in said or b"prerender" in said


def agent(headers: Mapping[bytes, bytes]) -> str:
    """The User-Agent of a request, as much of it as is looked at."""
    return headers.get(b"user-agent", b"")[:LONGEST_AGENT].decode("latin-1")


@lru_cache(maxsize=4096)
def client(agent: str) -> Client | None:
    """What a User-Agent stands for; None when it is no browser of a person: a crawler, a preview, a program, nothing.

    A new one takes about half a millisecond.
    """
    import crawleruseragents
    import ua_parser

    agent = agent[:LONGEST_AGENT]
    if not agent.strip() or crawleruseragents.is_crawler(agent):
        return None
    parsed = ua_parser.parse(agent)
    if parsed.device is not None and parsed.device.family == "Spider":
        return None
    system = parsed.os.family if parsed.os else ""
    browser = parsed.user_agent.family if parsed.user_agent else ""
    device = parsed.device.family if parsed.device else ""
    return Client(_device(agent, system, device), system.lower(), _browser(browser))


def _device(agent: str, system: str, device: str) -> str:
    if re.search(r"iPad|Tablet|Kindle", f"{device} {agent}") or (system == "Android" and "Mobile" not in agent):
        return "tablet"
    return "mobile" if system in PHONES else "desktop" if system in COMPUTERS else ""


def _browser(family: str) -> str:
    """A browser by the name that it has on every device: "Chrome Mobile iOS" is chrome, "Mobile Safari" safari."""
    words = (word for word in family.split() if word not in ("Mobile", "iOS", "WebView", "UI/WKWebView"))
    return " ".join(words).lower()
