"""OpenAPI 3.1 of the route table and the structs, and a page to browse it that loads nothing from elsewhere."""

import re
from collections.abc import Sequence
from importlib.resources import files
from inspect import getdoc
from typing import Any

import msgspec

from heliograph import __version__, errors
from heliograph.errors import ApiError
from heliograph.http import loose, search
from heliograph.http.envelope import Envelope
from heliograph.http.idempotency import LONGEST
from heliograph.http.paging import Page
from heliograph.http.request import Merged, Route

Schema = dict[str, Any]

ABOUT = """The ClickSend REST API v3, served by Heliograph.

Every answer is an envelope: `http_code`, `response_code`, `response_msg` and `data`. Whether a message was accepted
stands in its own `status`: a request with good and bad recipients is answered with 200.

**Credentials.** HTTP Basic with the API username and an API key, or with the username and the password of the account;
or `Bearer` with the same in Base64. A subaccount needs the permission that an operation names.

**Types.** Answers have exactly the types that are written here. Bodies are read loosely: a number may come as text and
a text as a number, a flag as true, 1 or "1"; null or an empty text stands for a field that is not given. Unknown fields
are ignored. A text must not contain U+0000.

**Limits.** Each answer tells how many calls are left, in `x-ratelimit-limit`, `x-ratelimit-remaining` and
`ratelimit-reset` (seconds).
"""

REFUSALS: dict[type[ApiError], str] = {
    errors.BadRequest: "A field or a parameter is missing or wrong; `data` has a sentence for each.",
    errors.Unauthorized: "No credentials, or wrong ones; every fault has the same answer.",
    errors.Forbidden: "A missing permission, or an account that is banned or not activated.",
    errors.NotFound: "The account has no such record.",
    errors.Conflict: "The Idempotency-Key was used for another request, or that request has not ended yet.",
    errors.TooLarge: "The body is larger than the server reads.",
    errors.TooManyRequests: "Too many calls, or too many wrong credentials from this address.",
    errors.Unavailable: "What stands behind the answer is away; the same request may go through later.",
}
FAULTS = {"field": "Field must be an integer."}

TEXT_KEYS = ("message_id", "activation_token", "transaction_id", "dedicated_number", "country", "export_id")
"""Ids in paths that are text; all others are integers."""

SECTIONS = {
    "Account": (
        ("account", "account-verify", "forgot-username", "forgot-password"),
        "Registering, the account itself, its usage, and how to get back into it.",
    ),
    "Recharge": (("recharge",), "Cards, packages of credit, transactions and their invoices."),
    "Subaccounts": (("subaccounts",), "Further credentials of the account, each with its own permissions."),
    "Referrals and resellers": (("referral", "reseller"), "Accounts that this one has brought in, or sells to."),
    "Contacts": (("lists", "search"), "Contact lists, their contacts, imports and opt-outs."),
    "SMS": (("sms",), "Sending, prices, history, receipts, replies and templates."),
    "Automations": (("automations",), "Rules: what happens when a message or a receipt arrives."),
    "Numbers": (("numbers",), "Dedicated numbers: searching, buying, those of the account."),
    "Uploads and exports": (("uploads", "exports"), "Files that messages and imports use, and files that are made."),
    "Statistics": (("statistics",), "Counts of messages by day."),
    "Delivery issues": (("delivery-issues",), "Messages that did not arrive as they should have."),
    "Countries and time zones": (
        ("countries", "country-list", "user-countries", "timezones"),
        "Reference lists, and the countries that the account may send to.",
    ),
}
"""Section of the document -> the first parts of the paths in it, and what it is about."""

_SECTION = {part: name for name, (parts, _) in SECTIONS.items() for part in parts}

HEADERS = {
    "x-request-id": ("The id under which the log knows this request.", "string"),
    "x-ratelimit-limit": ("Calls of this operation that are allowed in a window.", "integer"),
    "x-ratelimit-remaining": ("Calls that are left in this window.", "integer"),
    "ratelimit-reset": ("Seconds until the next window.", "integer"),
}
RETRY = {"description": "Seconds to wait.", "schema": {"type": "integer"}}

FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "description": "The file."},
        "convert": {"type": "string", "description": "As in JSON."},
    },
    "required": ["file"],
}
"""A form with a file (RFC 7578)."""

UNIX_TIME = {"type": "integer", "minimum": -loose.LARGEST, "maximum": loose.LARGEST}

PARAMETERS = {
    "page": ("Number of the page; less than 1 is 1.", {"type": "integer", "default": 1}),
    "limit": (
        "Records on a page, from 15 to 100; what lies outside is moved to the nearer end.",
        {"type": "integer", "default": 15},
    ),
    "q": (
        "Search: `field:value` pairs with commas between, in any case; `*` stands for any text, and a backslash takes "
        "the meaning of a comma, a star or a backslash away. An unknown field is refused with the names of the known.",
        {"type": "string", "maxLength": search.LONGEST},
    ),
    "operator": (
        "Whether all pairs of `q` must be met or one of them, in any case.",
        {"type": "string", "enum": ["AND", "OR"], "default": "AND"},
    ),
    "order_by": ("Sort: `field:asc` or `field:desc`.", {"type": "string"}),
    "date_from": ("Unix time in seconds; older records are left out.", UNIX_TIME),
    "date_to": ("Unix time in seconds; newer records are left out.", UNIX_TIME),
    "updated_after": ("Unix time in seconds; what has not changed since is left out.", UNIX_TIME),
    "country": ("ISO 3166 code of two letters; empty: that of the account.", {"type": "string"}),
    "search": ("Digits of a number.", {"type": "string"}),
    "search_type": (
        "Where the digits stand: 0 at the beginning, 1 anywhere, 2 at the end.",
        {"type": "string", "enum": ["0", "1", "2"], "default": "0"},
    ),
    "convert": ("What the file is for: fax, mms, csv, post or postcard.", {"type": "string"}),
    "word": ("A part of a name, a number or an address.", {"type": "string", "maxLength": search.LONGEST}),
    "filename": ("What the file is to be called.", {"type": "string", "default": "export.csv"}),
}
"""Query parameter -> description, schema. An empty one is as if it were not there."""

SPELLINGS = {"word": "q"}
"""Names of parameters that another one has already."""


def document(routes: Sequence[Route], base_url: str) -> dict[str, Any]:
    """The OpenAPI document, its server being `base_url`/v3."""
    answers, shown = _schemas([route.answer for route in routes])
    bodies, given = _schemas([route.body for route in routes])
    assert not shown.keys() & given.keys(), "a struct is a body or an answer: the one is loose, the other exact"
    paths: dict[str, Any] = {}
    for route, answer, body in zip(routes, answers, bodies, strict=True):
        for path in route.paths:
            made = paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, answer)
            if body is not None:
                made["requestBody"] = _body(body, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heliograph", "version": __version__, "description": ABOUT},
        "servers": [{"url": base_url + "/v3"}],
        "tags": [{"name": name, "description": told} for name, (_, told) in SECTIONS.items()],
        "paths": paths,
        "components": {
            "schemas": {**shown, **{name: loose.schema(schema) for name, schema in given.items()}},
            "responses": {error.__name__: _refusal(error) for error in REFUSALS},
            "parameters": {name: _query(name) for name in PARAMETERS},
            "headers": {name: _header(*told) for name, told in HEADERS.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "Base64 of username:key"},
            },
        },
    }


def _schemas(types: Sequence[Any]) -> tuple[list[Schema | None], dict[str, Schema]]:
    """A schema for each type (None for None), and the components that they refer to."""
    present = [one for one in types if one is not None]
    schemas, components = msgspec.json.schema_components(present, ref_template="#/components/schemas/{name}")
    found = iter(schemas)
    return [None if one is None else next(found) for one in types], components


def _operation(route: Route, path: str, answer: Schema | None) -> dict[str, Any]:
    summary, notes = _words(route)
    if path != route.paths[0]:
        notes = f"Another spelling of {route.paths[0]}. {notes}"
    if route.access:
        notes += f" A subaccount needs `access_{route.access}`."
    return {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{path}").strip("_"),
        "summary": summary,
        "description": notes.strip(),
        "tags": [_SECTION[path.split("/")[1]]],
        "security": [] if route.access is None else [{"basic": []}, {"bearer": []}],
        "parameters": _parameters(route, path),
        "responses": _responses(route, answer or {}),
    }


