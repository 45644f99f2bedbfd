"""The OpenAPI document: valid, complete, true to the contract and to what the server takes and gives."""

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from contract import oracle
from contract.document import Document, closed
from heliograph import routes
from heliograph.errors import BadRequest
from heliograph.http import loose
from heliograph.http.route import Route
from support.server import DOCUMENT, Running

TABLE = routes.ROUTES
OPERATIONS = [
    (method, path, operation) for path, verbs in DOCUMENT.whole["paths"].items() for method, operation in verbs.items()
]


def operations(test: Any) -> Any:
    names = [f"{method.upper()} {path}" for method, path, _ in OPERATIONS]
    return pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=names)(test)


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT.whole["openapi"] == "3.1.0"
    assert [problem.message for problem in OPENAPI_31_VALIDATOR.iter_errors(DOCUMENT.whole)] == []


def test_its_references_lead_somewhere_and_its_schemas_are_schemas() -> None:
    text = json.dumps(DOCUMENT.whole)
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = DOCUMENT.whole
        for key in reference.split("/"):
            found = found[key]
    for schema in DOCUMENT.whole["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_it_has_every_route_in_every_spelling_and_no_other() -> None:
    described = {(method.upper(), path) for method, path, _ in OPERATIONS}
    assert described == {(route.method, path) for route in TABLE for path in route.paths}


def test_every_operation_is_in_a_section_and_every_section_has_operations() -> None:
    sections = {tag["name"] for tag in DOCUMENT.whole["tags"]}
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == sections
    assert all(tag["description"] for tag in DOCUMENT.whole["tags"])


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.at)
def test_every_route_names_its_answer_and_says_what_it_does(route: Route) -> None:
    assert route.endpoint.answer is not None, "@endpoint names the type of its answer"
    operation = DOCUMENT.whole["paths"][route.paths[0]][route.method.lower()]
    assert operation["summary"] != route.at, "the first sentence of the handler's docstring is its summary"
    assert not operation["summary"][0].isdigit()


