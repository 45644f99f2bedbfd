"""The options of the program as Markdown tables, made from the structs that define them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from heliograph import settings
from heliograph.transports import options

NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}


def tables() -> Iterator[tuple[str, str]]:
    """(name of the struct, its table) for the environment, every kind of transport, and routes."""
    yield settings.Settings.__name__, _table(settings.Settings, lambda name: f"HELIOGRAPH_{name.upper()}")
    inner = (options.HttpReceipts, options.HttpReplies)
    for struct in (*get_args(options.TransportOptions), *inner, options.RouteOptions):
        yield struct.__name__, _table(struct, str)


def _table(struct: type[msgspec.Struct], spell: Any) -> str:
    hints = get_type_hints(struct, include_extras=True)
    lines = ["| Option | Default | Value | Meaning |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(struct):
        value, meaning = _value(hints[field.name])
        lines.append(f"| `{spell(field.encode_name)}` | {_default(field)} | {value} | {meaning} |")
    return "\n".join(lines)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not NODEFAULT or field.default is None:
        return "empty"
    if field.default is NODEFAULT:
        return "must be given"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, tuple):
        return f"`{list(field.default)}`"
    return f"`{field.default}`" if str(field.default) else "empty"


def _value(hint: Any) -> tuple[str, str]:
    """The allowed values and the sentence of an option."""
    meta = Meta()
    if get_origin(hint) is Annotated:
        hint, meta = get_args(hint)
    several = get_origin(hint) is tuple
    if several:
        hint = get_args(hint)[0]
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    value = ("list of " if several else "") + (
        ", ".join(f"`{choice}`" for choice in choices) or NAMES.get(hint, "table")
    )
    if meta.gt is not None:
        value += f" above {meta.gt}"
    if meta.ge is not None:
        value += f" from {meta.ge}"
    if meta.le is not None:
        value += f" to {meta.le}"
    return value, (meta.description or "").replace("<", r"\<").replace("|", r"\|")
