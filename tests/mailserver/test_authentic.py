"""What proves a From, with a name server on loopback and signatures by dkimpy."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from heliograph.mail.nameservers import NameServers, Unanswered
from heliograph.mailserver import authentic
from heliograph.mailserver.desk import Arrived, Recipient, Visit
from heliograph.mailserver.sms import NOT_PROVED
from mailserver.mails import allow, hand_in, mail, own, sent
from support import growth
from support.nameserver import name_server
from support.server import Running

TO: Final = "61491570156"
KEY: Final = rsa.generate_private_key(65537, 2048)
SIGNED: Final = b"from to subject date message-id content-type".split()


def published(key: rsa.RSAPrivateKey = KEY) -> str:
    """The TXT record of a key, in strings as zone files have them."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


RECORDS: Final[dict[tuple[str, str], Sequence[str]]] = {
    ("s._domainkey.example.com", "TXT"): [published()],
    ("s._domainkey.mail.example.com", "TXT"): [published()],
    ("s._domainkey.evil.test", "TXT"): [published()],
    ("s._domainkey.example.co.uk", "TXT"): [published()],
    ("s._domainkey.other.co.uk", "TXT"): [published()],
    ("s._domainkey.huge.example.com", "TXT"): ['"v=DKIM1; p=' + '" "'.join(["QUFB" * 50] * 20) + '"'],
    ("s._domainkey.odd.example.com", "TXT"): ['"v=DKIM1; k=rsa; p=AAAA"'],
    ("example.com", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"', '"something else"'],
    ("sub.example.com", "TXT"): ['"v=spf1 include:example.com -all"'],
    ("far.example.com", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
    ("soft.example.com", "TXT"): ['"v=spf1 ~all"'],
    ("byname.example.com", "TXT"): ['"v=spf1 mx a:host.example.com -all"'],
    ("byname.example.com", "MX"): ["10 mx.example.com."],
    ("mx.example.com", "A"): ["192.0.2.9"],
    ("host.example.com", "A"): ["127.0.0.1"],
    ("loop.example.com", "TXT"): ['"v=spf1 include:loop.example.com -all"'],
    ("evil.test", "TXT"): ['"v=spf1 +all"'],
    ("broken.test", "TXT"): ['"unused"'],
}


@pytest.fixture(scope="module")
def servers() -> Iterator[NameServers]:
    with name_server(RECORDS, broken=["away.example.com", "s._domainkey.away.example.com"]) as address:
        yield NameServers(address)


def signed(octets: bytes, domain: str = "example.com", key: rsa.RSAPrivateKey = KEY, **more: Any) -> bytes:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    given = {"include_headers": SIGNED, "canonicalize": (b"relaxed", b"relaxed"), **more}
    return bytes(dkim.sign(octets, b"s", domain.encode(), pem, **given)) + octets


def proved(servers: NameServers, octets: bytes, sender: str = "jane@example.com", envelope: str = "") -> str:
    visit = Visit(peer="127.0.0.1", helo="mx.example.com", sender=envelope)
    arrived = Arrived(visit=visit, recipients=(Recipient("1", "x"),), octets=octets)
    return authentic.proved(servers, arrived, sender)


PLAIN: Final = mail("jane@example.com", "Hello  there \n\nBye", Date="Mon, 30 Nov 2026 10:00:00 +0000")


@pytest.mark.parametrize("canonicalize", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")])
def test_a_signature_of_the_domain_proves(servers: NameServers, canonicalize: tuple[bytes, bytes]) -> None:
    good = signed(PLAIN, canonicalize=canonicalize)
    assert proved(servers, good) == "dkim"
    assert proved(servers, good.replace(b"Hello", b"Help!")) == ""
    assert proved(servers, good.replace(b"jane@example.com", b"john@example.com"), "john@example.com") == ""


@pytest.mark.parametrize(
    ("sender", "domain", "good"),
    [
        ("jane@example.com", "mail.example.com", True),
        ("jane@news.example.com", "example.com", True),
        ("jane@EXAMPLE.com", "example.com", True),
        ("jane@example.com", "evil.test", False),
        ("jane@example.com.evil.test", "example.com", False),
        ("jane@other.co.uk", "example.co.uk", False),
        ("jane@example.co.uk", "example.co.uk", True),
        ("jane@com", "example.com", False),
    ],
)
def test_signatures_are_aligned_with_from(servers: NameServers, sender: str, domain: str, good: bool) -> None:
    octets = signed(mail(sender), domain)
    assert proved(servers, octets, sender) == ("dkim" if good else "")


def test_one_good_signature_is_enough_and_a_foreign_one_proves_nothing(servers: NameServers) -> None:
    other = rsa.generate_private_key(65537, 2048)
    assert proved(servers, signed(signed(PLAIN), "evil.test")) == "dkim"
    assert proved(servers, signed(signed(PLAIN), key=other)) == "dkim"
    assert proved(servers, signed(PLAIN, key=other)) == ""
    many = PLAIN
    for _ in range(authentic.MOST_SIGNATURES):
        many = signed(many, key=other)
    assert proved(servers, many.replace(PLAIN, signed(PLAIN))) == "", "only the first ones are looked at"


def test_signatures_that_cover_less_than_the_mail(servers: NameServers) -> None:
    partial = signed(PLAIN, length=True)
    assert proved(servers, partial) == ""
    assert proved(servers, partial + b"And buy this\r\n") == ""


def test_old_signatures_prove_nothing(servers: NameServers, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = signed(PLAIN)
    assert b"; t=" in octets
    monkeypatch.setattr(authentic, "OLDEST_SIGNATURE", -3600)
    assert proved(servers, octets) == ""


@pytest.mark.parametrize("domain", ["huge.example.com", "odd.example.com", "none.example.com"])
def test_keys_that_are_none(servers: NameServers, domain: str) -> None:
    assert proved(servers, signed(PLAIN, domain)) == ""


def test_name_servers_that_do_not_answer_prove_nothing_and_refuse_nothing(servers: NameServers) -> None:
    with pytest.raises(Unanswered):
        proved(servers, signed(PLAIN, "away.example.com"))
    with pytest.raises(Unanswered):
        proved(servers, PLAIN, envelope="x@away.example.com")


@pytest.mark.parametrize(
    ("envelope", "good"),
    [
        ("bounce@example.com", True),
        ("bounce@sub.example.com", True),
        ("bounce@byname.example.com", True),
        ("bounce@far.example.com", False),
        ("bounce@soft.example.com", False),
        ("bounce@loop.example.com", False),
        ("bounce@none.example.com", False),
        ("bounce@evil.test", False),
        ("", False),
        ("bounce@" + "a" * 200 + ".example.com", False),
        ("odd", False),
    ],
)
def test_spf_of_an_aligned_sender_proves(servers: NameServers, envelope: str, good: bool) -> None:
    assert proved(servers, PLAIN, envelope=envelope) == ("spf" if good else "")


@pytest.mark.parametrize(
    "header",
    [
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=x; b=" + b" " * 3900 + b"!",
        b"DKIM-Signature: " + b"a=b;" * 900,
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s; h=from:"
        + b"from:" * 700
        + b"; b=x",
        b"DKIM-Signature: nonsense",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff; s=\xff; h=from; bh=eA==; b=eA==",
    ],
)
def test_hostile_signatures_take_no_time(servers: NameServers, header: bytes) -> None:
    octets = header + b"\r\n" + PLAIN
    assert proved(servers, octets) == ""
    assert growth.work(lambda given: proved(servers, given), octets, 1) < 0.5


def test_hostile_bodies_take_no_time(servers: NameServers) -> None:
    for body in (b" " * 3_000_000 + b"x\r\n", b"\r\n" * 200_000 + b"x\r\n", (b" " * 1000 + b"x") * 100):
        octets = signed(PLAIN) + body
        assert proved(servers, octets) == ""
        assert growth.work(lambda given: proved(servers, given), octets, 1) < 3


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ("192.0.2.0/24, 2001:db8::/32", "192.0.2.7", True),
        ("192.0.2.0/24, 2001:db8::/32", "2001:db8::1", True),
        ("192.0.2.0/24", "198.51.100.1", False),
        ("", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "", False),
    ],
)
def test_trusted_networks(networks: str, address: str, inside: bool) -> None:
    assert authentic.trusted(networks, address) is inside


def test_the_setting(tmp_path: Path) -> None:
    """A mail costs money when something proves it: DKIM, SPF, a login or a trusted network."""
    with name_server(RECORDS, broken=["s._domainkey.away.example.com"]) as address:
        running = Running(tmp_path, smtp_authentic="require", dns=address)
        try:
            api = running.account()
            allow(api)
            plain = mail(own(api))
            assert hand_in(running, plain, TO, sender="x@evil.test") == (550, NOT_PROVED.removeprefix("550 "))
            assert hand_in(running, signed(plain, "evil.test"), TO)[0] == 250, "the envelope's sender proves it by SPF"
            assert hand_in(running, signed(mail(own(api), "two")), TO, sender="x@evil.test")[0] == 250
            refused = hand_in(running, signed(mail(own(api)), "away.example.com"), TO, sender="x@evil.test")
            assert refused[0] == 451
            login = (api.username, api.key)
            assert hand_in(running, mail(own(api), "three"), TO, sender="x@evil.test", login=login)[0] == 250
            assert len(sent(api)) == 3
            running.close_clients()
        finally:
            running.stop()
        trusting = Running(tmp_path, smtp_authentic="require", dns=address, smtp_trusted="10.0.0.0/8, 127.0.0.1")
        try:
            api = trusting.account()
            allow(api)
            assert hand_in(trusting, mail(own(api), "four"), TO, sender="x@evil.test")[0] == 250
            trusting.close_clients()
        finally:
            trusting.stop()
