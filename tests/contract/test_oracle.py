"""The judge itself: it must pass what the document shows and catch what differs."""

import copy
from typing import Any

import pytest

from contract.exceptions import EXCEPTIONS, EXTRAS, TEXTS
from contract.oracle import Endpoint, Oracle, endpoints, match

SEND = "/v3/sms/send"


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


def example(number: int) -> Any:
    return copy.deepcopy(endpoints()[number - 1].response)


def sent() -> Any:
    """The documented answer of a send, with the price as real services give it."""
    body = example(126)
    for message in body["data"]["messages"]:
        message["message_price"] = "0.0700"
    return body


def fill(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_the_document_has_184_endpoints_in_order() -> None:
    assert [endpoint.number for endpoint in endpoints()] == list(range(1, 185))


@pytest.mark.parametrize("endpoint", endpoints(), ids=str)
def test_finds_every_endpoint_by_each_of_its_spellings(endpoint: Endpoint) -> None:
    for method in endpoint.methods:
        for path in filter(None, (endpoint.path, endpoint.alias)):
            for written in (f"/v3{fill(path)}", f"/v3{fill(path)}/", f"/v3{fill(path)}?page=2&limit=15"):
                assert match(method, written) is endpoint, written


@pytest.mark.parametrize("endpoint", endpoints(), ids=str)
def test_accepts_the_documents_own_examples(endpoint: Endpoint, oracle: Oracle) -> None:
    body = sent() if endpoint.number == 126 else endpoint.example
    oracle.check(endpoint.method, "/v3" + fill(endpoint.path), 200, body)
    assert oracle.seen == {endpoint.number}


@pytest.mark.parametrize("endpoint", endpoints(), ids=str)
def test_catches_an_answer_without_data(endpoint: Endpoint, oracle: Oracle) -> None:
    body = dict(endpoint.response)
    del body["data"]
    with pytest.raises(AssertionError, match="data: missing"):
        oracle.check(endpoint.method, "/v3" + fill(endpoint.path), 200, body)


def test_unknown_paths_have_no_endpoint() -> None:
    assert match("GET", "/v3/sms/send") is None
    assert match("POST", "/v3/sms/send/now") is None
    assert match("GET", "/v3/openapi.json") is None


def test_fixed_paths_win_over_parameters() -> None:
    cancelled = match("PUT", "/v3/sms/cancel-all")
    assert cancelled is not None
    assert cancelled.number == 137


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("total_count", "2", "data.total_count: integer expected"),
        ("total_count", 2.0, "data.total_count: integer expected"),
        ("total_count", True, "data.total_count: integer expected"),
        ("total_count", None, "data.total_count: integer expected"),
        ("total_price", "0.28", "data.total_price: number expected"),
        ("messages", {}, "data.messages: array expected"),
        ("messages", [None], r"data.messages\[\]: object expected"),
        ("_currency", None, "data._currency: object expected"),
        ("surprise", 1, "data.surprise: not in the document"),
    ],
)
def test_catches_wrong_types_and_unknown_keys(oracle: Oracle, place: str, value: Any, complaint: str) -> None:
    body = sent()
    body["data"][place] = value
    with pytest.raises(AssertionError, match=complaint):
        oracle.check("POST", SEND, 200, body)


def test_catches_a_missing_key_inside_a_list(oracle: Oracle) -> None:
    body = sent()
    del body["data"]["messages"][1]["carrier"]
    with pytest.raises(AssertionError, match=r"data.messages\[\].carrier: missing"):
        oracle.check("POST", SEND, 200, body)


def test_names_every_difference_at_once(oracle: Oracle) -> None:
    body = sent()
    del body["data"]["queued_count"]
    body["data"]["messages"][0]["date"] = "1436871253"
    with pytest.raises(AssertionError) as caught:
        oracle.check("POST", SEND, 200, body)
    assert "data.queued_count: missing" in str(caught.value)
    assert "data.messages[].date: integer or null expected" in str(caught.value)


def test_the_price_of_a_message_is_a_string(oracle: Oracle) -> None:
    with pytest.raises(AssertionError, match=r"message_price: string expected, got 0.07"):
        oracle.check("POST", SEND, 200, example(126))


def test_a_whole_price_may_have_a_fraction(oracle: Oracle) -> None:
    body = example(108)
    body["data"]["total_price"] = body["data"]["recipients"][0]["post_price"] = 1.71
    oracle.check("POST", "/v3/post/postcards/send", 200, body)


