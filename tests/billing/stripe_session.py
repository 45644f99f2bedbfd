"""Run in a network namespace of its own: starts localstripe, plays through the gateway, prints what came of it as JSON.

localstripe listens on every address and has no option for it, so it must not run where there are others than loopback.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from heliograph.billing.gateways import stripe
from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, GatewayAway
from heliograph.billing.gateways.stripe import StripeGateway

PORT = 8420
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SECRET = "whsec_test"


def loopback_up() -> None:
    """A new namespace has only a loopback device, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack_from("h", asked, 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def alone() -> bool:
    """Whether loopback is the only device."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


@contextlib.contextmanager
def localstripe() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(PORT)]
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, "HOME": folder}, stdout=2)
        try:
            end = time.monotonic() + 90
            while True:
                try:
                    socket.create_connection(("127.0.0.1", PORT), 1).close()
                    break
                except OSError:
                    if time.monotonic() > end or process.poll() is not None:
                        raise
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


def card(number: str) -> Card:
    return Card(number, 12, 2099, "123", "Roland Robot")


async def refusal(gateway: StripeGateway, number: str) -> str:
    try:
        return "taken: " + await gateway.tokenise(card(number))
    except CardRefused as refused:
        return str(refused)


def event(gateway: StripeGateway, body: bytes, secret: str = SECRET) -> Any:
    at = int(time.time())
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    try:
        told = gateway.verify_webhook(body, f"t={at},v1={signature}")
        return told and [told.charge_id, told.key]
    except BadEvent:
        return "bad event"


async def play() -> dict[str, Any]:
    gateway = StripeGateway("sk_test_12345", SECRET, f"http://127.0.0.1:{PORT}")
    found: dict[str, Any] = {"token": await gateway.tokenise(card("4242424242424242"))}
    found["declined at once"] = await refusal(gateway, "4000000000000002")
    found["no card"] = await refusal(gateway, "1234")
    charge = await gateway.charge(found["token"], 2000, "AUD", "key-1")
    found["charge"] = [charge.state, charge.charge_id]
    found["other"] = (await gateway.charge(found["token"], 500, "JPY", "key-2")).charge_id
    late = await gateway.tokenise(card("4000000000000341"))
    declined = await gateway.charge(late, 2000, "AUD", "key-3")
    found["declined"] = [declined.state, declined.reason]
    stripe.MOST_LISTED = 1  # so that there are pages
    found["list"] = [[one.charge_id, one.amount, one.currency, one.key] for one in await gateway.list(10)]
    found["first page"] = len(await gateway.list(1))
    fetched = await gateway.fetch(charge.charge_id)
    found["fetched"] = fetched and [fetched.state, fetched.amount, fetched.currency, fetched.key]
    found["no such charge"] = await gateway.fetch("pi_none")
    found["refund"] = (await gateway.refund(charge.charge_id, "refund-1")).state
    given_back = await gateway.fetch(charge.charge_id)
    found["given back"] = given_back and [given_back.state, given_back.reason]
    intent = {"id": "pi_1", "object": "payment_intent", "metadata": {"key": "key-1"}}
    body = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": {"object": intent}}
    raw = json.dumps(body).encode()
    found["events"] = [
        event(gateway, raw),
        event(gateway, raw, "whsec_other"),
        event(gateway, json.dumps({**body, "type": "invoice.paid"}).encode()),
        event(gateway, b"{"),
        event(gateway, json.dumps({"type": "balance.available", "data": {"object": {"metadata": None}}}).encode()),
    ]
    away = StripeGateway("sk_test_12345", SECRET, "http://127.0.0.1:9")
    try:
        found["away"] = (await away.charge(found["token"], 2000, "AUD", "key-4")).state
    except GatewayAway as silent:
        found["away"] = str(silent)
    return found


if __name__ == "__main__":
    assert alone(), "there are other devices than loopback"
    loopback_up()
    with localstripe():
        print(json.dumps(asyncio.run(play())))
