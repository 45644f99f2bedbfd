"""A real server in a thread, and a client that has every answer judged by the contract and by the OpenAPI document."""

import asyncio
import base64
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from contract import oracle
from contract.document import Document
from heliograph import settings
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.app import House
from heliograph.cli import make_server
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS, subaccounts
from heliograph.transports.sandbox import mailsink
from heliograph.webhooks.signature import new_secret

ONE_DATABASE = pytest.mark.parametrize("server", ["sqlite"], indirect=True)
"""Marks what no database can make different, as what is decided before one is asked: the test runs once, not twice."""

_numbers = itertools.count(1)
JUDGE = oracle.Oracle()
DOCUMENT = Document()


class Running:
    """`heliograph serve` on a free port of loopback, until `stop`."""

    short_way = True
    """Whether hot requests go the short way (heliograph/http/hot.py); `pytest --long-way` says no."""

    def __init__(self, data: Path, database: str = "", **options: Any) -> None:
        # A slow machine may let more than the default of 5 seconds pass between two sends that are meant to be twins.
        daily = (
            "codes_per_address",
            "codes_per_day",
            "reminders_per_address",
            "reminders_per_day",
            "verifications_per_day",
        )
        options = {
            "login_limit": "100000/minute",
            "throttle_seconds": 60,
            "smpp_port": "0",
            "smtp_port": "0",
            **dict.fromkeys(daily, 10**6),
            **options,
        }
        self.options = settings.load(data=data, database=database, host="127.0.0.1", port=0, **options)
        self._ready = threading.Event()
        self._clients: list[Api] = []
        self._failure: BaseException | None = None
        self.house: House
        self.loop: asyncio.AbstractEventLoop
        self.port = self.smpp_port = self.smpp_tls_port = self.smtp_port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(120), "the server did not start"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as problem:  # noqa: BLE001 - the test thread raises it
            self._failure = problem
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        started: asyncio.Future[House] = self.loop.create_future()
        self._server = make_server(self.options, started)
        task = asyncio.ensure_future(self._server.serve())
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        self.house = started.result()
        if not self.short_way:
            self._server._gate.api = None
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has only this flag
            await asyncio.sleep(0.005)
        self.esmes = self._server.esmes
        self.smpp_port, self.smpp_tls_port = self.esmes.port, self.esmes.tls_port
        self.smtp_port = self._server.mails.port
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._ready.set()
        await task

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def call(self, work: Any) -> Any:
        """Run a coroutine (or wait for a future made by `work()`) on the server's loop."""

        async def run() -> Any:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def write(self, work: Callable[[Tx], Any], *, slow: bool = False) -> Any:
        return self.call(lambda: self.house.database.write(work, slow=slow))

    def read(self, work: Callable[[Tx], Any]) -> Any:
        return self.call(lambda: self.house.database.read(work))

    def mails(self, recipient: str) -> list[mailsink.StoredMail]:
        """What the built-in mail carrier holds for an address."""
        return [
            mail for mail in mailsink.listing(mailsink.mail_folder(self.options.data)) if mail.recipient == recipient
        ]

    def account(self, credit: int = 100_000_000, **more: Any) -> "Api":
        """A new account with this credit (micros) and a client for it."""
        name = f"tester{next(_numbers)}"
        values = {"email": f"{name}@example.com", "phone": "+61411111111", "api_key": f"key-{name}", **more}
        new = NewAccount(username=name, credit_micros=credit, webhook_secret=new_secret(), **values)
        user_id = self.write(lambda tx: account.create(tx, self.house.vault, new))
        return self.client(name, values["api_key"], user_id)

    def subaccount(self, owner: "Api", **flags: int) -> "Api":
        """A client for another subaccount of the same user, with every access flag but those given."""
        name = f"{owner.username}-sub{next(_numbers)}"
        values = {f"access_{flag}": 1 for flag in ACCESS_FLAGS} | flags
        texts = dict.fromkeys(("first_name", "last_name", "phone_number"), "")

        def work(tx: Tx) -> None:
            made = subaccounts.insert().values(
                user_id=owner.user_id,
                is_main=0,
                api_username=name,
                email=f"{name}@example.com",
                key_hash=self.house.vault.key_hash(name, "key"),
                key_sealed=self.house.vault.seal("key"),
                share_campaigns=0,
                created_at=tx.now,
                **texts,
                **values,
            )
            tx.execute(made)

        self.write(work)
        return self.client(name, "key", owner.user_id)

    def client(self, username: str, key: str, user_id: int = 0) -> "Api":
        """A client with these credentials."""
        self._clients.append(Api(self, username, key, user_id))
        return self._clients[-1]

    def close_clients(self) -> None:
        """Close the connections that a test has opened."""
        while self._clients:
            self._clients.pop().close()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> Any:
        return self.body["data"]


class Api:
    """A customer. Each answer is checked against the documented example, and against our own OpenAPI document."""

    def __init__(self, server: Running, username: str, key: str, user_id: int = 0) -> None:
        self.server = server
        self.username, self.key, self.user_id = username, key, user_id
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        token = base64.b64encode(f"{self.username}:{self.key}".encode()).decode()
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Basic {token}", **(headers or {})}
        self._connection.request(method, "/v3" + path, raw, sent)
        response = self._connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        if method != "OPTIONS":
            body = answer.body
            JUDGE.check(method, path, answer.status, body)
            DOCUMENT.check(method, path, answer.status, body)
        return answer

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        return self._good("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._good("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self._good("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self._good("DELETE", path)

    def _good(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.call(method, path, body)
        assert answer.status == 200, answer.raw
        return answer.data

    def send(self, to: str, body: str = "Hello", **more: Any) -> dict[str, Any]:
        """Send one SMS; its entry in the answer."""
        entry: dict[str, Any] = self.post("/sms/send", {"messages": [{"to": to, "body": body, **more}]})["messages"][0]
        return entry

    def subaccount(self, password: str = "secret", **flags: int) -> "Api":
        """A client for a new subaccount of this account, with these flags and no other."""
        name = f"{self.username}.{next(_numbers)}"
        person = {"email": f"{name}@example.com", "phone_number": "+61411111111", "first_name": "A", "last_name": "B"}
        access = {f"access_{flag}": flags.get(flag, 0) for flag in ACCESS_FLAGS}
        made = self.post("/subaccounts", {"api_username": name, "password": password, **person, **access})
        return self.server.client(made["api_username"], made["api_key"], self.user_id)

    @property
    def subaccount_id(self) -> int:
        """The subaccount that this client is."""
        return int(self.get("/account")["_subaccount"]["subaccount_id"])

    def history(self, message_id: str) -> dict[str, Any]:
        rows = self.get(f"/sms/history?q=message_id:{message_id}")["data"]
        assert len(rows) == 1
        return dict(rows[0])

    def until(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Ask again until the answer is true; a failure says what was asked last."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")

    def final(self, message_id: str, status: str = "Completed") -> dict[str, Any]:
        """Wait until a message has this status."""

        def there() -> dict[str, Any] | None:
            row = self.history(message_id)
            return row if row["status"] == status else None

        return self.until(there)
