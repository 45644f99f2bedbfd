"""Loose JSON made exact: whatever comes is either the struct, with exactly its types, or a sentence for each field."""

import json
import math
import string
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Meta

from heliograph.errors import BadRequest
from heliograph.http import loose
from heliograph.http.loose import decode
from heliograph.mailaddress import is_address


class Inner(msgspec.Struct):
    name: str
    amount: int | None = None


class Body(msgspec.Struct, kw_only=True):
    """One field of each kind that bodies have."""

    number: int | None = None
    text: str | None = None
    flag: bool | None = None
    share: float | None = None
    either: int | str | None = None
    ids: list[int] | None = None
    words: list[str] | None = None
    inner: Inner | None = None
    inners: list[Inner] | None = None
    from_: Annotated[str | None, Meta(description="has another name outside")] = msgspec.field(
        default=None, name="from"
    )
    kind: Literal["a", "b"] | None = None
    level: Literal[0, 1] | None = None


class Needed(msgspec.Struct):
    number: int
    text: str
    flag: bool
    ids: list[int]


INTEGER = "Number must be an integer."


def body(**values: Any) -> bytes:
    return json.dumps(values).encode()


def faults(raw: bytes, kind: type = Body) -> dict[str, str]:
    with pytest.raises(BadRequest) as refused:
        decode(raw, kind)
    found = refused.value.data
    assert isinstance(found, dict)
    assert found
    assert all(isinstance(text, str) for text in found.values())
    return found


