"""Questions to name servers (DNS, RFC 1035). They block: ask them in a thread."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dns.resolver import Resolver

PATIENCE = 5.0
"""Seconds that an answer may take in all, over all servers."""

RecordType = Literal["TXT", "MX", "CNAME", "A", "AAAA", "PTR"]


class Unanswered(Exception):
    """No server gave an answer, which says nothing about the name: ask again later."""


class NameServers:
    """The servers of HELIOGRAPH_DNS, or those of the system. One object serves all threads; nothing is remembered."""

    def __init__(self, addresses: str) -> None:
        given = (one.strip().partition("@") for one in addresses.split(",") if one.strip())
        self._servers = [(address, int(port or 53)) for address, _, port in given]

    def records(self, name: str, kind: RecordType) -> list[str]:
        """The records of a name as texts, empty when it has none. Raises Unanswered.

        What is no name has none. A TXT is the joined text of its strings; an MX is "preference host"; hosts are in
        small letters, with no dot at their end.
        """
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            asked = dns.name.from_text(name)
        except dns.exception.DNSException:
            return []
        try:
            found = self._resolver().resolve(asked, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as problem:
            raise Unanswered(f"No name server tells the {kind} records of {name}: {problem}") from problem
        return [_text(record, kind) for record in found]

    def _resolver(self) -> "Resolver":
        import dns.resolver
        from dns.nameserver import Do53Nameserver

        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [Do53Nameserver(address, port) for address, port in self._servers]
        resolver.lifetime = PATIENCE
        return resolver


def _text(record: object, kind: RecordType) -> str:
    if kind == "TXT":
        return b"".join(getattr(record, "strings")).decode("utf-8", "replace")  # noqa: B009
    return str(record).lower().rstrip(".")
