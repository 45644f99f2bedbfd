"""A Stripe on a socket of loopback that does what a test tells it: payment intents, their states and its faults."""

import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "whsec_test"
FAULT = {"error": {"type": "api_error", "message": "An unknown error occurred."}}
ERRORS = {
    "missing": (404, {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing."}),
    "declined": (402, {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}),
}


class Stripe(ThreadingHTTPServer):
    """`script` holds what comes of the next charges: the status of the intent, and whether the answer is a fault.

    An answer is saved and repeated for its key, as Stripe does it with faults too; `away` answers 503, unsaved.
    """

    daemon_threads = True

    def __init__(self, now: float) -> None:
        super().__init__(("127.0.0.1", 0), Teller)
        self.now = now
        self.intents: dict[str, dict[str, Any]] = {}
        self.saved: dict[str, tuple[int, dict[str, Any]]] = {}
        self.script: list[str] = []
        self.asked: list[str] = []
        self.away = False
        self.reached, self.going_on = threading.Event(), threading.Event()
        self.going_on.set()
        self.one_at_a_time = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def creations(self) -> int:
        return self.asked.count("POST /v1/payment_intents")

    def put(self, status: str, amount: int, currency: str, key: str, **more: Any) -> dict[str, Any]:
        """Have an intent, as if it had been made in some other way."""
        made = {
            "id": f"pi_{len(self.intents) + 1}",
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": currency.lower(),
            "metadata": {"key": key} if key else {},
            "created": int(self.now),
            "customer": "cus_1",
            "latest_charge": {"object": "charge", "id": "ch_1", "amount_refunded": 0},
            **more,
        }
        self.intents[made["id"]] = made
        self.turn(made, status)
        return made

    def turn(self, intent: dict[str, Any], status: str) -> None:
        """Move an intent on; `declined` is how the status `requires_payment_method` comes about."""
        declined = {"status": "requires_payment_method", "last_payment_error": ERRORS["declined"][1]}
        intent.update(declined if status == "declined" else {"status": status, "last_payment_error": None})
        intent["amount_received"] = intent["amount"] if status == "succeeded" else 0

    def create(self, given: dict[str, str], key: str) -> tuple[int, dict[str, Any]]:
        if key not in self.saved:
            status, _, fault = (self.script.pop(0) if self.script else "succeeded").partition(" ")
            made = None
            if status != "none":
                made = self.put(
                    status, int(given["amount"]), given["currency"], given["metadata[key]"], customer=given["customer"]
                )
            answer = (402, {"error": ERRORS["declined"][1]}) if status == "declined" else (200, made or {})
            self.saved[key] = (500, FAULT) if fault or made is None else answer
        status_code, body = self.saved[key]
        return status_code, json.loads(json.dumps(body))

    def listed(self, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if given.get("customer") == "cus_deleted":
            return 404, {"error": ERRORS["missing"][1]}
        found = [
            one
            for one in reversed(self.intents.values())
            if given.get("customer", one["customer"]) == one["customer"]
            and one["created"] >= int(given.get("created[gte]", 0))
        ]
        after = [one["id"] for one in found].index(given["starting_after"]) + 1 if "starting_after" in given else 0
        page, rest = found[after : after + int(given["limit"])], found[after + int(given["limit"]) :]
        data = [shown(one, "data.latest_charge" in given.values()) for one in page]
        return 200, {"object": "list", "data": data, "has_more": bool(rest), "url": "/v1/payment_intents"}

    def answer(self, verb: str, path: str, given: dict[str, str], key: str) -> tuple[int, dict[str, Any]]:
        """The status and the body."""
        self.asked.append(f"{verb} {path}")
        if self.away:
            return 503, FAULT
        where = path.removeprefix("/v1/").split("/")
        if where == ["payment_intents"]:
            return self.create(given, key) if verb == "POST" else self.listed(given)
        if where[0] == "payment_intents":
            one = self.intents.get(where[1])
            return (
                (200, shown(one, "latest_charge" in given.values())) if one else (404, {"error": ERRORS["missing"][1]})
            )
        if where == ["refunds"]:
            charge = self.intents[given["payment_intent"]]["latest_charge"]
            charge["amount_refunded"] = self.intents[given["payment_intent"]]["amount"]
            return 500, FAULT
        return 200, {"id": {"customers": "cus_1"}.get(where[0], "pm_1"), "object": "thing"}


def shown(intent: dict[str, Any], expanded: bool) -> dict[str, Any]:
    """An intent as it is answered: its charge is an id, but where it was asked for."""
    return intent if expanded else {**intent, "latest_charge": intent["latest_charge"]["id"]}


class Teller(BaseHTTPRequestHandler):
    server: Stripe

    def do_GET(self) -> None:
        self._answer(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:
        self._answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

    def _answer(self, given: dict[str, list[str]]) -> None:
        values = {name: texts[0] for name, texts in given.items()}
        key = self.headers.get("Idempotency-Key", "")
        path = urlsplit(self.path).path
        with self.server.one_at_a_time:
            status, body = self.server.answer(self.command, path, values, key)
        if (self.command, path) == ("POST", "/v1/payment_intents"):
            self.server.reached.set()
            self.server.going_on.wait(60)
        answer = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def stripe(now: float) -> Iterator[Stripe]:
    made = Stripe(now)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.going_on.set()
        made.shutdown()
        thread.join()
        made.server_close()


def signed(body: bytes, age: int = 0) -> str:
    """The header of an event that was signed `age` seconds ago."""
    at = int(time.time()) - age
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def event(intent: dict[str, Any], kind: str = "succeeded", **more: Any) -> bytes:
    """An event about an intent, as it was when the event was made."""
    told = {"id": "evt_1", "object": "event", "type": f"payment_intent.{kind}", "data": {"object": intent}, **more}
    return json.dumps(told).encode()
