"""Every documented body of a served endpoint, sent as it stands: the client judges each answer by the document."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from contract import oracle, records
from contract.records import filled
from heliograph import routes
from support import emails
from support.pictures import kept
from support.server import Api

SERVED = {row.number for row in routes.ROUTES if row.number}
PLACEHOLDERS = {
    32: {"email_address"},
    62: {"to", "cc", "bcc", "schedule"},
    63: {"to", "cc", "bcc", "schedule"},
    67: {"action"},
    69: {"action"},
    151: {"action"},
    153: {"action"},
    156: {"action"},
    158: {"action"},
    178: {"action"},
    180: {"action"},
    1: {"user_phone", "user_email", "country"},
    4: {"country", "user_phone"},
    8: {"activation_token"},
    10: {"number", "expiry_month"},
    16: {"phone_number", "fax_number", "email"},
    18: {"phone_number", "fax_number", "email"},
    29: {"field_order"},
    121: {"user_phone", "user_email", "country"},
    123: {"user_phone", "user_email", "country"},
    124: {"currency"},
    163: {"email", "phone_number"},
    165: {"email", "phone_number"},
    168: {"content"},
    44: {"template_id_master"},
    94: {"media_file"},
    95: {"media_file"},
    96: {"media_file"},
    183: {"type", "email_address"},
}
"""Bodies in which a value is only the name of its field, and what is refused in them."""


FOR_A_LIST = (144, 145, 146)
FROM_AN_ADDRESS = (54, 55, 58)
"""What is sent to a contact list, which has to exist, and from an address."""

QUERIES = {125: "?q=Gorne", 143: "?filename=export.csv", 168: "?convert=mms"}
"""What the document demands beside the path."""
FILE = "R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="
"""A GIF of one pixel: the document's own example is cut off."""


def cases() -> list[Any]:
    found = []
    for one in oracle.endpoints():
        if one.number in SERVED:
            for name in ("body_example", "curl_body"):
                found.append(pytest.param(one, getattr(one, name), name, id=f"{one.number}-{name}"))
    return found


def made_good(api: Api, number: int, body: Any) -> Any:
    """A documented body with values that this server can take: names that are free, ids that exist."""
    for key, numbers in (("username", (1, 121, 123)), ("api_username", (163,))):
        if number in numbers:
            return {**body, key: f"{body[key]}{time.time_ns()}"}
    makers: dict[int, Callable[[], dict[str, Any]]] = {
        8: lambda: records.password_key(api),
        29: lambda: {"file_url": "http://127.0.0.1:9/import.csv"},
        62: lambda: {"from": {"email_address_id": emails.sender(api), "name": "Joanne Doe"}},
        63: lambda: emails.a_mail(api),
        124: lambda: {"client_user_id": records.client(api)},
        168: lambda: {"content": FILE},
        **dict.fromkeys((90, 91), lambda: {"media_file": kept(api)}),
        **dict.fromkeys((94, 95, 96), lambda: {"list_id": records.full_list(api), "media_file": kept(api)}),
        **dict.fromkeys(FROM_AN_ADDRESS, lambda: records.email_campaign_body(api)),
        **dict.fromkeys(FOR_A_LIST, lambda: {"list_id": records.full_list(api)}),
    }
    return {**(body or {}), **makers[number]()} if number in makers else body


@pytest.mark.parametrize(("one", "body", "name"), cases())
def test_a_documented_request_has_the_documented_answer(api: Api, one: oracle.Endpoint, body: Any, name: str) -> None:
    if name == "curl_body" or (body and one.number in (*FOR_A_LIST, *FROM_AN_ADDRESS)):
        body = made_good(api, one.number, body)
    if one.number == 9:
        records.with_card(api)
    answer = api.call(one.method, filled(api, one.path) + QUERIES.get(one.number, ""), body)
    if name == "body_example" and one.number in PLACEHOLDERS:
        assert answer.status == 400
        assert set(answer.data) == PLACEHOLDERS[one.number]
    else:
        assert answer.status == 200, answer.raw
