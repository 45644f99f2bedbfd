"""The form of a mail: headers, bodies, files, addresses, and that nothing gets into the headers."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.mail.letter import Enclosed, Letter, Person, Unwritable, written

NOON = 1_900_000_000.0


def letter(**other: Any) -> Letter:
    usual = {
        "sender": Person("ann@example.com"),
        "to": (Person("bob@example.net"),),
        "subject": "Hello",
        "text": "Good day",
        "message_id": "0193",
        "date": NOON,
    }
    return Letter(**{**usual, **other})


def read(octets: bytes) -> EmailMessage:
    return message_from_bytes(octets, _class=EmailMessage, policy=default)


def mail_of(**other: Any) -> EmailMessage:
    return read(written(letter(**other), "").octets)


def test_a_mail_has_what_it_was_given() -> None:
    mail = written(
        letter(
            sender=Person("ann@example.com", 'Ann "The Desk" Łęcka, Ltd.'),
            to=(Person("bob@example.net", "Bob"), Person("eve@example.net")),
            cc=(Person("carl@example.net", "Zażółć"),),
            reply_to=Person("desk@example.org"),
            subject="Zażółć 😀",
            text="gęślą jaźń\n.\n\n..two\rend",
            headers=(("List-Id", "<7.example.com>"),),
        ),
        "b+1@bounce.example.com",
    )
    got = read(mail.octets)
    assert str(got["From"].addresses[0]) == '"Ann \\"The Desk\\" Łęcka, Ltd." <ann@example.com>'
    assert [str(one) for one in got["To"].addresses] == ["Bob <bob@example.net>", "eve@example.net"]
    assert got["Cc"].addresses[0].display_name == "Zażółć"
    assert (got["Reply-To"], got["Subject"], got["List-Id"]) == ("desk@example.org", "Zażółć 😀", "<7.example.com>")
    assert (got["Message-ID"], got["Date"].datetime.timestamp()) == ("<0193@example.com>", NOON)
    assert got.get_content() == "gęślą jaźń\r\n.\r\n\r\n..two\r\nend\r\n"
    assert (mail.envelope_sender, mail.utf8) == ("b+1@bounce.example.com", False)


@pytest.mark.parametrize(
    "text", ["ł", "plain\n.\n..\n.x", "ł\n" + "plain\n" * 9 + ".\n.", "a\rb\r\nc " + "x" * 3000, "x" * 1_000_000]
)
def test_lines_end_in_crlf_and_all_is_seven_bit(text: str) -> None:
    mail = written(letter(subject="ż" * 200, text=text, html=f"<p>{text}</p>"), "").octets
    assert b"\n" not in mail.replace(b"\r\n", b"")
    assert b"\r" not in mail.replace(b"\r\n", b"")
    assert mail.isascii()
    assert max(len(line) for line in mail.split(b"\r\n")) <= 78
    body = read(mail).get_body(("plain",))
    assert body is not None
    assert body.get_content().split() == text.split()


def test_html_has_its_text_beside_it_and_its_pictures_within() -> None:
    picture = Enclosed("a.png", "image/png", b"\x89PNG", "logo")
    paper = Enclosed("Rechnung März.pdf", "application/pdf", b"%PDF")
    got = mail_of(html='<img src="cid:logo">', files=(picture, paper))
    assert got.get_content_type() == "multipart/mixed"
    alternative, attached = got.iter_parts()
    assert alternative.get_content_type() == "multipart/alternative"
    plain, related = alternative.iter_parts()
    assert (plain.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    html, inside = related.iter_parts()
    assert html.get_content().strip() == '<img src="cid:logo">'
    assert (inside["Content-ID"], inside.get_content_disposition()) == ("<logo>", "inline")
    assert (attached.get_filename(), attached.get_content(), attached.get_content_disposition()) == (
        "Rechnung März.pdf",
        b"%PDF",
        "attachment",
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("image/png", "image/png"),
        ("Text/CSV; charset=utf-8", "text/csv"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("no type", "application/octet-stream"),
        ("a/b\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_type_of_a_file_is_a_type(given: str, sent: str) -> None:
    (file,) = mail_of(files=(Enclosed("a", given, b"\xff\x00"),)).iter_attachments()
    assert (file.get_content_type(), file.get_payload(decode=True)) == (sent, b"\xff\x00")


INJECTIONS = ["\r\nBcc: eve@example.org", "\nBcc: eve@example.org", "\rBcc: x", "\x0b", "\x00", "\u2028x", "\ud800"]


@pytest.mark.parametrize("bad", INJECTIONS)
@pytest.mark.parametrize("field", ["subject", "to", "sender", "reply_to", "cc", "name"])
def test_nothing_gets_into_the_headers(field: str, bad: str) -> None:
    made: dict[str, Any] = {
        "subject": lambda text: {"subject": text},
        "to": lambda text: {"to": (Person(text),)},
        "cc": lambda text: {"cc": (Person(text),)},
        "sender": lambda text: {"sender": Person(text)},
        "reply_to": lambda text: {"reply_to": Person(text)},
        "name": lambda text: {"sender": Person("ann@example.com", text)},
    }[field]
    for text in ("ann@b.test" + bad, bad + "ann@b.test"):
        with pytest.raises(Unwritable):
            written(letter(**made(text)), "")


@pytest.mark.parametrize("bad", INJECTIONS[:3])
def test_the_name_of_a_file_is_no_header(bad: str) -> None:
    got = mail_of(files=(Enclosed("a.txt" + bad, "text/plain", b"x", "id" + bad),))
    assert got["Bcc"] is None
    assert all(part["Bcc"] is None for part in got.walk())


@pytest.mark.parametrize(
    "address",
    [
        *("", "bob", "bob@", "@example.net", "a@b@c", "a b@c.test", "a..b@c.test", ".a@c.test", "a@c.test."),
        *("a@b.test,c@d.test", "<a@b.test>", 'B "x" <a@b.test>', "a@b.test> SIZE=1"),
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    for field in ("to", "cc"):
        with pytest.raises(Unwritable):
            written(letter(**{field: (Person(address),)}), "")
    with pytest.raises(Unwritable):
        written(letter(sender=Person(address)), "")


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d"])
@pytest.mark.parametrize("field", ["text", "html"])
def test_a_text_that_no_mail_can_hold_is_refused(field: str, text: str) -> None:
    with pytest.raises(Unwritable):
        written(letter(**{field: text}), "")


def test_domains_are_written_as_dns_has_them() -> None:
    mail = written(letter(to=(Person("bob@Zażółć.example"),), sender=Person("ann@müller.example")), "")
    got = read(mail.octets)
    assert got["To"].addresses[0].addr_spec == "bob@xn--za-6ja4f8n1l.example"
    assert got["Message-ID"] == "<0193@xn--mller-kva.example>"
    assert not mail.utf8
    assert written(letter(to=(Person("józef@example.net"),)), "").utf8


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.text(max_size=200), st.text(max_size=80), st.text(max_size=40))
def test_any_text_gives_a_whole_mail_or_a_refusal(subject: str, text: str, name: str, file: str) -> None:
    given = letter(
        subject=subject, text=text, sender=Person("a@b.test", name), files=(Enclosed(file, "text/plain", b"x"),)
    )
    try:
        got = read(written(given, "").octets)
    except Unwritable:
        return
    expected = {"From", "To", "Subject", "Date", "Message-ID", "Content-Type", "MIME-Version"}
    assert {key for key in got if key != "Content-Transfer-Encoding"} == expected
    plain, attached = got.iter_parts()
    body = plain.get_content().replace("\r\n", "\n").removesuffix("\n")
    assert body == text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    assert attached.get_content_disposition() == "attachment"
