"""Texts and octets, by the tables of 3GPP TS 23.038."""

import codecs
import time

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


UCS2_CODES = [
    *(0x08, 0x09, 0x0A, 0x0B),  # 0x0A is ISO-2022-JP in SMPP, which these octets are not
    *(group | bits for group in range(0x10, 0x80, 0x10) for bits in (0x8, 0x9, 0xA, 0xB)),
    *range(0xE0, 0xF0),
]
BINARY_CODES = [
    *(0x02, 0x04),
    *(group | bits for group in range(0x10, 0x80, 0x10) for bits in (0x4, 0x5, 0x6, 0x7)),
    *(0xF4, 0xF5, 0xF6, 0xF7, 0xFC, 0xFD, 0xFE, 0xFF),
]
OF_SMPP_ALONE = [0x01, 0x03, 0x05, 0x06, 0x07, 0x0D, 0x0E]
DEFAULT_CODES = sorted(set(range(256)) - {*UCS2_CODES, *BINARY_CODES, *OF_SMPP_ALONE})


@pytest.mark.parametrize("data_coding", UCS2_CODES, ids=hex)
@pytest.mark.parametrize("text", ["STOP", "Привет", "中文 😀"])
def test_codes_of_ucs2(data_coding: int, text: str) -> None:
    """3GPP TS 23.038, 4: bits 3 and 2 are 10 in the groups 00xx and 01xx; message waiting 1110."""
    assert alphabet.decode(text.encode("utf-16-be"), data_coding, "gsm") == text
    assert alphabet.decode(codecs.BOM_UTF16_BE + text.encode("utf-16-be"), data_coding, "gsm") == text
    assert alphabet.decode(codecs.BOM_UTF16_LE + text.encode("utf-16-le"), data_coding, "gsm") == text
    assert alphabet.is_ucs2(data_coding) == (data_coding != 0x0A)


@pytest.mark.parametrize("data_coding", BINARY_CODES, ids=hex)
def test_codes_of_8_bit_data(data_coding: int) -> None:
    """They have no alphabet: an octet is the character of its number, so that nothing is lost but NUL."""
    assert alphabet.decode(b"STOP \xe9\x80\x1b", data_coding, "gsm") == "STOP \xe9\x80\x1b"
    assert alphabet.decode(bytes(range(256)), data_coding, "utf8").encode("latin-1") == bytes(range(1, 256))


@pytest.mark.parametrize("data_coding", DEFAULT_CODES, ids=hex)
def test_all_other_codes_are_the_default_alphabet(data_coding: int) -> None:
    """Also the reserved ones: 3GPP TS 23.038, 4 asks for it."""
    assert alphabet.decode(b"STOP \x00\x1be\x7f", data_coding, "gsm") == "STOP @€à"
    assert alphabet.decode(b"STOP \xe9", data_coding, "latin1") == "STOP é"


def test_the_codes_of_message_classes_are_among_them() -> None:
    assert {0x00, 0x10, 0x11, 0x12, 0x13, 0x40, 0x8F, 0xC0, 0xD3, 0xF0, 0xF1, 0xF2, 0xF3, 0xF8} <= set(DEFAULT_CODES)


@pytest.mark.parametrize(
    ("octets", "data_coding", "of_zero"),
    [
        ("\ufeffSTOP".encode("utf-16-be"), 8, "gsm"),
        ("\ufeffSTOP".encode("utf-16-le"), 8, "gsm"),
        ("\ufeffST\ufeffOP".encode("utf-16-be"), 8, "gsm"),
        ("\ufeffST\ufeffOP".encode("utf-16-le"), 8, "gsm"),
        ("\ufeff\ufeffSTOP".encode("utf-16-be"), 0x19, "gsm"),
        ("STOP\ufeff".encode("utf-16-be"), 8, "gsm"),
        ("\ufeffSTOP".encode(), 0, "utf8"),
    ],
)
def test_byte_order_marks_are_no_text(octets: bytes, data_coding: int, of_zero: alphabet.Alphabet) -> None:
    assert alphabet.decode(octets, data_coding, of_zero) == "STOP"


def test_nothing_but_a_byte_order_mark_is_nothing() -> None:
    assert alphabet.decode(codecs.BOM_UTF16_LE, 8, "gsm") == alphabet.decode(codecs.BOM_UTF16_BE, 8, "gsm") == ""
    assert alphabet.decode(b"\xff", 8, "gsm") == "\ufffd"


def test_japanese_is_read_where_it_is_meant() -> None:
    assert alphabet.decode("止めて".encode("iso2022_jp"), 0x0A, "gsm") == "止めて"
    assert alphabet.decode("止めて".encode("euc_jp"), 0x0D, "gsm") == "止めて"


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


HOSTILE = [b"\x1b" * 60_000, b"\x1ba" * 30_000, b"\xff\xfe" * 30_000, b"\xd8\x00" * 30_000, b"\x1b$B" * 20_000]


@pytest.mark.parametrize("octets", HOSTILE, ids=["escapes", "pairs", "marks", "half pairs", "shifts"])
def test_no_octets_take_long(octets: bytes) -> None:
    """The processor time of this process alone, for every reading there is."""
    start = time.process_time()
    for data_coding in range(0x20):
        alphabet.decode(octets, data_coding, "gsm")
    for data_coding in (0, alphabet.UCS2):
        alphabet.cut(octets, 134, data_coding)
    assert time.process_time() - start < 10
