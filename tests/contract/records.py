"""Records of an account for the parameters of a path."""

import re
import time
from collections.abc import Callable
from typing import Any

from support import emails
from support.pictures import kept
from support.server import Api

IMPORT = {"file_url": "http://127.0.0.1:9/import.csv", "field_order": ["phone"]}
RULE = {"rule_name": "r", "action": "POLL", "action_address": "", "match_type": 0}


def filled(api: Api, path: str) -> str:
    """The path with ids of new records of the account."""
    return path.format_map(ids(api, path))


def ids(api: Api, path: str) -> dict[str, str]:
    """The ids of new records that a path with these parameters is about."""
    found: dict[str, str] = {}
    for key in re.findall(r"\{(\w+)\}", path):
        within = found.get("list_id") or found.get("from_list_id") or ""
        if key == "activation_token" and "email_address_id" in found:
            found[key] = sender_token(api, int(found["email_address_id"]))
        else:
            found[key] = record(api, path, key, within)
    return found


def contact_list(api: Api) -> int:
    return int(api.post("/lists", {"list_name": "l"})["list_id"])


def full_list(api: Api) -> int:
    """A list that a campaign can be sent to."""
    list_id = contact_list(api)
    api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570006"})
    return list_id


def campaign(api: Api) -> int:
    """A campaign that has not begun."""
    asked = {"list_id": full_list(api), "name": "c", "body": "b", "schedule": int(time.time()) + 600}
    return int(api.post("/sms-campaigns/send", asked)["sms_campaign_id"])


def mms_campaign(api: Api) -> int:
    """An MMS campaign that has not begun."""
    asked = {"list_id": full_list(api), "name": "c", "body": "b", "subject": "s", "media_file": kept(api)}
    return int(api.post("/mms-campaigns/send", {**asked, "schedule": int(time.time()) + 600})["mms_campaign_id"])


def email_campaign_body(api: Api) -> dict[str, Any]:
    """What an email campaign needs of records: a list whose contact has an address, and a verified sender."""
    list_id = contact_list(api)
    api.post(f"/lists/{list_id}/contacts", {"email": "jane@example.com"})
    return {"list_id": list_id, "from_email_address_id": emails.sender(api), "template_id": None}


def email_campaign(api: Api) -> int:
    """An email campaign that has not begun."""
    asked = {"name": "c", "subject": "s", "body": "b", "from_name": "f", "schedule": int(time.time()) + 600}
    return int(api.post("/email-campaigns/send", {**asked, **email_campaign_body(api)})["data"]["email_campaign_id"])


def code(api: Api) -> str:
    """A code that was sent, or a wrong one when the account has had all that it may ask for.

    Each account has a phone of its own: a number gets few codes an hour, whoever asks.
    """
    phone = f"0412 {api.user_id % 1_000_000:06d}"
    sent = api.call("PUT", "/account-verify/send", {"country": "AU", "user_phone": phone, "type": "sms"})
    return str(sent.data["activation_token"]) if sent.status == 200 else "000000"


def allowed(api: Api) -> int:
    """An address whose mails become SMS."""
    return int(api.post("/sms/email-sms", {"email_address": "a@example.org"})["email_address_id"])


def sender(api: Api) -> int:
    """An address that mails shall come from, not verified."""
    made = api.post("/email/addresses", {"email_address": f"sender{time.time_ns()}@example.com"})
    vars(api)["sender"] = made["email_address"]
    return int(made["email_address_id"])


def sender_token(api: Api, key: int) -> str:
    """A token that was mailed to such an address, or a wrong one when the account has had all that it may ask for."""
    if api.call("PUT", f"/email/address-verify/{key}/send").status != 200:
        return "wrong"
    (mail,) = api.until(lambda: api.server.mails(vars(api)["sender"]))
    (token,) = re.findall(r"asked for it: (\S+)", mail.text)
    return str(token)


def password_key(api: Api) -> dict[str, Any]:
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


def export(api: Api) -> str:
    link = api.get("/sms/history/export")["url"]
    return str(link.partition("/files/")[2].partition("?")[0])


def shortened(api: Api) -> str:
    """The id of a message with a short link."""
    message = {"to": "+61491570006", "body": f"https://example.com/{time.time_ns()}"}
    sent = api.post("/sms/send", {"messages": [message], "shorten_urls": True})
    return str(sent["messages"][0]["message_id"])


def long_url(api: Api) -> str:
    """What a short link leads to."""
    answer = api.call("GET", f"/short-url/statistics/quick_sms/{shortened(api)}")
    return str(answer.body["data"][0]["long_url_id"])


