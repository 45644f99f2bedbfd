"""A database whose transactions a test takes one after the other, between them moving the clock as it likes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import uvloop

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger
from heliograph.billing.commission import Terms
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import accept, message, rows
from heliograph.messaging.channel import Accepted, Order
from support.clock import Clock

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds for what takes milliseconds on a machine that has nothing else to do."""


class Steps:
    """Each call runs to its end before it returns, in an event loop that stands still between the calls."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.clock = Clock()
        self.database = self.run(self._open(url))

    async def _open(self, url: str) -> Database:
        return Database(url, clock=self.clock)

    def run(self, work: Awaitable[T]) -> T:
        """What an awaitable comes to, or a failed test when it does not end."""

        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self._runner.run(bounded())

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction of its own."""

        async def written() -> T:
            return await self.database.write(work)

        return self.run(written())

    def account(self, name: str = "jane", credit: int = 100_000_000, terms: Terms | None = None) -> Principal:
        """A new account in Australia, with credit in micros."""
        new = NewAccount(username=name, email=f"{name}@example.com", phone="", webhook_secret="s", credit_micros=credit)

        def made(tx: Tx) -> Principal | None:
            return account.by_user(tx, account.create(tx, Vault(b"secret"), new))

        who = self.write(made)
        assert who is not None
        return msgspec.structs.replace(who, terms=terms) if terms else who

    def accept(self, *orders: Order) -> list[list[Accepted]]:
        """Accept orders that came in at the same moment."""
        return self.write(lambda tx: accept.accept(tx, orders))

    def balance(self, who: Principal) -> int:
        """What is left of an account's credit, in micros."""
        return self.write(lambda tx: ledger.balance(tx, who.user_id))

    def message(self, who: Principal, message_id: str) -> rows.Message:
        """The row of a message that exists."""
        found = self.write(lambda tx: message.find(tx, who.user_id, message_id))
        assert found is not None
        return found


@contextmanager
def taken(url: str) -> Iterator[Steps]:
    """Steps over a database with the newest tables."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        steps = Steps(url, runner)
        try:
            yield steps
        finally:
            steps.run(steps.database.close())
