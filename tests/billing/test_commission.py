"""Commission that is earned while it is paid out."""

import asyncio
import threading

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import commission, ledger
from heliograph.billing.commission import Terms
from heliograph.billing.tariff import rates_of
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.webhooks.signature import new_secret
from support import postgres
from support.program import until


def test_what_is_earned_during_a_payout_is_not_lost(postgres_url: str) -> None:
    with postgres.database(postgres_url) as url:
        migrate.upgrade(url)
        asyncio.run(_meeting(url))


async def _meeting(url: str) -> None:
    """One process books 2.00 and waits to commit until the other, which pays out the 10.00 before it, is held up."""
    first, second = Database(url), Database(url)
    new = NewAccount(username="u", email="a@example.com", phone="", currency="AUD", webhook_secret=new_secret())
    user_id = await first.write(lambda tx: account.create(tx, Vault(b"test"), new))
    terms, booked = Terms(percentage=100, referrer_id=user_id), threading.Event()

    def book(tx: Tx, micros: int) -> None:
        commission.book(tx, 7, "AUD", terms, micros, 1)

    def book_slowly(tx: Tx) -> None:
        book(tx, 2_000_000)
        booked.set()
        until(lambda: tx.driver("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0])

    def pay(tx: Tx) -> int:
        booked.wait(10)
        return commission.pay_out(tx, account.row(tx, user_id), rates_of(tx))

    await first.write(lambda tx: book(tx, 10_000_000))
    _, paid = await asyncio.gather(first.write(book_slowly), second.write(pay))
    left = await first.read(lambda tx: commission.total(tx, user_id, "AUD", rates_of(tx)))
    assert paid + left == 12_000_000
    assert await first.read(lambda tx: ledger.balance(tx, user_id)) == paid
    await first.close()
    await second.close()
