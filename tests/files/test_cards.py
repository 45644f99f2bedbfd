"""vCards as phones and programs write them, and as RFC 2426, RFC 6350 and the specification of 2.1 have them."""

import tracemalloc
import unicodedata
from collections.abc import Callable

import pytest

from heliograph.contacts import sheets
from heliograph.contacts.contact import FIELDS
from heliograph.files import cards
from heliograph.files.cards import COLUMNS, NOT_ENDED
from heliograph.files.separated import Flawed
from heliograph.files.vcard import LONGEST
from support.growth import grows_too_fast

MOBILE, HOME, OTHER = "+61491570006", "+61298765432", "+61491570156"
MAIL = "a@example.com"


def card(*lines: str, version: str = "3.0") -> str:
    return "\r\n".join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""))


def read(data: str | bytes, code_page: str = "cp1252") -> list[dict[str, str]]:
    """The cards that can be used, by the names of their columns; empty ones are left out."""
    found = []
    for _, row in cards.rows(data.encode() if isinstance(data, str) else data, code_page):
        cells = row.cells if isinstance(row, Flawed) else row
        if not isinstance(row, Flawed) or row.usable:
            found.append({name: cell for name, cell in zip(COLUMNS, cells, strict=True) if cell})
    return found


def number(*lines: str, version: str = "3.0") -> str:
    """The number of a card that a message goes to."""
    return read(card(*lines, version=version))[0].get("phone", "").partition(cards.BETWEEN)[0]


def test_columns_are_fields() -> None:
    assert {str(sheets.field(name)) for name in COLUMNS} <= set(FIELDS)


@pytest.mark.parametrize(
    "lines",
    [
        "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=98=D0=B2=\r\n=D0=B0=D0=BD=D0=BE=\r\n=D0=B2;=D0=98=D0=B2=D0=B0=\r\n=D0=BD",
        "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=98=D0=B2=D0=B0=D0=BD=D0=BE=D0=B2;=D0=98=D0=B2=D0=B0=D0=BD=\r\n",
        "N;QUOTED-PRINTABLE;CHARSET=UTF-8:=D0=\n=98=D0=B2=D0=B0=D0=BD=D0=BE=D0=B2;=D0=98=D0=B2=D0=B0=D0=BD",
        "N;encoding=quoted-printable:=d0=98=d0=b2=d0=b0=d0=bd=d0=be=d0=b2;=d0=98=d0=b2=d0=b0=d0=bd",
        "N;CHARSET=windows-1251;ENCODING=QUOTED-PRINTABLE:=C8=E2=E0=ED=EE=E2;=C8=E2=E0=ED",
        "N;CHARSET=KOI8-R;ENCODING=QUOTED-PRINTABLE:=E9=D7=C1=CE=CF=D7;=E9=D7=C1=CE",
        "N;CHARSET=utf-8;ENCODING=BASE64:0JjQstCw0L3QvtCyO9CY0LLQsNC9",
        "N;CHARSET=x-unknown:Иванов;Иван",
        "N:Иванов;Иван",
        "n;language=ru:Иванов;Иван;;;",
    ],
)
def test_names_in_every_coding(lines: str) -> None:
    """Long lines of quoted-printable end softly, as phones write them, and the next line goes on."""
    found = read(card(lines, f"TEL;CELL:{MOBILE}", version="2.1"))
    assert found == [{"phone": MOBILE, "first_name": "Иван", "last_name": "Иванов"}]


def test_quoted_printable_that_is_cut_off_takes_no_other_card() -> None:
    cut = card("N;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=", version="2.1")
    assert [one["last_name"] for one in read(cut + card("N:B;A") + cut)] == ["Müller", "B", "Müller"]


@pytest.mark.parametrize("filling", ["abcdefg", "=D0=98"])
@pytest.mark.parametrize("size", [*range(LONGEST - 3, LONGEST + 4), LONGEST + 80, 3 * LONGEST])
@pytest.mark.parametrize("width", [75, 10_000])
def test_quoted_printable_of_any_length_goes_on_where_it_ends_softly(filling: str, size: int, width: int) -> None:
    """Neither a number within a note is taken for one of the card, nor a line behind the note for a part of it."""
    head = "NOTE;ENCODING=QUOTED-PRINTABLE:"
    text = (filling * size)[: size - len(head) - 1]
    lines = "=\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    note = (f"{head}{lines}=", f"TEL;CELL:{OTHER}=", "", f"TEL;HOME:{HOME}", "N:B;A")
    assert read(card(*note, version="2.1")) == [{"phone": HOME, "first_name": "A", "last_name": "B"}]


