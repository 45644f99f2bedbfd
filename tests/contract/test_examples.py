"""Every documented body of a served endpoint, sent as it stands: the client judges each answer by the document."""

import time
from typing import Any

import pytest

from contract import oracle
from contract.records import filled
from heliograph import routes, settings
from heliograph.channels.sms.channel import Writer
from support.server import Api

SERVED = {row.number for row in routes.table(Writer(settings.Settings())) if row.number}
PLACEHOLDERS = {
    151: {"action"},
    153: {"action"},
    156: {"action"},
    158: {"action"},
    1: {"user_phone", "user_email", "country"},
}
"""Bodies in which a value is only the name of its field, and what is refused in them."""


def cases() -> list[Any]:
    found = []
    for one in oracle.endpoints():
        if one.number in SERVED:
            for name in ("body_example", "curl_body"):
                found.append(pytest.param(one, getattr(one, name), name, id=f"{one.number}-{name}"))
    return found


@pytest.mark.parametrize(("one", "body", "name"), cases())
def test_a_documented_request_has_the_documented_answer(api: Api, one: oracle.Endpoint, body: Any, name: str) -> None:
    if one.number == 1 and name == "curl_body":
        body = {**body, "username": f"{body['username']}{time.time_ns()}"}
    path = filled(api, one.path)
    answer = api.call(one.method, path + ("?filename=export.csv" if one.number == 143 else ""), body)
    if name == "body_example" and one.number in PLACEHOLDERS:
        assert answer.status == 400
        assert set(answer.data) == PLACEHOLDERS[one.number]
    else:
        assert answer.status == 200, answer.raw
