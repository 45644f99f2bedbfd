"""Records of an account for the parameters of a path."""

import re
import time

from support.server import Api

RULE = {"rule_name": "r", "action": "POLL", "action_address": "", "match_type": 0}


def filled(api: Api, path: str) -> str:
    """The path with ids of new records of the account."""
    return re.sub(r"\{(\w+)\}", lambda found: record(api, path, found.group(1)), path)


def record(api: Api, path: str, key: str) -> str:
    """The id of a new record that a path with this parameter is about."""
    makers = {
        "template_id": lambda: api.post("/sms/templates", {"template_name": "a", "body": "b"})["template_id"],
        "inbound_rule_id": lambda: api.post("/automations/sms/inbound", RULE)["inbound_rule_id"],
        "receipt_rule_id": lambda: api.post("/automations/sms/receipts", RULE)["receipt_rule_id"],
        "message_id": lambda: message(api, path),
    }
    return str(makers[key]())


def message(api: Api, path: str) -> str:
    """The id of a message: one that arrived, a scheduled one, or one that was sent."""
    text = f"Hello {time.time_ns()}"  # the same text twice would be throttled
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
