"""HTTP shapes of the rule endpoints: five for every family."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from heliograph import phone
from heliograph.automations import rules
from heliograph.automations.families import ACTIONS, OF_LISTS, Family
from heliograph.contacts import lists
from heliograph.db.tables import rules as table
from heliograph.errors import BadRequest, label, required
from heliograph.esme import login
from heliograph.fields import about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from heliograph.mailaddress import is_address
from heliograph.webaddress import LONGEST_URL
from heliograph.webhooks.fetch import check_url

WEBHOOK_TYPES = ("post", "get", "json")
LONGEST = {
    "rule_name": 200,
    "dedicated_number": 30,
    "message_search_term": 500,
    "action_address": LONGEST_URL,
    "body": 2000,
}
"""Characters of the texts of a rule."""

LONGEST_SHORT_CODE = 6


class Field(NamedTuple):
    """A field of a rule: its type in answers and in bodies, what it is for, an example, what a body may choose from."""

    in_answer: Any
    in_body: Any
    text: str
    example: Any
    choices: Sequence[Any] = ()


FIELDS = {
    "rule_name": Field(str, str, "Name of the rule; a new rule must have one.", "My rule"),
    "dedicated_number": Field(str, str, "The number that the rule watches; * for all.", "*"),
    "message_search_type": Field(
        Literal[0, 1, 2, 3],
        int,
        "0 any message, 1 starts with the term, 2 contains it, 3 does not contain it.",
        0,
        (0, 1, 2, 3),
    ),
    "message_search_term": Field(str | None, str, "What to look for, in any case.", "stop"),
    "match_type": Field(int, int, "0 all receipts, 1 delivered, 2 failed, 3 others; other numbers never match.", 0),
    "action": Field(str, str, "What the rule does; a new rule must have one.", "URL", ACTIONS),
    "action_address": Field(
        str | None,
        str,
        "URL, phone number, email address or id of a list, as the action needs it.",
        "https://example.com/hook",
    ),
    "body": Field(
        str | None, str, "Text of an AUTO_REPLY, or where CREATE_CONTACT_PLUS_EMAIL mails the message to.", None
    ),
    "enabled": Field(Literal[0, 1], bool, "Whether the rule is in force.", 1),
    "webhook_type": Field(
        str | None, str, "How a URL is called: post (a form; the default), get or json.", "json", (*WEBHOOK_TYPES, "")
    ),
}


def shapes(family: Family) -> tuple[type[msgspec.Struct], type[msgspec.Struct]]:
    """The structs of a family: body of create and update, and answer."""
    title = "".join(word.capitalize() for word in family.name.split("-")) + "Rule"
    body: list[tuple[str, Any, Any]] = []
    answer: list[tuple[str, Any]] = [(family.key, Annotated[int, about("Id of the rule.", 1)])]
    for name in family.fields:
        field = FIELDS[name]
        limits: dict[str, Any] = {"enum": list(field.choices)} if field.choices else {}
        limits |= {"maxLength": LONGEST[name]} if name in LONGEST else {}
        body.append((name, Annotated[field.in_body | None, about(field.text, field.example, **limits)], None))
        answer.append((name, Annotated[field.in_answer, about(field.text, field.example)]))
    return (
        msgspec.defstruct(title + "Body", body, module=__name__),
        msgspec.defstruct(title, answer, module=__name__),
    )


def rows(family: Family) -> list[Route]:
    """The rows of routes.py that list, create, view, update and delete the rules of a family."""
    body_type, answer = shapes(family)
    columns = {family.key: table.c.rule_id, **{name: table.c[name] for name in family.fields}}

    def render(row: Mapping[str, Any]) -> msgspec.Struct:
        return answer(row["rule_id"], *(row[name] for name in family.fields))

    def key_of(req: Request) -> int:
        return req.number(family.key, rules.NO_RECORD)

    @endpoint(family.listed, answer, paged=True, summary=f"View the rules for {family.title}")
    def view_all(req: Request) -> Reply:
        return search.page(req, rules.of(req.who.user_id, family.name), columns, (family.key, False), render)

    @endpoint(family.created, answer, body=body_type, summary=f"Create a rule for {family.title}")
    def create(req: Request, body: msgspec.Struct) -> Reply:
        values = _checked(req, family, body, {})
        return Reply(render(rules.create(req.tx, req.who.user_id, family.name, values)))

    @endpoint(family.viewed, answer, summary=f"View a rule for {family.title}")
    def view(req: Request) -> Reply:
        return Reply(render(rules.find(req.tx, req.who.user_id, family.name, key_of(req))))

    @endpoint(family.updated, answer, body=body_type, summary=f"Change a rule for {family.title}")
    def update(req: Request, body: msgspec.Struct) -> Reply:
        """Change a rule. What the body does not name stays as it is."""
        key = key_of(req)
        before = rules.find(req.tx, req.who.user_id, family.name, key)
        values = _checked(req, family, body, before)
        return Reply(render(rules.update(req.tx, req.who.user_id, family.name, key, values)))

    @endpoint(family.deleted, family.gone_type, summary=f"Delete a rule for {family.title}")
    def delete(req: Request) -> Reply:
        rules.delete(req.tx, req.who.user_id, family.name, key_of(req))
        return Reply(family.gone)

    one = f"/{{{family.key}:int}}"
    places = (("GET", "", view_all), ("POST", "", create), ("GET", one, view), ("PUT", one, update))
    return [
        Route(
            number,
            f"{verb} {family.path}{end}",
            handler,
            "settings",
            also=(family.also + end,) if family.also else (),
        )
        for number, (verb, end, handler) in zip(family.numbers, (*places, ("DELETE", one, delete)), strict=True)
    ]


def _checked(req: Request, family: Family, body: msgspec.Struct, before: Mapping[str, Any]) -> dict[str, Any]:
    """The columns to store; what is not named keeps its value in `before`. Raises BadRequest."""
    named = {name: getattr(body, name) for name in family.fields if getattr(body, name) is not None}
    if "action_address" in named:
        named["action_address"] = named["action_address"].strip()
    if "dedicated_number" in named:
        named["dedicated_number"] = _international(named["dedicated_number"], req.who.country) or "*"
    rule = {**{name: before.get(name) for name in family.fields}, **named}
    if rule["action"] == "SMS" and rule["action_address"] and {"action", "action_address"} & named.keys():
        named["action_address"] = rule["action_address"] = _international(rule["action_address"], req.who.country)
    faults = {
        name: f"{label(name)} must be at most {most} characters."
        for name, most in LONGEST.items()
        if len(named.get(name, "")) > most
    }
    for name in ("rule_name", "action"):
        if not str(rule[name] or "").strip():
            faults[name] = required(name)
    if rule["action"] and rule["action"] not in ACTIONS:
        faults["action"] = f"Action must be one of {', '.join(ACTIONS)}."
    if rule.get("message_search_type") not in (None, 0, 1, 2, 3):
        faults["message_search_type"] = "Message search type must be 0, 1, 2 or 3."
    if rule.get("webhook_type") not in (None, "", *WEBHOOK_TYPES):
        faults["webhook_type"] = "Webhook type must be post, get or json."
    if not faults and {"action", "action_address", "body", "dedicated_number"} & named.keys():
        faults |= _address_faults(req, rule)
    if abs(named.get("match_type") or 0) > 2**31:
        faults["match_type"] = "Match type is out of range."
    if faults:
        raise BadRequest(faults)
    if "enabled" in named:
        named["enabled"] = int(named["enabled"])
    return named


def _international(number: str, country: str) -> str:
    """A number as it is given; in E.164 if it is one of `country` (ISO alpha-2) without a plus, and no short code."""
    known = phone.parse(number, country) if len(number) > LONGEST_SHORT_CODE else None
    return known.number if known and known != phone.parse(number) else number


def _address_faults(req: Request, rule: Mapping[str, Any]) -> dict[str, str]:
    """Whether the address fits the action."""
    action, address = rule["action"], rule["action_address"] or ""
    if action == "URL":
        fault = check_url(address, private=req.services.settings.private_webhooks)
        return {"action_address": fault} if fault else {}
    if action == "EMAIL_FIXED" and not is_address(address):
        return {"action_address": "Action address must be an email address."}
    if action in OF_LISTS and not lists.is_own(req.tx, req.who.user_id, address):
        return {"action_address": "Action address must be the id of one of your lists."}
    body = (rule.get("body") or "").strip()
    if action in OF_LISTS and action.endswith("_EMAIL") and body and not is_address(body):
        return {"body": "Body must be the email address that the message goes to, or empty."}
    if action == "SMS" and (fault := _forwarding_fault(phone.parse(address), rule)):
        return {"action_address": fault}
    if action == "SMPP" and address and address not in login.of_account(req.tx, req.who.user_id):
        return {"action_address": "Action address must be a system_id of this account, or empty for all of them."}
    if action == "AUTO_REPLY" and not (address or body):
        return {"action_address": "Give the text of the reply in body or action_address."}
    return {}


def _forwarding_fault(to: phone.Phone | None, rule: Mapping[str, Any]) -> str | None:
    if to is None:
        return "Action address must be a phone number, best in E.164 format."
    watched = phone.parse(rule.get("dedicated_number") or "")
    return "Action address must not be the number that the rule watches." if watched == to else None