def _body(schema: Schema, route: Route) -> dict[str, Any]:
    """A body that needs no field may be left out."""
    required = any(field.required for field in msgspec.structs.fields(route.body))
    content = {"application/json": {"schema": schema}}
    if route.uploads:
        content["multipart/form-data"] = {"schema": FORM}
    return {"required": required, "content": content}


def _words(route: Route) -> tuple[str, str]:
    """Summary and further words out of the docstring of a handler, without the endpoint's number."""
    handler = route.handler.render if isinstance(route.handler, Merged) else route.handler
    text = re.sub(r"^\d+\.\s*", "", " ".join((getdoc(handler) or "").split()))
    summary, _, rest = text.partition(". ")
    return summary.rstrip(".") or route.at, rest


def _parameters(route: Route, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string" if name in TEXT_KEYS else "integer"},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    names = (*(("page", "limit", "q", "operator", "order_by") if route.paged else ()), *route.query)
    found += [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if route.spends:
        text = "A repeated request with the same key has the first one's answer, for a day, and does nothing."
        schema = {"type": "string", "maxLength": LONGEST}
        found.append({"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema})
    return found


def _query(name: str) -> dict[str, Any]:
    text, schema = PARAMETERS[name]
    return {
        "name": SPELLINGS.get(name, name),
        "in": "query",
        "description": text,
        "schema": schema,
        "allowEmptyValue": True,
    }


def _header(text: str, kind: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": kind}}


def _responses(route: Route, answer: Schema) -> dict[str, Any]:
    schema = _filled(
        Envelope,
        http_code={"const": 200},
        response_code={"const": "SUCCESS"},
        response_msg={"examples": [route.message]} if route.message else {},
        data=_data(route, answer),
    )
    good = {
        "description": route.message or "Done.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
        "content": {"application/json": {"schema": schema}},
    }
    refusals = {str(error.status): {"$ref": f"#/components/responses/{error.__name__}"} for error in _refused(route)}
    return {"200": good, **refusals}


def _refused(route: Route) -> list[type[ApiError]]:
    """How a route can refuse a request. A 500 is not among them: it would be a defect."""
    possible = {
        errors.BadRequest: True,
        errors.Unauthorized: route.access is not None,
        errors.Forbidden: route.access is not None,
        errors.NotFound: "{" in route.at,
        errors.Conflict: route.spends,
        errors.TooLarge: route.method in ("POST", "PUT"),
        errors.TooManyRequests: True,
    }
    return [error for error in REFUSALS if possible.get(error) or error in route.refuses]


def _data(route: Route, answer: Schema) -> Schema:
    return _filled(Page, data={"type": "array", "items": answer}) if route.paged else answer


def _filled(kind: type[msgspec.Struct], **properties: Schema) -> Schema:
    """The schema of a struct with some of its properties told more exactly."""
    schema: Schema = msgspec.json.schema_components([kind])[1][kind.__name__]
    known = schema["properties"]
    more = {name: {**known[name], **told} for name, told in properties.items()}
    return {**schema, "properties": {**known, **more}}


def _refusal(error: type[ApiError]) -> dict[str, Any]:
    data = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    example = {
        "http_code": error.status,
        "response_code": error.code,
        "response_msg": error.message,
        "data": FAULTS if error is errors.BadRequest else None,
    }
    made: dict[str, Any] = {
        "description": REFUSALS[error],
        "content": {
            "application/json": {
                "schema": _filled(Envelope, http_code={"const": error.status}, data=data),
                "example": example,
            }
        },
    }
    if error in (errors.TooManyRequests, errors.Unavailable):
        made["headers"] = {"retry-after": RETRY}
    return made


def page() -> str:
    """The browsable page; it reads ./openapi.json."""
    return files("heliograph.http").joinpath("docs.html").read_text(encoding="utf-8")
