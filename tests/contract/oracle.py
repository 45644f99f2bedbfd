"""Judges the answers of the server by the documented examples in endpoints.json. Knows nothing of the server's code."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from contract.exceptions import EXCEPTIONS, EXTRAS, EXTRAS_ANYWHERE, TEXTS

ENVELOPE = frozenset({"http_code", "response_code", "response_msg", "data"})
SCALARS = frozenset({"null", "boolean", "integer", "number", "string"})
PAGE_URLS = frozenset({"next_page_url", "prev_page_url"})
NEVER_NULL = frozenset(
    {"total", "per_page", "current_page", "last_page"}
    | {"total_price", "total_count", "queued_count", "count", "deleted"}
    | {"message_id", "user_id", "username", "balance", "url"}
)
"""Keys that no client expects to be null. Any other scalar may be: every typed client takes null."""

CODES = frozenset(
    {"BAD_REQUEST", "UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "METHOD_NOT_ALLOWED", "CONFLICT", "TOO_MANY_REQUESTS"}
    | {"INTERNAL_SERVER_ERROR", "ACCOUNT_NOT_ACTIVATED", "ALREADY_EXISTS", "INSUFFICIENT_CREDIT", "TOO_MANY_RECIPIENTS"}
    | {"MISSING_REQUIRED_FIELDS", "NOT_ENOUGH_PERMISSION_TO_LIST_ID", "INVALID_MEDIA_FILE", "COUNTRY_NOT_ENABLED"}
)
"""response_code of a refused request: the document's statuses, and its application codes that refuse a whole one."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the document. `number` is its place there; `alias` a second spelling of its path."""

    number: int
    section: str
    title: str
    method: str
    path: str
    auth: bool
    params: Sequence[Mapping[str, Any]]
    properties: Sequence[Mapping[str, Any]]
    curl_body: Any
    body_example: Any
    response: Mapping[str, Any]
    alias: str | None = None
    alias_method: str | None = None
    response_note: str = ""

    @property
    def methods(self) -> set[str]:
        """Every verb that the document gives it."""
        return {self.method, self.alias_method or self.method}

    @cached_property
    def paths(self) -> list[re.Pattern[str]]:
        """Every spelling of its path, as patterns without /v3."""
        spellings = [self.path, self.alias] if self.alias else [self.path]
        return [re.compile(re.sub(r"\{\w+\}", "[^/]+", spelling)) for spelling in spellings]

    @property
    def example(self) -> Mapping[str, Any]:
        """The documented answer, with null for `data` where the live service has it (exceptions.py)."""
        allowed, _ = EXCEPTIONS.get((self.number, "data"), ("", ""))
        return {**self.response, "data": None} if allowed == "null" else self.response

    def __str__(self) -> str:
        return f"#{self.number} {self.method} {self.path}"


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """The 184 endpoints in the document's order."""
    text = (Path(__file__).parent / "endpoints.json").read_text(encoding="utf-8")
    return tuple(Endpoint(**one) for one in json.loads(text))


@cache
def _by_precision() -> tuple[Endpoint, ...]:
    return tuple(sorted(endpoints(), key=lambda endpoint: endpoint.path.count("{")))


def match(method: str, path: str) -> Endpoint | None:
    """The endpoint that a request is for; fixed paths win over parameters. A query and a last slash are ignored."""
    bare = path.split("?", 1)[0].removeprefix("/v3").rstrip("/")
    for endpoint in _by_precision():
        if method.upper() in endpoint.methods and any(pattern.fullmatch(bare) for pattern in endpoint.paths):
            return endpoint
    return None


@dataclass(frozen=True)
class Shape:
    """What a place in an answer may hold: JSON types, and for objects and lists what is inside."""

    types: frozenset[str]
    keys: Mapping[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: "Shape | None" = None


def json_types(value: Any) -> frozenset[str]:
    """The JSON types that a decoded value is of: an integer is a number too."""
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int):
        return frozenset({"integer", "number"})
    names = {type(None): "null", float: "number", str: "string", list: "array", dict: "object"}
    return frozenset({names[type(value)]})


def shape_of(example: Any, key: str = "") -> Shape:
    """The shape that a documented example stands for; `key` is its name in the object around it."""
    if isinstance(example, dict):
        keys = {name: shape_of(value, name) for name, value in example.items()}
        return Shape(frozenset({"object"}), keys, frozenset(keys))
    if isinstance(example, list):
        return Shape(frozenset({"array"}), items=_union([shape_of(value) for value in example]))
    if key in PAGE_URLS:
        return Shape(frozenset({"string", "null"}))
    if example is None:
        return Shape(frozenset({"null"}) if key == "data" else SCALARS)
    types = json_types(example)
    if "integer" in types:
        types = frozenset({"number" if "price" in key else "integer"})  # an example's price may happen to be whole
    return Shape(types if key in NEVER_NULL or key == "data" else types | {"null"})


def _union(shapes: Sequence[Shape]) -> Shape | None:
    if not shapes:
        return None
    types = frozenset().union(*(shape.types for shape in shapes))
    objects = [shape for shape in shapes if "object" in shape.types]
    names = {name for shape in objects for name in shape.keys}
    keys = {name: _union([shape.keys[name] for shape in objects if name in shape.keys]) for name in sorted(names)}
    required = frozenset.intersection(*(shape.required for shape in objects)) if objects else frozenset()
    items = _union([shape.items for shape in shapes if shape.items is not None])
    return Shape(types, {name: shape for name, shape in keys.items() if shape is not None}, required, items)