@pytest.mark.parametrize("size", range(LONGEST - 3, LONGEST + 4))
def test_quoted_printable_that_does_not_end_softly_ends(size: int) -> None:
    """Also where the last byte that is kept is the beginning of a character's code."""
    head = "NOTE;ENCODING=QUOTED-PRINTABLE:"
    note = (head + "=D0" * size)[: size - 1] + "=D0"
    found = read(card("N:B;A", note, f"TEL;HOME:{HOME}", version="2.1"))
    assert found == [{"phone": HOME, "first_name": "A", "last_name": "B"}]


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_in_every_encoding(name: str, end: str) -> None:
    text = (card("N:Müller;Zoë", f"TEL:{MOBILE}") * 2).replace("\r\n", end)
    assert read(text.encode(name)) == [{"phone": MOBILE, "first_name": "Zoë", "last_name": "Müller"}] * 2


def test_a_code_page_is_that_of_the_account() -> None:
    assert read(card("N:Иванов;Иван").encode("cp1251"), "cp1251")[0]["last_name"] == "Иванов"
    assert read(card("N:山田;太郎ソ").encode("cp932"), "cp932")[0]["first_name"] == "太郎ソ"


@pytest.mark.parametrize("at", range(1, 24))
def test_a_line_is_folded_anywhere(at: int) -> None:
    """Also within a character, and before the colon (RFC 6350, 3.2)."""
    line = "item1.N;LANGUAGE=de:Mü山;Zoë".encode()
    folded = line[:at] + b"\r\n " + line[at:]
    data = card("NICK", f"TEL:{MOBILE}").encode().replace(b"NICK", folded)
    assert read(data) == [{"phone": MOBILE, "first_name": "Zoë", "last_name": "Mü山"}]


def test_an_old_fold_keeps_its_space() -> None:
    assert read(card("ORG:Acme", " Works", version="2.1"))[0]["organization_name"] == "Acme Works"
    assert read(card("ORG:Acme", "  Works", version="3.0"))[0]["organization_name"] == "Acme Works"


@pytest.mark.parametrize("bad", ["garbage", "no colon here", "T\u00c4L:1", ":1", "TEL", "=20=20", "()", "N\x81:x"])
@pytest.mark.parametrize("version", ["2.1", "3.0", "4.0"])
def test_a_line_that_cannot_be_read_loses_itself(bad: str, version: str) -> None:
    data = card("N:B;A", bad, f"TEL:{MOBILE}", version=version)
    assert read(data) == [{"phone": MOBILE, "first_name": "A", "last_name": "B"}]
    (_, row), *_ = cards.rows(data.encode(), "cp1252")
    assert isinstance(row, Flawed)
    assert row.reason == "The card has lines that cannot be read: 4."


