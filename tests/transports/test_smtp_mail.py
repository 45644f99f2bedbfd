"""The form of a mail on the wire: headers, bodies, addresses, and that nothing gets into the headers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.transports.base import Failed, Mail, MessageKey, Outgoing, Sent, SmsText
from transports.conformance import run
from transports.ports import dead_port
from transports.relay import KEY, Relay, a_mail, one, serving, transport


def test_a_mail_arrives_with_its_headers() -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            mail = a_mail("Zażółć 😀", "gęślą jaźń\n.\n..two\rend", reply_to="desk@example.org")
            assert await one(out, mail) == Sent(detail="250 2.0.0 Ok: queued as 1")
        (got,) = relay.read
        assert (got["From"], got["To"], got["Reply-To"]) == ("ann@example.com", "bob@example.net", "desk@example.org")
        assert got["Subject"] == "Zażółć 😀"
        assert got["Message-ID"] == f"<{KEY.lower()}@example.com>"
        assert abs(got["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
        assert got.get_content() == "gęślą jaźń\r\n.\r\n..two\r\nend\r\n"
        assert relay.envelopes[0].mail_from == "ann@example.com"
        assert relay.envelopes[0].rcpt_tos == ["bob@example.net"]

    run(scenario())


@pytest.mark.parametrize("text", ["ł", "plain\n.\n..\n.x", "ł\n" + "plain\n" * 9 + ".\n.", "a\rb\r\nc " + "x" * 3000])
def test_lines_end_in_crlf_and_all_is_seven_bit(text: str) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            assert isinstance(await one(out, a_mail("ż" * 200, text)), Sent)
        (got,) = relay.mails
        assert b"\n" not in got.replace(b"\r\n", b"")
        assert b"\r" not in got.replace(b"\r\n", b"")
        assert got.isascii()
        assert max(len(line) for line in got.split(b"\r\n")) <= 78
        assert relay.read[0].get_content().split() == text.split()

    run(scenario())


def test_a_mail_handed_over_twice_has_the_same_message_id() -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            await out.send([a_mail(), a_mail("Again"), a_mail(key="0" * 36)])
        found = sorted(mail["Message-ID"] for mail in relay.read)
        assert found == [f"<{'0' * 36}@example.com>", *[f"<{KEY.lower()}@example.com>"] * 2]

    run(scenario())


INJECTIONS = ["\r\nBcc: eve@example.org", "\nBcc: eve@example.org", "\rBcc: x", "\x0b", "\x00", "\u2028x", "\ud800"]


@pytest.mark.parametrize("bad", INJECTIONS)
@pytest.mark.parametrize("field", ["subject", "to", "sender", "reply_to"])
def test_nothing_gets_into_the_headers(field: str, bad: str) -> None:
    async def scenario() -> None:
        relay = Relay()
        values = {"subject": "Hello", "to": "bob@example.net", "sender": "ann@example.com", "reply_to": "ann@b.test"}
        async with serving(relay) as port, transport(port) as out:
            outcome = await one(out, a_mail(**{field: values[field] + bad}))
            assert isinstance(outcome, Failed)
            outcome = await one(out, a_mail(**{field: bad + values[field]}))
            assert isinstance(outcome, Failed)
        assert not relay.mails
        assert "MAIL" not in relay.commands

    run(scenario())


@pytest.mark.parametrize(
    "address",
    [
        *("", "bob", "bob@", "@example.net", "a@b@c", "a b@c.test", "a..b@c.test", ".a@c.test", "a@c.test."),
        *("a@b.test,c@d.test", "<a@b.test>", 'B "x" <a@b.test>', "a@b.test> SIZE=1"),
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            assert isinstance(await one(out, a_mail(to=address)), Failed)
            assert isinstance(await one(out, a_mail(sender=address)), Failed)
        assert "MAIL" not in relay.commands

    run(scenario())


def test_a_text_that_no_mail_can_hold_is_refused() -> None:
    async def scenario() -> None:
        with dead_port() as port:
            async with transport(port) as out:
                assert isinstance(await one(out, a_mail(text="a\x00b")), Failed)
                assert isinstance(await one(out, a_mail(text="\ud83d")), Failed)

    run(scenario())


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.text(max_size=120),
            st.text(max_size=200),
            st.text(st.characters(codec="utf-8", exclude_characters="@"), min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_text_gives_a_whole_mail_or_a_refusal(drawn: list[tuple[str, str, str]]) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay, enable_SMTPUTF8=True) as port, transport(port, connections=1) as out:
            mails = [a_mail(subject, text, to=f"{local}@example.net") for subject, text, local in drawn]
            outcomes = await out.send(mails)
        sent = [mail for mail, outcome in zip(mails, outcomes, strict=True) if isinstance(outcome, Sent)]
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Sent)]
        assert all(isinstance(outcome, Failed) for outcome in refused)
        expected = {"From", "To", "Subject", "Date", "Message-ID"}
        expected |= {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
        for mail, got, envelope in zip(sent, relay.read, relay.envelopes, strict=True):
            assert isinstance(mail.content, Mail)
            assert sorted(got.keys()) == sorted(expected)
            assert envelope.rcpt_tos == [mail.recipient]
            body = got.get_content().replace("\r\n", "\n").removesuffix("\n")
            assert body == mail.content.text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")

    run(scenario())


def test_addresses_outside_ascii_go_to_relays_that_take_them() -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay, enable_SMTPUTF8=True) as port, transport(port) as out:
            assert isinstance(await one(out, a_mail(to="józef@example.net")), Sent)
        assert relay.envelopes[0].rcpt_tos == ["józef@example.net"]
        assert relay.envelopes[0].smtp_utf8
        assert "To: józef@example.net".encode() in relay.mails[0]

        plain = Relay()
        async with serving(plain) as port, transport(port) as out:
            refusal = Failed(None, "The mail relay takes no addresses outside ASCII")
            assert await one(out, a_mail(to="józef@example.net")) == refusal
            assert isinstance(await one(out, a_mail()), Sent)

    run(scenario())


def test_an_sms_is_none_of_its_business() -> None:
    async def scenario() -> None:
        with dead_port() as port:
            async with transport(port) as out:
                text = Outgoing(
                    MessageKey(7, "sms", KEY), "a@b.test", "c@d.test", SmsText(("Hello",), False), 2_000_000_000
                )
                assert isinstance(await one(out, text), Failed)

    run(scenario())
