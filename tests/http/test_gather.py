"""What a request has to fetch is fetched once, before its transaction, however often the request is prepared."""

import base64
import json
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from heliograph.accounts import account
from heliograph.channels.sms import templates
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest
from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route
from heliograph.http.server import Server
from heliograph.services import Services
from support.server import Api, Running


class Wanted(msgspec.Struct):
    """Body of the endpoint of these tests."""

    url: str


class Shop:
    """An endpoint that fetches a file, and stores what it has fetched as a template."""

    def __init__(self, server: Running, api: Api) -> None:
        self.server, self.api = server, api
        self.fetched: list[str] = []
        self.prepared: list[tuple[Any, str]] = []
        self.account_changes = False
        house = server.house
        parts = (house.vault, house.files, house.attachments, house.cashier, house.channels)
        merged = Merged(self.prepare, self.merge, lambda req, key: Reply(key), gather=self.gather)
        route = Route(0, "POST /things", endpoint("Done.", int, spends=True)(merged), "sms")
        self.asgi = Server(Services(house.options, house.database, *parts), house.limits, [route])

    async def gather(self, req: Request, body: Wanted) -> str:
        self.fetched.append(body.url)
        if "missing" in body.url:
            raise BadRequest({"url": "There is no such file."})
        if self.account_changes:
            await req.services.database.write(lambda tx: change(tx, req))
        return "content of " + body.url

    def prepare(self, req: Request, body: Wanted) -> tuple[int, str]:
        self.prepared.append((req.gathered, req.who.country))
        return req.who.user_id, req.gathered

    def merge(self, tx: Tx, items: list[tuple[int, str]]) -> list[int]:
        return [templates.create(tx, user_id, "fetched", content) for user_id, content in items]

    def ask(self, url: str, **more: str) -> tuple[int, Any]:
        """(status, `data` of the answer)."""
        token = base64.b64encode(f"{self.api.username}:{self.api.key}".encode())
        headers = [(b"authorization", b"Basic " + token), *((k.encode(), v.encode()) for k, v in more.items())]
        scope = {"method": "POST", "path": "/v3/things", "query_string": b"", "headers": headers, "client": ("::1", 1)}
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": json.dumps({"url": url}).encode()}

        async def send(message: Any) -> None:
            sent.append(message)

        self.server.call(lambda: self.asgi(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])["data"]

    def stored(self) -> list[str]:
        return [row["body"] for row in self.api.get("/sms/templates")["data"]]


def change(tx: Tx, req: Request) -> None:
    """Make it an account with other settings."""
    tx.execute(text("UPDATE users SET default_country_sms = 'NZ' WHERE user_id = :user"), {"user": req.who.user_id})
    account.touch(tx)


@pytest.fixture
def shop(server: Running, api: Api) -> Shop:
    return Shop(server, api)


KEYS = pytest.mark.parametrize("more", [{}, {"idempotency-key": "k"}], ids=["merged", "with a key"])


@KEYS
def test_it_is_fetched_once_although_the_account_changes_meanwhile(shop: Shop, more: dict[str, str]) -> None:
    shop.account_changes = True
    status, _ = shop.ask("a.pdf", **more)
    assert status == 200
    assert shop.fetched == ["a.pdf"]
    assert shop.prepared == [("content of a.pdf", "AU"), ("content of a.pdf", "NZ")]
    assert shop.stored() == ["content of a.pdf"]


@KEYS
def test_without_a_change_it_is_prepared_once(shop: Shop, more: dict[str, str]) -> None:
    assert shop.ask("a.pdf", **more)[0] == 200
    assert (shop.fetched, shop.prepared) == (["a.pdf"], [("content of a.pdf", "AU")])


@KEYS
def test_nothing_is_written_when_it_cannot_be_fetched(shop: Shop, more: dict[str, str]) -> None:
    assert shop.ask("missing.pdf", **more) == (400, {"url": "There is no such file."})
    assert (shop.prepared, shop.stored()) == ([], [])
    assert shop.ask("a.pdf", **more)[0] == 200, "the refused request has not used up its key"


def test_nothing_is_fetched_for_whose_key_was_revoked(shop: Shop, server: Running) -> None:
    assert shop.ask("a.pdf")[0] == 200  # from now on the server remembers the key

    def revoke(tx: Tx) -> None:
        values = {"hash": server.house.vault.key_hash(shop.api.username, "another"), "user": shop.api.user_id}
        tx.execute(text("UPDATE subaccounts SET key_hash = :hash WHERE user_id = :user"), values)
        account.touch(tx)

    server.write(revoke)
    assert shop.ask("b.pdf")[0] == 401
    assert shop.fetched == ["a.pdf"]


def test_a_bad_body_is_refused_before(shop: Shop) -> None:
    status, faults = shop.ask(None)  # type: ignore[arg-type]
    assert (status, list(faults), shop.fetched) == (400, ["url"], [])