def test_bytes_that_do_not_fit_lose_their_line() -> None:
    data = (
        card("N:Müller;Zoë", f"TEL:{MOBILE}", "ORG:@", "EMAIL:a@example.com")
        .encode()
        .replace(b"@\r\n", b"\xff\xc3\r\n", 1)
    )
    (_, row), *_ = cards.rows(data, "cp1252")
    assert isinstance(row, Flawed)
    assert row.reason.endswith(": 5.")
    assert (row.cells[:4], row.cells[5]) == ([MOBILE, "Zoë", "Müller", "a@example.com"], "")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([f"TEL;HOME;VOICE:{HOME}", f"TEL;CELL:{MOBILE}"], MOBILE),
        ([f"TEL;HOME:{HOME}", f"TEL;TYPE=CELL,VOICE:{MOBILE}"], MOBILE),
        ([f"TEL;HOME:{HOME}", f"TEL;TYPE=voice;TYPE=cell:{MOBILE}"], MOBILE),
        ([f"TEL;HOME:{HOME}", f'TEL;TYPE="voice,cell":{MOBILE}'], MOBILE),
        ([f"TEL;HOME:{HOME}", f'TEL;VALUE=uri;TYPE="voice","cell":tel:{MOBILE}'], MOBILE),
        ([f"TEL;HOME:{HOME}", f"TEL;TYPE=voice\\,cell:{MOBILE}"], MOBILE),
        ([f"TEL;HOME:{HOME}", f"TEL;X-Mobile:{MOBILE}"], MOBILE),
        ([f"TEL;HOME:{HOME}", f"tel;type=iPhone:{MOBILE}"], MOBILE),
        ([f"item1.TEL:{HOME}", f"item2.TEL:{MOBILE}", "item2.X-ABLabel:_$!<Mobile>!$_"], MOBILE),
        ([f"TEL;HOME:{HOME}", f"TEL;WORK;PREF:{OTHER}"], OTHER),
        ([f"TEL;HOME;PREF:{HOME}", f"TEL;CELL:{MOBILE}"], MOBILE),
        ([f"TEL;CELL:{OTHER}", f"TEL;CELL;PREF:{MOBILE}"], MOBILE),
        ([f"TEL;TYPE=cell;PREF=2:{OTHER}", f"TEL;TYPE=cell;PREF=1:{MOBILE}"], MOBILE),
        ([f"TEL;TYPE=cell,pref:{MOBILE}", f"TEL;CELL:{OTHER}"], MOBILE),
        ([f"TEL;PAGER:{OTHER}", f"TEL;HOME:{HOME}"], HOME),
        ([f"TEL;CELL;PAGER:{OTHER}", f"TEL;HOME:{HOME}"], HOME),
        ([f"TEL;TYPE=FAX,PREF:{OTHER}", f"TEL;HOME:{HOME}"], HOME),
        ([f"TEL;TYPE=HOMEFAX:{OTHER}", f"TEL;HOME:{HOME}"], HOME),
        ([f"item1.TEL;type=pref:{OTHER}", "item1.X-ABLabel:Pager", f"TEL:{HOME}"], HOME),
        ([f"TEL;MODEM:{OTHER}"], ""),
        ([f"TEL;PAGER:{OTHER}"], ""),
        (["TEL;CELL:unknown", f"TEL;HOME:{HOME}"], HOME),
        (["TEL;CELL:", f"TEL;HOME:{HOME}"], HOME),
        ([f"TEL;VALUE=uri;TYPE=cell:tel:{MOBILE}"], MOBILE),
        ([f"TEL:TEL:{MOBILE};ext=4"], MOBILE),
        (["TEL;VALUE=uri:tel:+61-491-570-006"], "+61-491-570-006"),
        (["TEL;VALUE=uri:tel:491570006;phone-context=+61"], MOBILE),
        (["TEL;VALUE=uri:tel:%2B61491570006"], MOBILE),
        ([f"TEL;VALUE=uri:sms:{MOBILE}"], MOBILE),
        (["TEL:0491 570 006"], "0491 570 006"),
    ],
)
def test_the_number_that_a_message_goes_to(lines: list[str], found: str) -> None:
    for version in ("2.1", "3.0", "4.0"):
        assert number(*lines, version=version) == found


def labelled(label: str) -> list[str]:
    """A preferred number as Apple writes it, with a label that its owner gave to it, beside one of a home."""
    return [f"TEL;HOME:{HOME}", f"item1.TEL;type=pref:{OTHER}", f"item1.X-ABLabel:{label}"]


NAMES = "Betty,Miscellaneous,Marcello,Marcella,Barcellona,Parcelle,Excellence,Cellar,Cellé,Éxcell"
NAMES += ",Automobilclub,Wohnmobil,Immobilien,Immobilier,Inmobiliaria,Mobiliar,Mobilier,Mobility,Ämobil,Snowmobile"
NAMES += ",Hobbs,Gibbs,Pretty Kitty,Kittý,Modemarkt,Modemagazin,Telexpress,Halifax,Fairfax office,Getty,TTYé,Épcs,Upcsi"
NAMES += ",Бетти,Марчелло,Автомобиль,Μαρτσέλο,馬塞洛,マルチェロ,مارسيلو,מרצלו,बेट्टी"


@pytest.mark.parametrize("name", NAMES.split(","))
@pytest.mark.parametrize("spelling", [str, str.upper, lambda text: unicodedata.normalize("NFD", text)])
def test_letters_within_a_name_are_no_kind_of_number(name: str, spelling: Callable[[str], str]) -> None:
    """Neither is the number lost, nor does it come before a mobile one, whether the name is a label or a type."""
    name = spelling(name)
    given = [labelled(name)]
    if name.isascii():
        given.append([f"TEL;HOME:{HOME}", f"TEL;PREF;X-{name}:{OTHER}"])
    for lines in given:
        assert number(*lines) == OTHER
        assert number(*lines, f"TEL;CELL:{MOBILE}") == MOBILE
        assert "fax_number" not in read(card(*lines))[0]


