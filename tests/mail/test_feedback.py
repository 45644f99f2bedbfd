"""What mails say that came back. `feedback/recorded/` are reports that Postfix 3.7.11, Exim 4.96 and OpenSMTPD 6.8.0p2
really wrote (Debian's packages, on loopback); the other mails are written after the forms of the named systems.
"""

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph.mail import feedback, judgement
from heliograph.mail.feedback import AUTO_REPLY, COMPLAINT, DELAYED, FAILED, OTHER, WISH, Feedback, Original
from heliograph.mail.verp import BOUNCE, UNSUBSCRIBE

MAILS = Path(__file__).parent / "feedback"
SENDER = "b+019ae42b-6e3d-7a51-b3c8-5d1f6a2e9074-0123456789@bounce.example.org"
MESSAGE_ID = "<019ae42b-6e3d-7a51-b3c8-5d1f6a2e9074@example.org>"

REPORTS = {
    "recorded/postfix-user-unknown": (FAILED, "5.1.1", True),
    "recorded/postfix-does-not-exist": (FAILED, "5.1.1", True),
    "recorded/postfix-utf8": (FAILED, "5.1.1", True),
    "recorded/postfix-plain": (FAILED, "5.0.0", True),
    "recorded/postfix-disabled": (FAILED, "5.2.1", True),
    "recorded/postfix-full": (FAILED, "5.2.2", False),
    "recorded/postfix-blocked": (FAILED, "5.7.1", False),
    "recorded/postfix-blocked-nobody": (FAILED, "5.7.1", True),
    "recorded/postfix-spam": (FAILED, "5.0.0", False),
    "recorded/postfix-delayed": (DELAYED, "4.2.0", False),
    "recorded/postfix-gave-up": (FAILED, "4.2.0", False),
    "recorded/opensmtpd-user-unknown": (FAILED, "5.1.1", True),
    "recorded/opensmtpd-plain": (FAILED, "5.0.0", True),
    "recorded/opensmtpd-full": (FAILED, "5.2.2", False),
    "recorded/opensmtpd-blocked": (FAILED, "5.7.1", False),
    "recorded/opensmtpd-delayed": (DELAYED, "4.2.0", False),
    "recorded/opensmtpd-gave-up": (FAILED, "4.4.7", False),
    "recorded/exim-user-unknown": (FAILED, "5.1.1", True),
    "recorded/exim-plain": (FAILED, "5.0.0", True),
    "recorded/exim-full": (FAILED, "5.2.2", False),
    "recorded/exim-delayed": (DELAYED, "4.2.0", False),
    "recorded/exim-gave-up": (FAILED, "5.0.0", False),
    "exchange-online-nobody": (FAILED, "5.1.10", True),
    "exchange-2003-nobody": (FAILED, "5.1.1", True),
    "exchange-full": (FAILED, "5.2.2", False),
    "exchange-closed-group": (FAILED, "5.7.133", False),
    "gmail-nobody": (FAILED, "5.1.1", True),
    "gmail-delayed": (DELAYED, "4.4.1", False),
    "gmail-gave-up": (FAILED, "4.4.1", False),
    "gmail-too-fast": (FAILED, "5.2.1", False),
    "sendmail-nobody": (FAILED, "5.1.1", True),
    "sendmail-warning": (DELAYED, "4.2.0", False),
    "domino-nobody": (FAILED, "5.0.0", True),
    "postfix-no-host": (FAILED, "5.4.4", False),
    "postfix-alias-in-part": (FAILED, "5.2.2", False),
    "postfix-delivered": (OTHER, "2.0.0", False),
    "sender-refused": (FAILED, "5.1.8", False),
    "name-like-a-fault": (FAILED, "5.7.1", False),
    "status-with-comment": (FAILED, "5.1.1", True),
    "status-alone": (FAILED, "5.1.2", True),
    "passing-status-alone": (DELAYED, "4.2.2", False),
    "delayed-with-hard-status": (DELAYED, "5.1.1", False),
}
"""Mail with a report of delivery -> its kind, its status, whether the address is dead."""

OWN_WORDS = {
    "yahoo-nobody": (FAILED, "", True),
    "yahoo-full": (FAILED, "", False),
    "exim-old-nobody": (FAILED, "5.1.1", True),
    "exim-old-unrouteable": (FAILED, "", True),
    "exim-old-warning": (DELAYED, "", False),
    "qmail-nobody": (FAILED, "5.1.1", True),
    "qmail-no-mailbox": (FAILED, "5.1.1", True),
    "qmail-gave-up": (FAILED, "4.3.0", False),
}
"""The same of mails whose host has words of its own."""