def read(raw: bytes) -> Body | dict[str, str]:
    try:
        return decode(raw, Body)
    except BadRequest as refused:
        return dict(refused.data)


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
INTEGERS = st.integers(-loose.LARGEST, loose.LARGEST)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INNERS = st.builds(Inner, name=TEXTS, amount=st.none() | INTEGERS)
BODIES = st.builds(
    Body,
    number=st.none() | INTEGERS,
    text=st.none() | TEXTS,
    flag=st.none() | st.booleans(),
    share=st.none() | FLOATS,
    either=st.none() | INTEGERS | TEXTS,
    ids=st.none() | st.lists(INTEGERS, max_size=3),
    words=st.none() | st.lists(TEXTS, max_size=3),
    inner=st.none() | INNERS,
    inners=st.none() | st.lists(INNERS, max_size=3),
    from_=st.none() | TEXTS,
    kind=st.sampled_from([None, "a", "b"]),
    level=st.sampled_from([None, 0, 1]),
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | FLOATS
    | st.text(max_size=5)
    | st.sampled_from(["", "1", "true", "1.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = [field.encode_name for field in msgspec.structs.fields(Body)]
OBJECTS = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=5),
    ANYTHING | st.lists(st.dictionaries(st.sampled_from(["name", "amount"]), ANYTHING), max_size=2),
    max_size=6,
)


@given(BODIES)
def test_what_is_exact_stays_as_it_is(given_body: Body) -> None:
    assert decode(msgspec.json.encode(given_body), Body) == given_body


@given(BODIES)
def test_the_way_over_each_field_comes_to_the_same(given_body: Body) -> None:
    """A field that nobody knows, with what sends a body the slow way."""
    exact = json.loads(msgspec.json.encode(given_body))
    assert decode(body(**exact, unknown="\x00"), Body) == given_body


@given(INTEGERS, st.sampled_from([" {} ", "{}", "+{}", "{}.0", "{}.", "{}.000", "0{}"]))
def test_a_number_as_text_is_the_number(number: int, spelling: str) -> None:
    assume(number >= 0 or not spelling.startswith(("+", "0")))
    inner = {"name": 1, "amount": str(number)}
    made = decode(body(number=spelling.format(number), ids=[str(number)], inner=inner), Body)
    assert (made.number, made.ids) == (number, [number])
    assert made.inner == Inner("1", number)


@given(INTEGERS)
def test_a_number_is_a_text_too(number: int) -> None:
    made = decode(body(text=number, words=[number], **{"from": number}), Body)
    assert (made.text, made.words, made.from_) == (str(number), [str(number)], str(number))


@given(INTEGERS)
def test_a_whole_float_is_an_integer(number: int) -> None:
    made = decode(body(number=float(number), text=float(number), ids=[float(number)]), Body)
    assert (made.number, made.ids) == (number, [number])
    assert type(made.number) is int
    rounded = len(str(number)) > 10 and number % 100_000 == 0
    assert made.text == (f"{number}.0" if rounded else str(number))


@given(FLOATS.filter(lambda value: not value.is_integer()))
def test_a_fraction_is_no_integer(number: float) -> None:
    for raw in (body(number=number), body(number=repr(number))):
        assert list(faults(raw)) == ["number"]


@given(st.one_of(st.integers(min_value=loose.LARGEST + 1), st.integers(max_value=-loose.LARGEST - 1)))
def test_a_number_that_no_column_holds_is_refused(number: int) -> None:
    assert list(faults(body(number=number))) == ["number"]
    assert list(faults(body(number=str(number)))) == ["number"]
    assert list(faults(body(ids=[1, number]))) == ["ids.1"]
    assert list(faults(body(inners=[{"name": "a", "amount": number}]))) == ["inners.0.amount"]


@given(st.sampled_from(["1", "true", "yes", "on", "1.0", "0", "false", "no", "off", "0.0"]), st.data())
def test_flags_in_every_spelling(word: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(st.sampled_from([char.lower(), char.upper()])) for char in word)
    assert decode(body(flag=f" {spelled}"), Body).flag is (word in ("1", "true", "yes", "on", "1.0"))


@given(OBJECTS)
def test_every_object_is_a_body_or_a_sentence_for_each_bad_field(values: dict[str, Any]) -> None:
    found = read(json.dumps(values).encode())
    if isinstance(found, dict):
        assert found
        for name, sentence in found.items():
            assert name == "body" or name.split(".")[0] in NAMES
            assert sentence[0].isupper()
        if "body" not in found:
            bad = {name.split(".")[0] for name in found}
            others = {name: value for name, value in values.items() if name not in bad}
            assert isinstance(read(json.dumps(others).encode()), Body), "one bad field blamed on another"
        return
    assert_exact(found)


def assert_exact(found: Body) -> None:
    """Each value is of its type, and what a database can hold."""
    numbers = [found.number, *(found.ids or []), *(one.amount for one in found.inners or [])]
    assert all(one is None or (type(one) is int and abs(one) <= loose.LARGEST) for one in numbers)
    texts = [found.text, found.from_, *(found.words or []), *(one.name for one in found.inners or [])]
    assert all(one is None or (type(one) is str and "\x00" not in one) for one in texts)
    assert found.flag in (None, True, False)
    assert found.share is None or (type(found.share) is float and math.isfinite(found.share))
    assert type(found.either) in (int, str, type(None))
    assert found.kind in (None, "a", "b")
    assert found.level in (None, 0, 1)


@given(st.binary(max_size=40) | st.text(string.printable, max_size=40).map(str.encode))
def test_any_bytes_are_a_body_or_refused(raw: bytes) -> None:
    found = read(raw)
    if isinstance(found, dict):
        assert found


@given(ANYTHING.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert list(faults(json.dumps(value).encode())) == ["body"]


@given(st.sampled_from(sorted({"number", "flag", "share", "ids", "inner", "inners", "kind", "level"})))
def test_an_empty_text_is_absent_where_no_text_can_be(name: str) -> None:
    assert decode(body(**{name: ""}), Body) == Body()
    assert decode(body(**{name: None}), Body) == Body()


def test_empty_bodies_and_unknown_fields() -> None:
    assert decode(b"", Body) == decode(b"{}", Body) == decode(b' {"what": {"ever": [1]}} ', Body) == Body()
    assert decode(b'{"text": ""}', Body).text == ""


def test_what_is_needed_is_named() -> None:
    expected = {
        "number": "Number field is required.",
        "text": "Text field is required.",
        "flag": "Flag field is required.",
        "ids": "Ids field is required.",
    }
    assert faults(b"{}", Needed) == faults(b"", Needed) == expected
    assert faults(body(number=None, text=None, flag=None, ids=None), Needed) == expected
    assert set(faults(body(number="", text="", flag="", ids=""), Needed)) == {"number", "flag", "ids"}
    assert decode(body(number="1", text=2, flag="0", ids=["3"]), Needed) == Needed(1, "2", False, [3])


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        *(("number", value, INTEGER) for value in (True, [], {}, "x", "1x", "1_000", "1e3", "0x1", "\uff11", "--1")),
        *(("number", value, INTEGER) for value in ("1.5", 1.5, "nan", "1 2", "9" * 5000)),
        *(("number", value, "Number is out of range.") for value in (2**53 + 1, "9" * 30, 1e300)),
        *(("text", value, "Text must be a string.") for value in (True, [], {})),
        ("text", "a\x00b", "Text contains characters that cannot be stored."),
        *(("flag", value, "Flag must be 0 or 1.") for value in (2, -1, "maybe", [], {}, 0.5)),
        *(("share", value, "Share must be a number.") for value in (True, [], {}, "x", "nan", "inf", "1e999")),
        *(("ids", value, "Ids must be a list.") for value in (1, "x", {}, True)),
        *(("inner", value, "Inner must be an object.") for value in (1, "x", [], True)),
        *(("inners", value, "Inners must be a list.") for value in (1, "x", {}, True)),
    ],
)
def test_sentences(field: str, value: Any, sentence: str) -> None:
    assert faults(body(**{field: value})) == {field: sentence}


