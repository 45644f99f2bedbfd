"""The gateway stripe against localstripe, and what its requests look like on the wire."""

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest

from heliograph.billing.gateways.base import BadEvent, GatewayAway
from heliograph.billing.gateways.stripe import StripeGateway

TESTS = Path(__file__).parent.parent
NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]


@pytest.fixture(scope="module")
def played() -> Any:
    """What a session in a network namespace of its own printed: localstripe listens on every address that it finds."""
    try:
        subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no network namespaces here: {problem}")
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    session = [*NAMESPACE, sys.executable, "-m", "billing.stripe_session"]
    done = subprocess.run(session, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_cards_are_kept_or_refused(played: Any) -> None:
    assert played["token"].startswith("cus_")
    assert played["declined at once"] == "Your card was declined."
    assert not played["no card"].startswith("taken")


def test_charges(played: Any) -> None:
    assert played["charge"][0] == "paid"
    assert played["declined"] == ["declined", "Your card was declined."]
    assert sorted(played["list"]) == sorted(
        [[played["charge"][1], 2000, "AUD", "key-1"], [played["other"], 500, "JPY", "key-2"]]
    )
    assert played["first page"] <= 1  # its only charge may be the declined one
    assert played["fetched"] == ["paid", 2000, "AUD", "key-1"]
    assert played["no such charge"] is None
    assert played["refund"] == "paid"
    assert played["given back"] == ["declined", "The payment was refunded."]


def test_events(played: Any) -> None:
    assert played["events"] == [["pi_1", "key-1"], "bad event", None, "bad event", None]


def test_a_gateway_that_is_not_there(played: Any) -> None:
    assert played["away"] == "APIConnectionError"


class Peer(BaseHTTPRequestHandler):
    """Takes a charge, and breaks off before the first answer; refuses refunds, with the code that is its reason."""

    seen: ClassVar[list[tuple[str, dict[str, list[str]]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.append((self.headers["Idempotency-Key"], parse_qs(body)))
        if len(self.seen) == 1:
            return
        answer, status = b'{"id": "pi_1", "object": "payment_intent", "status": "succeeded"}', 200
        if self.path == "/v1/refunds":
            code = parse_qs(body)["payment_intent"][0]
            answer = json.dumps({"error": {"type": "invalid_request_error", "code": code, "message": "No."}}).encode()
            status = 400
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[str]:
    Peer.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_call_is_repeated_by_us_and_with_the_same_key(peer: str) -> None:
    """localstripe does not look at idempotency keys. The SDK must not repeat by itself: the database would not know."""
    gateway = StripeGateway("sk_test", address=peer)
    with pytest.raises(GatewayAway):
        asyncio.run(gateway.charge("cus_1/pm_1", 2000, "AUD", "key-1"))
    assert len(Peer.seen) == 1
    assert asyncio.run(gateway.charge("cus_1/pm_1", 2000, "AUD", "key-1")).state == "paid"
    (first, body), (second, again) = Peer.seen
    assert first == second == "key-1"
    assert body == again
    assert (body["metadata[key]"], body["amount"], body["currency"]) == (["key-1"], ["2000"], ["aud"])


def test_a_charge_that_was_given_back_before_stays_so(peer: str) -> None:
    """Stripe forgets a key after a day. To take that for a refusal would give the customer credit and money."""
    gateway = StripeGateway("sk_test", address=peer)
    with pytest.raises(GatewayAway):
        asyncio.run(gateway.refund("charge_already_refunded", "refund-1"))
    states = [
        asyncio.run(gateway.refund(code, "refund-1")).state for code in ("charge_already_refunded", "resource_missing")
    ]
    assert states == ["paid", "declined"]


def test_without_a_secret_no_event_is_believed() -> None:
    body, at = b'{"type": "payment_intent.succeeded", "data": {"object": {"metadata": {"key": "k"}}}}', int(time.time())
    signature = hmac.new(b"", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    with pytest.raises(BadEvent):
        StripeGateway("sk_test").verify_webhook(body, f"t={at},v1={signature}")