OTHERS = {
    "complaint": COMPLAINT,
    "complaint-blacked-out": COMPLAINT,
    "complaint-by-feedback-id": COMPLAINT,
    "report-not-spam": OTHER,
    "report-auth-failure": OTHER,
    "report-opt-out": WISH,
    "absence-exchange": AUTO_REPLY,
    "absence-rfc3834": AUTO_REPLY,
    "absence-gmail": AUTO_REPLY,
    "absence-german": AUTO_REPLY,
    "absence-french": AUTO_REPLY,
    "ticket": AUTO_REPLY,
    "human-reply": OTHER,
    "forwarded-report": OTHER,
    "wish-at-the-bounce-address": WISH,
    "wish-in-own-words": OTHER,
}


def octets(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


def test_every_mail_is_in_a_table() -> None:
    there = {str(path.relative_to(MAILS))[: -len(".eml")] for path in MAILS.rglob("*.eml")}
    assert there == {*REPORTS, *OWN_WORDS, *OTHERS}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("name", "expected"), [*REPORTS.items(), *OWN_WORDS.items()])
def test_a_bounce_says_what_failed_and_whether_the_address_is_dead(
    name: str, expected: tuple[str, str, bool], end: bytes
) -> None:
    found = feedback.read(octets(name).replace(b"\n", end))
    assert (found.kind, found.status, found.dead) == expected
    assert "@" in found.recipient
    assert found.recipient.encode() in octets(name)


@pytest.mark.parametrize(("name", "kind"), OTHERS.items())
def test_what_is_no_bounce_is_not_taken_for_one(name: str, kind: str) -> None:
    found = feedback.read(octets(name))
    assert (found.kind, found.dead) == (kind, False)


@pytest.mark.parametrize("name", ["recorded/opensmtpd-user-unknown", "exim-old-unrouteable", "exchange-2003-nobody"])
def test_words_without_a_diagnostic_code_are_those_for_the_human_reader(name: str) -> None:
    found = feedback.read(octets(name))
    assert found.dead
    assert "The text of the mail" not in found.words
    assert judgement.names_nobody(found.words)


def test_what_the_account_wrote_is_no_word_of_the_host() -> None:
    """The returned mail says "user unknown 5.1.1" in each of them."""
    for name in (*REPORTS, *OWN_WORDS):
        assert "The text of the mail" not in feedback.read(octets(name)).words


@pytest.mark.parametrize(
    ("name", "original", "recipient"),
    [
        ("complaint", Original(SENDER, MESSAGE_ID, "c1:7:heliograph"), "jane@customers.example"),
        ("complaint-blacked-out", Original(SENDER, MESSAGE_ID, "c1:7:heliograph"), ""),
        ("complaint-by-feedback-id", Original("", "", "c1:7:heliograph"), ""),
        ("report-opt-out", Original(SENDER, MESSAGE_ID, "c1:7:heliograph"), "jane@customers.example"),
        ("recorded/postfix-plain", Original(SENDER, MESSAGE_ID, "c1:7:heliograph"), "plain550@customers.example"),
        ("recorded/postfix-utf8", Original(SENDER, MESSAGE_ID, "c1:7:heliograph"), "jürgen@customers.example"),
        ("recorded/opensmtpd-full", Original("", MESSAGE_ID, "c1:7:heliograph"), "full@customers.example"),
    ],
)
def test_the_message_is_found_by_what_the_report_has_of_it(name: str, original: Original, recipient: str) -> None:
    found = feedback.read(octets(name))
    assert (found.original, found.recipient) == (original, recipient)


@pytest.mark.parametrize("name", [*REPORTS, *OWN_WORDS, *OTHERS])
def test_at_the_unsubscribe_address_a_mail_is_a_wish_unless_a_program_wrote_it(name: str) -> None:
    at_bounce, there = feedback.read(octets(name), at=BOUNCE), feedback.read(octets(name), at=UNSUBSCRIBE)
    if name in ("human-reply", "forwarded-report", "wish-in-own-words"):
        assert (there.kind, there.recipient) == (WISH, "jane@customers.example")
    else:
        assert there == at_bounce