def record(api: Api, path: str, key: str, list_id: str) -> str:
    """The id of a new record that a path with this parameter is about; contacts and imports are of a list."""
    contacts = f"/lists/{list_id}/contacts"
    makers: dict[str, Callable[[], Any]] = {
        "list_id": lambda: contact_list(api),
        "from_list_id": lambda: contact_list(api),
        "to_list_id": lambda: contact_list(api),
        "opt_out_list_id": lambda: api.get("/lists")["data"][0]["list_id"],
        "subaccount_id": lambda: api.subaccount(sms=1).subaccount_id,
        "client_user_id": lambda: client(api),
        "package_id": lambda: with_card(api) or 1,
        "transaction_id": lambda: transaction(api),
        "dedicated_number": lambda: api.get("/numbers/search/US")["data"][0]["dedicated_number"],
        "country": lambda: "US",
        "year": lambda: "2019",
        "month": lambda: "4",
        "activation_token": lambda: code(api),
        "email_address_id": lambda: allowed(api) if path.startswith("/sms/") else sender(api),
        "export_id": lambda: export(api),
        "source": lambda: "quick_sms",
        "source_id": lambda: shortened(api),
        "long_url_id": lambda: long_url(api),
        "contact_id": lambda: api.post(contacts, {"phone_number": "+61491570006"})["contact_id"],
        "import_id": lambda: api.post(f"/lists/{list_id}/import", IMPORT)["id"],
        "template_id": lambda: template(api, path),
        "category_id": lambda: 4,
        "rule_id": lambda: api.post("/sms/email-sms-stripped-strings", {"strip_string": "x"})["rule_id"],
        "inbound_rule_id": lambda: api.post("/automations/sms/inbound", RULE)["inbound_rule_id"],
        "receipt_rule_id": lambda: api.post(path.partition("/{")[0], RULE)["receipt_rule_id"],
        "sms_campaign_id": lambda: campaign(api),
        "mms_campaign_id": lambda: mms_campaign(api),
        "email_campaign_id": lambda: email_campaign(api),
        "message_id": lambda: message(api, path),
        "original_message_id": lambda: answered(api),
    }
    return str(makers[key]())


def template(api: Api, path: str) -> int:
    """The id of a template: a master template, or a new one of the account for emails or for SMS."""
    if path.startswith("/email/master-templates"):
        return 57
    if path.startswith("/email/"):
        return int(api.post("/email/templates", {"template_name": "a", "template_id_master": 57})["template_id"])
    return int(api.post("/sms/templates", {"template_name": "a", "body": "b"})["template_id"])


def answered(api: Api) -> str:
    """The id of a message that was answered."""
    key = str(api.send("+61491999007", f"Hello {time.time_ns()}")["message_id"])
    api.until(lambda: api.call("GET", f"/sms/inbound/{key}").status == 200)
    return key


def message(api: Api, path: str) -> str:
    """The id of a message: one that arrived, a scheduled one, or one that was sent."""
    text = f"Hello {time.time_ns()}"  # the same text twice would be throttled
    if path.startswith("/voice/"):
        given = {"to": "+61491570006", "body": text, "schedule": int(time.time()) + 600}
        return str(api.post("/voice/send", {"messages": [given]})["messages"][0]["message_id"])
    if path.startswith("/mms/"):
        return mms(api, path, text)
    if path.startswith("/email/"):
        return mail(api, path, text)
    if path.startswith("/sms/inbound-read"):
        poll = {"rule_name": "p", "action": "POLL", "dedicated_number": "*"}
        api.post("/automations/sms/inbound", poll)
        api.send("+61491999007", text)
        return str(api.until(lambda: api.get("/sms/inbound")["data"])[0]["message_id"])
    if path.endswith("/cancel"):
        return str(api.send("+61491570006", text, schedule=int(time.time()) + 600)["message_id"])
    key = str(api.send("+61491570006", text)["message_id"])
    api.final(key)
    return key


def mail(api: Api, path: str, text: str) -> str:
    """The same of a mail."""
    waits = path.endswith("/cancel")
    given = emails.a_mail(api, body=text, schedule=int(time.time()) + 600 if waits else 0)
    key = str(api.post("/email/send", given)["message_id"])
    if not waits:
        api.until(lambda: api.get(f"/email/history?q=status:Sent,message_id:{key}")["data"])
    return key


def mms(api: Api, path: str, text: str) -> str:
    """The same of an MMS, with this text."""
    arrived, waits = path.startswith("/mms/inbound-read"), path.endswith("/cancel")
    if arrived:
        api.post("/automations/sms/inbound", {"rule_name": "p", "action": "POLL", "dedicated_number": "*"})
    to, schedule = "+61491999007" if arrived else "+61491570006", int(time.time()) + 600 if waits else 0
    given = {"to": to, "subject": "s", "body": text, "schedule": schedule}
    (sent,) = api.post("/mms/send", {"media_file": kept(api), "messages": [given]})["messages"]
    key = str(sent["message_id"])
    if arrived:
        return str(api.until(lambda: api.get("/mms/inbound")["data"])[0]["message_id"])
    if not waits:
        found = f"/mms/history?q=status:completed,message_id:{key}"
        api.until(lambda: api.get(found)["data"])
    return key
