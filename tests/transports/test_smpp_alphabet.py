"""Texts and octets, by the tables of 3GPP TS 23.038."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.transports.smpp import alphabet

GSM_TEXT = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€\f"


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("Hello", b"Hello"),
        ("@", b"\x00"),
        ("$_", b"\x02\x11"),
        ("à", b"\x7f"),
        ("Ω", b"\x15"),
        ("€", b"\x1b\x65"),
        ("[~]", b"\x1b\x3c\x1b\x3d\x1b\x3e"),
    ],
)
def test_gsm_octets(text: str, octets: bytes) -> None:
    assert alphabet.encode_gsm(text) == octets
    assert alphabet.decode_gsm(octets) == text


@given(st.text(GSM_TEXT, max_size=50))
def test_gsm_goes_there_and_back(text: str) -> None:
    assert alphabet.decode_gsm(alphabet.encode_gsm(text)) == text


@pytest.mark.parametrize("text", ["ç", "😀", "“", "\x1b", "`"])
def test_what_gsm_lacks_is_an_error(text: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        alphabet.encode_gsm(text)


def test_an_unknown_pair_is_its_second_character() -> None:
    assert alphabet.decode_gsm(b"a\x1bAb\x1b") == "aAb "


@pytest.mark.parametrize(
    ("octets", "data_coding", "of_zero", "text"),
    [
        (b"\x00", 0, "gsm", "@"),
        (b"\xe9", 0, "latin1", "é"),
        ("é€".encode(), 0, "utf8", "é€"),
        (b"A\xff", 1, "gsm", "A\ufffd"),
        (b"\xe9", 3, "gsm", "é"),
        ("Ж".encode("iso8859-5"), 6, "gsm", "Ж"),
        ("😀".encode("utf-16-be"), 8, "gsm", "😀"),
        (b"\x00A\x00", 8, "gsm", "A\ufffd"),
        (b"\x00", 0xF1, "gsm", "@"),
        (b"a\x00b\x00", 0, "latin1", "ab"),
        (b"\x00A\x00\x00", 8, "gsm", "A"),
    ],
)
def test_data_codings_that_come_in(octets: bytes, data_coding: int, of_zero: alphabet.Alphabet, text: str) -> None:
    assert alphabet.decode(octets, data_coding, of_zero) == text


@given(st.binary(max_size=60), st.integers(0, 255), st.sampled_from(["gsm", "latin1", "utf8"]))
def test_any_octets_are_a_text_that_can_be_stored(octets: bytes, data_coding: int, of_zero: alphabet.Alphabet) -> None:
    text = alphabet.decode(octets, data_coding, of_zero)
    assert "\0" not in text
    text.encode()


def test_a_pair_is_never_cut() -> None:
    assert alphabet.cut(alphabet.encode_gsm("ab€c"), 3, 0) == [b"ab", b"\x1b\x65c"]
    pieces = alphabet.cut("a😀b".encode("utf-16-be"), 4, alphabet.UCS2)
    assert [piece.decode("utf-16-be") for piece in pieces] == ["a", "😀", "b"]


@given(st.text(GSM_TEXT, max_size=400), st.integers(2, 153))
def test_pieces_are_the_whole_and_fit(text: str, size: int) -> None:
    octets = alphabet.encode_gsm(text)
    pieces = alphabet.cut(octets, size, 0)
    assert b"".join(pieces) == octets
    assert all(len(piece) <= size for piece in pieces)
    assert "".join(map(alphabet.decode_gsm, pieces)) == text