def test_a_refused_recipient_has_fewer_keys_but_an_id_and_a_status(oracle: Oracle) -> None:
    body = sent()
    refused = {"to": "12", "body": "x", "from": "", "schedule": "", "message_id": "A0", "status": "INVALID_RECIPIENT"}
    body["data"]["messages"][0] = refused
    oracle.check("POST", SEND, 200, body)
    del refused["message_id"]
    with pytest.raises(AssertionError, match="message_id: missing"):
        oracle.check("POST", SEND, 200, body)


def test_extra_keys_are_held_to_their_type(oracle: Oracle) -> None:
    body = sent()
    body["data"]["blocked_count"] = 0
    body["data"]["_currency"]["min_recharge_amount"] = "20.00"
    oracle.check("POST", SEND, 200, body)
    body["data"]["blocked_count"] = "0"
    with pytest.raises(AssertionError, match=r"data.blocked_count: integer or null expected"):
        oracle.check("POST", SEND, 200, body)


def test_empty_lists_and_pages_are_fine(oracle: Oracle) -> None:
    body = example(15)
    body["data"].update(total=0, last_page=0, data=[], **{"from": None, "to": None})
    oracle.check("GET", "/v3/lists/1/contacts", 200, body)


def test_a_list_documented_as_empty_stays_empty(oracle: Oracle) -> None:
    with pytest.raises(AssertionError, match="data: an empty list expected"):
        oracle.check("DELETE", "/v3/lists/1", 200, example(27) | {"data": [1]})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"http_code": 201}, "http_code: 200 expected"),
        ({"response_code": "OK"}, "response_code: SUCCESS expected"),
        ({"response_msg": "Fine."}, "response_msg: "),
        ({"extra": 1}, "extra: not in the document"),
    ],
)
def test_catches_a_wrong_envelope(oracle: Oracle, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        oracle.check("POST", SEND, 200, sent() | change)


def test_ids_and_counts_in_the_message_are_only_examples(oracle: Oracle) -> None:
    body = example(18) | {"response_msg": "Contact #7 has been updated."}
    oracle.check("PUT", "/v3/lists/1/contacts/7", 200, body)


def test_one_endpoint_answers_without_an_envelope(oracle: Oracle) -> None:
    page = example(98)
    assert "http_code" not in page
    wrapped = {"http_code": 200, "response_code": "SUCCESS", "response_msg": "Here.", "data": page}
    with pytest.raises(AssertionError, match="data: array expected"):
        oracle.check("GET", "/v3/mms-campaigns", 200, wrapped)


def refusal(**change: Any) -> dict[str, Any]:
    return {"http_code": 404, "response_code": "NOT_FOUND", "response_msg": "No such list.", "data": None} | change


def test_errors_have_the_envelope(oracle: Oracle) -> None:
    oracle.check("GET", "/v3/lists/1", 404, refusal())
    oracle.check("GET", "/v3/lists/1", 404, refusal(data={"list_id": "It must be a number."}))
    assert oracle.seen == set()


@pytest.mark.parametrize(
    "body",
    [
        None,
        "Not Found",
        {"detail": "Not Found"},
        refusal(http_code=400),
        refusal(response_code="SUCCESS"),
        refusal(response_msg=""),
        refusal(data=[]),
        refusal(trace="Traceback"),
    ],
)
def test_catches_other_errors(oracle: Oracle, body: Any) -> None:
    with pytest.raises(AssertionError):
        oracle.check("GET", "/v3/nowhere", 404, body)


def places(value: Any, place: str = "") -> set[str]:
    """Every place in an example, in the spelling of the exceptions."""
    if isinstance(value, dict):
        return {place}.union(*(places(inner, f"{place}.{key}".lstrip(".")) for key, inner in value.items()))
    if isinstance(value, list):
        return {place}.union(*(places(inner, f"{place}[]") for inner in value))
    return {place}


def test_every_exception_names_a_place_that_exists() -> None:
    lost = [key for key in EXCEPTIONS if key[1] not in places(endpoints()[key[0] - 1].response)]
    assert lost == []


def test_every_extra_key_stands_in_a_documented_object() -> None:
    for number, text in EXTRAS.items():
        known = places(endpoints()[number - 1].response)
        extras = {one.split(":")[0] for one in text.split()}
        lost = [place for place in extras if place.rsplit(".", 1)[0] not in known | extras]
        assert lost == [], f"#{number}"


def test_every_exception_has_a_reason() -> None:
    assert all(reason.endswith(".") for _, reason in (*EXCEPTIONS.values(), *TEXTS.values()))
