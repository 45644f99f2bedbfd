"""Loose JSON made exact: what real clients send (numbers as strings, strings as numbers, 0/1 for flags)."""

import math
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from heliograph.errors import BadRequest, label, required

T = TypeVar("T")

LARGEST = 10**15 - 1
WORDS = {
    "integer": r"[+-]?0*[0-9]{1,15}(\.0*)?",
    "number": r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?",
    "boolean": r"[01](\.0)?|true|false|yes|no|on|off",
}
"""How a text looks that stands for another type; for a flag, in any case. Space around it makes no difference."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some programs put before UTF-8. A reader may ignore it (RFC 8259, 8.1)."""

LARGE = 64 * 1024
"""Bytes of a body from which on it is looked at before it is decoded, and decoded beside the event loop."""

MOST_VALUES = 100_000
"""Values in a large body: a thousand messages with every field have a tenth of it. Eight megabytes can hold millions,
and each takes time and a hundred bytes of memory.
"""

MOST_FAULTS = 100
"""Bad fields that an answer names; a body of nothing but faults would otherwise make an answer larger than itself."""

_DIGITS = re.compile(r"\s*([+-]?[0-9]+)(\.0*)?\s*")
_NUMBER = re.compile(rf"\s*({WORDS['number']})\s*")
_MANY_DIGITS = re.compile(rb"\d{16}")
SLICE = 256 * 1024
_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?\d{16}")
"""Exact JSON may hold numbers that no database column does; they are looked at one by one."""


def decode(raw: bytes, kind: type[T]) -> T:
    """The body as a struct. Exact JSON is decoded at once; anything else is coerced field by field.

    Unknown fields are ignored. Raises BadRequest: not JSON, not an object, or a sentence for each bad field.
    """
    if len(raw) > LARGE:
        _check_size(raw)
    if b"\\u0000" not in raw and not _has_long_number(raw):
        try:
            return _decoder(kind).decode(raw or b"{}")
        except (msgspec.ValidationError, UnicodeDecodeError):
            pass
        except (msgspec.DecodeError, RecursionError) as problem:
            if raw.startswith(BYTE_ORDER_MARK) and not raw.startswith(BYTE_ORDER_MARK * 2):
                return decode(raw[len(BYTE_ORDER_MARK) :], kind)
            raise _not_json(problem) from None
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    try:
        fields = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise _not_json(problem) from None
    if not isinstance(fields, dict):
        raise BadRequest({"body": "The body must be a JSON object."})
    faults: dict[str, str] = {}
    struct = _struct(fields, kind, "", faults)
    if faults:
        raise BadRequest(faults)
    assert isinstance(struct, kind)
    return struct


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.json.Decoder(kind)
    return _decoders[kind]


def _has_long_number(raw: bytes) -> bool:
    """Whether there may be one. A large body is searched in slices, between which other threads have their turn, and
    for digits alone, wherever they stand: what the exact expression does with a megabyte of spaces takes too long.
    """
    if len(raw) <= LARGE:
        return _LONG_NUMBER.search(raw) is not None
    slices = range(0, len(raw), SLICE)
    return any(_MANY_DIGITS.search(raw, start, start + SLICE + 15) for start in slices)


def _check_size(raw: bytes) -> None:
    """Refuse a body with too many values. Raises BadRequest.

    Every step is one pass in C, so that a thread that does it lets others in between. A comma or a bracket in a text
    counts only when there are so many of them that the texts have to be taken out.
    """
    if _marks(raw) <= MOST_VALUES:
        return
    if raw.count(b"\\\\") <= MOST_VALUES:
        bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
        if bare.count(b'"') <= 2 * MOST_VALUES and _marks(b"".join(bare.split(b'"')[::2])) <= MOST_VALUES:
            return
    raise BadRequest({"body": f"The body is too large: it has more than {MOST_VALUES} values."})


