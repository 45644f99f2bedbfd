# ruff: noqa: RUF001 - letters that are taken for others are what a part of this is about

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.sms.segments import Segmented, measure, plain, split
from heliograph.texts import visible

# The two tables of the document: the largest number of characters of each number of segments.
GSM = (160, 306, 459, 612, 765, 918, 1071, 1224)
UNICODE = (70, 134, 201, 268, 335, 402, 469, 536)

# The default alphabet in the order of its codes (3GPP TS 23.038), without the escape at 0x1b.
BY_CODE = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
DOUBLE = "\f^{}\\[~]|€"

gsm_text = st.text(st.sampled_from(BY_CODE.replace("\x1b", "") + DOUBLE * 6), max_size=700)
any_text = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("a€😀\r\n")), max_size=400)


def septets(text: str) -> int:
    return sum(2 if character in DOUBLE else 1 for character in text)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(("table", "character"), [(GSM, "x"), (UNICODE, "ж")])
def test_every_boundary_of_both_tables(table: tuple[int, ...], character: str) -> None:
    unicode = character == "ж"
    for count, length in enumerate(table, 1):
        text = character * length
        assert measure(text, 8) == Segmented(unicode, count, text, False)
        assert measure(text, count) == Segmented(unicode, count, text, False)
        assert measure(text + character, count) == Segmented(unicode, count, text, True)
        if count < 8:
            assert measure(text + character, 8) == Segmented(unicode, count + 1, text + character, False)
    assert measure(character * 5000, 8) == Segmented(unicode, 8, character * table[-1], True)


def test_the_first_length_of_each_row() -> None:
    assert [measure("x" * n, 8).count for n in (1, 161, 307, 460, 613, 766, 919, 1072)] == list(range(1, 9))
    assert [measure("ж" * n, 8).count for n in (1, 71, 135, 202, 269, 336, 403, 470)] == list(range(1, 9))


def test_the_alphabet_is_the_whole_default_alphabet() -> None:
    assert len(BY_CODE) == len(set(BY_CODE)) == 128
    allowed = set(BY_CODE + DOUBLE) - {"\x1b"}
    for code in range(0x10000):
        assert measure(chr(code), 8).unicode == (chr(code) not in allowed), hex(code)


@pytest.mark.parametrize("character", DOUBLE)
def test_extension_characters_count_two(character: str) -> None:
    assert measure(character * 80, 8).count == 1
    assert measure(character * 80 + "x", 8).count == 2
    assert measure("x" * 159 + character, 8).count == 2


def test_an_escape_pair_is_not_torn_apart() -> None:
    text = "x" * 152 + "€" + "y" * 10
    assert split(text, False) == ("x" * 152, "€" + "y" * 10)
    assert split("€" * 81, False) == ("€" * 76, "€" * 5)
    # 306 septets would fill two segments, were it not for the pair that lies across their border.
    assert measure("x" * 152 + "€" + "y" * 152, 8).count == 3
    assert measure("x" * 152 + "€" + "y" * 151, 8).count == 2


def test_a_surrogate_pair_is_not_torn_apart() -> None:
    assert measure("😀" * 35, 8).count == 1
    assert measure("😀" * 36, 8).count == 2
    assert split("ж" * 66 + "😀" + "ж" * 9, True) == ("ж" * 66, "😀" + "ж" * 9)
    assert measure("ж" * 69 + "😀", 1) == Segmented(True, 1, "ж" * 69, True)


def test_cr_lf_counts_two() -> None:
    assert measure("x" * 158 + "\r\n", 8).count == 1
    assert measure("x" * 159 + "\r\n", 8).count == 2


def test_the_alphabet_is_that_of_the_whole_text() -> None:
    assert measure("x" * 200 + "ж", 1) == Segmented(True, 1, "x" * 70, True)


def test_an_empty_text_is_one_segment() -> None:
    assert measure("", 8) == Segmented(False, 1, "", False)
    assert split("", True) == split("", False) == ("",)


@pytest.mark.parametrize("end", ["x", "€", "ж", "😀"])
def test_one_segment_is_used_to_the_full(end: str) -> None:
    text = measure("x" * 500 + end, 1).text
    assert text == "x" * (160 if end in "x€" else 70)
    assert measure("€" * 100, 1).text == "€" * 80
    assert measure("x" + "€" * 100, 1).text == "x" + "€" * 79


