"""What the DNS must have for a sending domain, and what is said of what it has: asked of a name server on loopback."""

from collections.abc import Iterator

import pytest

from heliograph.mail import records
from heliograph.mail.nameservers import NameServers
from heliograph.mail.records import Plan, Verdict
from support.nameserver import name_server

KEY = "MIIB" + "a" * 388
DOMAIN = {"domain": "news.example.com", "selector": "hg", "public_key": KEY}
PLAN = Plan("bounce.example.com", "mx.example.net", "mx ip4:192.0.2.1")
AT = {
    "DKIM": ("hg._domainkey.news.example.com", "TXT"),
    "SPF": ("bounce.example.com", "TXT"),
    "DMARC": ("_dmarc.news.example.com", "TXT"),
    "bounces": ("bounce.example.com", "MX"),
    "MX": ("news.example.com", "MX"),
}
HOST = {("mx.example.net", "AAAA"): ["2001:db8::1"]}
Zone = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def dns() -> Iterator[tuple[Zone, NameServers]]:
    zone: Zone = {}
    with name_server(zone, broken=["hg._domainkey.lame.example"]) as address:
        yield zone, NameServers(address)


def strings(record: str) -> str:
    """The record as a zone file has it: a text of a TXT in strings of at most 255 octets."""
    text = record.strip('"')
    pieces = [text[start : start + 200] for start in range(0, len(text), 200)]
    return " ".join(f'"{piece}"' for piece in pieces) if record[0] == '"' else record


def checked(dns: tuple[Zone, NameServers], zone: Zone, domain: dict[str, str] = DOMAIN) -> dict[str, Verdict]:
    known, servers = dns
    known.clear()
    known.update(zone)
    return {one.record.what: one for one in records.check(servers, domain, PLAN)}


def test_the_records_to_publish_are_right_when_they_are_there(dns: tuple[Zone, NameServers]) -> None:
    zone: Zone = dict(HOST)
    lines = [record.zone_line() for record in records.wanted(DOMAIN, PLAN)]
    for line in lines:
        name, kind, value = line.split(" ", 2)
        zone[name.removesuffix("."), kind] = [value]
    found = checked(dns, zone)
    assert {what: one.state for what, one in found.items()} == dict.fromkeys(AT, "right")
    assert {what: (one.record.name, one.record.type) for what, one in found.items()} == AT
    assert len(lines[0].split('"')[1]) == 255
    assert lines[1] == 'bounce.example.com. TXT "v=spf1 mx ip4:192.0.2.1 -all"'
    assert lines[3] == "bounce.example.com. MX 10 mx.example.net."


def test_what_is_not_there_is_missing(dns: tuple[Zone, NameServers]) -> None:
    assert {what: one.state for what, one in checked(dns, {}).items()} == dict.fromkeys(AT, "missing")
    other = {("news.example.com", "TXT"): ['"v=spf1 mx -all"'], ("bounce.example.com", "TXT"): ['"google-site=1"']}
    assert {what: one.state for what, one in checked(dns, other).items()} == dict.fromkeys(AT, "missing")


def test_a_question_without_an_answer_says_nothing_of_the_record(dns: tuple[Zone, NameServers]) -> None:
    found = checked(dns, {}, {**DOMAIN, "domain": "lame.example"})
    assert (found["DKIM"].state, found["MX"].state) == ("unanswered", "missing")


