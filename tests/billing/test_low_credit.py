"""The mail about low credit: when it is sent, and that it is sent once."""

import pytest

from heliograph.billing import ledger, low_credit, payments
from heliograph.db.engine import Tx
from support.server import Api, Running


def told(server: Running, api: Api) -> list[str]:
    """Run the duty; the texts of the mails that wait for being sent, or were sent, to the owner of the account."""
    server.write(lambda tx: low_credit.tell(tx, "house@example.com"))
    address = f"{api.username}@example.com"
    waiting = "SELECT 1 FROM jobs WHERE kind = 'mail' AND payload LIKE ?"
    api.until(lambda: not server.read(lambda tx: tx.driver(waiting, [f"%{address}%"]).fetchone()))
    return [mail.text for mail in server.mails(address)]


def give(server: Running, api: Api, micros: int) -> None:
    server.write(lambda tx: ledger.post(tx, api.user_id, micros, "credit", "test"))


def test_the_owner_is_told_once_until_the_credit_was_above_the_mark(server: Running) -> None:
    api = server.account(credit=2_000_000)
    api.put("/account", {"low_credit_amount": "1.95"})
    assert told(server, api) == []
    api.send("+61491570006")
    (text,) = told(server, api)
    assert "is AUD 1.9285, which is less than AUD 1.9500." in text
    assert server.mails(f"{api.username}@example.com")[0].subject == f"Low credit: {api.username}"
    api.send("+61491570006", "another")
    assert len(told(server, api)) == 1
    give(server, api, 5_000_000)
    assert len(told(server, api)) == 1
    give(server, api, -5_000_000)
    assert len(told(server, api)) == 2


def test_credit_at_the_mark_is_not_low(server: Running) -> None:
    api = server.account(credit=2_000_000)
    api.put("/account", {"low_credit_amount": "2"})
    assert told(server, api) == []
    api.put("/account", {"low_credit_amount": "2.01"})
    assert len(told(server, api)) == 1


@pytest.mark.parametrize("more", [{"banned": True}, {"email": ""}])
def test_nobody_is_told_who_is_shut_out_or_has_no_address(server: Running, more: dict[str, object]) -> None:
    api = server.account(credit=0, **more)
    server.write(lambda tx: tx.driver("UPDATE users SET low_credit_micros = 5 WHERE user_id = ?", [api.user_id]))
    assert told(server, api) == []


def test_without_a_mark_nothing_is_low(server: Running) -> None:
    assert told(server, server.account(credit=0)) == []


def test_a_payment_under_way_is_waited_for(server: Running) -> None:
    api = server.account(credit=0)
    api.put("/account", {"low_credit_amount": "2"})

    def pay(state: str) -> None:
        def work(tx: Tx) -> None:
            tx.driver("DELETE FROM payments WHERE user_id = ?", [api.user_id])
            row = (api.user_id, api.username, 1, "AUD", "none", "", state, tx.now)
            names = ("user_id", "invoice_number", "micros", "currency", "gateway", "token", "state", "created_at")
            tx.insert_rows("payments", names, [row])

        server.write(work)

    pay(payments.PENDING)
    assert told(server, api) == []
    pay(payments.DECLINED)
    assert len(told(server, api)) == 1


def test_the_server_does_it_by_itself(server: Running) -> None:
    assert "tell of low credit" in server.house._upkeep._duties


def test_more_accounts_than_one_slice(server: Running) -> None:
    ids = [server.account(credit=0).user_id for _ in range(3)]

    def slices(tx: Tx) -> int:
        """How many slices it takes; accounts of other tests may be among them."""
        tx.driver_in("UPDATE users SET low_credit_micros = 1 WHERE user_id IN ({})", [], ids)
        count = 1
        while low_credit.tell(tx, "house@example.com", limit=2):
            count += 1
        return count

    assert server.write(slices) >= 2