PHONES = "Cell,my cell,Cell 2,cell2,Cells,Cell-Work,_$!<Mobile>!$_,Cellphone,Cell Phone,Cellular,Cellulare,Cellulaire"
PHONES += ",Celular,celulares,Mobil,Mobile,Mobiles,Mobiltelefon,Mobilnummer,Mobilní,Mobilný,Mobilni telefon,T-Mobile"
PHONES += ",MOBİL,iPhone,İPhone,iPhones,PCS,\uff23\uff25\uff2c\uff2c,携帯Cell,Cell番号,電話(mobile),мой iPhone,הMobile"


@pytest.mark.parametrize("label", PHONES.split(","))
def test_labels_of_mobile_numbers(label: str) -> None:
    lines = [line.replace(";type=pref", "") for line in labelled(label)]
    assert number(*lines, f"TEL;WORK;PREF:{MOBILE}") == OTHER


FAXES = "Fax,_$!<HomeFAX>!$_,_$!<WorkFAX>!$_,Telefax,Faxnummer,Bürofax,Privatfax,Fax2,Halifax fax"
FAXES += ",\uff26\uff21\uff38,FAX番号,電話FAX"


@pytest.mark.parametrize("label", FAXES.split(","))
def test_labels_of_fax_numbers(label: str) -> None:
    assert read(card(*labelled(label))) == [{"phone": HOME, "fax_number": OTHER}]


OTHERS = "Pager,_$!<Pager>!$_,Pagers,Workpager,Beeper,TTY,TTY/TDD,tty2,BBS,Modem,モデムModem,Telex"


@pytest.mark.parametrize("label", OTHERS.split(","))
def test_labels_of_what_is_no_telephone(label: str) -> None:
    assert read(card(*labelled(label))) == [{"phone": HOME}]


def test_other_numbers_follow_for_an_import_that_cannot_use_the_first() -> None:
    found = read(
        card(f"TEL;HOME:{HOME}", f"TEL;CELL:{MOBILE}", f"TEL;FAX:{OTHER}", "EMAIL:none", "EMAIL;PREF:a@b.example")
    )
    assert found == [{"phone": f"{MOBILE} ::: {HOME}", "fax_number": OTHER, "email": "a@b.example ::: none"}]


def test_a_card_within_a_card_is_left_out() -> None:
    agent = card("N:Agent;Secret", f"TEL;CELL;PREF:{OTHER}", version="2.1")
    outer = card(f"TEL;HOME:{HOME}", "AGENT:", agent.strip(), "N:B;A", version="2.1")
    inline = card("AGENT:BEGIN:VCARD\\nFN:S\\nTEL\\;PREF:1234567\\nEND:VCARD\\n", "N:B;A", f"TEL;HOME:{HOME}")
    direct = card(f"AGENT:{agent.strip()}", "N:B;A", f"TEL;HOME:{HOME}")
    twice = card(f"TEL;HOME:{HOME}", "AGENT:", card("AGENT:", agent.strip()).strip(), "N:B;A")
    for data in (outer, inline, direct, twice, outer + direct):
        assert {(one["phone"], one["first_name"]) for one in read(data)} == {(HOME, "A")}


PHOTO = "\\nPHOTO\\;ENCODING=b:" + "QUJD" * 2_000
INLINE = "AGENT:BEGIN:VCARD\\nFN:S\\nTEL\\;PREF:1234567"


@pytest.mark.parametrize(
    "agent",
    [
        (f"{INLINE}{PHOTO}\\nEND:VCARD\\n",),
        (f"{INLINE}{PHOTO}",),
        (INLINE,),
        (INLINE + "\r\n ".join(("", *(["QUJD" * 18] * 100), "\\nEND:VCARD")),),
        (INLINE + PHOTO + INLINE.replace("\\", "\\\\") + "\\\\nEND:VCARD\\nEND:VCARD",),
        ("AGENT:BEGIN:VCARD", f"{INLINE}{PHOTO}\\nEND:VCARD", f"TEL;CELL:{OTHER}", "END:VCARD"),
        ("AGENT:", "BEGIN:VCARD", "AGENT:BEGIN:VCARD", "END:VCARD", f"TEL;CELL:{OTHER}", "END:VCARD"),
        ("agent: begin:vcard ", "AGENT:BEGIN:VCARD", "END:VCARD", f"TEL;CELL:{OTHER}", "END:VCARD"),
        ("AGENT:BEGIN:VCARD", "AGENT:", "BEGIN:VCARD", "END:VCARD", f"TEL;CELL:{OTHER}", "END:VCARD"),
    ],
)
def test_a_card_within_a_card_has_any_size_and_depth(agent: tuple[str, ...]) -> None:
    data = card("N:B;A", *agent, f"TEL;HOME:{HOME}", f"EMAIL:{MAIL}") * 2
    assert read(data) == [{"phone": HOME, "first_name": "A", "last_name": "B", "email": MAIL}] * 2


