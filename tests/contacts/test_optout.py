"""Opting out and in again, as a noun: lists, the record, and what comes back."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.contacts import audience, contact, lists, optout
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from heliograph.webhooks.signature import new_secret
from support import quiet

NUMBER, ADDRESS = "+61491570156", "Ann.Lee@Example.com"


class Book:
    """An account, a list of it, and a message that went to that list."""

    def __init__(self, tx: Tx, folder: Path) -> None:
        self.tx = tx
        new = NewAccount(
            username="book", email="b@example.com", phone="", webhook_secret=new_secret(), credit_micros=10**9
        )
        self.vault = Vault.open("", folder)
        self.user = account.create(tx, self.vault, new)
        self.opt_outs = lists.opt_out_list(tx, self.user)
        self.list = self.made()

    def made(self) -> int:
        return int(lists.create(self.tx, self.user, "List")["list_id"])

    def put(self, list_id: int, **fields: str) -> None:
        contact.add(self.tx, contact.target(self.tx, self.user, list_id), [contact.columns(fields, "AU")])

    def message(self, list_id: int | None, recipient: str = NUMBER) -> str:
        who = account.by_user(self.tx, self.user)
        assert who is not None
        ((fate,),) = accept.accept(self.tx, [quiet.order(who, quiet.draft(recipient, list_id=list_id))])
        return fate.message_id

    def within(self, list_id: int) -> list[tuple[Any, ...]]:
        rows = self.tx.rows(contact.of(list_id).order_by("place"))
        assert lists.find(self.tx, self.user, list_id)["contacts_count"] == len(rows)
        return [(row["phone_number"] or row["email"], row["first_name"]) for row in rows]

    def record(self) -> list[tuple[Any, ...]]:
        rows = self.tx.rows(optout.of(self.user).order_by("opt_out_id"))
        return [(row["recipient"], row["event"], row["cause"], row["message_id"], row["list_id"]) for row in rows]


@pytest.fixture
def on_book(migrated_url: str, tmp_path: Path) -> Callable[[Callable[[Book], None]], None]:
    def run(work: Callable[[Book], None]) -> None:
        async def scenario() -> None:
            database = Database(migrated_url)
            try:
                await database.write(lambda tx: work(Book(tx, tmp_path)))
            finally:
                await database.close()

        asyncio.run(scenario())

    return run


OnBook = Callable[[Callable[[Book], None]], None]


@pytest.mark.parametrize("recipient", [NUMBER, ADDRESS])
def test_a_contact_leaves_the_list_of_the_message_and_comes_back(on_book: OnBook, recipient: str) -> None:
    def work(book: Book) -> None:
        field = "email" if "@" in recipient else "phone_number"
        other = book.made()
        book.put(book.list, **{field: recipient, "first_name": "Ann"})
        book.put(other, **{field: recipient})
        key = book.message(book.list, recipient)
        out = [optout.opt_out(book.tx, book.user, recipient, "why", message_id=key) for _ in range(2)]
        assert out == [True, False]
        assert audience.opted_out(book.tx, book.user, [recipient]) == {recipient}
        assert (book.within(book.list), book.within(other)) == ([], [(recipient, "")])
        assert book.within(book.opt_outs) == [(recipient, "Ann")]
        back = [optout.opt_in(book.tx, book.user, recipient, "again", message_id=None) for _ in range(2)]
        assert back == [True, False]
        assert (book.within(book.list), book.within(book.opt_outs)) == ([(recipient, "Ann")], [])
        assert book.record() == [
            (recipient, optout.OUT, "why", key, book.list),
            (recipient, optout.IN, "again", None, book.list),
        ]

    on_book(work)


def test_who_is_in_no_list_is_added_and_goes_again(on_book: OnBook) -> None:
    def work(book: Book) -> None:
        for recipient, key in ((NUMBER, None), ("+61491570157", book.message(None)), (ADDRESS, "unknown")):
            assert optout.opt_out(book.tx, book.user, recipient, "why", message_id=key)
            assert optout.opt_in(book.tx, book.user, recipient, "again")
        assert book.within(book.opt_outs) == []
        assert [event for _, event, *_ in book.record()] == [optout.OUT, optout.IN] * 3

    on_book(work)


def test_the_list_that_was_left_is_gone(on_book: OnBook) -> None:
    def work(book: Book) -> None:
        book.put(book.list, phone_number=NUMBER)
        optout.opt_out(book.tx, book.user, NUMBER, "why", message_id=book.message(book.list))
        lists.delete(book.tx, book.user, book.list)
        assert optout.opt_in(book.tx, book.user, NUMBER, "again")
        assert book.within(book.opt_outs) == []
        assert book.record()[-1] == (NUMBER, optout.IN, "again", None, None)

    on_book(work)


def test_duplicates_leave_together(on_book: OnBook) -> None:
    def work(book: Book) -> None:
        for name in ("Ann", "Annie"):
            book.put(book.list, phone_number=NUMBER, first_name=name)
        optout.opt_out(book.tx, book.user, NUMBER, "why", message_id=book.message(book.list))
        assert (book.within(book.list), book.within(book.opt_outs)) == ([], [(NUMBER, "Ann")])
        book.put(book.list, phone_number=NUMBER, first_name="Bea")
        assert optout.opt_in(book.tx, book.user, NUMBER, "again")
        assert (book.within(book.list), book.within(book.opt_outs)) == ([(NUMBER, "Bea")], [])

    on_book(work)


@pytest.mark.parametrize("recipient", ["", "HELIO", "12345", "+12345678", "+" + "9" * 30, "@", "a@b@c"])
def test_what_is_neither_a_number_nor_an_address_is_let_be(on_book: OnBook, recipient: str) -> None:
    def work(book: Book) -> None:
        assert not optout.opt_out(book.tx, book.user, recipient, "why")
        assert not optout.opt_in(book.tx, book.user, recipient, "again")
        assert (book.within(book.opt_outs), book.record()) == ([], [])

    on_book(work)


def test_accounts_are_apart(on_book: OnBook) -> None:
    def work(book: Book) -> None:
        new = NewAccount(username="other", email="o@example.com", phone="", webhook_secret=new_secret())
        other = account.create(book.tx, book.vault, new)
        key = book.message(book.list)
        book.put(book.list, phone_number=NUMBER)
        assert optout.opt_out(book.tx, other, NUMBER, "why", message_id=key)
        assert not optout.opt_in(book.tx, book.user, NUMBER, "again")
        assert (book.within(book.list), book.record()) == ([(NUMBER, "")], [])

    on_book(work)