@pytest.mark.parametrize("name", OWN_WORDS)
def test_a_host_may_write_its_name_in_any_octets(name: str) -> None:
    named = re.sub(
        rb"From: (.*<)?([^<>]*@[^<>]*?)>?\n", b"From: Syst\xe8me =?utf-8?q?a?= <\\2>\n", octets(name), count=1
    )
    assert b"\xe8" in named
    assert feedback.read(named) == feedback.read(octets(name))


@pytest.mark.parametrize(
    "subject", [b"=?no-such?q?a?=", b"=?\xff?q?a?=", b"=?utf-8?b?a?=", b"=?utf-8?q?=ff?=", b"\xff\xfe"]
)
def test_a_subject_that_cannot_be_decoded_hides_nothing(subject: bytes) -> None:
    name = "exim-old-nobody"
    found = feedback.read(octets(name).replace(b"Subject: ", b"Subject: " + subject, 1))
    assert found == feedback.read(octets(name))


# Verdicts


@pytest.mark.parametrize(
    ("status", "words"),
    [
        *((f"5.1.{detail}", "") for detail in (0, 1, 2, 3, 4, 6, 10)),
        ("5.2.1", "550 5.2.1 Mailbox disabled"),
        ("5.1.1", "550 5.1.1 carefully written, successfully refused"),
        ("5.0.0", "550 No such user"),
        ("5.0.0", "550 <jane@example.com>: Recipient address rejected: User unknown in local recipient table"),
        ("5.5.0", "550 5.5.0 unknown   RECIPIENT"),
        ("5.7.1", "550 5.7.1 The email account does not exist"),
        ("5.7.1", "554 5.7.1 This mailbox doesn\u2019t exist. Sender reputation is fine."),
        ("5.4.1", "550 5.4.1 Unrouteable address"),
        ("", "550 Invalid recipient"),
        ("5.0.0", "550 no mailbox here by that name"),
        ("5.0.0", "This account is no longer active"),
    ],
)
def test_addresses_that_are_dead(status: str, words: str) -> None:
    assert judgement.is_dead(status, words)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.0.0", ""),
        ("5.7.1", ""),
        ("", ""),
        ("4.1.1", "450 4.1.1 User unknown"),
        ("5.1.1", "450 4.1.1 User unknown: retry timeout exceeded"),
        ("4.2.2", "452 4.2.2 mailbox full"),
        ("5.2.2", "552 5.2.2 no such user has a quota"),
        ("5.2.3", "552 5.2.3 too large"),
        ("5.1.1", "550 5.1.1 mailbox is full"),
        ("5.2.1", "550 5.2.1 blocked by policy"),
        ("5.2.1", "550 5.2.1 receiving mail at a rate that prevents additional messages"),
        ("5.1.7", "550 5.1.7 Bad sender address syntax"),
        ("5.1.8", "550 5.1.8 Sender address rejected: Domain not found"),
        ("5.7.1", "550 5.7.1 Sender unknown: user unknown at the sender's domain"),
        ("5.7.1", "550 5.7.1 SPF record of this address does not exist"),
        ("5.7.1", "550 5.7.1 Reverse lookup failed: PTR of your address does not exist"),
        ("5.7.1", "550 5.7.1 <unknown-user@example.com>: rejected"),
        ("5.7.1", "550 5.7.1 Unable to relay"),
        ("5.0.0", "550 Requested action not taken: mailbox unavailable"),
        ("5.4.4", "Host or domain name not found"),
        ("5.3.4", "552 5.3.4 Message too big for the unknown user"),
    ],
)
def test_addresses_that_live(status: str, words: str) -> None:
    assert not judgement.is_dead(status, words)


@pytest.mark.parametrize(
    ("status", "words", "best"),
    [
        ("5.0.0", "550 5.1.1 No", "5.1.1"),
        ("5.0.0", "450 4.2.0 Later", "5.0.0"),
        ("5.0.0", "host 10.5.1.1 said no", "5.0.0"),
        ("5.1.1", "550 5.7.1 No", "5.1.1"),
        ("", "550 5.7.1 No", "5.7.1"),
        ("", "550 No", ""),
    ],
)
def test_the_most_exact_code_counts(status: str, words: str, best: str) -> None:
    assert judgement.best_status(status, words) == best


# Hostile mails

REPORT = octets("recorded/postfix-user-unknown")