@operations
def test_each_operation_documents_the_refusals_that_it_has(method: str, path: str, operation: dict[str, Any]) -> None:
    statuses = set(operation["responses"])
    row = next(row for row in TABLE if row.method == method.upper() and path in row.paths)
    more = {str(refusal.status) for refusal in row.endpoint.refuses}
    always = {"200", "400", "429", "503"}
    assert always | more <= statuses <= {*always, "401", "403", "404", "409", "413"} | more
    assert ({"401", "403"} & statuses) - more == ({"401", "403"} if operation["security"] else set())
    assert ("404" in statuses) == ("{" in path or "404" in more)
    assert ("413" in statuses) == (method in ("post", "put"))


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields of a body, those of its inner objects too."""
    for name, part in DOCUMENT.resolved(schema).get("properties", {}).items():
        yield name, part
        for inner in (part, *part.get("anyOf", ())):
            if "items" in inner:
                yield from fields(inner["items"])


@operations
def test_fields_of_bodies_and_parameters_are_described(method: str, path: str, operation: dict[str, Any]) -> None:
    body = operation.get("requestBody", {"content": {}})["content"].get("application/json", {"schema": {}})["schema"]
    obvious = {"user_first_name", "user_last_name"}
    assert [name for name, part in fields(body) if "description" not in part and name not in obvious] == []
    parameters = [DOCUMENT.resolved(one) for one in operation["parameters"]]
    assert [one["name"] for one in parameters if one["in"] != "path" and not one.get("description")] == []


def examples(schema: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(schema, dict):
        yield from ((schema, example) for example in schema.get("examples", ()))
        for inner in schema.values():
            yield from examples(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from examples(inner)


def test_examples_are_valid() -> None:
    for schema, example in examples(DOCUMENT.whole):
        jsonschema_rs.Draft202012Validator(schema).validate(example)
    for name, answer in DOCUMENT.whole["components"]["responses"].items():
        media = answer["content"]["application/json"]
        jsonschema_rs.Draft202012Validator(closed(media["schema"])).validate(media["example"])
        assert media["example"]["http_code"] >= 400, name


def without(value: Any, key: str) -> Any:
    """A schema without a keyword."""
    if isinstance(value, dict):
        return {name: without(inner, key) for name, inner in value.items() if name != key}
    return [without(inner, key) for inner in value] if isinstance(value, list) else value


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("route", [route for route in TABLE if route.number], ids=lambda route: route.at)
def test_it_describes_the_contracts_own_examples(route: Route) -> None:
    """Keys and types. Our answers may have more keys, and a price that was seen as text is text (exceptions.py)."""
    example = oracle.endpoints()[route.number - 1].example
    if route.number in (126, 169, 170):
        for message in (example := json.loads(json.dumps(example)))["data"]["messages"]:
            message["message_price"] = str(message["message_price"])
    if route.number == 96:
        (example := json.loads(json.dumps(example)))["data"]["list_id"] = 76468  # a text here, a number everywhere else
    operation = DOCUMENT.whole["paths"][route.paths[0]][route.method.lower()]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": {"schemas": DOCUMENT.whole["components"]["schemas"]}}
    jsonschema_rs.Draft202012Validator(closed(without(whole, "required"))).validate(without_nulls(example))


class Loose(msgspec.Struct, kw_only=True):
    """A body with a field of each kind."""

    count: int
    text: str
    flag: bool
    size: float
    texts: list[str]
    maybe_count: int | None = None
    maybe_text: str | None = None
    maybe_flag: bool | None = None
    maybe_size: float | None = None
    maybe_texts: list[str] | None = None
    either: int | str | float | None = None


GOOD = {"count": 1, "text": "a", "flag": True, "size": 0.5, "texts": ["a"]}
VALUES = [None, "", " ", 0, 1, -1, 2, 1.0, 1.5, 10**15, -(10**15), 10**16, 1e300, True, False, [], ["a"], [1], [None]]
VALUES += [{}, {"a": 1}, "0", "1", " 1 ", "+1", "-1", "1.0", "1.", "1.5", "1e3", "1_0", "0" * 40 + "7", "9" * 16, "x"]
VALUES += ["true", "false", "yes", "off", "nan", "inf", [[]], [True], "😀"]


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Loose)])
def test_a_body_is_described_as_loosely_as_it_is_read(name: str) -> None:
    exact = msgspec.json.schema_components([Loose])[1]["Loose"]
    validator = jsonschema_rs.Draft202012Validator(loose.schema(exact))
    for value in VALUES:
        if name == "either" and value in (10**15, -(10**15), 10**16):
            continue  # too large for an integer, not for a number: JSON Schema cannot tell the two apart
        body = GOOD | {name: value}
        try:
            loose.decode(json.dumps(body).encode(), Loose)
            taken = True
        except BadRequest:
            taken = False
        assert validator.is_valid(body) == taken, f"{name}: {value!r} is {'taken' if taken else 'refused'}"


def good(path: str = "/sms/cancel-all") -> dict[str, Any]:
    return {"http_code": 200, "response_code": "SUCCESS", "response_msg": "Done.", "data": {"count": 2}}


def test_the_judge_of_answers_lets_good_ones_pass() -> None:
    Document().check("PUT", "/sms/cancel-all/?x=1", 200, good())
    refused = {"http_code": 401, "response_code": "UNAUTHORIZED", "response_msg": "No.", "data": None}
    DOCUMENT.check("PUT", "/sms/cancel-all", 401, refused)
    DOCUMENT.check("GET", "/nowhere", 404, refused)


@pytest.mark.parametrize(
    ("status", "change", "complaint"),
    [
        (200, {"data": {"count": "2"}}, "data.count"),
        (200, {"data": {"count": 2, "more": 1}}, "more"),
        (200, {"data": {}}, "count"),
        (200, {"data": []}, "data"),
        (200, {"extra": 1}, "extra"),
        (200, {"response_msg": None}, "response_msg"),
        (200, {"response_code": "OK"}, "response_code"),
        (404, {"data": None}, "the document has no 404"),
        (500, {"data": None}, "the document has no 500"),
        (400, {"http_code": 400, "data": {"field": 1}}, "data.field"),
    ],
)
def test_the_judge_of_answers_catches_what_is_not_described(
    status: int, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        DOCUMENT.check("PUT", "/sms/cancel-all", status, good() | change)


def test_the_judge_knows_no_other_paths() -> None:
    with pytest.raises(AssertionError, match="not in the OpenAPI document"):
        DOCUMENT.check("GET", "/nowhere", 200, good())


def fetched(server: Running, path: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_the_server_gives_out_this_document(server: Running) -> None:
    answer, text = fetched(server, "/v3/openapi.json")
    assert answer.getheader("content-type") == "application/json"
    assert json.loads(text) == DOCUMENT.whole | {"servers": [{"url": f"http://127.0.0.1:{server.port}/v3"}]}


def test_the_page_loads_nothing_from_elsewhere_and_writes_no_html(server: Running) -> None:
    answer, text = fetched(server, "/v3/docs")
    assert answer.getheader("content-type") == "text/html; charset=utf-8"
    assert "default-src 'none'; connect-src 'self'" in (answer.getheader("content-security-policy") or "")
    assert re.findall(r"https?://|//\w+\.|\bsrc=|url\(|@import", text) == []
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|localStorage|sessionStorage|cookie", text) == []
    )
