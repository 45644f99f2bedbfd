"""Mails taken apart for people: parts, links, and what is to be said of signatures."""

import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from heliograph.mail import bounds, inspection
from heliograph.mail.inspection import Target, Verdict
from heliograph.mail.signing import sign
from mail.test_signing import NEW, key, mail

NAME = "hg._domainkey.example.com"
OURS = {NAME: f"v=DKIM1; k=rsa; p={NEW.public}"}
RECORDED = sorted((Path(__file__).parent / "feedback").rglob("*.eml"))


def letter() -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = "Grüße 😀"
    made["From"] = "ann@example.com"
    made.set_content("Good day")
    made.add_alternative('<a href="https://a.example/?x=1&amp;y=2">A</a> <img src="cid:x"> <a name="n">B</a>', "html")
    html = made.get_payload()[1]  # type: ignore[index]
    html.add_related(b"\x89PNG\0", "image", "png", cid="<x>", filename="ä.png", disposition="inline")  # type: ignore[union-attr]
    made.add_attachment(letter_within(), filename="old.eml")
    return made


def letter_within() -> EmailMessage:
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("Inside")
    return inner


def test_a_mail_is_taken_apart_in_the_order_of_its_parts() -> None:
    found = inspection.inspect(letter().as_bytes())
    assert dict(found.headers)["Subject"] == "Grüße 😀"
    assert [(one.number, one.depth, one.content_type) for one in found.parts] == [
        (1, 0, "multipart/mixed"),
        (2, 1, "multipart/alternative"),
        (3, 2, "text/plain"),
        (4, 2, "multipart/related"),
        (5, 3, "text/html"),
        (6, 3, "image/png"),
        (7, 1, "message/rfc822"),
        (8, 2, "text/plain"),
    ]
    png, enclosed = found.parts[5], found.parts[6]
    assert (png.name, png.content_id, png.disposition, png.octets) == ("ä.png", "x", "inline", b"\x89PNG\0")
    assert (enclosed.name, b"Inside" in (enclosed.octets or b"")) == ("old.eml", True)
    assert [one.octets is None for one in found.parts[:5]] == [True, True, False, True, False]
    assert found.targets == (Target("a", "https://a.example/?x=1&y=2"), Target("img", "cid:x"))
    assert found.unread == ""


def test_html_that_is_too_much_is_not_read() -> None:
    deep = b"Content-Type: text/html\r\n\r\n" + b"<p>" * (bounds.MOST_TAGS + 1)
    found = inspection.inspect(deep)
    assert (found.targets, found.unread) == ((), f"HTML must have at most {bounds.MOST_TAGS} tags.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n folded", "Grüße folded"),
        ("=?nonsense?q?a?=", "=?nonsense?q?a?="),
        ("=?utf-8?b?a?= x", "=?utf-8?b?a?= x"),
        ("raw \udcc3\udcbc", "raw ü"),
        ("raw \udcff", "raw \ufffd"),
    ],
)
def test_headers_are_shown_as_people_read_them(value: str, shown: str) -> None:
    assert inspection.readable(value) == shown


CHANGES: list[tuple[Callable[[bytes], bytes], Verdict]] = [
    (lambda octets: octets, Verdict(NAME, "good")),
    (lambda octets: b"Return-Path: <a@b.example>\r\n" + octets, Verdict(NAME, "good")),
    (lambda octets: octets.replace(b"Dear Bob", b"Dear Eve"), Verdict(NAME, "bad", "the body was changed")),
    (
        lambda octets: octets.replace(b"Subject: Hello", b"Subject: Hullo"),
        Verdict(NAME, "bad", "the head was changed, or another key has signed it"),
    ),
    (
        lambda octets: octets.replace(b"s=hg", b"s=old"),
        Verdict("old._domainkey.example.com", "unknown", "the house has no such key"),
    ),
    (lambda octets: b" fold\r\n" + octets, Verdict("", "bad", "a line of the head belongs to no field")),
]


@pytest.mark.parametrize(("change", "verdict"), CHANGES, ids=range(len(CHANGES)))
def test_what_is_said_of_a_signature(change: Callable[[bytes], bytes], verdict: Verdict) -> None:
    assert inspection.verdicts(change(sign(mail(), key())), OURS) == (verdict,)


def test_a_signature_that_cannot_be_read_is_bad_and_says_why() -> None:
    (found,) = inspection.verdicts(re.sub(rb"a=rsa-sha256", b"a=none", sign(mail(), key())), OURS)
    assert (found.state, found.why) == (
        "bad",
        "the signature cannot be read: unknown signature algorithm: b'none'",
    )


def test_each_signature_has_its_verdict_and_their_number_is_bounded() -> None:
    assert inspection.verdicts(mail(), OURS) == ()
    twice = sign(sign(mail(), key("other.example")), key())
    assert [one.state for one in inspection.verdicts(twice, OURS)] == ["good", "unknown"]
    many = b"DKIM-Signature: v=1\r\n" * 1000 + mail()
    assert len(inspection.verdicts(many, OURS)) == inspection.MOST_SIGNATURES


@settings(max_examples=30)
@given(some.sampled_from(RECORDED), some.integers(0, 3000), some.binary(max_size=12), some.integers(0, 30))
def test_no_mail_is_so_broken_that_it_cannot_be_shown(file: Path, place: int, put: bytes, gone: int) -> None:
    octets = sign(mail(), key()) + file.read_bytes()
    broken = octets[:place] + put + octets[place + gone :]
    assert inspection.inspect(broken).parts
    assert isinstance(inspection.verdicts(broken, OURS), tuple)