def _marks(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _not_json(problem: Exception) -> BadRequest:
    if isinstance(problem, RecursionError):
        return BadRequest({"body": "The body is nested too deeply."})
    return BadRequest({"body": f"The body is not valid JSON: {problem}"})


def integer(value: Any) -> int:
    """A whole number out of an int, a float without a fraction, or digits. Raises ValueError."""
    digits = _DIGITS.fullmatch(value) if isinstance(value, str) and len(value) < 1000 else None
    if digits:
        value = int(digits[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be an integer.")
    if value != value or abs(value) > LARGEST:
        raise ValueError("is out of range.")
    if int(value) != value:
        raise ValueError("must be an integer.")
    return int(value)


def number(value: Any) -> float:
    """A finite number out of a number or its text. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number.")
    try:
        written = not isinstance(value, str) or (len(value) < 1000 and _NUMBER.fullmatch(value))
        result = float(value) if written else math.nan
    except OverflowError:
        raise ValueError("must be a number.") from None
    if result != result or abs(result) > sys.float_info.max:
        raise ValueError("must be a number.")
    return result


def text(value: Any) -> str:
    """A text out of a string or a number. Raises ValueError."""
    if isinstance(value, str):
        if "\x00" in value:  # half of a surrogate pair is no JSON, and comes no further than the parser
            raise ValueError("contains characters that cannot be stored.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a string.")
    whole = str(int(value)) if isinstance(value, float) and value.is_integer() else ""
    # 6.28123E+11 has lost digits, and must not pass for a number that really ends so: it keeps its fraction.
    return whole if whole and not (len(whole) > 10 and whole.endswith("00000")) else str(value)


def flag(value: Any) -> bool:
    """A flag out of true, 1, "1", "true" and their opposites. Raises ValueError."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on", "1.0"):
        return True
    if word in ("0", "false", "no", "off", "0.0"):
        return False
    raise ValueError("must be 0 or 1.")


def _struct(fields: dict[str, Any], kind: Any, path: str, faults: dict[str, str]) -> Any:
    values = {}
    for field, inner, most in _fields(kind):
        name = path + field.encode_name
        value = fields.get(field.encode_name, msgspec.UNSET)
        if value is msgspec.UNSET or value is None or (value == "" and not _takes_text(inner)):
            if field.required:
                faults[name] = required(name)
            continue
        if most is not None and isinstance(value, list) and len(value) > most:
            faults[name] = f"{label(name)} must have at most {most} entries."
            continue
        values[field.name] = _value(value, inner, name, faults)
    return kind(**values) if not faults else None


@cache
def _fields(kind: Any) -> Sequence[tuple[msgspec.structs.FieldInfo, Any, int | None]]:
    """The fields of a struct with their bare types and, of lists, how many entries they may have.

    What else Annotated says of them is for the API document.
    """
    bare, told = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    return [(field, bare[field.name], most_entries(told[field.name])) for field in msgspec.structs.fields(kind)]


def most_entries(kind: Any) -> int | None:
    """How many entries a list may have, as its `Meta` says by max_length or maxItems."""
    for meta in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
        if isinstance(meta, msgspec.Meta):
            most = meta.max_length if meta.max_length is not None else (meta.extra_json_schema or {}).get("maxItems")
            if most is not None:
                return int(most)
    return None


def _takes_text(kind: Any) -> bool:
    return kind is str or str in get_args(kind)


def _value(value: Any, kind: Any, name: str, faults: dict[str, str]) -> Any:
    """`value` as `kind`; a fault is noted under `name` and None stands in."""
    options = [option for option in get_args(kind) if option is not types.NoneType]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in options if type(value) in (one, get_origin(one))), options[0])
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        if not isinstance(value, list):
            faults[name] = f"{label(name)} must be a list."
            return None
        items = []
        for at, entry in enumerate(value):
            if len(faults) >= MOST_FAULTS:
                break
            items.append(_value(entry, item, f"{name}.{at}", faults))
        return items
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if not isinstance(value, dict):
            faults[name] = f"{label(name)} must be an object."
            return None
        return _struct(value, kind, name + ".", faults)
    return _scalar(value, kind, name, faults)


_MAKERS: Mapping[Any, Any] = {int: integer, str: text, bool: flag, float: number}


def _scalar(value: Any, kind: Any, name: str, faults: dict[str, str]) -> Any:
    try:
        if kind in _MAKERS:
            return _MAKERS[kind](value)
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as problem:
        faults[name] = f"{label(name)} is wrong: {problem}."
    except ValueError as problem:
        faults[name] = f"{label(name)} {problem}"
    return None


def schema(exact: Mapping[str, Any]) -> dict[str, Any]:
    """What `decode` takes for a struct, as JSON Schema, made of the schema of its exact types."""
    required, properties = exact.get("required", ()), exact.get("properties", {})
    return {**exact, "properties": {name: _taken(inner, name not in required) for name, inner in properties.items()}}


_ALSO = {"integer": ["string"], "number": ["string"], "string": ["number"], "boolean": ["integer", "string"]}


def _without(schema: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: part for key, part in schema.items() if key not in keys}


def _taken(exact: Mapping[str, Any], optional: bool) -> dict[str, Any]:
    """What is taken for one value. An optional one may be null and, where it is no text anyway, an empty text."""
    options = [option for option in exact.get("anyOf", [exact]) if option.get("type") != "null"]
    schema = {**options[0], **{key: part for key, part in exact.items() if key not in ("anyOf", "default")}}
    if "items" in schema:
        schema["items"] = _taken(schema["items"], False)
    if "items" in schema or "$ref" in schema:
        others = [*options[1:], *([{"enum": [None, ""]}] if optional else [])]
        words = {key: exact[key] for key in ("description", "examples") if key in exact}
        return {"anyOf": [_without(schema, words), *others], **words} if others else schema
    exactly = [option["type"] for option in options]
    kinds = [*exactly, *(kind for one in exactly for kind in _ALSO[one]), *(["null"] if optional else [])]
    schema["type"] = list(dict.fromkeys(kinds))
    nothing: list[Any] = [None] if optional else []
    if exactly[0] in WORDS and "string" not in exactly:
        schema["pattern"] = rf"^\s*({WORDS[exactly[0]]})\s*$" + ("|^$" if optional else "")
        nothing += [""] if optional else []
    if "enum" in schema:
        texts = [str(value) for value in schema["enum"] if isinstance(value, int)]
        schema["enum"] = [*schema["enum"], *texts, *nothing]
    bounds = {"integer": LARGEST, "boolean": 1}
    if len(exactly) == 1 and exactly[0] in bounds:
        schema |= {"minimum": -LARGEST if exactly[0] == "integer" else 0, "maximum": bounds[exactly[0]]}
    return schema
