"""Comparing texts as people mean them."""

# ruff: noqa: RUF001 - letters that are taken for others are what this is about

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.texts import MOST_MARKS, folded, letters, normal, words

ALIKE = [
    (
        "stop",
        "STOP",
        "Stop",
        "ＳＴＯＰ",
        "ｓｔｏｐ",
        "s\u200bto\u00adp",
        "\u2066STOP\u2069",
        "\ufeffstop",
        "𝐒𝐓𝐎𝐏",
        "Ⓢⓣⓞⓟ",
    ),
    ("iptal", "IPTAL", "İPTAL", "ıptal", "ipta\u034fl", "i\u0307ptal"),
    ("arrêt", "ARRÊT", "arre\u0302t", "ARRE\u0302T", "Arrêt\ufe0f"),
    ("straße", "STRASSE", "STRAẞE", "strasse"),
    ("ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ", "ὀδυσσεύσ"),
    ("opt out", "OPT\u00a0OUT", " opt \t out\n", "Opt\u3000Out", "opt\u202fout"),
    ("żółć", "ŻÓŁĆ", "z\u0307o\u0301łc\u0301"),
    ("ﬁle №5 ½", "FILE NO5 1\u20442"),
    ("í", "İ\u0301", "I\u0301"),
    ("ガ", "ｶﾞ", "カ\u3099"),
    ("한글", "한글"),
]
DIFFERENT = ["arret", "arrêt", "stop", "stop all", "stopall", "o", "ö", "ø", "0", "", "l", "1", "ı"]


@pytest.mark.parametrize("same", ALIKE, ids=lambda same: same[0])
def test_texts_that_mean_the_same(same: tuple[str, ...]) -> None:
    assert len({folded(one) for one in same}) == 1


def test_other_texts_stay_apart() -> None:
    assert len({folded(one) for one in DIFFERENT}) == len(DIFFERENT)


@given(st.text())
def test_folding_is_done_once(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    for form in ("NFC", "NFD"):
        assert folded(unicodedata.normalize(form, text)) == once


@given(st.text(st.characters(codec="ascii")))
def test_ascii_is_only_made_small(text: str) -> None:
    assert folded(text) == " ".join(text.lower().split())
    assert folded(text + "\u200b") == folded(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Stop. Thank you", "stop thank you"),
        ("»STOP!«", "stop"),
        ("Stopping by at 5?", "stopping by at 5"),
        ("-- ... --", ""),
        ("C'est l’arrêt", "c est l arrêt"),
        ("रोकें! 停止。", "रोकें 停止"),
        ("_opt_out_", "opt out"),
    ],
)
def test_words(text: str, shown: str) -> None:
    assert words(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Opt-Out!", "optout"),
        ("(“STOP”) 🛑", "stop"),
        ("Désabonner.", "desabonner"),
        ("ARRE\u0302T", "arret"),
        ("S\u0336T\u0336O\u0336P\u20e3", "stop"),
        ("تَوَقَّف", "توقف"),
        ("🙂", ""),
    ],
)
def test_letters(text: str, shown: str) -> None:
    assert letters(text) == shown


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("बंद", "बाद"),
        ("बंद", "बंदी"),
        ("หยุด", "หยด"),
        ("நிறுத்து", "நறத்த"),
        ("ストップ", "ストッフ"),
        ("បញ្ឈប់", "បញឈប"),
    ],
)
def test_vowels_are_no_accents(word: str, other: str) -> None:
    assert letters(word) == letters(f"({word})") != letters(other)


def test_long_runs_of_marks_are_cut() -> None:
    assert normal("NFC", "e" + "\u0301" * 1000) == "é" + "\u0301" * (MOST_MARKS - 1)
    assert normal("NFC", "é" + "\u0323" * 3) == unicodedata.normalize("NFC", "é" + "\u0323" * 3)


@pytest.mark.parametrize(
    "piece", ["\u0315\u0300", "\u0300\u0315", "İ\u0323", "\ufdfa", "ﬃ ", "\u1160\u0301", "ᄀ", "\U000e0001x"]
)
@pytest.mark.parametrize("function", [folded, words, letters])
def test_time_grows_with_the_text_and_no_faster(function: object, piece: str) -> None:
    def seconds(size: int) -> float:
        text, best = "a" + piece * size, float("inf")
        for _ in range(5):
            begun = time.thread_time()
            function(text)  # type: ignore[operator]
            best = min(best, time.thread_time() - begun)
        return best

    assert seconds(8000) < 9 * seconds(2000) + 0.01
