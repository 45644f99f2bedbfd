"""One SMS through the whole house: HTTP, database, SMPP, receipt, rules, webhook, polling."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from heliograph.transports.sandbox import mailsink
from support.server import ONE_DATABASE, Api, Running

DELIVERED = "+61491570006"


class Hook:
    """A customer's server that keeps what it is sent."""

    def __init__(self, status: int = 200) -> None:
        self.heard: Queue[tuple[str, str, dict[str, str], str]] = Queue()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                hook.heard.put(
                    (self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def rule(api: Api, family: str, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.post(f"/automations/sms/{family}", {"rule_name": "test", "enabled": 1, **values})
    return made


def test_sent_carried_delivered_polled_and_read(api: Api) -> None:
    rule(api, "receipts", match_type=0, action="POLL", action_address="")
    sent = api.send(DELIVERED, "Hello", custom_string="ref 1")
    assert (sent["status"], sent["message_price"], sent["message_parts"]) == ("SUCCESS", "0.0715", 1)
    row = api.final(sent["message_id"])
    assert (row["status_code"], row["custom_string"]) == ("201", "ref 1")
    listed = api.get("/sms/receipts")
    assert [entry["message_id"] for entry in listed["data"]] == [sent["message_id"]]
    assert api.get(f"/sms/receipts/{sent['message_id']}")["status_code"] == "201"
    api.put("/sms/receipts-read", {})
    assert api.get("/sms/receipts")["total"] == 0
    assert api.get(f"/sms/receipts/{sent['message_id']}")["status_code"] == "201"

    def steps() -> list[str]:
        return [step["status"] for step in api.get(f"/sms/{sent['message_id']}/timeline")]

    api.until(lambda: set(steps()[1:]) == {"Sent", "Completed"})  # a receipt may overtake the record of the hand-over
    assert steps()[0] == "Queued"


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+61491999001", "undelivered by the carrier"),
        ("+61491999004", "ESME_RINVDSTADR"),
        ("+61491999008", "receipt expired"),
    ],
)
def test_failures_are_final_and_only_those_before_the_hand_over_are_refunded(api: Api, number: str, why: str) -> None:
    sent = api.send(number)
    row = api.final(sent["message_id"], "Failed")
    assert row["status_code"] == "301"
    assert row["error_text"] == why
    assert row["status_text"] == f"Failed: {why}"
    refunded = number.endswith("999004")
    balance = "100.000000" if refunded else "99.928500"
    assert api.get("/account")["balance"] == balance


@ONE_DATABASE
def test_throttled_by_the_carrier_it_arrives_all_the_same(api: Api) -> None:
    sent = api.send("+61491999005")
    api.until(lambda: api.history(sent["message_id"])["status"] == "Completed", 60)


def test_long_and_unicode_messages_complete_when_every_segment_is_delivered(api: Api) -> None:
    for body, parts in (("x" * 400, 3), ("Привет 😀 " * 20, 3)):
        sent = api.send(DELIVERED, body)
        assert sent["message_parts"] == parts
        api.final(sent["message_id"])


def test_a_reply_reaches_poll_webhook_mail_and_is_answered(server: Running, api: Api) -> None:
    hook, other = Hook(), Hook()
    rule(api, "inbound", dedicated_number="*", message_search_type=0, action="POLL")
    for search, heard_by in ((1, hook), (3, other)):
        to_url = {"action": "URL", "action_address": heard_by.url, "webhook_type": "json"}
        rule(api, "inbound", dedicated_number="*", message_search_type=search, message_search_term="ping", **to_url)
    rule(api, "inbound", dedicated_number="*", action="EMAIL_FIXED", action_address=f"{api.username}@example.org")
    rule(api, "inbound", dedicated_number="*", action="AUTO_REPLY", body="Thank you")
    sent = api.send("+61491999007", "PING pong", custom_string="c7")
    # The handset answers the auto-reply as well, perhaps before we look.
    got = api.until(lambda: [row for row in api.get("/sms/inbound")["data"] if row["body"] == "PING pong"])
    assert got[0]["original_message_id"] == sent["message_id"]
    assert got[0]["custom_string"] == "c7"
    _, _, headers, body = hook.heard.get(timeout=30)
    assert '"body":"PING pong"' in body
    assert headers["webhook-signature"].startswith("v1,")
    assert api.put(f"/sms/inbound-read/{got[0]['message_id']}") == 1
    folder = server.options.data / "mail"
    api.until(lambda: any(m.recipient == f"{api.username}@example.org" for m in mailsink.listing(folder)))
    api.until(lambda: any(row["body"] == "Thank you" for row in api.get("/sms/history")["data"]))
    # The answer to the auto-reply is without the word.
    assert '"body":"Thank you"' in other.heard.get(timeout=30)[3]
    assert hook.heard.empty()
    assert other.heard.empty()
    hook.close()
    other.close()


def test_receipts_are_pushed_as_forms_and_match_types_are_kept(api: Api) -> None:
    hook, other = Hook(), Hook()
    rule(api, "receipts", match_type=0, action="URL", action_address=hook.url)
    rule(api, "receipts", match_type=2, action="URL", action_address=other.url)
    sent = api.send(DELIVERED)
    method, _, headers, body = hook.heard.get(timeout=30)
    fields = parse_qs(body)
    assert method == "POST"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert fields["message_id"] == fields["messageid"] == [sent["message_id"]]
    assert (fields["status"], fields["status_code"], fields["message_type"]) == (["Delivered"], ["201"], ["sms"])
    assert other.heard.empty()
    hook.close()
    other.close()


def test_get_webhooks_carry_the_query(api: Api) -> None:
    hook = Hook()
    rule(api, "inbound", dedicated_number="*", action="URL", action_address=hook.url, webhook_type="get")
    api.send("+61491999006", "Sale today")
    method, path, _, _ = hook.heard.get(timeout=30)
    assert method == "GET"
    assert parse_qs(urlsplit(path).query)["body"] == ["STOP"]
    hook.close()


def test_test_events_are_pushed_and_found_by_their_ids(server: Running, api: Api) -> None:
    hook = Hook()
    made = api.post("/sms/receipts", {"url": hook.url})
    assert parse_qs(hook.heard.get(timeout=30)[3])["message_id"] == [made["message_id"]]
    kept = api.get(f"/sms/receipts/{made['message_id'].lower()}")
    assert {name: kept[name] for name in made} == {**made, "custom_string": ""}
    made = api.post("/sms/inbound", {"url": hook.url})
    assert parse_qs(hook.heard.get(timeout=30)[3])["message_id"] == [made["message_id"]]
    assert api.put(f"/sms/inbound-read/{made['message_id']}") == 1
    hook.close()
    other = server.account()
    assert other.call("GET", f"/sms/receipts/{kept['message_id']}").status == 404
    assert other.call("PUT", f"/sms/inbound-read/{made['message_id']}").status == 404
    for path in ("/sms/receipts", "/sms/inbound", "/sms/history"):
        assert api.get(path)["total"] == 0  # no rule asked for them, and nothing was sent


def test_scheduled_messages_wait_and_can_be_cancelled_with_a_refund(api: Api) -> None:
    later = int(time.time()) + 3600
    first = api.send(DELIVERED, "one", schedule=later)
    second = api.send(DELIVERED, "two", schedule=str(later))
    third = api.send(DELIVERED, "three", schedule=later)
    assert first["schedule"] == later
    assert api.history(first["message_id"])["status"] == "Scheduled"
    assert api.put(f"/sms/{first['message_id'].lower()}/cancel") is None
    assert api.call("PUT", f"/sms/{first['message_id']}/cancel").status == 404
    assert api.put("/sms/cancel-all") == {"count": 2}
    assert {api.history(sent["message_id"])["status"] for sent in (first, second, third)} == {"Cancelled"}
    assert api.get("/account")["balance"] == "100.000000"


def test_test_numbers_are_free_and_never_sent(api: Api) -> None:
    sent = api.send("+61411111111", schedule=int(time.time()) + 3600)
    assert (sent["message_price"], sent["message_parts"]) == ("0.0000", 0)
    row = api.history(sent["message_id"])
    assert (row["status"], row["status_code"]) == ("Completed", None)
    assert api.get("/account")["balance"] == "100.000000"


def test_without_any_route_a_message_waits_and_says_why(tmp_path: Path) -> None:
    running = Running(tmp_path / "data", mode="production", secret="s" * 32)
    api = running.account()
    sent = api.send(DELIVERED)
    path = f"/sms/{sent['message_id']}/timeline"
    api.until(lambda: any("no route fits" in step["detail"] for step in api.get(path)))
    assert api.history(sent["message_id"])["status"] == "Queued"
    running.close_clients()
    running.stop()
