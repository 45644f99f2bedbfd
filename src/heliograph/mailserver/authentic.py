"""Whether a mail is from who it says it is: DKIM (RFC 6376) or SPF (RFC 7208), aligned with From (RFC 7489, 3.1).

A From header proves nothing. Alignment is the relaxed one: the domain that signed, or that of the envelope's sender,
has the same registered domain as From. All that comes from the mail or from name servers may be hostile: signatures,
records and keys have a longest length, and few of them are looked at.
"""

import functools
import ipaddress
import re
import time
from typing import Any, Final

import structlog

from heliograph.clock import DAY
from heliograph.mail.nameservers import NameServers, RecordType, Unanswered
from heliograph.mailserver.desk import Arrived, Visit

MOST_SIGNATURES: Final = 5
LONGEST_SIGNATURE: Final = 4000
LONGEST_KEY: Final = 1200
"""Characters of a record with a key: RSA of 4096 bits has 800. A long one takes the processor for minutes."""
LONGEST_POLICY: Final = 4000
OLDEST_SIGNATURE: Final = 7 * DAY
"""A signed mail can be sent again by whoever has it; servers try for five days to deliver one."""
MOST_BLANKS: Final = 100_000_000
"""Sum of the squares of all runs of blanks: so long takes dkimpy's pattern for them."""
PATIENCE: Final = 20.0
"""Seconds that all questions of SPF may take together."""
_RUNS: Final = re.compile(rb"[\t ]+")

log = structlog.get_logger(__name__)


def trusted(networks: str, address: str) -> bool:
    """Whether an address is in one of these networks, which are separated by commas."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    given = (one.strip() for one in networks.split(",") if one.strip())
    return any(found in ipaddress.ip_network(one) for one in given)


def proved(servers: NameServers, arrived: Arrived, sender: str) -> str:
    """By what the address of From is proved: "dkim" or "spf"; "" when it is not. It blocks: use a thread.

    Raises Unanswered: no name server answers now.
    """
    domain = sender.rpartition("@")[2].lower()
    if _signed(servers, arrived.octets, domain):
        return "dkim"
    return "spf" if _sent_by_its_own(servers, arrived.visit, domain) else ""


def aligned(one: str, other: str) -> bool:
    """Whether two domains have the same registered domain."""
    first, second = _registered(one), _registered(other)
    return first is not None and first == second


def _registered(domain: str) -> str | None:
    try:
        name = domain.rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        return None
    found: str | None = _suffixes().privatesuffix(name)
    return found


@functools.cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # 16,000 rules, for servers that get mails

    return PublicSuffixList()


def _signed(servers: NameServers, octets: bytes, domain: str) -> bool:
    """Whether a signature of an aligned domain is good. Raises Unanswered."""
    if sum(len(run) ** 2 for run in _RUNS.findall(octets)) > MOST_BLANKS:
        return False
    import dkim  # it takes a tenth of a second to load

    def key(name: bytes, timeout: float = 0) -> bytes | None:
        found = servers.records(name.decode("ascii", "replace"), "TXT")
        return found[0].encode() if len(found) == 1 and len(found[0]) <= LONGEST_KEY else None

    try:
        mail = dkim.DKIM(octets, minkey=1024)
        found = [value for name, value in mail.headers if name.lower() == b"dkim-signature"]
        if any(len(value) > LONGEST_SIGNATURE for value in found):
            return False
        return any(_good(mail, place, domain, key) for place in range(min(len(found), MOST_SIGNATURES)))
    except dkim.DKIMException as problem:
        log.info("mailserver.dkim", why=type(problem).__name__)
        return False


def _good(mail: Any, place: int, domain: str, key: Any) -> bool:
    """Whether one signature is good, covers the whole mail and is not old. Raises Unanswered."""
    try:
        fields, signed, _ = mail.verify_headerprep(place)
        fits = aligned(fields[b"d"].decode("ascii", "replace"), domain) and b"from" in signed and b"l" not in fields
        if not fits or int(fields.get(b"t", b"9999999999")) < time.time() - OLDEST_SIGNATURE:
            return False
        return bool(mail.verify(place, key))
    except Unanswered:
        raise
    except Exception as problem:  # noqa: BLE001 - keys and signatures are hostile, and parsers raise anything
        log.info("mailserver.dkim", why=type(problem).__name__)
        return False


def _sent_by_its_own(servers: NameServers, visit: Visit, domain: str) -> bool:
    """Whether the domain of the envelope's sender is aligned and lets this address send. Raises Unanswered."""
    if not visit.sender or not aligned(visit.sender.rpartition("@")[2], domain):
        return False
    question = _spf()(servers, visit)
    try:
        result = question.check()[0]
    except Exception as problem:  # noqa: BLE001 - the same of policies
        log.info("mailserver.spf", why=type(problem).__name__)
        return False
    if result == "temperror":
        raise Unanswered("No name server tells the policy of SPF.")
    return bool(result == "pass")


@functools.cache
def _spf() -> Any:
    import spf  # it takes a tenth of a second to load

    class Question(spf.query):  # type: ignore[misc]
        """A question of SPF that is asked of our name servers."""

        def __init__(self, servers: NameServers, visit: Visit) -> None:
            super().__init__(visit.peer, visit.sender, visit.helo or "unknown", querytime=PATIENCE)
            self._servers = servers
            self._until = time.monotonic() + PATIENCE
            self._answers: dict[tuple[str, str], list[Any]] = {}

        def dns(self, name: str, qtype: str, *_: object, ignore_void: bool = False) -> list[Any]:
            """The records of a name, as pyspf has them. Raises its TempError and PermError."""
            key = (str(name).rstrip(".").lower(), qtype)
            if key not in self._answers:
                self._answers[key] = self._asked(*key)
            if not self._answers[key] and not ignore_void:
                self.void_lookups += 1
                if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                    raise spf.PermError("Too many questions without an answer")
            return self._answers[key]

        def _asked(self, name: str, kind: str) -> list[Any]:
            if kind == "SPF" or not all(0 < len(label) < 64 for label in name.split(".")):
                return []
            if time.monotonic() > self._until:
                raise spf.TempError("The questions take too long")
            try:
                return [_as_pyspf(one, kind) for one in self._servers.records(name, _KINDS[kind])]
            except Unanswered as problem:
                raise spf.TempError(str(problem)) from problem

    return Question


_KINDS: Final[dict[str, RecordType]] = {"TXT": "TXT", "MX": "MX", "A": "A", "AAAA": "AAAA", "PTR": "PTR"}


def _as_pyspf(record: str, kind: str) -> Any:
    if kind == "TXT":
        return (record[:LONGEST_POLICY].encode(),)
    if kind == "MX":
        preference, _, host = record.partition(" ")
        return int(preference), host
    return record
