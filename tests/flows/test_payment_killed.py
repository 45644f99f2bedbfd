"""kill -9 between the charge and the credit: however a purchase is brought to its end, its money counts once."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from support.program import DEMO_KEY, ask, serving, until

SECRET = "whsec_test"
DEMO = base64.b64encode(f"demo:{DEMO_KEY}".encode()).decode()
PRICES = {1: 2000, 2: 5000, 3: 10000, 4: 25000}
CARD = {"number": "4242424242424242", "expiry_month": 5, "expiry_year": 2099, "cvc": "123"}


class Bank(ThreadingHTTPServer):
    """What Stripe is to us: it takes money once for each key, and here it says nothing as long as `silent` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Teller)
        self.taken: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.silent, self.closing = True, threading.Event()


class Teller(BaseHTTPRequestHandler):
    server: Bank

    def do_POST(self) -> None:
        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path.startswith("/v1/payment_intents"):
            key = self.headers["Idempotency-Key"]
            self.server.taken.setdefault(key, int(given["amount"][0]))
            self.server.calls[key] += 1
            if self.server.silent:
                self.server.closing.wait(60)
                return
        answer = json.dumps({"id": "x_1", "object": "thing", "status": "succeeded"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def bank() -> Iterator[Bank]:
    made = Bank()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.closing.set()
    made.shutdown()
    thread.join()
    made.server_close()


def purchase(port: int, package: int, key: str = "") -> int:
    """The status; 0 when the server died over it."""
    path, headers = f"http://127.0.0.1:{port}/v3/recharge/purchase/{package}", {"Idempotency-Key": key} if key else {}
    asked = urllib.request.Request(path, method="PUT", headers={**headers, "Authorization": f"Basic {DEMO}"})
    with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(asked, timeout=60) as answer:
        return int(answer.status)
    return 0


def tell_of(port: int, invoice: str) -> int:
    """An event of the bank, signed; the status of the answer."""
    intent = {"id": "pi_1", "object": "payment_intent", "metadata": {"key": invoice}}
    body = json.dumps({"type": "payment_intent.succeeded", "data": {"object": intent}}).encode()
    at = int(time.time())
    signature = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v3/recharge/events", body, headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return int(answer.status)


def test_killed_between_charge_and_credit(tmp_path: Path, bank: Bank) -> None:
    """The first purchase is repeated without a key, the second one with its key; the third is left to the job, and
    the bank tells of the fourth. Each had been asked for twice at once.
    """
    data = tmp_path / "data"
    options = {
        "payment_gateway": "stripe",
        "stripe_key": "sk_test_1",
        "stripe_webhook_secret": SECRET,
        "stripe_address": f"http://127.0.0.1:{bank.server_port}",
        "log_format": "json",
    }
    keys = {2: "purchase-2"}
    with serving(data, **options) as server:
        port = server.port
        card = {**CARD, "name": "Roland Robot", "bank_name": "Robotic Banking"}
        assert ask(port, "PUT", "/v3/recharge/credit-card", card)[0] == 200
        customers = [
            threading.Thread(target=purchase, args=(port, package, keys.get(package, ""))) for package in [*PRICES] * 2
        ]
        for customer in customers:
            customer.start()
        until(lambda: sum(bank.calls.values()) == len(customers))
        server.process.kill()
        for customer in customers:
            customer.join(30)
    bank.silent = False
    assert sorted(bank.taken.values()) == sorted(PRICES.values())
    fourth = next(key for key, amount in bank.taken.items() if amount == PRICES[4])
    with contextlib.closing(sqlite3.connect(data / "heliograph.db")) as database:  # the job's minute is over
        package = "SELECT payment_id FROM payments WHERE package_id = 3"
        payment = database.execute(package).fetchone()[0]
        database.execute(
            "UPDATE jobs SET due_at = 0 WHERE payload = ?", [json.dumps({"payment_id": payment}, separators=(",", ":"))]
        )
        database.commit()
    with serving(data, **options) as server:
        port = server.port
        assert [purchase(port, 1), purchase(port, 2, "purchase-2"), tell_of(port, fourth)] == [200, 200, 200]
        until(lambda: ask(port, "GET", "/v3/recharge/transactions")[2]["data"]["total"] == 4)
        assert [purchase(port, 2, "purchase-2"), tell_of(port, fourth)] == [200, 200]
        account = ask(port, "GET", "/v3/account")[2]["data"]
        assert account["balance"] == "1420.000000"
        assert sorted(bank.taken.values()) == sorted(PRICES.values())
        assert server.end() == 0
