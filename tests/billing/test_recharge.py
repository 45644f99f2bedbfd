"""Cards, packages, purchases, automatic recharges and invoices through the API, with the test cards of the sandbox."""

import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from heliograph import audit
from heliograph.billing import ledger, payments
from support import installed
from support.server import ONE_DATABASE, Api, Running

ROBOT = {"name": "Roland Robot", "bank_name": "Robotic Banking"}
CARD = {"number": "4242424242424242", "expiry_month": 5, "expiry_year": 2099, "cvc": "123", **ROBOT}


def put_card(api: Api, number: str = "4242424242424242", **more: Any) -> Any:
    return api.call("PUT", "/recharge/credit-card", {**CARD, "number": number, **more})


def balance(api: Api) -> float:
    return float(api.get("/account")["balance"])


def transactions(api: Api) -> Any:
    return api.get("/recharge/transactions")["data"]


def test_a_card_is_kept_without_its_number(api: Api) -> None:
    assert api.call("GET", "/recharge/credit-card").status == 404
    token = put_card(api, "4242 4242-4242 4242", expiry_month="05", expiry_year="99", cvc=7).data["token"]
    assert "4242" not in token
    assert api.get("/recharge/credit-card") == {
        "display_number": "XXXX-XXXX-XXXX-4242",
        "expiry_month": 5,
        "expiry_year": 2099,
        "name": "Roland Robot",
    }
    put_card(api, "5555555555554444")
    assert api.get("/recharge/credit-card")["display_number"] == "XXXX-XXXX-XXXX-4444"


def test_a_purchase_is_credited_and_listed(api: Api) -> None:
    put_card(api)
    bought = api.call("PUT", "/recharge/purchase/2")
    assert bought.body["response_msg"] == "Successfully purchased a package #2"
    assert (bought.data["amount"], bought.data["currency"], bought.data["amount_aud"]) == ("50.00", "AUD", "50.00")
    assert balance(api) == 150.0
    (row,) = transactions(api)
    assert row == api.get(f"/recharge/transactions/{row['invoice_number'].upper()}")
    assert (row["amount"], row["currency"], row["date"]) == ("50.00", "AUD", bought.data["date"])
    entry = api.server.read(lambda tx: ledger.entries(tx, api.user_id))[-1]
    assert (entry["kind"], entry["micros"], entry["reference"]) == ("payment", 50_000_000, row["invoice_number"])


def test_transactions_are_searched_by_what_they_show(api: Api) -> None:
    put_card(api)
    for package in (2, 1, 3):
        api.put(f"/recharge/purchase/{package}")
    for text, found in (
        ("amount:50.00", ["50.00"]),
        ("amount:50", ["50.00"]),
        ("amount:50000000", []),
        ("amount:x", []),
    ):
        assert [one["amount"] for one in api.get(f"/recharge/transactions?q={text}")["data"]] == found
    listed = api.get("/recharge/transactions?q=currency:aud&order_by=amount:asc")["data"]
    assert [one["amount"] for one in listed] == ["20.00", "50.00", "100.00"]


def test_packages_are_those_of_the_accounts_currency(server: Running) -> None:
    american = server.account(country="US", phone="+15184811002")
    shown = american.get("/recharge/packages")
    assert shown["_currency"]["currency_name_short"] == "USD"
    assert shown["currency"] == shown["_currency"]
    assert (shown["packages"][0]["package_price"], shown["packages"][0]["sms_price"]) == ("20.00", 0.011)
    assert shown["packages"][0]["sms_quantity"] == 1818
    assert american.get("/recharge/packages?country=au")["packages"][0]["sms_price"] == 0.047
    put_card(american)
    bought = american.put("/recharge/purchase/1")
    assert (bought["amount"], bought["currency"], bought["amount_aud"]) == ("20.00", "USD", "30.40")
    answer = american.call("GET", "/recharge/packages?country=Narnia")
    assert (answer.status, set(answer.data)) == (400, {"country"})


