"""One option by its type: its value read from a text, and in words what it takes."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta


class SettingsError(Exception):
    """A wrong option: the text says where it stands and what is wrong with it."""


def convert(name: str, raw: Any, kind: Any) -> Any:
    """The value of an option that was given as `raw`. Raises SettingsError, which names it."""
    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError:
        told = "" if "DATABASE" in name.upper() else f"={str(raw)!r}"  # a URL holds a password
        raise SettingsError(f"{name}{told}: {expected(kind)}") from None


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def meta(kind: Any) -> Meta:
    """What stands beside the type of an option; empty when it has none."""
    found = [part for part in get_args(kind)[1:] if isinstance(part, Meta)] if get_origin(kind) is Annotated else []
    return found[0] if found else Meta()


_NAMES = {str: "a text", int: "an integer", float: "a number", bool: "true or false", Path: "a path"}


def expected(kind: Any) -> str:
    """A sentence on the values that an option of this type takes."""
    rules = meta(kind)
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) is tuple:
        return f"it must be a list of {', '.join(get_args(get_args(plain)[0])) or 'texts'}."
    if get_origin(plain) is Literal:
        return f"it must be one of {', '.join(get_args(plain))}."
    if rules.pattern is not None:
        return f"it does not have the right form. {rules.description}"
    if rules.min_length is not None:
        return "it must be a text that is not empty."
    low = f" from {rules.ge}" if rules.ge is not None else f" above {rules.gt}" if rules.gt is not None else ""
    high = f" to {rules.le}" if rules.le is not None else ""
    return f"it must be {_NAMES.get(plain, 'a table')}{low}{high}."
