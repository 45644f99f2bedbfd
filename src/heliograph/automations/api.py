"""HTTP shapes of the rule endpoints: five handlers for every family."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from heliograph import phone
from heliograph.automations import rules
from heliograph.automations.families import ACTIONS, Family
from heliograph.contacts import lists
from heliograph.db.tables import rules as table
from heliograph.errors import BadRequest
from heliograph.http import paging, search
from heliograph.http.request import Reply, Request
from heliograph.queue.mail import is_address
from heliograph.webhooks.fetch import check_url

Handler = Callable[[Request], Reply]
WEBHOOK_TYPES = ("post", "get", "json")


class RuleBody(msgspec.Struct):
    """Body of create and update; an update changes what it names."""

    rule_name: str | None = None
    dedicated_number: str | None = None
    message_search_type: int | None = None
    message_search_term: str | None = None
    match_type: int | None = None
    action: str | None = None
    action_address: str | None = None
    body: str | None = None
    enabled: bool | None = None
    webhook_type: str | None = None


def handlers(family: Family) -> tuple[Handler, Handler, Handler, Handler, Handler]:
    """List, create, view, update, delete."""
    columns = {family.key: table.c.rule_id, **{name: table.c[name] for name in family.fields}}

    def render(row: Mapping[str, Any]) -> dict[str, Any]:
        return {family.key: row["rule_id"], **{name: row[name] for name in family.fields}}

    def listing(req: Request) -> Reply:
        shown = paging.window(req)
        base = rules.of(req.who.user_id, family.name)
        total, rows = search.rows(req, base, columns, shown, default=(family.key, False))
        return Reply(paging.page(req, shown, total, rows, render))

    def create(req: Request) -> Reply:
        values = _checked(family, req, {})
        return Reply(render(rules.create(req.tx, req.who.user_id, family.name, values)))

    def view(req: Request) -> Reply:
        return Reply(render(rules.find(req.tx, req.who.user_id, family.name, req.number(family.key, rules.UNKNOWN))))

    def update(req: Request) -> Reply:
        key = req.number(family.key, rules.UNKNOWN)
        before = rules.find(req.tx, req.who.user_id, family.name, key)
        values = _checked(family, req, before)
        return Reply(render(rules.update(req.tx, req.who.user_id, family.name, key, values)))

    def delete(req: Request) -> Reply:
        rules.delete(req.tx, req.who.user_id, family.name, req.number(family.key, rules.UNKNOWN))
        return Reply([])

    return listing, create, view, update, delete


def _checked(family: Family, req: Request, before: Mapping[str, Any]) -> dict[str, Any]:
    """The columns to store; what is not named keeps its value in `before`. Raises BadRequest."""
    given = req.decode(RuleBody)
    named = {name: getattr(given, name) for name in family.fields if getattr(given, name) is not None}
    whole = {**{name: before.get(name) for name in family.fields}, **named}
    faults = {}
    for name in ("rule_name", "action"):
        if not str(whole[name] or "").strip():
            faults[name] = f"{name.capitalize().replace('_', ' ')} field is required."
    if whole["action"] and whole["action"] not in ACTIONS:
        faults["action"] = f"Action must be one of {', '.join(ACTIONS)}."
    if whole.get("message_search_type") not in (None, 0, 1, 2, 3):
        faults["message_search_type"] = "Message search type must be 0, 1, 2 or 3."
    if whole.get("webhook_type") not in (None, "", *WEBHOOK_TYPES):
        faults["webhook_type"] = "Webhook type must be post, get or json."
    if not faults:
        faults |= _address_faults(whole)
    if not faults and whole["action"] == "MOVE_CONTACT" and not lists.is_own(req.tx, req.who.user_id, _address(whole)):
        faults["action_address"] = "Action address must be the id of one of your lists."
    if abs(named.get("match_type") or 0) > 2**31:
        faults["match_type"] = "Match type is out of range."
    if faults:
        raise BadRequest(faults)
    if "enabled" in named:
        named["enabled"] = int(named["enabled"])
    return named


def _address(whole: Mapping[str, Any]) -> str:
    return (whole["action_address"] or "").strip()


def _address_faults(whole: Mapping[str, Any]) -> dict[str, str]:
    """Whether the address fits the action."""
    action, address = whole["action"], _address(whole)
    if action == "URL":
        fault = check_url(address)
        return {"action_address": fault} if fault else {}
    if action == "EMAIL_FIXED" and not is_address(address):
        return {"action_address": "Action address must be an email address."}
    if action == "SMS" and phone.parse(address) is None:
        return {"action_address": "Action address must be a phone number in E.164 format."}
    if action == "AUTO_REPLY" and not (address or (whole.get("body") or "").strip()):
        return {"action_address": "Give the text of the reply in body or action_address."}
    return {}