def _parse_extras() -> Iterator[tuple[tuple[int, str], frozenset[str]]]:
    for number, text in EXTRAS.items():
        for one in text.split():
            place, types = one.split(":")
            yield (number, place), frozenset(types.split("|")) | {"null"}


class Oracle:
    """Compares answers with the document. `seen` collects the numbers of the endpoints that answered with success."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self._extras = dict(_parse_extras())
        self._shapes: dict[int, Shape] = {}

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """Raise AssertionError when the decoded JSON `body` is not an answer that the document allows.

        Paths that the document does not know are only held to the envelope of errors.
        """
        endpoint = match(method, path)
        if status >= 400:
            problems = list(_error_problems(status, body))
        elif endpoint is None:
            return
        else:
            self.seen.add(endpoint.number)
            problems = list(self._success_problems(endpoint, status, body))
        if problems:
            what = f"{method} {path} -> {status} (document: {endpoint or 'not there'})"
            got = json.dumps(body, ensure_ascii=False)[:2000]
            raise AssertionError("\n  ".join([what, *problems, f"answer: {got}"]))

    def _success_problems(self, endpoint: Endpoint, status: int, body: Any) -> Iterator[str]:
        shape = self._shapes.setdefault(endpoint.number, shape_of(endpoint.response))
        if "http_code" in endpoint.response and isinstance(body, dict):
            yield from _envelope_problems(endpoint, status, body)
        yield from self._problems(endpoint.number, "", body, shape)

    def _problems(self, number: int, place: str, value: Any, shape: Shape) -> Iterator[str]:
        allowed = shape.types
        if (number, place) in EXCEPTIONS:
            allowed = frozenset(EXCEPTIONS[number, place][0].split())
        if not json_types(value) & allowed:
            yield f"{place or 'body'}: {' or '.join(sorted(allowed))} expected, got {json.dumps(value)[:80]}"
        elif isinstance(value, list):
            yield from self._list_problems(number, place, value, shape)
        elif isinstance(value, dict) and "object" in shape.types:
            yield from self._object_problems(number, place, value, shape)

    def _list_problems(self, number: int, place: str, value: list[Any], shape: Shape) -> Iterator[str]:
        if shape.items is None and "array" in shape.types and value:
            yield f"{place}: an empty list expected, got {json.dumps(value)[:80]}"
        elif shape.items is not None:
            for element in value:
                yield from self._problems(number, f"{place}[]", element, shape.items)

    def _object_problems(self, number: int, place: str, value: dict[str, Any], shape: Shape) -> Iterator[str]:
        refused = _is_refused(place, value)
        required = shape.required & {"to", "message_id", "status"} if refused else shape.required
        for name in sorted(required - value.keys()):
            yield f"{place}.{name}".lstrip(".") + ": missing"
        for name, inner in value.items():
            where = f"{place}.{name}".lstrip(".")
            if name not in shape.keys:
                yield from self._extra_problems(number, place, name, inner)
            elif not (refused and name == "schedule" and inner == ""):
                yield from self._problems(number, where, inner, shape.keys[name])

    def _extra_problems(self, number: int, place: str, name: str, value: Any) -> Iterator[str]:
        where = f"{place}.{name}".lstrip(".")
        anywhere = EXTRAS_ANYWHERE.get(place.rsplit(".", 1)[-1], {}).get(name)
        allowed = frozenset({anywhere, "null"}) if anywhere else self._extras.get((number, where))
        if allowed is None:
            yield f"{where}: not in the document"
        elif not json_types(value) & allowed:
            yield f"{where}: {' or '.join(sorted(allowed))} expected, got {json.dumps(value)[:80]}"


def _is_refused(place: str, value: Mapping[str, Any]) -> bool:
    """Whether this is a recipient that was refused inside a 200: it has fewer keys, and an empty schedule."""
    if not place.endswith((".messages[]", ".recipients[]")):
        return False
    return isinstance(value.get("status"), str) and value["status"] != "SUCCESS"


def _envelope_problems(endpoint: Endpoint, status: int, body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("http_code") != status:
        yield f"http_code: {status} expected, got {body.get('http_code')}"
    if body.get("response_code") != "SUCCESS":
        yield f"response_code: SUCCESS expected, got {body.get('response_code')}"
    texts = [endpoint.response["response_msg"], *TEXTS.get(endpoint.number, ())[:1]]
    if _without_values(str(body.get("response_msg"))) not in map(_without_values, texts):
        yield f"response_msg: {' or '.join(map(repr, texts))} expected, got {body.get('response_msg')!r}"


def _error_problems(status: int, body: Any) -> Iterable[str]:
    if not isinstance(body, dict) or body.keys() != ENVELOPE:
        yield f"the envelope expected ({', '.join(sorted(ENVELOPE))})"
        return
    if body["http_code"] != status:
        yield f"http_code: {status} expected, got {body['http_code']}"
    if body["response_code"] not in CODES:
        yield f"response_code: a documented one expected, got {body['response_code']!r}"
    if not isinstance(body["response_msg"], str) or not body["response_msg"]:
        yield f"response_msg: a sentence expected, got {body['response_msg']!r}"
    if body["data"] is not None and not isinstance(body["data"], dict):
        yield f"data: null or a map of fields expected, got {json.dumps(body['data'])[:80]}"


def _without_values(text: str) -> str:
    """A response_msg with ids and counts taken out: those of the example are only examples."""
    return re.sub(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|\d+", "*", text)
