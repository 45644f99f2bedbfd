"""Commands about money and numbers, beside a server that runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from heliograph.billing import commission, payments
from heliograph.billing.commission import Terms
from heliograph.billing.gateways.base import Charge
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.numbers import supply
from support import program
from support.server import Api, Running

Run = Callable[..., str]


@pytest.fixture
def run(server: Running, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of `heliograph` on the server's data; what it printed, or why it failed."""
    monkeypatch.setenv("HELIOGRAPH_DATA", str(server.options.data))
    monkeypatch.setenv("HELIOGRAPH_DATABASE", server.options.database)

    def command(*words: str) -> str:
        done = program.command(*words)
        return " ".join((done.out or done.err).split()) if done.code else done.out

    return command


def with_payment(api: Api) -> str:
    card = {"number": "4242424242424242", "expiry_month": 5, "expiry_year": 2099, "cvc": "123"}
    api.put("/recharge/credit-card", {**card, "name": "Roland Robot", "bank_name": "Robotic Banking"})
    api.put("/recharge/purchase/1")
    return str(api.get("/recharge/transactions")["data"][0]["invoice_number"])


def test_a_payment_is_refunded_once(run: Run, api: Api) -> None:
    key = with_payment(api)
    assert "AUD 20.00 went back" in run("payments", "refund", key)
    assert api.get("/account")["balance"] == "100.000000"
    assert "no payment" in run("payments", "refund", key)
    assert "no payment" in run("payments", "refund", "nonsense")
    assert api.get("/recharge/transactions")["total"] == 1


def test_spent_credit_is_not_refunded(run: Run, server: Running) -> None:
    api = server.account(credit=0)
    key = with_payment(api)
    api.send("+61491570006")
    assert "has spent that credit" in run("payments", "refund", key)
    assert api.get("/account")["balance"] == "19.928500"


def test_the_sandbox_has_no_charges_to_compare(run: Run) -> None:
    assert run("payments", "check", "--json").strip() == "[]"


def test_commission_is_paid_out(run: Run, api: Api) -> None:
    terms = Terms(percentage=50, referrer_id=api.user_id)
    other = api.server.account()
    for currency, micros in (("AUD", 4_000_000), ("USD", 2_000_000)):
        api.server.write(
            lambda tx, currency=currency, micros=micros: commission.book(
                tx, other.user_id, currency, terms, micros, 20_000 + len(currency) + micros
            )
        )
    assert api.get("/account")["balance_commission"] == "3.520000"
    assert "3.5200" in run("account", "payout", api.username)
    assert (api.get("/account")["balance"], api.get("/account")["balance_commission"]) == ("103.520000", "0.000000")
    assert "0.0000" in run("account", "payout", api.username)
    assert "There is no account" in run("account", "payout", "nobody at all")


def test_numbers_are_imported_and_sold(run: Run, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("# ours\n+6785913000\n\n+678 591 3001  # with spaces\n", encoding="utf-8")
    assert "2 new numbers" in run("numbers", "import", str(path))
    assert "0 new numbers are in the pool, 2 were there" in run("numbers", "import", str(path))
    assert api.get("/numbers/search/VU?search=5913")["total"] == 2
    assert api.post("/numbers/buy/+6785913001")["dedicated_number"] == "+6785913001"


def test_numbers_that_all_accounts_share_are_not_sold(run: Run, server: Running, tmp_path: Path) -> None:
    path, shared = tmp_path / "numbers.txt", supply.shared(server.options)[0]
    path.write_text(f"+6785914000\n{shared}\n", encoding="utf-8")
    assert shared in run("numbers", "import", str(path))
    path.write_text("+6785914000\n", encoding="utf-8")
    assert "1 new numbers" in run("numbers", "import", str(path))


@pytest.mark.parametrize("content", [b"+6785913000\n12\n", b"\xff\xfe", b"+6785913000; DROP TABLE numbers\n"])
def test_a_wrong_file_changes_nothing(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "numbers.txt"
    path.write_bytes(content)
    assert str(path) in run("numbers", "import", str(path))
    assert str(tmp_path) in run("numbers", "import", str(tmp_path / "none"))


def test_a_charge_without_credit_is_found_and_credited(
    run: Run, server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's answer was lost for a day."""
    with_payment(api)
    row = server.write(lambda tx: payments.purchase(tx, api.user_id, 2, "manual", None))
    server.write(lambda tx: payments.give_up(tx, row["payment_id"]))
    own = Charge("ch_1", "paid", "", 5000, "AUD", row["invoice_number"])
    stranger = Charge("ch_2", "paid", "", 700, "USD", "of another system")

    async def charges(_: ManualGateway, limit: int) -> list[Charge]:
        return [own, stranger]

    monkeypatch.setattr(ManualGateway, "list", charges)
    names = ("charge", "amount", "currency", "key", "username", "credited")
    lost = dict(zip(names, ("ch_1", 5000, "AUD", own.key, api.username, False), strict=True))
    strange = dict(zip(names, ("ch_2", 700, "USD", stranger.key, None, False), strict=True))
    assert json.loads(run("payments", "check", "--json")) == [lost, strange]
    assert api.get("/account")["balance"] == "120.000000"
    assert json.loads(run("payments", "check", "--credit", "--json")) == [{**lost, "credited": True}, strange]
    assert api.get("/account")["balance"] == "170.000000"
    assert json.loads(run("payments", "check", "--credit", "--json")) == [strange]
    assert api.get("/account")["balance"] == "170.000000"
    assert "of another system" in run("payments", "check")
