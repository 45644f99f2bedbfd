"""Walks the route table: paths and bodies that work, for records of a given account.

A route with an id that nobody can make here fails the walk until there is a maker for it.
"""

import copy
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from contract import oracle, records
from heliograph import routes
from heliograph.http.route import Route
from support import emails
from support.pictures import kept
from support.server import Api

ROUTES = routes.ROUTES
Maker = Callable[[Api], Any]

PLAIN, ECHO = "+61491570006", "+61491999007"
RULE = {"rule_name": "r", "action": "POLL", "action_address": ""}


def delivered(api: Api) -> str:
    """A message with its receipt."""
    key = str(api.send(PLAIN)["message_id"])
    api.final(key)
    return key


def scheduled(api: Api) -> str:
    return str(api.send(PLAIN, schedule=int(time.time()) + 3600)["message_id"])


def arrived(api: Api) -> str:
    """An inbound message."""
    api.post("/automations/sms/inbound", RULE)
    api.send(ECHO, "answer me")
    return str(api.until(lambda: api.get("/sms/inbound")["data"])[0]["message_id"])


def listed(api: Api) -> int:
    """A contact list, the same for all that one path names."""
    known = vars(api)
    if "listed" not in known:
        known["listed"] = int(api.post("/lists", {"list_name": "l"})["list_id"])
    return int(known["listed"])


def contact(api: Api) -> int:
    return int(api.post(f"/lists/{listed(api)}/contacts", {"phone_number": PLAIN})["contact_id"])


def sender(api: Api) -> int:
    """An address that mails shall come from, and whose token the same path may name."""
    vars(api)["sender_id"] = records.sender(api)
    return int(vars(api)["sender_id"])


def loading(api: Api) -> int:
    """An import, of a file that nobody has."""
    return int(api.post(f"/lists/{listed(api)}/import", IMPORT)["id"])


STRIPPED = "/sms/email-sms-stripped-strings"
ALLOWED = {"email_address": "jane@example.org"}
MAKERS: list[tuple[str, str, Maker]] = [
    ("/sms/inbound-read/", "message_id", arrived),
    ("/sms/inbound/", "original_message_id", records.answered),
    ("/sms/receipts/", "message_id", delivered),
    ("/sms/{message_id}/cancel", "message_id", scheduled),
    ("/sms/{message_id}/timeline", "message_id", delivered),
    ("/mms/inbound-read/", "message_id", lambda api: records.message(api, "/mms/inbound-read/")),
    ("/mms/{message_id}/cancel", "message_id", lambda api: records.message(api, "/mms/{message_id}/cancel")),
    ("/mms/", "message_id", lambda api: records.message(api, "/mms/")),
    ("/mms-campaign", "mms_campaign_id", records.mms_campaign),
    ("/email-campaigns/", "email_campaign_id", records.email_campaign),
    ("/email/", "email_address_id", sender),
    ("/email/", "activation_token", lambda api: records.sender_token(api, vars(api)["sender_id"])),
    ("/voice/", "message_id", lambda api: records.message(api, "/voice/")),
    ("/email/{message_id}/cancel", "message_id", lambda api: records.message(api, "/email/{message_id}/cancel")),
    ("/email/receipts/", "message_id", lambda api: records.message(api, "/email/")),
    ("/email/{message_id}/", "message_id", lambda api: records.message(api, "/email/")),
    ("/automations/email/receipts/", "receipt_rule_id", lambda api: made_rule(api, "receipt", "email")),
    ("/sms/templates/", "template_id", lambda api: records.template(api, "/sms/templates/")),
    ("/email/templates/", "template_id", lambda api: records.template(api, "/email/templates/")),
    ("/sms/email-sms/", "email_address_id", lambda api: api.post("/sms/email-sms", ALLOWED)["email_address_id"]),
    (STRIPPED, "rule_id", lambda api: api.post(STRIPPED, {"strip_string": "x"})["rule_id"]),
    ("/sms-campaigns/", "sms_campaign_id", records.campaign),
    ("/lists/", "list_id", listed),
    ("/lists/", "from_list_id", listed),
    ("/lists/", "to_list_id", records.contact_list),
    ("/lists/", "opt_out_list_id", lambda api: api.get("/lists")["data"][0]["list_id"]),
    ("/lists/", "contact_id", contact),
    ("/lists/", "import_id", loading),
    ("/subaccounts/", "subaccount_id", lambda api: api.subaccount(sms=1).subaccount_id),
    ("/reseller/accounts/", "client_user_id", records.client),
    ("/recharge/transactions/", "transaction_id", records.transaction),
    ("/exports/", "export_id", records.export),
    ("/short-url/statistics/", "source", lambda api: "quick_sms"),
    ("/short-url/statistics/", "source_id", records.shortened),
    ("/short-url/tracking/", "long_url_id", records.long_url),
    ("/automations/sms/inbound/", "inbound_rule_id", lambda api: made_rule(api, "inbound")),
    ("/automations/sms/receipts/", "receipt_rule_id", lambda api: made_rule(api, "receipt")),
    ("/automations/voice/receipts/", "receipt_rule_id", lambda api: made_rule(api, "receipt", "voice")),
]
"""Beginning of a path, parameter -> makes a record of an account that the route works on; its id."""