def test_a_yen_has_no_cents(server: Running) -> None:
    japanese = server.account(country="JP", phone="+81312345678")
    put_card(japanese)
    assert japanese.put("/recharge/purchase/1")["amount"] == "3000.00"
    body = {"auto_recharge_amount": "1000.5", "low_credit_amount": "10.5"}
    answer = japanese.call("PUT", "/recharge/auto-recharge", body)
    assert (answer.status, set(answer.data)) == (400, {"auto_recharge_amount"})


@pytest.mark.parametrize("package", ["0", "7", "-1", "x", "9" * 30, "1.0", "%31%00"])
def test_unknown_packages(api: Api, package: str) -> None:
    put_card(api)
    assert api.call("PUT", f"/recharge/purchase/{package}").status == 404
    assert (balance(api), transactions(api)) == (100.0, [])


def test_without_a_card_nothing_is_bought(api: Api) -> None:
    answer = api.call("PUT", "/recharge/purchase/1")
    assert (answer.status, set(answer.data)) == (400, {"card"})


def test_a_card_that_is_declined_when_it_is_kept(api: Api) -> None:
    put_card(api)
    answer = put_card(api, "4000000000000002")
    assert (answer.status, answer.data) == (400, {"number": "Your card was declined."})
    assert api.get("/recharge/credit-card")["display_number"].endswith("4242")


@pytest.mark.parametrize(
    ("number", "more", "why"),
    [
        ("4000000000000341", {}, "Your card was declined."),
        ("4000000000000069", {}, "Your card has expired."),
        ("4242424242424242", {"expiry_year": 2016}, "Your card has expired."),
    ],
)
def test_a_card_that_is_declined_when_it_is_charged(api: Api, number: str, more: Any, why: str) -> None:
    put_card(api, number, **more)
    for _ in range(2):
        answer = api.call("PUT", "/recharge/purchase/1")
        assert (answer.status, answer.data) == (400, {"card": why})
    assert (balance(api), transactions(api)) == (100.0, [])
    put_card(api)
    api.put("/recharge/purchase/1")
    assert balance(api) == 120.0


def test_an_answer_that_was_lost_is_no_second_payment(api: Api) -> None:
    """The gateway is silent at first: the customer calls again, as the official client does by itself."""
    put_card(api, "4000000000000119")
    first = api.call("PUT", "/recharge/purchase/1")
    assert (first.status, first.headers["retry-after"]) == (503, "2")
    assert balance(api) == 100.0
    api.put("/recharge/purchase/1")
    assert (balance(api), len(transactions(api))) == (120.0, 1)


def test_a_purchase_with_a_key_is_made_once(api: Api) -> None:
    put_card(api)
    key = {"Idempotency-Key": "purchase-1"}
    answers = [api.call("PUT", "/recharge/purchase/1", headers=key) for _ in range(3)]
    assert len({answer.raw for answer in answers}) == 1
    assert (balance(api), len(transactions(api))) == (120.0, 1)
    assert api.call("PUT", "/recharge/purchase/2", headers=key).status == 409
    assert api.call("PUT", "/recharge/purchase/1", headers={"Idempotency-Key": "k" * 256}).status == 400
    api.put("/recharge/purchase/1")
    assert balance(api) == 140.0


def test_others_transactions_do_not_exist(server: Running, api: Api) -> None:
    other = server.account()
    put_card(other)
    other.put("/recharge/purchase/1")
    key = transactions(other)[0]["invoice_number"]
    for path in (key, f"{key}/invoice", "nonsense", "%00"):
        assert api.call("GET", f"/recharge/transactions/{path}").status == 404
    assert transactions(api) == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("number", value) for value in ("", "number", "4242424242424241", "4" * 30, None, [], "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢")),
        *(("expiry_month", value) for value in (0, 13, "May", None, 1.5)),
        *(("expiry_year", value) for value in (-1, 300, "x", 10**20)),
        *(("cvc", value) for value in ("12345", "abc", [])),
        *(("name", value) for value in ("", "n" * 256, None, "\x00")),
        *(("bank_name", value) for value in ("b" * 256, {}, None)),
    ],
)
def test_bad_values_of_a_card_are_refused_by_name(api: Api, field: str, value: Any) -> None:
    answer = api.call("PUT", "/recharge/credit-card", {**CARD, field: value})
    assert (answer.status, set(answer.data)) == (400, {field})
    assert str(CARD["number"]) not in answer.raw.decode()


