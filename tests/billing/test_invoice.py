"""The printed invoice: names of any length and script, amounts of many digits, and nothing beside the page."""

import pypdfium2
import pytest

from heliograph.billing import lettering
from heliograph.billing.invoice import Invoice, draw
from heliograph.settings import Settings

NUMBER = "e99ec947-c33d-466e-b925-3f716ecb707f"
LONG = "Wolfeschlegelsteinhausenbergerdorff " * 7


def page(*buyer: str, issuer: str = "Heliograph", amount: str = "AUD 100.00", font: str = "") -> pypdfium2.PdfPage:
    """The only page of an invoice."""
    made = Invoice(number=NUMBER, date="24 November 2026", buyer=buyer, item="Credit", amount=amount, refunded=True)
    document = pypdfium2.PdfDocument(draw(made, Settings(invoice_issuer=issuer, invoice_font=font)))
    assert len(document) == 1
    return document[0]


def text(shown: pypdfium2.PdfPage) -> str:
    return str(shown.get_textpage().get_text_bounded())


@pytest.mark.parametrize(
    "name",
    [
        "Żółć Łódź Spółka",
        "Ωμέγα Ελλάς",
        "Объединённые Системы",
        "李小龍貿易有限公司",
        "さくらソニー",
        "주식회사 삼성",
        "Acme Œuvre €",
    ],
)
def test_names_of_many_scripts_are_written(name: str) -> None:
    assert name in text(page(name))


def test_what_runs_from_the_right_is_written_from_the_right() -> None:
    """The first letter of a Hebrew name stands to the right of its last one."""
    name = "שלום"
    shown = page(name).get_textpage()
    place = {shown.get_text_range(at, 1): shown.get_charbox(at)[0] for at in range(shown.count_chars())}
    places = [place[letter] for letter in name]
    assert places == sorted(set(places), reverse=True)


def test_letters_that_no_font_has_are_question_marks() -> None:
    assert "Thai ???" in text(page("Thai \u0e44\u0e17\u0e22"))


def test_without_fonts_on_the_machine_latin_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "WIDESPREAD", "NoSuchFont.ttf")
    assert "Caf\u00e9 ??" in text(page("Caf\u00e9 \u03a9\u03bc"))


def test_long_texts_stay_on_the_page_and_apart() -> None:
    wide = "W" * 255
    shown = page(
        LONG, wide, wide, f"{'a' * 240}@example.com", "AU", issuer=f"{LONG};{wide}", amount="JPY 999,999,999.00"
    )
    said = text(shown)
    for word in (NUMBER, "…", "Description", "JPY 999,999,999.00", "This payment was refunded.", "AU"):
        assert word in said
    width, height = shown.get_size()
    boxes = [shown.get_textpage().get_charbox(at) for at in range(len(said))]
    assert min(box[0] for box in boxes if box[2]) > 50
    assert max(box[2] for box in boxes) < width - 50
    assert min(box[1] for box in boxes if box[2]) > 50
    assert max(box[3] for box in boxes) < height - 50


def test_a_long_name_is_broken_at_its_spaces() -> None:
    lines = [line.strip() for line in text(page(LONG)).splitlines()]
    assert lines.count("Wolfeschlegelsteinhausenbergerdorff Wolfeschlegelsteinhausenbergerdorff") == 3


def test_a_font_that_cannot_be_read() -> None:
    with pytest.raises(OSError, match=r"pyproject\.toml"):
        page("Ω", font="pyproject.toml")