BODY_IDS: dict[str, Maker | None] = {
    "list_id": records.contact_list,
    "subaccount_id": lambda api: api.subaccount(sms=1).subaccount_id,
    "from_email_address_id": emails.sender,
    "template_id": lambda api: records.template(api, "/email/templates/"),
    "client_user_id": records.client,
    "email_address_id": emails.sender,
}
"""Id in a body or a query -> makes such a record. None: no account can have one yet, since no route makes it."""

NO_RECORDS = {
    **dict.fromkeys(("year", "month"), "a time"),
    "country": "everybody's",
    "dedicated_number": "whoever buys it first",
    "package_id": "everybody's",
    "activation_token": "a wrong one is a fault of the request (test_recovery.py)",
}
"""Parameters of paths that are no records of an account, and what they are."""

EVERYBODYS = "/email/master-templates"
"""Beginning of the paths that have no record of an account, though others have parameters of the same name."""

CAMPAIGNS = ("POST /sms-campaigns/send", "POST /sms-campaigns/price", "PUT /sms-campaigns/{sms_campaign_id}")
NO_IDS = {
    ("POST /delivery-issues", "message_id"),
    ("PUT /account", "setting_fix_sender_id"),
    *((at, "sender_id") for at in CAMPAIGNS),
    ("POST /email/send", "content_id"),
    ("POST /email/price", "content_id"),
}
"""Fields that look like ids, and by which nothing is looked up."""

IMPORT = {"file_url": "http://127.0.0.1:9/import.csv", "field_order": ["phone"]}

BODIES: dict[str, Any] = {
    "PUT /account": {"account_name": "New"},
    "POST /sms/email-sms": ALLOWED,
    "PUT /sms/email-sms/{email_address_id}": {"from": "Shop"},
    "POST /voice/receipts": {"url": "http://127.0.0.1:9/hook"},
    "PUT /voice/receipts-read": {"date_before": 1},
    "POST /email/suppressions": {"email_address": ["jane@example.com"]},
    "POST /mms/send": {"media_file": "", "messages": [{"to": "+61411111111", "subject": "s", "body": "b"}]},
    "PUT /mms/receipts-read": {"date_before": 1},
    "PUT /email/receipts-read": {"date_before": 1},
    "PUT /mms/inbound-read": {"date_before": 1},
    "PUT /mms-campaigns/{mms_campaign_id}": {"name": "New"},
    "PUT /email-campaigns/{email_campaign_id}": {"name": "New"},
    "POST /lists/{list_id}/import": IMPORT,
    "PUT /recharge/auto-recharge": {"auto_recharge": False},
    "PUT /sms-campaigns/{sms_campaign_id}": {"name": "New"},
    "PUT /reseller/accounts/{client_user_id}": {"account_name": "New"},
    "PUT /reseller/settings": {"margin_percent": 5},
    "PUT /subaccounts/{subaccount_id}": {"first_name": "New"},
}
"""Route -> a body that works, where the document's example does not."""


def made_rule(api: Api, kind: str, channel: str = "sms") -> int:
    path = "inbound" if kind == "inbound" else "receipts"
    return int(api.post(f"/automations/{channel}/{path}", RULE)[f"{kind}_rule_id"])


def parameters(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def records_in(path: str) -> list[str]:
    """The parameters of a path that are records of an account."""
    return [] if path.startswith(EVERYBODYS) else [name for name in parameters(path) if name not in NO_RECORDS]


def maker(path: str, name: str) -> Maker:
    for beginning, parameter, make in MAKERS:
        if name == parameter and path.startswith(beginning):
            return make
    raise AssertionError(f"{path}: nothing here makes a {name}; add a line to MAKERS")


def fill(path: str, ids: dict[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: str(ids[found.group(1)]), path)


def body_of(route: Route, api: Api | None = None) -> Any:
    """A body that the route accepts: the document's, unless BODIES has one. None for a route without.

    A picture in it is one of this account.
    """
    body = _body_of(route)
    if api is not None and isinstance(body, dict) and "media_file" in body:
        body["media_file"] = kept(api)
    return body


def _body_of(route: Route) -> Any:
    if route.at in BODIES:
        return copy.deepcopy(BODIES[route.at])
    if route.endpoint.body is None:
        return None
    for endpoint in oracle.endpoints():
        if route.number and endpoint.number == route.number:
            return copy.deepcopy(endpoint.curl_body or endpoint.body_example or {})
    raise AssertionError(f"{route.at}: the document has no body for it; add one to BODIES")


def ids_inside(route: Route) -> Iterator[str]:
    """Names of the fields of a route's body and query that are ids of records."""
    yield from (query.name for query in route.endpoint.query if query.name.endswith("_id"))
    waiting, seen = [route.endpoint.body], set()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
            seen.add(kind)
            hints = get_type_hints(kind)
            names = [one.encode_name for one in msgspec.structs.fields(kind)]
            yield from (one for one in names if one.endswith("_id") and (route.at, one) not in NO_IDS)
            waiting += hints.values()
        waiting += get_args(kind)


def cases(wanted: Callable[[Route], bool]) -> Any:
    """The routes of a test."""
    return pytest.mark.parametrize("route", [pytest.param(one, id=one.at) for one in filter(wanted, ROUTES)])


def own(api: Api, route: Route) -> str:
    """A path of the route with records of an account."""
    path = route.paths[0]
    made = {name: maker(path, name)(api) for name in records_in(path)}
    return fill(path, {name: made.get(name, "1") for name in parameters(path)})


def dummy(route: Route) -> str:
    """A path of the route with an id that nobody has."""
    return fill(route.paths[0], dict.fromkeys(parameters(route.paths[0]), "1"))
