"""The customers of `make chaos`: those that send all the time, one that is timed, slow ones and greedy ones."""

import base64
import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

USER, KEY = "chaos", "key"
AUTH = "Basic " + base64.b64encode(f"{USER}:{KEY}".encode()).decode()
LOST = (OSError, http.client.HTTPException, ValueError)
LONGEST = 60.0
"""Seconds after which a message of the timed customer counts as not gone out."""


def post(customer: http.client.HTTPConnection, messages: list[dict[str, str]], **more: Any) -> dict[str, str]:
    """Send; the names (first two words) of what was accepted, by message id. Raises one of LOST."""
    customer.request("POST", "/v3/sms/send", json.dumps({"messages": messages, **more}), {"Authorization": AUTH})
    answer = customer.getresponse()
    body = json.loads(answer.read())
    if answer.status != 200:
        raise http.client.HTTPException(answer.status)
    fates = body["data"]["messages"]
    return {one["message_id"]: " ".join(one["body"].split()[:2]) for one in fates if one["status"] == "SUCCESS"}


def order_campaign(port: int, list_id: int) -> None:
    """Order a campaign; the names of its messages are "campaign" and the contacts' first names."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as customer:
        asked = {"list_id": list_id, "name": "Chaos", "body": "campaign (First Name)"}
        customer.request("POST", "/v3/sms-campaigns/send", json.dumps(asked), {"Authorization": AUTH})
        answer = customer.getresponse()
        if answer.status != 200:
            raise SystemExit(f"the campaign was refused: {answer.read()!r}")


class Customers:
    """They send three messages at a time. `worst` is the longest that a good answer took, in seconds."""

    def __init__(self, port: int, name: str, count: int = 3) -> None:
        self.promised: dict[str, str] = {}
        self.refused, self.worst = 0, 0.0
        self._port, self._name = port, name
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._over.wait(0.05):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as customer:
                with contextlib.suppress(*LOST):
                    while not self._over.wait(0.05):
                        self._send(customer)
                    return
                self.refused += 1

    def _send(self, customer: http.client.HTTPConnection) -> None:
        numbers = [next(self._numbers) for _ in range(3)]
        began = time.monotonic()
        self.promised |= post(
            customer, [{"to": "+61491570006", "body": f"{self._name} {number}"} for number in numbers]
        )
        self.worst = max(self.worst, time.monotonic() - began)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Probe:
    """One message after the other by another carrier. `worst`: seconds from the request to the carrier."""

    def __init__(self, port: int, name: str, record: Path) -> None:
        self.promised: dict[str, str] = {}
        self.worst = 0.0
        self._port, self._name, self._record = port, name, record
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        for number in itertools.count():
            if self._over.wait(0.1):
                return
            body, began = f"{self._name}-other {number}", time.monotonic()
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as customer:
                try:
                    made = post(customer, [{"to": "+6421000000", "body": body}])
                except LOST:
                    continue
            self.promised |= made
            while body + "\n" not in self._record.read_text() and time.monotonic() - began < LONGEST:
                time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - began)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def slow_clients(port: int, seconds: float, count: int = 100) -> None:
    """Half of them send a body octet by octet, half ask for pages that they do not read."""
    head = f"POST /v3/sms/send HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTH}\r\nContent-Length: 100000\r\n\r\n"
    page = b"GET /v3/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for number, client in enumerate(clients):
            client.sendall(head.encode() if number % 2 else page)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for client in clients[1::2]:
                with contextlib.suppress(OSError):
                    client.send(b" ")
            time.sleep(0.5)


def big_bodies(port: int, seconds: float) -> None:
    """Bodies just below what is read at all, and above it; none of them has a message that can be sent."""
    end = time.monotonic() + seconds

    def work() -> None:
        for megabytes in itertools.cycle((7, 20)):
            if time.monotonic() > end:
                return
            customer = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            with contextlib.closing(customer), contextlib.suppress(*LOST):
                post(customer, [{"to": "nobody", "body": "x" * 1000}] * 1000, padding="x" * (megabytes * 1_000_000))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