def test_only_test_cards_are_taken_in_the_sandbox(api: Api) -> None:
    answer = put_card(api, "4111111111111111")
    assert (answer.status, set(answer.data)) == (400, {"number"})
    assert "docs/payments.md" in answer.data["number"]


def test_settings_of_automatic_recharges(api: Api) -> None:
    assert api.get("/recharge/auto-recharge")["auto_recharge"] == 0
    body = {"auto_recharge": "1", "auto_recharge_amount": 30, "low_credit_amount": "99.50"}
    changed = {"auto_recharge": 1, "auto_recharge_amount": "30.00", "low_credit_amount": "99.50"}
    assert api.put("/recharge/auto-recharge", body) == changed
    assert {name: api.get("/account")[name] for name in changed} == changed
    assert api.put("/recharge/auto-recharge", {"auto_recharge": 0})["low_credit_amount"] == "99.50"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auto_recharge", "perhaps"),
        *(("auto_recharge_amount", value) for value in ("0", "-5", "0.99", "1000000.01", "x", [], "20.001", True)),
        *(("low_credit_amount", value) for value in ("-0.01", "1e3", "1000001", {})),
    ],
)
def test_bad_settings_of_automatic_recharges(api: Api, field: str, value: Any) -> None:
    answer = api.call("PUT", "/recharge/auto-recharge", {field: value})
    assert (answer.status, set(answer.data)) == (400, {field})


def test_a_balance_that_falls_too_low_is_recharged(api: Api) -> None:
    put_card(api)
    api.put("/recharge/auto-recharge", {"auto_recharge": 1, "auto_recharge_amount": 30, "low_credit_amount": 100})
    api.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    assert (balance(api), transactions(api)) == (100.0, [])
    api.send("+61491570006")
    for _ in range(3):
        api.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    assert api.until(lambda: transactions(api))[0]["amount"] == "30.00"
    assert balance(api) == pytest.approx(129.9285)
    assert len(transactions(api)) == 1


def test_a_declined_card_is_left_alone_until_there_is_a_new_one(api: Api) -> None:
    put_card(api, "4000000000000341")
    enough = {"auto_recharge": 1, "auto_recharge_amount": 600, "low_credit_amount": 500}
    api.put("/recharge/auto-recharge", enough)  # the server's own duty finds nothing more to recharge

    def attempts() -> list[str]:
        rows = api.server.read(
            lambda tx: tx.driver("SELECT state FROM payments WHERE user_id = ?", [api.user_id]).fetchall()
        )
        return sorted(row[0] for row in rows)

    api.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    api.until(lambda: attempts() == ["declined"])
    api.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    assert attempts() == ["declined"]
    (entry,) = api.server.read(lambda tx: audit.entries(tx, api.username, 1))
    assert (entry["what"], entry["actor"]) == ("payment.declined", "manual")
    assert "Your card was declined." in entry["detail"]
    put_card(api)
    api.server.write(lambda tx: payments.recharge_all(tx, "manual"))
    api.until(lambda: attempts() == ["declined", "paid"])


def test_an_invoice_is_a_page_that_says_what_was_paid(api: Api, tmp_path: Path) -> None:
    put_card(api)
    api.put("/recharge/purchase/3")
    key = transactions(api)[0]["invoice_number"]
    url = api.get(f"/recharge/transactions/{key}/invoice")["url"]
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["content-type"] == "application/pdf"
        (tmp_path / "invoice.pdf").write_bytes(answer.read())
    command = [installed.program("pdftotext"), "-layout", tmp_path / "invoice.pdf", "-"]
    text = subprocess.run(command, capture_output=True, check=True)
    said = text.stdout.decode()
    for word in (key, "package #3", "AUD 100.00", f"{api.username}@example.com", "Heliograph"):
        assert word in said


def test_events_need_a_signature(api: Api) -> None:
    for body in (b"{}", b"", b"\xff", b'{"type": "payment_intent.succeeded"}'):
        assert api.call("POST", "/recharge/events", body, {"Stripe-Signature": "t=1,v1=00"}).status == 400
