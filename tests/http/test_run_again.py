"""Requests whose transaction is begun again, or late: they are done as they should be at that moment, or not at all."""

import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.db.engine import Tx
from heliograph.db.group import DEADLINE
from heliograph.db.tables import users
from heliograph.http import server as http
from heliograph.messaging import accept
from heliograph.messaging.channel import Order
from support.server import ONE_DATABASE, Running

pytestmark = ONE_DATABASE
LONG = {"messages": [{"to": "+61491570006", "body": "x" * 500}]}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["merged", "alone"])
@pytest.mark.parametrize("again", [False, True])
def test_what_was_prepared_anew_stays_so_when_the_transaction_is_begun_again(
    server: Running, monkeypatch: pytest.MonkeyPatch, again: bool, headers: dict[str, str]
) -> None:
    """The account's settings changed after the server had remembered it, and then the connection was lost."""
    api = server.account()
    assert api.post("/sms/price", LONG)["messages"][0]["message_parts"] == 4

    def change(tx: Tx) -> None:
        tx.execute(users.update().where(users.c.user_id == api.user_id).values(char_limit=1))
        account.touch(tx)

    server.write(change)
    taken: list[int] = []
    accepted = accept.accept

    def lost(tx: Tx, orders: Sequence[Order]) -> Any:
        taken.append(len(orders[0].drafts[0].body))
        if again and len(taken) == 1:
            problem = sqlite3.OperationalError("disk I/O error")
            problem.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise problem
        return accepted(tx, orders)

    monkeypatch.setattr(accept, "accept", lost)
    answer = api.call("POST", "/sms/send", LONG, headers)
    assert answer.data["messages"][0]["message_parts"] == 1
    assert taken == [160] * (2 if again else 1)


def test_a_list_send_that_waited_for_too_long_is_not_done(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such sends wait for each other before they are in line: whoever has given up asks again."""
    api = server.account()
    list_id = api.post("/lists", {"list_name": "Late"})["list_id"]
    api.post(f"/lists/{list_id}/contacts", {"phone_number": "+61491570006"})
    message = {"messages": [{"list_id": list_id, "body": "Hello"}]}
    for waited, status in ((1.0, 200), (DEADLINE + 1, 503)):
        times = itertools.count(1000.0, waited)
        monkeypatch.setattr(http, "monotonic", lambda times=times: next(times))
        assert api.call("POST", "/sms/send", message).status == status
    assert api.get("/sms/history")["total"] == 1