CASES: list[tuple[str, list[str], str, str]] = [
    ("DKIM", [f'"v=DKIM1; k=rsa; p={KEY}"'], "right", "our key"),
    ("DKIM", [f'" p = {KEY[:100]} {KEY[100:]} ; t=s "'], "right", "our key"),
    ("DKIM", [f'"v=DKIM1; h=sha1:sha256; s=email; p={KEY}"'], "right", "our key"),
    ("DKIM", [f'"v=DKIM1; k=rsa; p={KEY[:-1]}"'], "wrong", "another key, or a part"),
    ("DKIM", ['"v=DKIM1; p="'], "wrong", "withdrawn"),
    ("DKIM", [f'"v=DKIM1; t=y:s; p={KEY}"'], "wrong", "t=y"),
    ("DKIM", [f'"v=DKIM1; h=sha1; p={KEY}"'], "wrong", "h=sha1"),
    ("DKIM", [f'"v=DKIM1; k=ed25519; p={KEY}"'], "wrong", "k=ed25519"),
    ("DKIM", [f'"v=DKIM1; s=other; p={KEY}"'], "wrong", "s=other"),
    ("DKIM", [f'"v=DKIM1; p={KEY}"', '"v=DKIM1; p=old"'], "wrong", "2 TXT records"),
    ("DKIM", ['"hello"'], "wrong", "no DKIM key"),
    ("SPF", ['"V=SPF1 ip4:192.0.2.1 a MX ~all"', '"other"'], "right", "names what sends"),
    ("SPF", ['"v=spf1 mx -all"'], "wrong", "not name ip4:192.0.2.1"),
    ("SPF", ['"v=spf1 mx ip4:192.0.2.1 +all"'], "wrong", "every machine"),
    ("SPF", ['"v=spf1 mx ip4:192.0.2.1 all"'], "wrong", "every machine"),
    ("SPF", ['"v=spf1 -mx ip4:192.0.2.1 -all"'], "wrong", "not name mx"),
    ("SPF", ['"v=spf1 mx ip4:192.0.2.1 -all"', '"v=spf1 -all"'], "wrong", "2 SPF records"),
    ("SPF", ['"v=spf10 mx"'], "missing", "others"),
    ("DMARC", ['"v=DMARC1; p=none"'], "right", "only count"),
    ("DMARC", ['"v = DMARC1 ;p=Reject; rua=mailto:a@b.example"'], "right", "refused"),
    ("DMARC", ['"v=DMARC1; rua=mailto:a@b.example"'], "wrong", "no policy"),
    ("DMARC", ['"v=DMARC1; p=some"'], "wrong", "no policy"),
    ("DMARC", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "wrong", "2 DMARC records"),
    ("bounces", ["10 MX.example.net.", "20 other.example."], "right", "come to mx.example.net"),
    ("bounces", ["20 mx.example.net.", "9 other.example."], "wrong", "go to other.example, not"),
    ("bounces", ["0 ."], "wrong", "go to nobody"),
    ("MX", ["20 b.example.", "5 a.example."], "right", "a.example, b.example"),
    ("MX", ["0 ."], "wrong", "takes no mail"),
]


@pytest.mark.parametrize(("what", "there", "state", "words"), CASES, ids=range(len(CASES)))
def test_what_is_there_is_judged(
    dns: tuple[Zone, NameServers], what: str, there: list[str], state: str, words: str
) -> None:
    found = checked(dns, {**HOST, AT[what]: [strings(one) for one in there]})[what]
    assert (found.state, words in found.detail) == (state, True), found.detail


@pytest.mark.parametrize(
    ("there", "state", "words"),
    [
        ("v=DMARC1; p=reject", "right", "That of example.com holds. Mails that others write in its name are refused."),
        ("v=DMARC1; p=reject; sp=none", "right", "only count"),
        ("v=DMARC1; p=none; adkim=s", "right", "adkim=s"),
        ("v=DMARC1; p=reject; sp=x", "wrong", "no policy"),
    ],
)
def test_the_policy_of_a_domain_above_holds(dns: tuple[Zone, NameServers], there: str, state: str, words: str) -> None:
    found = checked(dns, {("_dmarc.example.com", "TXT"): [f'"{there}"']})["DMARC"]
    assert (found.state, words in found.detail) == (state, True), found.detail


def test_a_host_without_an_address_takes_no_bounces(dns: tuple[Zone, NameServers]) -> None:
    found = checked(dns, {AT["bounces"]: ["10 mx.example.net."]})["bounces"]
    assert (found.state, "no address" in found.detail) == ("wrong", True)
