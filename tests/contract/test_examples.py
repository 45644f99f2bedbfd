"""Every documented body of a served endpoint, sent as it stands: the client judges each answer by the document."""

import re
import time
from typing import Any

import pytest

from contract import oracle
from heliograph import routes, settings
from heliograph.channels.sms.channel import Writer
from support.server import Api

SERVED = {row.number for row in routes.table(Writer(settings.Settings())) if row.number}
PLACEHOLDERS = {
    151: {"action"},
    153: {"action"},
    156: {"action"},
    158: {"action"},
    16: {"phone_number", "fax_number", "email"},
    18: {"phone_number", "fax_number", "email"},
    29: {"field_order"},
    1: {"user_phone", "user_email", "country"},
    4: {"country", "user_phone"},
    8: {"activation_token"},
    183: {"type", "email_address"},
    168: {"content"},
    10: {"number", "expiry_month"},
    121: {"user_phone", "user_email", "country"},
    123: {"user_phone", "user_email", "country"},
    124: {"currency"},
    163: {"email", "phone_number"},
    165: {"email", "phone_number"},
}
"""Bodies in which a value is only the name of its field, and what is refused in them."""
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


def filled(api: Api, path: str) -> str:
    """The path with ids of records that the account has."""
    rule = {"rule_name": "r", "action": "POLL", "action_address": "", "match_type": 0}
    list_id = ""
    if "list_id}" in path:
        list_id = str(api.post("/lists", {"list_name": "l"})["list_id"])
    makers = {
        "list_id": lambda: list_id,
        "from_list_id": lambda: list_id,
        "to_list_id": lambda: api.post("/lists", {"list_name": "other"})["list_id"],
        "opt_out_list_id": lambda: api.get("/lists")["data"][0]["list_id"],
        "contact_id": lambda: api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570006"})["contact_id"],
        "template_id": lambda: api.post("/sms/templates", {"template_name": "a", "body": "b"})["template_id"],
        "inbound_rule_id": lambda: api.post("/automations/sms/inbound", rule)["inbound_rule_id"],
        "receipt_rule_id": lambda: api.post("/automations/sms/receipts", rule)["receipt_rule_id"],
        "message_id": lambda: message(api, path),
        "year": lambda: "2019",
        "month": lambda: "4",
        "activation_token": lambda: verification(api)["activation_token"],
        "subaccount_id": lambda: api.subaccount(sms=1).subaccount_id,
        "client_user_id": lambda: client(api),
        "package_id": lambda: with_card(api) or 1,
        "transaction_id": lambda: transaction(api),
        "dedicated_number": lambda: api.get("/numbers/search/US")["data"][0]["dedicated_number"],
        "country": lambda: "US",
    }
    return re.sub(r"\{(\w+)\}", lambda found: str(makers[found.group(1)]()), path)


def verification(api: Api) -> Any:
    return api.put("/account-verify/send", {"country": "AU", "user_phone": "0491 570 006", "type": "sms"})


def password_key(api: Api) -> dict[str, str]:
    """The two values that the mail of a forgotten password has."""
    api.put("/forgot-password", {"username": api.username})
    (mail,) = api.until(lambda: api.server.mails(f"{api.username}@example.com"))
    return dict(re.findall(r"(subaccount_id|activation_token): *(\S+)", mail.text))


def client(api: Api) -> int:
    """A client that this account has as a reseller."""
    name = f"client{time.time_ns()}"
    person = {"user_email": "c@example.com", "user_phone": "+61411111111", "user_first_name": "C"}
    more = {"user_last_name": "D", "account_name": "E", "country": "AU", "username": name, "password": "pass"}
    return int(api.post("/reseller/accounts", {**person, **more})["user_id"])


def with_card(api: Api) -> None:
    card = {"number": "5520000000000000", "expiry_month": 5, "expiry_year": 2099, "cvc": "123"}
    api.put("/recharge/credit-card", {**card, "name": "Roland Robot", "bank_name": "Robotic Banking"})


def transaction(api: Api) -> str:
    with_card(api)
    api.put("/recharge/purchase/1")
    return str(api.get("/recharge/transactions")["data"][0]["invoice_number"])


def message(api: Api, path: str) -> str:
    if path.startswith("/sms/inbound-read"):
        poll = {"rule_name": "p", "action": "POLL", "dedicated_number": "*"}
        api.post("/automations/sms/inbound", poll)
        api.send("+61491999007", "answer me")
        return str(api.until(lambda: api.get("/sms/inbound")["data"])[0]["message_id"])
    if path.endswith("/cancel"):
        return str(api.send("+61491570006", schedule=int(time.time()) + 600)["message_id"])
    key = str(api.send("+61491570006")["message_id"])
    api.final(key)
    return key


@pytest.mark.parametrize(("one", "body", "name"), cases())
def test_a_documented_request_has_the_documented_answer(api: Api, one: oracle.Endpoint, body: Any, name: str) -> None:
    if one.number in (1, 121, 123) and name == "curl_body":
        body = {**body, "username": f"{body['username']}{time.time_ns()}"}
    if one.number == 8 and name == "curl_body":
        body = {**body, **password_key(api)}
    if one.number == 168 and name == "curl_body":
        body = {**body, "content": FILE}
    if one.number == 29 and name == "curl_body":
        body = {**body, "file_url": "http://127.0.0.1:9/import.csv"}
    if one.number == 124 and name == "curl_body":
        body = {**body, "client_user_id": client(api)}
    if one.number == 163 and name == "curl_body":
        body = {**body, "api_username": f"{body['api_username']}{time.time_ns()}"}
    if one.number == 9:
        with_card(api)
    path = filled(api, one.path)
    answer = api.call(one.method, path + QUERIES.get(one.number, ""), body)
    if name == "body_example" and one.number in PLACEHOLDERS:
        assert answer.status == 400
        assert set(answer.data) == PLACEHOLDERS[one.number]
    else:
        assert answer.status == 200, answer.raw
