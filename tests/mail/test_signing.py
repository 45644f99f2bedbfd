"""DKIM signatures, judged by the verifier of dkimpy and by OpenDKIM."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heliograph.mail import domains, signing
from heliograph.mail.signing import SigningKey, sign
from support import opendkim

NEW = domains.new_key()
HEAD = {
    "From": "Ann <ann@example.com>",
    "To": "bob@example.org",
    "Cc": "eve@example.org",
    "Subject": "Hello",
    "Date": "Mon, 30 Nov 2026 12:00:00 +0000",
    "Message-ID": "<1@example.com>",
    "Reply-To": "ann@example.net",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Transfer-Encoding": "8bit",
    "List-Id": "<news.example.com>",
    "List-Unsubscribe": "<https://example.com/u/1>, <mailto:u@example.com>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}


def key(domain: str = "example.com", selector: str = "hg") -> SigningKey:
    private = load_pem_private_key(NEW.private.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return SigningKey(domain, selector, private)


def mail(body: bytes = b"Dear Bob,\r\n\r\nhello.\r\n", **head: str) -> bytes:
    fields = HEAD | {name.replace("_", "-"): value for name, value in head.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n" + body


def verified(octets: bytes, domain: str = "example.com") -> bool:
    def record(name: bytes, timeout: int = 5) -> bytes | None:
        return f"v=DKIM1; k=rsa; p={NEW.public}".encode() if name == f"hg._domainkey.{domain}.".encode() else None

    return bool(dkim.verify(octets, dnsfunc=record))


LONG = ".".join(["x" * 60] * 4)

GOOD: list[bytes] = [
    mail(),
    mail(b""),
    mail(b"\r\n\r\n\r\n"),
    mail(b"no end of line"),
    mail(b"blanks  \t at the end   \r\n  \r\n\r\n\r\n"),
    mail("Grüße, 😀\r\n".encode(), Subject="Grüße  mit\r\n\t Falten \r\n und  Leerzeichen "),
    mail(b"x" * 1_000_000 + b"\r\n"),
    mail(Subject="a" + "\r\n b" * 20_000),
    mail(Subject=""),
    mail(subject="twice"),
    mail(X_Other="not signed", Received="by a.example"),
    b"From: a@example.com\r\n\r\nonly From\r\n",
    b"FROM: a@example.com\r\nSUBJECT:none\r\n\r\n",
]


@pytest.mark.parametrize("octets", GOOD, ids=range(len(GOOD)))
def test_a_signature_is_good_and_changes_nothing(octets: bytes) -> None:
    signed = sign(octets, key())
    assert signed.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple;")
    assert signed.endswith(octets)
    assert verified(signed)
    head = signed[: -len(octets)]
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))


def test_threads_sign_with_one_key_at_once() -> None:
    mails, own = [mail(Subject=str(number)) for number in range(40)], key()
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda octets: sign(octets, own), mails))
    assert all(map(verified, signed))
    assert [one[-len(octets) :] for one, octets in zip(signed, mails, strict=True)] == mails


def test_a_long_domain_stays_in_one_piece() -> None:
    assert verified(sign(mail(), key(LONG)), LONG)


def test_what_is_signed() -> None:
    signed = sign(mail(X_Other="x"), key()).decode()
    (names,) = re.findall(r"\sh=(.*?);", signed, re.S)
    listed = [name.strip() for name in names.split(":")]
    assert listed == ["from", *(name.lower() for name in HEAD)]
    assert set(listed) == {name.decode() for name in signing.SIGNED}


CHANGES: list[Callable[[bytes], bytes]] = [
    *((lambda octets, name=name: re.sub(rf"\n{name}: .".encode(), f"\n{name}: ~".encode(), octets)) for name in HEAD),
    lambda octets: octets.replace(b"\r\nTo:", b"\r\nFrom: eve@example.com\r\nTo:"),
    lambda octets: octets.replace(b"\r\nFrom:", b"\r\nFrom: eve@example.com\r\nFrom:"),
    lambda octets: octets.replace(b"Dear Bob", b"Dear Eve"),
    lambda octets: octets + b"more\r\n",
    lambda octets: octets.replace(b"d=example.com", b"d=example.net"),
]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_what_was_changed_afterwards_fails(change: Callable[[bytes], bytes]) -> None:
    signed = sign(mail(), key())
    changed = change(signed)
    assert changed != signed
    assert not verified(changed)


@pytest.mark.parametrize(
    "octets",
    [b"", b"\r\n\r\nbody", b"To: a@b.example\r\n\r\n", b" folded: x\r\nFrom: a@b.example\r\n\r\n", b"no field"],
)
def test_what_is_no_mail_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="mail"):
        sign(octets, key())


SHORT = [octets for octets in GOOD if len(octets.partition(b"\r\n\r\n")[0]) < opendkim.LONGEST_HEADER]


@pytest.mark.slow
@pytest.mark.parametrize("octets", SHORT, ids=range(len(SHORT)))
def test_a_verifier_of_others_agrees(octets: bytes, tmp_path: Path) -> None:
    records = {"hg._domainkey.example.com": f"v=DKIM1; k=rsa; p={NEW.public}"}
    assert opendkim.says(sign(octets, key()), records, tmp_path) == "good"
    changed = re.sub(rb"(?i)\nfrom: ", b"\nFrom: ~", sign(octets, key()))
    assert opendkim.says(changed, records, tmp_path) == "bad"
    assert opendkim.says(octets, records, tmp_path) == "none"
