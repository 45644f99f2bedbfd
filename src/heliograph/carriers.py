"""heliograph.toml: which transports there are, and which messages go by which of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from heliograph.option import SettingsError, expected
from heliograph.settings import Settings
from heliograph.transports.options import Carriers, RouteOptions, SandboxOptions
from heliograph.transports.table import BUILT_IN, KINDS, kind_of

SANDBOX = Carriers(
    transports={f"sandbox-{medium}": SandboxOptions(medium) for medium in BUILT_IN},
    routes=[RouteOptions(transport=f"sandbox-{medium}", medium=medium, priority=1000) for medium in BUILT_IN],
)
"""The built-in carriers, which are tried after all others."""


def path(settings: Settings) -> Path:
    """Where heliograph.toml is, or would be."""
    return Path(settings.config) if settings.config else settings.data / "heliograph.toml"


def read(settings: Settings) -> Carriers:
    """The transports and routes of heliograph.toml; without one, the built-in carriers (sandbox mode only).

    Raises SettingsError with the file, the line and the reason.
    """
    file = path(settings)
    try:
        page = _Page(file, file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if settings.config:
            raise SettingsError(f"{file}: no such file.") from None
        return SANDBOX if settings.mode == "sandbox" else Carriers()
    except OSError as problem:
        raise SettingsError(f"{file}: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: this is no text in UTF-8.") from None
    found = page.carriers()
    if settings.mode == "sandbox":
        return _with_sandbox(page, found)
    for name, transport in found.transports.items():
        if isinstance(transport, SandboxOptions):
            raise page.wrong("there are no built-in carriers in production mode.", "transports", name, key="kind")
    return found


def _with_sandbox(page: "_Page", found: Carriers) -> Carriers:
    """The built-in carriers for the media that have no route."""
    used = {route.medium for route in found.routes}
    missing = [route for route in SANDBOX.routes if route.medium not in used]
    extra = {route.transport: SANDBOX.transports[route.transport] for route in missing}
    for name in extra.keys() & found.transports.keys():
        if found.transports[name] != extra[name]:
            raise page.wrong("this name belongs to the built-in carrier; take another.", "transports", name)
    return Carriers(transports=extra | found.transports, routes=found.routes + missing)


class _Page:
    """The text of heliograph.toml on its way to `Carriers`. Knows which line a mistake stands in.

    A place is the path of a table: ("transports", "acme"), ("routes",); `number` tells routes apart, from 0.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def carriers(self) -> Carriers:
        """What the file says. Raises SettingsError."""
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as problem:
            why, _, place = str(problem).rpartition(" (at ")
            found = re.match(r"line (\d+)", place)
            line = found.group(1) if found else max(1, len(self._text.splitlines()))
            raise SettingsError(f"{self._path}, line {line}: {why}.") from None
        for name in document.keys() - {"transports", "routes"}:
            raise self.wrong("unknown; there are [transports.NAME] and [[routes]].", name)
        transports, routes = document.get("transports", {}), document.get("routes", [])
        if not isinstance(transports, dict):
            raise self.wrong("write it as [transports.NAME].", "transports")
        if not isinstance(routes, list):
            raise self.wrong("write it as [[routes]].", "routes")
        made = {name: self._transport(name, table) for name, table in transports.items()}
        return Carriers(made, [self._route(number, table, made) for number, table in enumerate(routes)])

    def _transport(self, name: str, table: Any) -> Any:
        kind = table.get("kind") if isinstance(table, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise self.wrong(f"it must be one of {', '.join(KINDS)}.", "transports", name, key="kind")
        made = self._struct(table, KINDS[kind].options, "transports", name)
        if isinstance(made, SandboxOptions) and made.medium not in BUILT_IN:
            why = f"there are built-in carriers of {', '.join(BUILT_IN)}."
            raise self.wrong(why, "transports", name, key="channel")
        fault = KINDS[kind].fault(made)
        if fault:
            raise self.wrong(fault[1], "transports", name, key=fault[0])
        authority = getattr(made, "tls_ca", "")
        if authority and not Path(authority).is_file():
            raise self.wrong(f"there is no file {authority}.", "transports", name, key="tls_ca")
        return made

    def _route(self, number: int, table: Any, transports: dict[str, Any]) -> RouteOptions:
        route: RouteOptions = self._struct(table, RouteOptions, "routes", number=number)
        transport = transports.get(route.transport)
        if transport is None:
            known = ", ".join(sorted(transports)) or "none"
            why = f"there is no transport {route.transport!r}; there are: {known}."
            raise self.wrong(why, "routes", key="transport", number=number)
        carried = kind_of(transport).media(transport)
        if route.medium not in carried:
            why = f"{route.transport} carries {' and '.join(carried)}, not {route.medium}."
            raise self.wrong(why, "routes", key="channel", number=number)
        return route

    def _struct(self, table: Any, kind: Any, *place: str, number: int = 0) -> Any:
        """A table as an options struct; each key by itself, so that a mistake has a name."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        if not isinstance(table, dict):
            raise self.wrong("it must be a table.", *place, number=number)
        for key, value in table.items():
            if key != kind.__struct_config__.tag_field:
                self._check(fields, key, value, place, number)
        for key, field in fields.items():
            if field.required and key not in table:
                raise self.wrong("it must be given.", *place, key=key, number=number)
        return msgspec.convert(table, kind)

    def _check(self, fields: dict[str, Any], key: str, value: Any, place: tuple[str, ...], number: int) -> None:
        if key not in fields:
            raise self.wrong(f"unknown; there are: {', '.join(fields)}.", *place, key=key, number=number)
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError:
            raise self.wrong(expected(fields[key].type), *place, key=key, number=number) from None

    def wrong(self, why: str, *place: str, key: str = "", number: int = 0) -> SettingsError:
        """The error for a key of a table, or for a whole table."""
        table = f"route {number + 1}" if place == ("routes",) else ".".join(place)
        line = self._line(place, key, number)
        where = f"{self._path}, line {line}" if line else str(self._path)
        return SettingsError(": ".join(part for part in (where, table, key, why) if part))

    def _line(self, place: tuple[str, ...], key: str, number: int) -> int:
        """The line of a key, else of the head of its table; 0 when neither is found (inline tables)."""
        found, inside, seen = 0, False, 0
        dotted = re.escape(".".join((*place, *([key] if key else []))))
        for at, line in enumerate(self._text.splitlines(), 1):
            title = re.match(r"\s*\[\[?(.+?)\]", line)
            if title:
                same = tuple(part.strip("\"'") for part in _PART.findall(title.group(1))) == place
                inside = same and seen == number
                seen += same
                found = at if inside else found
            elif re.match(rf"\s*[\"']?{re.escape(key) if inside and key else dotted}[\"']?\s*[=.]", line):
                return at
        return found


_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s.\"']+")
