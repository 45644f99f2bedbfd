"""What hosts and readers of the sandbox answer: mails that feedback.py understands as it does those from outside."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import pytest
from aiosmtplib import SMTPRecipientsRefused

from heliograph.mail import feedback
from heliograph.mail.feedback import AUTO_REPLY, COMPLAINT, DELAYED, FAILED, WISH
from heliograph.mail.verp import UNSUBSCRIBE
from heliograph.transports.sandbox import mailreaders, mailsink
from heliograph.transports.sandbox.mailreaders import REACTIONS, Readers, Taken, by_smtp
from heliograph.transports.sandbox.mailsink import MailSink, listing
from transports.conformance import run, until
from transports.relay import Relay, serving

SENDER = "b+019ae42b-6e3d-7a51-b3c8-5d1f6a2e9074-0123456789@bounce.example.org"
WISHES = "u+019ae42b-6e3d-7a51-b3c8-5d1f6a2e9074-0123456789@bounce.example.org"
MAIL = (
    b"From: Shop <shop@example.org>\r\nTo: WHOM\r\nSubject: Your order\r\nMessage-ID: <1@example.org>\r\n"
    b"Feedback-ID: c1:7:heliograph\r\nList-Unsubscribe: <https://example.org/u/1>,\r\n"
    b" <mailto:" + WISHES.replace("+", "%2B").encode() + b"?subject=Unsubscribe%20me>\r\n"
    b"\r\nFinal-Recipient: rfc822; other@example.org\r\nuser unknown\r\n"
)


def taken(name: str, sender: str = SENDER) -> Taken:
    recipient = f"{name}@customers.example"
    return Taken(sender, recipient, MAIL.replace(b"WHOM", recipient.encode()))


@pytest.mark.parametrize(
    ("name", "kind", "status", "dead"),
    [
        ("hard", FAILED, "5.1.1", True),
        ("soft", FAILED, "4.2.2", False),
        ("delayed", DELAYED, "4.2.1", False),
        ("complaint", COMPLAINT, "", False),
        ("ooo", AUTO_REPLY, "", False),
    ],
)
def test_a_reply_is_understood(name: str, kind: str, status: str, dead: bool) -> None:
    reply = REACTIONS[name](taken(name))
    assert reply is not None
    assert reply.recipient == SENDER
    said = feedback.read(reply.octets)
    assert (said.kind, said.status, said.dead) == (kind, status, dead)
    if name in ("hard", "soft", "delayed"):
        assert (reply.sender, said.recipient) == ("", f"{name}@customers.example")
    if name in ("hard", "complaint"):
        assert (said.original.message_id, said.original.feedback_id) == ("<1@example.org>", "c1:7:heliograph")
    assert reply.octets.count(b"\n") == reply.octets.count(b"\r\n")


def test_a_complaint_does_not_say_whose_it_is() -> None:
    reply = mailreaders.complaint(taken("complaint"))
    assert reply is not None
    assert b"complaint@" not in reply.octets
    assert feedback.read(reply.octets).original.envelope_sender == SENDER


def test_a_recipient_outside_ascii_is_named_in_a_report() -> None:
    reply = mailreaders.hard(Taken(SENDER, "józef@customers.example", MAIL))
    assert reply is not None
    assert feedback.read(reply.octets).recipient == "józef@customers.example"


def test_a_wish_goes_to_the_address_in_the_mail() -> None:
    reply = mailreaders.unsubscribe(taken("unsubscribe"))
    assert reply is not None
    assert (reply.sender, reply.recipient) == ("unsubscribe@customers.example", WISHES)
    assert b"\r\nSubject: Unsubscribe me\r\n" in reply.octets
    assert feedback.read(reply.octets, at=UNSUBSCRIBE).kind == WISH


@pytest.mark.parametrize(
    "header", [b"", b"List-Unsubscribe: <https://x>\r\n", b"List-Unsubscribe: <mailto:a%0d%0aBcc:%20b@c.example>\r\n"]
)
def test_without_a_good_address_nobody_unsubscribes(header: bytes) -> None:
    assert mailreaders.unsubscribe(Taken(SENDER, "unsubscribe@x.example", header + b"\r\nbody\r\n")) is None


@pytest.mark.parametrize("name", ["hard", "soft", "delayed", "complaint", "ooo"])
def test_a_mail_without_an_envelope_sender_causes_no_other(name: str) -> None:
    assert REACTIONS[name](taken(name, sender="")) is None


@asynccontextmanager
async def sink(folder: Path, relay: Relay) -> AsyncIterator[aiosmtplib.SMTP]:
    """A client of a mail sink whose readers answer to a relay."""
    async with serving(relay, enable_SMTPUTF8=True) as port:
        made = MailSink(folder, readers=Readers(lambda reply: by_smtp(port, reply)))
        at = {"hostname": "127.0.0.1", "port": await made.start(), "local_hostname": "client.test"}
        try:
            async with aiosmtplib.SMTP(**at, start_tls=False) as client:
                yield client
        finally:
            await made.stop()


async def send(client: aiosmtplib.SMTP, recipients: Sequence[str], sender: str = SENDER) -> None:
    await client.sendmail(sender, list(recipients), MAIL)


def test_replies_come_by_smtp_after_the_mail_was_kept(tmp_path: Path) -> None:
    relay = Relay()

    async def scenario() -> None:
        async with sink(tmp_path, relay) as client:
            await send(client, ["Hard@a.example", "ooo@a.example", "unsubscribe-mail@a.example", "bob@a.example"])
            await until(lambda: len(relay.mails) == 3)

    run(scenario())
    assert {(mail.mail_from, *mail.rcpt_tos) for mail in relay.envelopes} == {
        ("<>", SENDER),
        ("unsubscribe-mail@a.example", WISHES),
    }
    assert len(listing(tmp_path)) == 1


def test_a_reply_that_nobody_takes_is_dropped(tmp_path: Path) -> None:
    relay = Relay()
    relay.answers[SENDER] = "550 Nobody"

    async def scenario() -> None:
        async with sink(tmp_path, relay) as client:
            await send(client, ["hard@a.example"])
            await send(client, ["unsubscribe-mail@a.example"])
            await until(lambda: len(relay.mails) == 1)

    run(scenario())


def test_greylist_takes_a_mail_the_second_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sink(tmp_path, Relay()) as client:
            for sender in ("a@example.org", "b@example.org"):
                with pytest.raises(SMTPRecipientsRefused):
                    await send(client, ["greylist@a.example"], sender)
                await send(client, ["greylist@a.example"], sender)
        assert len(listing(tmp_path)) == 2

    run(scenario())


def test_greylisting_forgets_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailsink, "MOST_GREYLISTED", 2)
    made = MailSink(tmp_path)
    assert [made._has_met(sender, "x") for sender in ("a", "b", "c", "a", "c")] == [False, False, False, False, True]


def test_the_replies_are_in_the_manual() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox-email.md").read_text(encoding="utf-8")
    for name in (*REACTIONS, "greylist"):
        assert f"| `{name}@` any domain |" in page
    assert mailsink.GREYLISTED in page
