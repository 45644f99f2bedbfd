"""Loose JSON made exact: what real clients send (numbers as strings, strings as numbers, 0/1 for flags)."""

import re
import types
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from heliograph.errors import BadRequest

T = TypeVar("T")

LARGEST = 2**53
_LONG_NUMBER = re.compile(rb"\d{16}")
"""Exact JSON may hold numbers that no database column does; they are looked at one by one."""


def decode(raw: bytes, kind: type[T]) -> T:
    """The body as a struct. Exact JSON is decoded at once; anything else is coerced field by field.

    Unknown fields are ignored. Raises BadRequest: not JSON, not an object, or a sentence for each bad field.
    """
    if b"\\u0000" not in raw and not _LONG_NUMBER.search(raw):
        try:
            return _decoder(kind).decode(raw or b"{}")
        except (msgspec.ValidationError, UnicodeDecodeError):
            pass
        except msgspec.DecodeError as problem:
            raise _not_json(problem) from None
    try:
        found = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise _not_json(problem) from None
    if not isinstance(found, dict):
        raise BadRequest({"body": "The body must be a JSON object."})
    faults: dict[str, str] = {}
    made = _struct(found, kind, "", faults)
    if faults:
        raise BadRequest(faults)
    assert isinstance(made, kind)
    return made


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.json.Decoder(kind)
    return _decoders[kind]


def _not_json(problem: Exception) -> BadRequest:
    return BadRequest({"body": f"The body is not valid JSON: {problem}"})


def integer(value: Any) -> int:
    """A whole number out of an int, a float without a fraction, or digits. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be an integer.")
    try:
        number = float(value) if isinstance(value, float) else int(value)
    except ValueError:
        try:
            number = float(value)
        except ValueError:
            raise ValueError("must be an integer.") from None
    if number != number or abs(number) > LARGEST:
        raise ValueError("is out of range.")
    if int(number) != number:
        raise ValueError("must be an integer.")
    return int(number)


def text(value: Any) -> str:
    """A text out of a string or a number. Raises ValueError."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("contains characters that cannot be stored.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a string.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


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


def _struct(found: dict[str, Any], kind: Any, path: str, faults: dict[str, str]) -> Any:
    values = {}
    for field in msgspec.structs.fields(kind):
        name = path + field.encode_name
        given = found.get(field.encode_name, msgspec.UNSET)
        if given is msgspec.UNSET or given is None or (given == "" and not _takes_text(field.type)):
            if field.required:
                faults[name] = f"{_label(name)} field is required."
            continue
        values[field.name] = _value(given, field.type, name, faults)
    return kind(**values) if not faults else None


def _takes_text(kind: Any) -> bool:
    return kind is str or str in get_args(kind)


def _label(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def _value(given: Any, kind: Any, name: str, faults: dict[str, str]) -> Any:
    """`given` as `kind`; a fault is noted under `name` and None stands in."""
    options = [option for option in get_args(kind) if option is not types.NoneType]
    if get_origin(kind) in (Union, types.UnionType):
        kind = type(given) if type(given) in options else options[0]
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        if not isinstance(given, list):
            faults[name] = f"{_label(name)} must be a list."
            return None
        return [_value(entry, item, f"{name}.{at}", faults) for at, entry in enumerate(given)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if not isinstance(given, dict):
            faults[name] = f"{_label(name)} must be an object."
            return None
        return _struct(given, kind, name + ".", faults)
    return _scalar(given, kind, name, faults)


def _scalar(given: Any, kind: Any, name: str, faults: dict[str, str]) -> Any:
    makers: dict[Any, Any] = {int: integer, str: text, bool: flag, float: float}
    try:
        return makers[kind](given)
    except ValueError as problem:
        faults[name] = f"{_label(name)} {problem}"
        return None
