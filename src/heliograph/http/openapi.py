"""OpenAPI 3.1 of the route table and the structs."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from heliograph import __version__, errors
from heliograph.errors import ApiError
from heliograph.http import loose
from heliograph.http.envelope import Envelope
from heliograph.http.idempotency import LONGEST
from heliograph.http.paging import Page
from heliograph.http.parameters import PAGING, SEARCHING
from heliograph.http.route import Endpoint, Query, Route, Section

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
    errors.Unavailable: "What stands behind the answer is away, or too busy; the same request may go through later.",
}
FAULTS = {"field": "Field must be an integer."}

HEADERS = {
    "x-request-id": ("The id under which the log knows this request.", "string"),
    "x-ratelimit-limit": ("Calls of this operation that are allowed in a window.", "integer"),
    "x-ratelimit-remaining": ("Calls that are left in this window.", "integer"),
    "ratelimit-reset": ("Seconds until the next window.", "integer"),
}
IGNORED = {
    "description": "Fields of `q` and `order_by` that were ignored; not there when there are none.",
    "schema": {"type": "string"},
}
RETRY = {"description": "Seconds to wait.", "schema": {"type": "integer"}}


def document(sections: Sequence[Section], base_url: str) -> dict[str, Any]:
    """The OpenAPI document, its server being `base_url`/v3."""
    placed = [(route, section) for section in sections for route in section.routes]
    answers, exact = _schemas([route.endpoint.answer for route, _ in placed])
    bodies, loosened = _schemas([route.endpoint.body for route, _ in placed])
    assert not exact.keys() & loosened.keys(), "a struct is a body or an answer: the one is loose, the other exact"
    paths: dict[str, Any] = {}
    for (route, section), answer, body in zip(placed, answers, bodies, strict=True):
        for path in route.paths:
            operation = paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, section, answer)
            if body is not None:
                operation["requestBody"] = _body(body, route.endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heliograph", "version": __version__, "description": ABOUT},
        "servers": [{"url": base_url + "/v3"}],
        "tags": [{"name": section.title, "description": section.about} for section in sections],
        "paths": paths,
        "components": {
            "schemas": {**exact, **{name: loose.schema(schema) for name, schema in loosened.items()}},
            "responses": {error.__name__: _refusal(error) for error in REFUSALS},
            "parameters": _query_components([query for route, _ in placed for query in _queries(route.endpoint)]),
            "headers": {name: _header(*header) for name, header in HEADERS.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "Base64 of username:key"},
            },
        },
    }


def _schemas(types: Sequence[Any]) -> tuple[list[Schema | None], dict[str, Schema]]:
    """A schema for each type (None for None), and the components that they refer to."""
    named = [kind for kind in types if kind is not None]
    schemas, components = msgspec.json.schema_components(named, ref_template="#/components/schemas/{name}")
    rest = iter(schemas)
    return [None if kind is None else next(rest) for kind in types], components


def _operation(route: Route, path: str, section: Section, answer: Schema | None) -> dict[str, Any]:
    notes = route.endpoint.notes
    if path != route.paths[0]:
        notes = f"Another spelling of {route.paths[0]}. {notes}"
    if route.access:
        notes += f" A subaccount needs `access_{route.access}`."
    return {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{path}").strip("_"),
        "summary": route.endpoint.summary or route.at,
        "description": notes.strip(),
        "tags": [section.title],
        "security": [] if route.access is None else [{"basic": []}, {"bearer": []}],
        "parameters": _parameters(route, path),
        "responses": _responses(route, answer or {}),
    }


def _body(schema: Schema, endpoint: Endpoint) -> dict[str, Any]:
    """A body that needs no field may be left out."""
    required = any(field.required for field in msgspec.structs.fields(endpoint.body))
    content = {"application/json": {"schema": schema}}
    if endpoint.uploads:
        content["multipart/form-data"] = {"schema": _form(endpoint.body)}
    return {"required": required, "content": content}


def _form(body: type[msgspec.Struct]) -> Schema:
    """A form with a file (RFC 7578). What a body in JSON must have is the file, what it may have is a field as well."""
    file = {"type": "string", "contentMediaType": "application/octet-stream", "description": "The file."}
    optional = [field.encode_name for field in msgspec.structs.fields(body) if not field.required]
    others = {name: {"type": "string", "description": "As in JSON."} for name in optional}
    return {"type": "object", "properties": {"file": file, **others}, "required": ["file"]}


def _parameters(route: Route, path: str) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": route.parameters[name]}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    queries = _queries(route.endpoint)
    parameters += [{"$ref": f"#/components/parameters/{query.key or query.name}"} for query in queries]
    if route.endpoint.spends:
        text = "A repeated request with the same key has the first one's answer, for a day, and does nothing."
        schema = {"type": "string", "maxLength": LONGEST}
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema})
    return parameters


def _queries(endpoint: Endpoint) -> tuple[Query, ...]:
    return (*PAGING, *SEARCHING, *endpoint.query) if endpoint.paged else endpoint.query


def _query_components(queries: Sequence[Query]) -> dict[str, Schema]:
    components: dict[str, Schema] = {}
    for query in queries:
        schema = {
            "name": query.name,
            "in": "query",
            "description": query.text,
            "schema": query.schema,
            "allowEmptyValue": True,
        }
        same = components.setdefault(query.key or query.name, schema) == schema
        assert same, f"two parameters are called {query.name}: give one of them a key"
    return components


def _header(text: str, kind: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": kind}}


def _responses(route: Route, answer: Schema) -> dict[str, Any]:
    message = route.endpoint.response_msg
    schema = (_data if route.endpoint.bare else _enveloped)(route.endpoint, answer)
    good: dict[str, Any] = {
        "description": message or "Done.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
        "content": {"application/json": {"schema": schema}},
    }
    if route.endpoint.paged:
        good["headers"] = {**good["headers"], "x-search-ignored": IGNORED}
    refusals = {str(error.status): {"$ref": f"#/components/responses/{error.__name__}"} for error in _refused(route)}
    return {"200": good, **refusals}


def _enveloped(endpoint: Endpoint, answer: Schema) -> Schema:
    message = endpoint.response_msg
    return _filled(
        Envelope,
        http_code={"const": 200},
        response_code={"const": "SUCCESS"},
        response_msg={"examples": [message]} if message else {},
        data=_data(endpoint, answer),
    )


def _refused(route: Route) -> list[type[ApiError]]:
    """How a route can refuse a request. A 500 is not among them: it would be a defect."""
    possible = {
        errors.BadRequest: True,
        errors.Unauthorized: route.access is not None,
        errors.Forbidden: route.access is not None,
        errors.NotFound: "{" in route.at,
        errors.Conflict: route.endpoint.spends,
        errors.TooLarge: route.method in ("POST", "PUT"),
        errors.TooManyRequests: True,
        errors.Unavailable: True,
    }
    return [error for error in REFUSALS if possible.get(error) or error in route.endpoint.refuses]


def _data(endpoint: Endpoint, answer: Schema) -> Schema:
    return _filled(Page, data={"type": "array", "items": answer}) if endpoint.paged else answer


def _filled(kind: type[msgspec.Struct], **properties: Schema) -> Schema:
    """The schema of a struct with some of its properties told more exactly."""
    schema: Schema = msgspec.json.schema_components([kind])[1][kind.__name__]
    known = schema["properties"]
    more = {name: {**known[name], **exact} for name, exact in properties.items()}
    return {**schema, "properties": {**known, **more}}


def _refusal(error: type[ApiError]) -> dict[str, Any]:
    data = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    example = {
        "http_code": error.status,
        "response_code": error.code,
        "response_msg": error.message,
        "data": FAULTS if error is errors.BadRequest else None,
    }
    response: dict[str, Any] = {
        "description": REFUSALS[error],
        "content": {
            "application/json": {
                "schema": _filled(Envelope, http_code={"const": error.status}, data=data),
                "example": example,
            }
        },
    }
    if error in (errors.TooManyRequests, errors.Unavailable):
        response["headers"] = {"retry-after": RETRY}
    return response
