"""A mail that is encoded once for many: whatever is filled in, it reads as it was written."""

import random
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr

import pytest

from heliograph.mail import form
from heliograph.mail.form import Form, Part, Slot
from heliograph.mail.letter import Person

TEXTS = (
    "Hello",
    "",
    " ",
    "a " * 200,
    "=" * 75,
    "=" * 300,
    "é" * 100,
    "漢字" * 60,
    "x" * 75,
    "x" * 76,
    "x" * 77,
    ".\n.\n..",
    "From here\nto there\n",
    "tab\t\nblank \nend ",
    "<b>&amp;</b>\r\nnext\rlast",
    "🚀" * 40,
)


def read(octets: bytes) -> EmailMessage:
    assert all(len(line) <= form.WIDTH for line in octets.split(b"\r\n")), octets
    assert octets.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")
    return message_from_bytes(octets, _class=EmailMessage, policy=default)


def content(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("value", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("around", TEXTS, ids=range(len(TEXTS)))
def test_what_is_filled_in_stands_where_it_belongs(around: str, value: str) -> None:
    pieces = [around, Slot("a"), Slot("b"), around, Slot("a")]
    made = Form((Part("plain", pieces), Part("html", pieces)), "=_test")
    mail = read(made.written([b"From: a@b.example\r\n"], {"a": value, "b": "<B>"}))
    same, shown = unix(around), unix(value)
    assert content(mail, "plain") == f"{same}{shown}<B>{same}{shown}"
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert content(mail, "html") == f"{same}{escaped}&lt;B&gt;{same}{escaped}"


def test_random_pieces() -> None:
    chance = random.Random(7)
    for _ in range(300):
        texts = ["".join(chance.choice("ab =.é\n漢\t") for _ in range(chance.randrange(160))) for _ in range(4)]
        made = Form((Part("plain", [texts[0], Slot("x"), texts[1], Slot("x"), texts[2]]),), "=_test")
        mail = read(made.written([b"From: a@b.example\r\n"], {"x": texts[3]}))
        assert content(mail, "plain") == f"{texts[0]}{texts[3]}{texts[1]}{texts[3]}{texts[2]}\n"


NAMES = (
    "Ann",
    "Ann Example",
    "O'Neill, Ann",
    'Ann "the" \\ Example',
    "Müller",
    "Ann <b> (x) @ home",
    "=?utf-8?q?x?=",
    "漢字" * 50,
    "long " * 50,
    "x" * 150,
    "a.b; c: d",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_and_subjects_are_read_as_they_were_given(name: str) -> None:
    text = form.in_one_line(name)
    head = form.mailbox("To", Person("bob@example.com", text)) + form.unstructured("Subject", text)
    mail = read(head + b"\r\n")
    assert str(mail["Subject"]) == text
    seen, address = parseaddr(raw_of(head, "To"))
    assert (str(make_header(decode_header(seen))), address) == (text, "bob@example.com")


def raw_of(head: bytes, name: str) -> str:
    """A header as it was written, on one line."""
    return str(message_from_bytes(head)[name]).replace("\r\n", "")


@pytest.mark.parametrize("text", ["a\r\nBcc: eve@example.com", "a\x00b", "a\x85b", "a\u2028b", "a\ud800b"])
def test_nothing_begins_another_header(text: str) -> None:
    head = form.unstructured("Subject", form.in_one_line(text))
    assert list(message_from_bytes(head + b"\r\n", policy=default)) == ["Subject"]
    assert head.count(b"\n") == 1


def test_an_address_without_a_name_or_outside_ascii() -> None:
    assert form.mailbox("To", Person("bob@example.com")) == b"To: bob@example.com\r\n"
    assert form.mailbox("To", Person("bób@example.com", "B")) == "To: B <bób@example.com>\r\n".encode()


def test_dates() -> None:
    assert form.dated(0.9) == b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
