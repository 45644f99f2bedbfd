"""The number of a card reaches the gateway, and leaves no trace in the database, in files, in answers, in the log."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from heliograph import logs
from heliograph.billing.gateways.base import Card
from heliograph.billing.gateways.manual import CARDS
from heliograph.db.tables import metadata
from support.postgres import database
from support.program import restored_logs
from support.server import Running
from support.unjudged import ask_once

CVC = "7351"
ALONE = re.compile(rf"(?<![\w.-]){CVC}0?(?![\w.-])")
"""The security code as a value, and not by chance within an id."""

ROBOT = {"expiry_month": 5, "expiry_year": 2099, "cvc": CVC, "name": "Roland Robot", "bank_name": "Robotic Banking"}


class Broken:
    """A gateway with a defect."""

    name = "manual"

    async def tokenise(self, card: Card) -> str:
        raise RuntimeError("a defect in the gateway")


@pytest.fixture(params=["pretty", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What the server logs in this form, from now on."""
    with restored_logs():
        with contextlib.redirect_stderr(io.StringIO()) as written:
            logs.configure("debug", request.param)
        yield written.getvalue


@pytest.fixture(params=["sqlite", "postgres"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A server of its own: the numbers and ids of other tests have digits like those that are looked for."""
    with contextlib.ExitStack() as stack:
        postgres = request.param == "postgres"
        url = stack.enter_context(database(request.getfixturevalue("postgres_url"))) if postgres else ""
        running = Running(tmp_path, url)
        stack.callback(running.stop)
        stack.callback(running.close_clients)
        yield running


def everything(server: Running) -> set[str]:
    """All rows of all tables."""
    return server.read(lambda tx: {str(row) for table in metadata.tables.values() for row in tx.rows(select(table))})


def test_no_number_is_kept_or_logged(alone: Running, log: Any) -> None:
    server, api = alone, alone.account()
    before = everything(server)  # ids of other tests may be any number
    answers = ""
    for place, number in enumerate(CARDS):
        for body in ({**ROBOT, "number": number}, {**ROBOT, "number": number, "cvc": CVC + "0"}):
            answers += str(api.call("PUT", "/recharge/credit-card", body).raw)
            answers += str(api.call("PUT", "/recharge/purchase/1", headers={"Idempotency-Key": f"key {place}"}).raw)
        answers += str(api.call("PUT", "/recharge/credit-card", f'{{"number": "{number}'.encode()).raw)
    answers += str(api.get("/recharge/credit-card")) + str(api.get("/account"))
    kept = "\n".join(everything(server) - before)
    assert "XXXX-XXXX-XXXX-4242" in kept or "XXXX-XXXX-XXXX-0119" in kept
    stored = b"".join(path.read_bytes() for path in server.options.data.rglob("*") if path.is_file())
    for number in CARDS:
        for text in (number, number[:-4]):
            assert text not in answers
            assert text not in kept
            assert text.encode() not in stored
    said = log()
    assert not [number for number in CARDS if number[:-4] in said]
    assert not ALONE.search(kept)
    assert not ALONE.search(said)


def test_a_defect_shows_its_place_and_no_number(server: Running, log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = server.account()
    monkeypatch.setattr(server.house.cashier, "gateway", Broken())
    body = json.dumps({**ROBOT, "number": "4242424242424242"}).encode()
    status, _, _ = ask_once(api, "PUT", "/v3/recharge/credit-card", body)
    assert status == 500
    said = log()
    assert "a defect in the gateway" in said
    assert "4242424242" not in said
    assert not ALONE.search(said)
