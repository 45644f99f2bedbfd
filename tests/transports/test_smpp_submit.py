"""Messages as bodies of submit_sm."""

import pytest

from heliograph.channels.sms.segments import split
from heliograph.transports.base import Mail, MessageKey, Outgoing, SmsText
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.pdu import Address, ShortMessage
from heliograph.transports.smpp.submit import SubmitBuilder, UnfitMessage, validity

KEY = MessageKey(1, "sms", "A")


def outgoing(*parts: str, unicode: bool = False, sender: str = "+61481074190", to: str = "+61491570156") -> Outgoing:
    return Outgoing(KEY, sender, to, SmsText(parts, unicode), 0)


def written(message: Outgoing, reference: int = 9, **options: object) -> list[ShortMessage]:
    builder = SubmitBuilder(SmppOptions(host="carrier", **options))  # type: ignore[arg-type]
    return [pdu.decode_short_message(pdu.SUBMIT_SM, body) for body in builder.bodies(message, reference)]


def test_the_recipients_type_is_the_carriers_choice() -> None:
    (message,) = written(outgoing("Hi"), dest_ton=2, dest_npi=8)
    assert message.dest == Address(2, 8, "61491570156")


def test_every_message_asks_for_a_receipt() -> None:
    (message,) = written(outgoing("Hi"))
    assert message.registered_delivery == 1


def test_validity_is_absolute_time_in_utc() -> None:
    assert validity(1795521600) == b"261124120000000+\0"
    assert validity(0) == b"\0"


def test_a_body_without_validity_leaves_it_empty() -> None:
    message = Outgoing(KEY, "Heliograph", "+61491570156", SmsText(("Hi",), False), 1795521600)
    builder = SubmitBuilder(SmppOptions(host="carrier"))
    assert b"261124120000000+" in builder.bodies(message, 0)[0]
    assert b"261124120000000+" not in builder.bodies(message, 0, with_validity=False)[0]


def test_segments_are_tied_by_a_header() -> None:
    text = "a" * 152 + "€" * 100
    messages = written(outgoing(*split(text, False)), 200)
    assert len(messages) == 3
    for number, message in enumerate(messages, 1):
        assert message.esm_class == 0x40
        assert message.data_coding == 0
        assert message.octets[:6] == bytes((5, 0, 3, 200, 3, number))
        assert len(message.octets) <= 159
    assert b"".join(message.octets[6:] for message in messages) == b"a" * 152 + b"\x1b\x65" * 100


def test_unicode_segments_fit_beside_the_header() -> None:
    text = "\u0436" * 50 + "😀" * 60
    messages = written(outgoing(*split(text, True), unicode=True))
    assert all(message.data_coding == 8 and len(message.octets) <= 140 for message in messages)
    assert b"".join(message.octets[6:] for message in messages).decode("utf-16-be") == text


def test_a_payload_holds_all_parts() -> None:
    (message,) = written(outgoing("a" * 153, "b" * 153), long_messages="payload")
    assert (message.esm_class, message.octets) == (0, b"")
    assert message.tlvs == {pdu.TAG_MESSAGE_PAYLOAD: b"a" * 153 + b"b" * 153}


def test_a_short_message_needs_no_payload() -> None:
    (message,) = written(outgoing("Hi"), long_messages="payload")
    assert (message.octets, message.tlvs) == (b"Hi", {})


@pytest.mark.parametrize(("alphabet", "octets"), [("gsm", b"\x05"), ("latin1", b"\xe9"), ("utf8", b"\xc3\xa9")])
def test_alphabets_of_data_coding_0(alphabet: str, octets: bytes) -> None:
    (message,) = written(outgoing("é"), alphabet=alphabet)
    assert (message.data_coding, message.octets) == (0, octets)


def test_what_the_alphabet_lacks_goes_as_ucs2() -> None:
    (message,) = written(outgoing("100 €"), alphabet="latin1")
    assert (message.data_coding, message.octets.decode("utf-16-be")) == (8, "100 €")


def test_what_goes_as_ucs2_instead_is_cut_anew() -> None:
    text = "€" * 75 + "x"
    messages = written(outgoing(text), alphabet="latin1")
    assert [len(message.octets) for message in messages] == [140, 24]
    assert b"".join(message.octets[6:] for message in messages).decode("utf-16-be") == text


def test_octets_that_do_not_fit_short_message_go_as_payload() -> None:
    (message,) = written(outgoing("é" * 160), alphabet="utf8")
    assert message.octets == b""
    assert message.tlvs[pdu.TAG_MESSAGE_PAYLOAD].decode() == "é" * 160


@pytest.mark.parametrize(
    "message",
    [
        outgoing("Hi", sender="a name of twenty-one "),
        outgoing("Hi", sender="Ωmega"),
        outgoing("Hi", sender="a\0b"),
        outgoing("Hi", sender="a\nb"),
        outgoing("Hi", to="+" + "1" * 21),
        outgoing("Hi", to="١٢٣"),
        outgoing(),
        outgoing(*["x"] * 256),
        Outgoing(KEY, "a", "b@example.com", Mail(b"s", "a@example.com"), 0),
    ],
    ids=["long sender", "sender", "nul", "line break", "long recipient", "recipient", "no part", "256 parts", "mail"],
)
def test_what_cannot_be_written_is_refused(message: Outgoing) -> None:
    with pytest.raises(UnfitMessage):
        SubmitBuilder(SmppOptions(host="carrier")).bodies(message, 0)


def test_a_payload_has_its_limit() -> None:
    builder = SubmitBuilder(SmppOptions(host="carrier", long_messages="payload"))
    (body,) = builder.bodies(outgoing(*["x" * 257] * 255), 0)
    assert len(body) > 65_535
    with pytest.raises(UnfitMessage):
        builder.bodies(outgoing(*["x" * 258] * 255), 0)


def test_an_empty_text_and_an_empty_sender_are_the_carriers_matter() -> None:
    (message,) = written(outgoing("", sender=""))
    assert (message.octets, message.source) == (b"", Address(0, 0, ""))


def test_twenty_characters_fit() -> None:
    (message,) = written(outgoing("Hi", sender="x" * 20, to="+" + "1" * 20))
    assert (message.source.text, message.dest.text) == ("x" * 20, "1" * 20)
