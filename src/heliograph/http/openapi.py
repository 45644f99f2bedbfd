"""OpenAPI 3.1 of the route table and the structs, and a page to browse it that loads nothing from elsewhere."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec

from heliograph import __version__
from heliograph.http.request import Route

ERRORS = {400: "Invalid input", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 429: "Too many requests"}
PAGING = ("page", "limit")
SEARCHING = ("q", "operator", "order_by")
KEYS = ("total", "per_page", "current_page", "last_page", "from", "to")


def document(routes: Sequence[Route], base_url: str) -> dict[str, Any]:
    """The OpenAPI document, its server being `base_url`/v3."""
    structs = list({struct: None for route in routes for struct in (route.body, route.answer) if struct is not None})
    schemas, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    refs = dict(zip(structs, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        for spelling, path in enumerate(route.paths):
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, spelling, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heliograph",
            "version": __version__,
            "description": "The ClickSend REST API v3, served by Heliograph. Types are accepted loosely.",
        },
        "servers": [{"url": base_url + "/v3"}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _envelope({"type": ["object", "null"]})},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route, path: str, spelling: int, refs: dict[Any, Any]) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{route.method.lower()}{path}").strip("_")
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    made: dict[str, Any] = {
        "operationId": name,
        "summary": route.message or name,
        "tags": [path.split("/")[1]],
        "parameters": _parameters(route, path),
        "responses": {
            "200": {
                "description": route.message or "Done",
                "content": {"application/json": {"schema": _envelope(_data(route, refs))}},
            },
            **{str(status): {"description": text, "content": error} for status, text in ERRORS.items()},
            "default": {"description": "Another refusal", "content": error},
        },
    }
    if spelling:
        made["description"] = f"Another spelling of {route.paths[0]}."
    if route.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[route.body]}}}
    if route.uploads:
        form = {
            "type": "object",
            "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
        }
        made["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    if route.access is not None:
        made["security"] = [{"basic": []}, {"bearer": []}]
    return made


def _parameters(route: Route, path: str) -> list[dict[str, Any]]:
    text: dict[str, Any] = {"type": "string"}
    found = [{"name": name, "in": "path", "required": True, "schema": text} for name in re.findall(r"\{(\w+)\}", path)]
    if route.paged:
        found += [{"name": name, "in": "query", "schema": {"type": "integer"}} for name in PAGING]
        found += [{"name": name, "in": "query", "schema": text} for name in SEARCHING]
    found += [{"name": name, "in": "query", "schema": text} for name in route.query]
    if route.spends:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}})
    return found


def _data(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    if route.paged:
        numbers: dict[str, Any] = {name: {"type": "integer"} for name in KEYS}
        links = {name: {"type": ["string", "null"]} for name in ("next_page_url", "prev_page_url")}
        return {"type": "object", "properties": {**numbers, **links, "data": {"type": "array"}}, "required": ["data"]}
    found: dict[str, Any] = refs[route.answer] if route.answer is not None else {}
    return found


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    keys = ("http_code", "response_code", "response_msg", "data")
    return {
        "type": "object",
        "required": list(keys),
        "properties": {
            "http_code": {"type": "integer"},
            "response_code": {"type": "string"},
            "response_msg": {"type": "string"},
            "data": data,
        },
    }


def page() -> str:
    """The browsable page; it reads ./openapi.json."""
    return files("heliograph.http").joinpath("docs.html").read_text(encoding="utf-8")