def test_inner_cards_without_an_end_cost_no_card_but_their_own() -> None:
    broken = card("N:D;C", "AGENT:BEGIN:VCARD", "AGENT:", "BEGIN:VCARD", "AGENT:BEGIN:VCARD")
    assert [one["first_name"] for one in read(broken + card("N:B;A") + card("N:F;E"))] == ["C", "A", "E"]


def test_cards_without_an_end() -> None:
    """The next card ends one; at the end of the file nobody knows what was cut off."""
    data = "BEGIN:VCARD\nN:B;A\nTEL:+61491570006\nBEGIN:VCARD\nN:D;C\nTEL:+6149157"
    (line, row), (second, cut) = cards.rows(data.encode(), "cp1252")
    assert (line, row[:3] if isinstance(row, list) else row) == (1, [MOBILE, "A", "B"])
    assert (second, cut) == (4, Flawed(["+6149157", "C", "D", *[""] * 9], NOT_ENDED))


def test_all_that_a_card_says() -> None:
    (found,) = read(
        card(
            "N:Diaz\\; Ortiz;Ellen,Ana;M.;Dr.;",
            "ORG:Awesome\\, Inc.;Research",
            "ADR;TYPE=HOME:;Block 2;Cool Street 1\\nBack;Perth;WA;6000;AU",
            "EMAIL;TYPE=INTERNET:mailto:e@example.com",
        )
    )
    assert found == {
        "first_name": "Ellen Ana",
        "last_name": "Diaz; Ortiz",
        "email": "e@example.com",
        "organization_name": "Awesome, Inc.",
        "address_line_1": "Cool Street 1\nBack",
        "address_line_2": "Block 2",
        "address_city": "Perth",
        "address_state": "WA",
        "address_postal_code": "6000",
        "address_country": "AU",
    }
    assert read(card("FN:Only Long Name"))[0] == {"first_name": "Only", "last_name": "Long Name"}


PHOTOS = {
    "2.1": "PHOTO;JPEG;ENCODING=BASE64:" + "QUJD" * 18 + ("\r\n " + "QUJD" * 18) * 5_000 + "\r\n",
    "2.1 not folded": "PHOTO;TYPE=JPEG;BASE64:QUJD" + ("\r\n" + "QUJD" * 18) * 5_000 + "\r\n",
    "3.0": "PHOTO;TYPE=JPEG;ENCODING=b:" + "QUJD" * 18 + ("\r\n " + "QUJD" * 18) * 5_000,
    "4.0": "PHOTO:data:image/jpeg;base64," + "QUJD" * 100_000,
}


@pytest.mark.parametrize("version", PHOTOS)
def test_a_large_photograph_is_passed_over(version: str) -> None:
    data = card("N:B;A", PHOTOS[version], f"TEL:{MOBILE}", version=version[:3]).encode()
    tracemalloc.start()
    try:
        found = list(cards.rows(data, "cp1252"))
        assert tracemalloc.get_traced_memory()[1] < len(data) / 2
    finally:
        tracemalloc.stop()
    assert [row[:3] for _, row in found if isinstance(row, list)] == [[MOBILE, "A", "B"]]


HARD = [
    "TEL:1\r\n",
    "N:" + ";" * 500 + "\r\n",
    "A\r\n",
    "BEGIN:VCARD\r\n",
    "AGENT:\r\nBEGIN:VCARD\r\n",
    "AGENT:BEGIN:VCARD\r\n",
    " x",
    "\r\n x",
    '"',
    "\\",
]
HARD += [
    "N;ENCODING=QUOTED-PRINTABLE:=\r\n",
    "=\r\n",
    "=",
    "a" * 74 + "=\r\n",
    "N;" + '":' * 400 + "\r\n",
    ";" * 700 + "\r\n",
]


@pytest.mark.parametrize("line", HARD)
def test_time_grows_as_the_file_does(line: str) -> None:
    def data(size: int) -> bytes:
        return ("BEGIN:VCARD\r\nN;ENCODING=QUOTED-PRINTABLE:" + line * (size // len(line))).encode()

    assert not grows_too_fast(lambda given: list(cards.rows(given, "cp1252")), data, (30_000, 120_000))
