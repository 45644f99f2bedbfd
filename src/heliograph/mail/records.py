"""The records that the DNS must have for a sending domain: what to publish, and what is there.

Sources: DKIM RFC 6376, 3.6.1; SPF RFC 7208; DMARC RFC 7489; MX RFC 5321, 5.1 and RFC 7505 (a null MX).
"""

from typing import Literal

import msgspec

from heliograph.db.engine import Row
from heliograph.mail import domains
from heliograph.mail.nameservers import NameServers, RecordType, Unanswered

State = Literal["right", "wrong", "missing", "unanswered"]
POLICIES = {
    "none": "Receivers only count mails that others write in its name; p=quarantine would keep them out.",
    "quarantine": "Mails that others write in its name go to the spam folder.",
    "reject": "Mails that others write in its name are refused.",
}
_STRING = 255
"""Octets of a string within a TXT record."""


class Plan(msgspec.Struct, frozen=True):
    """What all sending domains share. `host` is this server's name, `senders` what SPF allows to send."""

    bounce_domain: str
    host: str
    senders: str = "mx"


class Record(msgspec.Struct, frozen=True):
    """A record to publish. `purpose` says what it is for."""

    what: Literal["DKIM", "SPF", "DMARC", "bounces", "MX"]
    name: str
    type: RecordType
    value: str
    purpose: str

    def zone_line(self) -> str:
        """The record as a zone file has it (RFC 1035, 5.1); long texts in several strings."""
        if self.type != "TXT":
            return f"{self.name}. {self.type} {self.value}."
        strings = (self.value[start : start + _STRING] for start in range(0, len(self.value), _STRING))
        return f"{self.name}. {self.type} " + " ".join(f'"{one}"' for one in strings)


class Verdict(msgspec.Struct, frozen=True):
    """What was found for a record."""

    record: Record
    state: State
    detail: str


def wanted(domain: Row, plan: Plan) -> list[Record]:
    """The records of a row of `sending_domains`, in the order in which they are told."""
    name, bounces = domain["domain"], plan.bounce_domain
    key, public = domains.published(domain)
    return [
        Record(
            "DKIM",
            key,
            "TXT",
            public,
            "the key by which receivers check the signature of each mail",
        ),
        Record(
            "SPF",
            bounces,
            "TXT",
            f"v=spf1 {plan.senders} -all",
            "which machines send mails whose bounces come to this domain",
        ),
        Record(
            "DMARC",
            f"_dmarc.{name}",
            "TXT",
            "v=DMARC1; p=none",
            "what receivers do with mails that others write as yours",
        ),
        Record("bounces", bounces, "MX", f"10 {plan.host}", "brings bounces and unsubscribes to this server"),
        Record(
            "MX", name, "MX", f"10 {plan.host}", "where answers to the domain go; any server that takes them is right"
        ),
    ]


def check(servers: NameServers, domain: Row, plan: Plan) -> list[Verdict]:
    """Ask the DNS for each record. Blocks for up to a minute when no server answers."""
    return [_checked(servers, record, plan) for record in wanted(domain, plan)]


def _checked(servers: NameServers, record: Record, plan: Plan) -> Verdict:
    try:
        if record.what == "DMARC":
            state, detail = _dmarc(servers, record)
        else:
            found = servers.records(record.name, record.type)
            if record.what == "DKIM":
                state, detail = _dkim(found, record)
            elif record.what == "SPF":
                state, detail = _spf(found, plan.senders)
            elif record.what == "MX":
                state, detail = _mx(found)
            else:
                state, detail = _bounces(servers, found, plan.host)
    except Unanswered:
        return Verdict(
            record, "unanswered", "No name server gave an answer, which says nothing of the record. Ask later."
        )
    return Verdict(record, state, detail)


