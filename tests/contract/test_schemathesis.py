"""Schemathesis over the OpenAPI document: made-up requests, right and wrong, to every operation of a real server.

One request goes to the server on SQLite, the next to that on PostgreSQL; `make test-slow` sends each of them to both.
"""

import itertools
import re
from collections.abc import Iterator

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from contract.records import ids
from heliograph.http.idempotency import LONGEST
from support.server import DOCUMENT, Api, Running

schema = schemathesis.openapi.from_dict(DOCUMENT.whole)
schema.config.generation.update(with_security_parameters=False, allow_x00=False)
schema.config.checks.negative_data_rejection.expected_statuses.append("413")

JUDGED_BY_VALUE = {
    "q": "a search has to name a known field",
    "messages": "each message has a status of its own, but none or too many are refused",
    "action": "the address has to fit the action",
    "url": "the URL has to be one",
    "media_file": "the same, or the id of an upload",
    "username": "the name has to be free, the phone number and the country have to exist",
    "api_username": "the name has to be free",
    "email": "the address has to be one",
    "attachments": "addresses have to be some, files in base64, and the sender verified",
    "from_email_address_id": "the address has to be verified",
    "email_address": "the same",
    "user_email": "the same",
    "phone_number": "the number has to be one",
    "user_phone": "the same",
    "country": "the country has to exist",
    "country_list_ids": "the countries have to exist",
    "year": "a month has a year and a number",
    "activation_token": "the code has to be the one that was sent",
    "convert": "the file has to be of a kind that can be converted",
    "file_url": "the URL has to be one, and a column has to reach somebody",
    "fields": "the fields have to be those of a contact",
    "opt_out_list_id": "it has to be another list",
    "list_name": "the name must not be empty",
    "currency": "the currency has to be one that the rates convert",
    "margin_percent": "the margin has a limit",
    "auto_recharge_amount": "the amount has to be one that a card can be charged",
    "stripped-string": "one of the three spellings has to have a text",
    "number": "the check digit has to be right",
    "template_id_master": "the master template has to exist",
    "package_id": "the account has to have a card",
}
"""Parameters and fields whose values the server judges by more than the document can say: a 400 is right for them."""

PATHS_JUDGED_BY_VALUE = {
    "/statistics/sms": "the range of days has a limit",
    "/statistics/voice": "the same",
    **dict.fromkeys((f"/statistics/{channel}" for channel in ("mms", "fax", "post", "email")), "the same"),
    "/email/templates/{template_id}": "one of the fields has to be given",
    "/recharge/events": "the payment gateway signs its events",
}
"""The same of whole paths."""

WORDS = frozenset(word for path in DOCUMENT.whole["paths"] for word in path.split("/"))


def judged_by_value(operation: schemathesis.APIOperation) -> bool:
    raw = operation.definition.raw
    names = {DOCUMENT.resolved(one)["name"] for one in raw["parameters"]}
    if "requestBody" in raw:
        body = raw["requestBody"]["content"]["application/json"]["schema"]
        names |= DOCUMENT.resolved(body)["properties"].keys()
    return not names.isdisjoint(JUDGED_BY_VALUE) or operation.path in PATHS_JUDGED_BY_VALUE


def nobodys(values: dict[str, object]) -> None:
    """Makes ids that chance made up those of no record.

    A small number could be the account's own record, which an earlier request has ended: cancelled, emptied.
    """
    for name, value in values.items():
        if name.endswith("_id") and isinstance(value, int) and 0 < value < 1_000_000:
            values[name] = 1_000_000_000 + value


def texts(value: object) -> Iterator[str]:
    """All texts in a value, names of fields as well: a query writes an object as names and values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        parts = itertools.chain(value, value.values()) if isinstance(value, dict) else value
        yield from itertools.chain.from_iterable(map(texts, parts))


def read_kindly(case: schemathesis.Case) -> bool:
    """Whether what is wrong may be wrong in the letter only: blanks around a value, or a whole number with `.0`."""
    given = itertools.chain(texts(dict(case.query)), texts(case.body))
    wrong = case.meta.generation.mode.is_negative
    return wrong and any(value != value.strip() or re.fullmatch(r"-?\d+\.0+", value) for value in given)


def is_another(case: schemathesis.Case) -> bool:
    """Whether a made-up value is a word of another path: `GET /sms-campaigns/send` is not about the id `send`."""
    return not WORDS.isdisjoint(map(str, case.path_parameters.values()))


def fill_in(case: schemathesis.Case, api: Api, turn: int) -> None:
    """Where only chance would find a value that leads on, the half of all cases have one."""
    path = case.meta.components.get(ParameterLocation.PATH)
    if isinstance(case.body, dict):
        nobodys(case.body)
    if path and path.mode.is_positive:
        nobodys(case.path_parameters)
        if turn % 2 == 0:
            case.path_parameters.update(ids(api, case.operation.path))
    if "Idempotency-Key" in case.headers and turn % 8:
        case.headers["Idempotency-Key"] = f"{turn}{case.headers['Idempotency-Key']}"[
            :LONGEST
        ]  # one key for different bodies is nothing but a conflict
    if isinstance(case.body, dict) and "example.com" in str(case.body.get("url")):
        case.body["url"] = f"http://127.0.0.1:{api.server.port}/healthz"  # the example is another machine's


@pytest.fixture(params=["in turn", pytest.param("both", marks=pytest.mark.slow)])
def houses(
    request: pytest.FixtureRequest, sqlite_server: Running, postgres_server: Running
) -> Iterator[Iterator[list[Api]]]:
    """For each request the accounts that it is sent for."""
    apis = [server.account() for server in (sqlite_server, postgres_server)]
    yield itertools.cycle([apis] if request.param == "both" else [[api] for api in apis])
    for api in apis:
        api.close()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections that stay open, to servers on loopback."""
    with requests.Session() as made:
        made.trust_env = False
        yield made


@schema.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_request_has_an_answer_that_the_document_describes(
    case: schemathesis.Case, houses: Iterator[list[Api]], session: requests.Session
) -> None:
    hypothesis.assume(not read_kindly(case) and not is_another(case))
    for api in next(houses):
        turn = next(vars(api).setdefault("turn", itertools.count()))
        fill_in(case, api, turn)
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{api.server.port}/v3",
            auth=(api.username, api.key),
            timeout=30,
            session=session,
            excluded_checks=[ignored_auth, *([positive_data_acceptance] if judged_by_value(case.operation) else [])],
        )  # whether anybody comes in without credentials is asked in http/test_every_route.py