def test_faults_inside_are_named_by_their_place() -> None:
    raw = body(inners=[{"name": "a"}, {}, 7, {"name": [], "amount": "x"}], ids=[1, "2", None], inner={"amount": 1})
    assert faults(raw) == {
        "inners.1.name": "Inners.1.name field is required.",
        "inners.2": "Inners.2 must be an object.",
        "inners.3.name": "Inners.3.name must be a string.",
        "inners.3.amount": "Inners.3.amount must be an integer.",
        "ids.2": "Ids.2 must be an integer.",
        "inner.name": "Inner.name field is required.",
    }


def test_choices_are_kept_to() -> None:
    assert decode(body(kind="b", level="1"), Body) == Body(kind="b", level=1)
    assert set(faults(body(kind="c", level=2))) == {"kind", "level"}
    assert set(faults(body(kind=5, level="x"))) == {"kind", "level"}


@pytest.mark.parametrize("opening", [b"[", b'{"inner":', b'{"number":[', b'{"unknown":{"deeper":'])
def test_endless_nesting_is_refused(opening: bytes) -> None:
    assert faults(opening * 100_000)["body"].startswith("The body is ")


def test_doubled_keys_mean_the_last() -> None:
    assert decode(b'{"number": 1, "number": "2"}', Body).number == 2
    assert decode(b'{"number": 1, "number": 2, "text": 5}', Body).number == 2


@pytest.mark.parametrize(
    "raw",
    [
        *(b"{", b"{]", b'{"number":}', b'{"number":1,}', b"{'number':1}", b"nothing", b"{}{}", b'{"number":NaN}'),
        *(
            b'{"text":"\xff"}',
            b'{"text":"\xed\xa0\x80"}',
            b'{"text":"\\ud800"}',
            b'{"text":"a\nb"}',
            b'{"text":"\x00"}',
        ),
        *('{"number":1}'.encode("utf-16"), b'\xbb\xbf{"number":1}', b'{"number":1e400}', b'{"number":-}', b"   "),
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    assert list(faults(raw)) == ["body"]


def test_no_more_faults_are_named_than_anybody_reads() -> None:
    assert len(faults(body(ids=["x"] * 5000))) == loose.MOST_FAULTS
    assert len(faults(body(inners=[1] * 5000, words=[[]] * 5000))) <= loose.MOST_FAULTS + 1


@pytest.mark.parametrize(
    ("address", "good"),
    [
        *(
            (text, True)
            for text in ("a@b", "jane.doe+x@mail.example.com", "zoë@exämple.com", "x" * 64 + "@example.com")
        ),
        *(
            (text, False)
            for text in ("", "a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "x" * 65 + "@b", "a@" + "b" * 256)
        ),
        *(
            (text, False)
            for text in ("<a@b>", "a@[1.2.3.4]", "a,b@c", "a;b@c", '"a b"@c', "a@b\r\nBcc: c@d", "a\x01@b")
        ),
        *((text, False) for text in ("a\u2028@b", "a\x7f@b", "a@b\x00")),
    ],
)
def test_mail_addresses(address: str, good: bool) -> None:
    assert is_address(address) is good