def _tags(text: str) -> dict[str, str]:
    """The tags of a DKIM or DMARC record (RFC 6376, 3.2); blanks within a value mean nothing."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}


def _dkim(found: list[str], record: Record) -> tuple[State, str]:
    if not found:
        return "missing", "Mails are signed, but nobody can check it."
    if len(found) > 1:
        return "wrong", f"There are {len(found)} TXT records, and receivers take any of them. One must be left."
    tags, own = _tags(found[0]), _tags(record.value)
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return "wrong", "This TXT record is no DKIM key."
    if not tags["p"]:
        return "wrong", "The key is marked as withdrawn (p= is empty)."
    if tags["p"] != own["p"]:
        return "wrong", "This is another key, or a part of ours: every signature fails."
    if "y" in tags.get("t", "").split(":"):
        return "wrong", "The key is marked as a test (t=y): receivers treat the mails as unsigned."
    for tag, good in (("k", "rsa"), ("h", "sha256"), ("s", "email")):
        if not {good, "*"} & set(tags.get(tag, good).lower().split(":")):
            return "wrong", f"{tag}={tags[tag]} excludes our signatures; leave {tag}= out, or write {tag}={good}."
    return "right", "It is the public half of our key."


def _spf(found: list[str], senders: str) -> tuple[State, str]:
    texts = [text for text in found if text.lower().split(" ")[0] == "v=spf1"]
    if not texts:
        return "missing", "Receivers cannot tell our machines from others."
    if len(texts) > 1:
        return "wrong", f"There are {len(texts)} SPF records, which counts as an error. Join them into one."
    terms = texts[0].lower().split()[1:]
    if {"all", "+all"} & set(terms):
        return "wrong", "+all lets every machine of the world send. End the record with -all."
    absent = [one for one in senders.lower().split() if one not in terms and f"+{one}" not in terms]
    if absent:
        return "wrong", f"It does not name {' '.join(absent)}. (What it must name is told by --senders.)"
    return "right", "It names what sends."


def _dmarc(servers: NameServers, record: Record) -> tuple[State, str]:
    """A record of a domain above holds for those below it that have none (RFC 7489, 6.6.3)."""
    domain = record.name.removeprefix("_dmarc.")
    while "." in domain:
        found = servers.records(f"_dmarc.{domain}", "TXT")
        texts = [text for text in found if text.split(";")[0].replace(" ", "") == "v=DMARC1"]
        if len(texts) > 1:
            return "wrong", f"{domain} has {len(texts)} DMARC records, and so none that counts."
        if texts:
            return _policy(_tags(texts[0]), domain, inherited=f"_dmarc.{domain}" != record.name)
        domain = domain.partition(".")[2]
    return "missing", "Large providers do not take mails in bulk without it."


def _policy(tags: dict[str, str], domain: str, *, inherited: bool) -> tuple[State, str]:
    policy = tags.get("p", "").lower()
    if inherited:
        policy = tags.get("sp", policy).lower()
    if policy not in POLICIES:
        return "wrong", "It has no policy: write p=none, p=quarantine or p=reject."
    if inherited and tags.get("adkim", "").lower() == "s":
        return "right", f"That of {domain} holds. {POLICIES[policy]} (adkim=s: it needs a key of its own, as here.)"
    return "right", f"That of {domain} holds. {POLICIES[policy]}" if inherited else POLICIES[policy]


def _hosts(found: list[str]) -> list[str]:
    """The hosts of MX records, the preferred first. That of a null MX is empty."""
    parts = (text.partition(" ") for text in found)
    return [host.strip().rstrip(".") for _, host in sorted((int(number), host) for number, _, host in parts)]


def _mx(found: list[str]) -> tuple[State, str]:
    hosts = _hosts(found)
    if not hosts:
        return "missing", "Answers to addresses of the domain do not arrive, which receivers distrust."
    if hosts == [""]:
        return "wrong", "It says that the domain takes no mail (a null MX). Receivers distrust such senders."
    return "right", f"Mails to the domain go to {', '.join(hosts)}."


def _bounces(servers: NameServers, found: list[str], host: str) -> tuple[State, str]:
    hosts = _hosts(found)
    if not hosts:
        return "missing", "Bounces do not come back: dead addresses are written to again and again."
    if host.lower() != hosts[0]:
        return "wrong", f"Bounces go to {hosts[0] or 'nobody'}, not to {host}."
    if not servers.records(host, "A") and not servers.records(host, "AAAA"):
        return "wrong", f"It leads to {host}, which has no address (A or AAAA record)."
    return "right", f"Bounces come to {host}."