@given(gsm_text)
def test_gsm_parts_are_the_text_and_within_their_limit(text: str) -> None:
    parts = split(text, False)
    assert "".join(parts) == text
    assert len(parts) == 1 or max(map(septets, parts)) <= 153
    assert septets(parts[0]) <= 160
    for one, following in pairwise(parts):
        assert septets(one + following[0]) > 153
    assert len(parts) == 1 or septets(text) > 160


@given(any_text)
def test_unicode_parts_are_the_text_and_within_their_limit(text: str) -> None:
    parts = split(text, True)
    assert "".join(parts) == text
    assert len(parts) == 1 or max(map(units, parts)) <= 67
    assert units(parts[0]) <= 70
    for one, following in pairwise(parts):
        assert units(one + following[0]) > 67
    assert len(parts) == 1 or units(text) > 70


@given(st.one_of(gsm_text, any_text), st.integers(1, 8))
def test_measure_and_split_agree(text: str, limit: int) -> None:
    found = measure(text, limit)
    assert found.unicode == any(character not in BY_CODE.replace("\x1b", "") + DOUBLE for character in text)
    assert found.count == len(split(found.text, found.unicode)) <= limit
    assert text.startswith(found.text)
    assert found.truncated == (found.text != text)
    if found.truncated:
        more = text[: len(found.text) + 1]
        assert len(split(more, found.unicode)) > limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, Ñandú à 5 €", "Grüße, Ñandu à 5 €"),
        ("\u201cit\u2019s\u201d \u2013 done\u2026", '"it\'s" - done...'),
        ("Żółć Đặng ﬁn\u00a0x", "Zolc Dang fin x"),
        ("привет 你", "privet Ni"),
        ("\u02bc \u00de\u00f3r \u00bd \u2153 \u00d0", "' THor 1/2 1/3 D"),
        ("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ Ήλιος", "ABΓΔEZHΘIKΛMNΞOΠPΣTYΦXΨΩ Hlios"),
        ("İstanbul'da ığüşöç", "Istanbul'da igüsöc"),
        ("STRAẞE Œuvre ŉ ǆ № ™ © 25 °C 3 × 4", "STRASSE OEuvre 'n dz No TM (C) 25 degC 3 x 4"),
        ("안녕 สวัสดี سلام שלום ありがとう", "AnNyeong swasdi slam slvm arigatou"),
        ("ＳＴＯＰ ① ⅷ ² ﷺ", "STOP 1 viii 2 salla Allah 'alayhi wa-sallam"),
        ("\u39dd\ue000", "U+39DD?"),
        ("2½ cups, 5¾, ½½, 10² m, 10²³, 10₂, 1① ①②3", "2 1/2 cups, 5 3/4, 1/2 1/2, 10^2 m, 10^23, 10_2, 1 1 1 2 3"),
        ("m² H₂O x²y 3 ½ １½", "m2 H2O x2y 3 1/2 1 1/2"),
        ("a\x00b\u200d\t", "ab "),
        ("ok 👍🏽 \u200d\ufe0f.", "ok ?? ."),
        ("e\u0301 e\u0301\u0323", "é e"),
        ("\u200b", ""),
        ("", ""),
    ],
)
def test_what_gsm_lacks_is_replaced(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert not measure(plain(text), 8).unicode


@given(st.text())
def test_a_plain_text_is_never_unicode(text: str) -> None:
    assert not measure(plain(text), 8).unicode
    assert plain(plain(text)) == plain(text)


def test_no_letter_is_lost() -> None:
    letters = [chr(code) for code in range(0x30000) if unicodedata.category(chr(code))[0] in "LN"]
    assert [one for one in letters if "?" in plain(one)] == []
    silent = [one for one in letters if visible(one) and not plain(one)]
    assert [one for one in silent if unicodedata.normalize("NFKD", one)[0] != "\u0640"] == [], "but lengthened lines"


def test_time_grows_with_the_text_and_no_faster() -> None:
    def seconds(size: int) -> float:
        text, best = "e" + "\u0315\u0300" * size, float("inf")
        for _ in range(5):
            begun = time.thread_time()
            plain(text)
            best = min(best, time.thread_time() - begun)
        return best

    assert seconds(8000) < 9 * seconds(2000) + 0.01
