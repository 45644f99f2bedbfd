"""Judges the answers of the server by its own OpenAPI document."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from heliograph import routes
from heliograph.http import openapi

Json = dict[str, Any]


def closed(schema: Any) -> Any:
    """The same schema, in which an object has no key that is not described."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(inner) for name, inner in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


class Document:
    """The document, and a validator for each answer of each operation."""

    def __init__(self) -> None:
        self.whole: Json = openapi.document(routes.SECTIONS, "http://localhost")
        self._paths = sorted(
            ((re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in self.whole["paths"]),
            key=lambda pair: pair[1].count("{"),
        )
        self._schemas = closed(self.whole["components"]["schemas"])
        self._validator = cache(self._compiled)

    def operation(self, method: str, path: str) -> tuple[str, Json] | None:
        """The described path and its operation for a request; fixed paths win over parameters."""
        bare = path.split("?", 1)[0].rstrip("/")
        for pattern, described in self._paths:
            if pattern.fullmatch(bare) and method.lower() in self.whole["paths"][described]:
                return described, self.whole["paths"][described][method.lower()]
        return None

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """Raise AssertionError when the document does not describe this answer. Unknown paths are not judged."""
        found = self.operation(method, path)
        if found is None:
            assert status in (404, 405), f"{method} {path} -> {status}: not in the OpenAPI document"
            return
        described, operation = found
        assert str(status) in operation["responses"], f"{method} {described}: the document has no {status}"
        problems = [
            f"{'.'.join(map(str, problem.instance_path))}: {problem.message[:200]}"
            for problem in self._validator(method, described, status).iter_errors(body)
        ]
        if problems:
            got = json.dumps(body, ensure_ascii=False)[:2000]
            what = f"{method} {described} -> {status} (OpenAPI)"
            raise AssertionError("\n  ".join([what, *problems, f"answer: {got}"]))

    def resolved(self, part: Mapping[str, Any]) -> Json:
        """The component that a part refers to, or the part itself."""
        while "$ref" in part:
            _, _, kind, name = part["$ref"].split("/")
            part = self.whole["components"][kind][name]
        return dict(part)

    def _compiled(self, method: str, described: str, status: int) -> Any:
        responses = self.whole["paths"][described][method.lower()]["responses"]
        schema = self.resolved(responses[str(status)])["content"]["application/json"]["schema"]
        return jsonschema_rs.Draft202012Validator({**closed(schema), "components": {"schemas": self._schemas}})