def nested(depth: int, kind: str = "multipart/mixed") -> bytes:
    """A mail in a mail in a mail …"""
    lines = []
    for level in range(depth):
        lines.append(f'Content-Type: {kind}; boundary="b{level}"\n\n--b{level}\n')
    return "".join(lines).encode() + b"Content-Type: text/plain\n\nx\n"


HOSTILE = {
    "nothing": b"",
    "nested multiparts": nested(20_000),
    "nested messages": nested(20_000, "message/rfc822"),
    "nested digests": nested(20_000, "multipart/digest"),
    "one line": b"Subject: " + b"x" * 1_000_000,
    "empty lines": b"Content-Type: multipart/report; boundary=b\n\n--b\n" + b"\n" * 1_000_000,
    "many parts": b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\n\n" * 200_000,
    "many headers": b"".join(b"X-%d: 1\n" % number for number in range(100_000)),
    "a header of many parameters": b"Content-Type: multipart/report" + b";a\n " * 300_000 + b";boundary=b\n\n",
    "numbered parameters": b"Content-Type: multipart/report" + b"; boundary*0=b\n" * 50_000,
    "many recipients": b"Content-Type: message/delivery-status\n\n" + b"Status: 5.1.1\n\n" * 50_000,
    "reports without words": b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
    + b"550-" * 10_000
    + b"\n--b\nContent-Type: message/delivery-status\n\n"
    + b"Status: 5.1.1\n\n" * 20_000,
    "addresses": b"From: mailer-daemon@x\n\n" + b"<" * 100_000 + b"@" * 100_000,
    "lines like failures": b"From: mailer-daemon@x\n\n" + b"Unable to deliver message to\n<a@\n" * 20_000,
    "words like failures": b"From: mailer-daemon@x\n\nthe following addresses had\n" + b"rcpt to: <a " * 50_000,
    "codes": b"From: mailer-daemon@x\n\n" + b"550 5.1.1 user unknown user " * 50_000,
    "encoded words": b"From: mailer-daemon@x\nSubject: " + b"=?a?q?" * 100_000 + b"\n\n",
    "quoted names": b"From: " + b'"(\\' * 100_000 + b"\n\n",
    "recipients in a header": b"From: mailer-daemon@x\nX-Failed-Recipients: " + b"(" * 200_000 + b"\n\n",
    "no such charset": b"From: postmaster@x\nContent-Type: text/plain; charset=\xff\x00\n\n550 5.1.1 user unknown\n",
    "broken base64": b"From: postmaster@x\nContent-Transfer-Encoding: base64\n\n====550 5.1.1\n",
    "uuencoded": b"From: postmaster@x\nContent-Transfer-Encoding: x-uuencode\n\nbegin 666 x\n#!!!\n",
    "no boundary": b"Content-Type: multipart/report\n\n--\nContent-Type: message/delivery-status\n\nStatus: 5.1.1\n\n",
    "octets": bytes(range(256)) * 2000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mails_say_nothing_dear(name: str) -> None:
    began = time.thread_time()
    found = feedback.read(HOSTILE[name])
    assert time.thread_time() - began < 2.0
    assert isinstance(found, Feedback)
    assert len(found.words) <= feedback.LONGEST_WORDS


def test_a_report_counts_whatever_comes_after_it() -> None:
    end = b"\n--494A32CBE12.1796046467/relay.example.com--"
    assert end in REPORT
    for more in (nested(5000), b"x\n" * 1_000_000):
        found = feedback.read(REPORT.replace(end, b"\n" + more + end))
        assert (found.kind, found.status, found.dead) == (FAILED, "5.1.1", True)


@given(st.sampled_from([*REPORTS, *OWN_WORDS, *OTHERS]), st.data())
def test_no_change_of_a_mail_makes_it_raise(name: str, data: st.DataObject) -> None:
    whole = octets(name)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    filling = data.draw(st.binary(max_size=40) | st.sampled_from([b"\n\n", b"\r", b"\xff", b"=?x?b?=?=", b"--=_b\n"]))
    found = feedback.read(whole[:start] + filling + whole[end:])
    (found.words + found.recipient + found.status).encode("utf-8")
    assert "\x00" not in found.words + found.recipient


@given(st.binary(max_size=2000))
@example(b"From: \xc3\xa9 <postmaster@x>\n\n")
def test_no_octets_make_it_raise(given_octets: bytes) -> None:
    assert feedback.read(given_octets).kind in (OTHER, AUTO_REPLY, FAILED, DELAYED, WISH, COMPLAINT)
