"""A mail on the wire: its octets, its envelope, and that nothing gets into the commands."""

import pytest

from heliograph.transports.base import Failed, MessageKey, Outgoing, Sent, SmsText
from transports.conformance import run
from transports.ports import dead_port
from transports.relay import KEY, Relay, a_mail, one, serving, to_address, transport


def test_a_mail_arrives_as_it_was_written() -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            mail = a_mail("Zażółć 😀", "gęślą jaźń\n.\n\n..two\rend", envelope_sender="b+1@bounce.test")
            assert await one(out, mail) == Sent(detail="250 2.0.0 Ok: queued as 1")
            assert await one(out, a_mail(envelope_sender="")) == Sent(detail="250 2.0.0 Ok: queued as 2")
        assert relay.read[0].get_content() == "gęślą jaźń\r\n.\r\n\r\n..two\r\nend\r\n"
        assert [envelope.mail_from for envelope in relay.envelopes] == ["b+1@bounce.test", "<>"]
        assert relay.envelopes[0].rcpt_tos == ["bob@example.net"]

    run(scenario())


INJECTIONS = ["\r\nRCPT TO:<eve@example.org>", "\n", "\r", "\x0b", "\x00", "\u2028x", "\ud800", "> SIZE=1", ",c@d.test"]


@pytest.mark.parametrize("bad", INJECTIONS)
def test_nothing_gets_into_the_commands(bad: str) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port) as out:
            for address in ("bob@example.net" + bad, bad + "bob@example.net"):
                assert isinstance(await one(out, to_address(address)), Failed)
                assert isinstance(await one(out, to_address("bob@example.net", address)), Failed)
        assert not relay.mails
        assert "MAIL" not in relay.commands

    run(scenario())


@pytest.mark.parametrize("address", ["", "bob", "bob@", "@example.net", "a@b@c", "a b@c.test", "<a@b.test>"])
def test_what_is_no_address_is_refused(address: str) -> None:
    async def scenario() -> None:
        with dead_port() as port:
            async with transport(port) as out:
                assert isinstance(await one(out, to_address(address)), Failed)

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
            assert isinstance(await one(out, a_mail(to="józef@example.net".replace("ó", "o"))), Sent)
            assert isinstance(await one(out, a_mail(to="bob@müller.example")), Sent)
        assert plain.envelopes[1].rcpt_tos == ["bob@xn--mller-kva.example"]

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
