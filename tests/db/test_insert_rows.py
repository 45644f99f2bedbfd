"""Many rows in few statements: what is in the table afterwards is what was given, whatever the rows have alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from heliograph.db.engine import Tx
from heliograph.messaging.rows import Receipt
from support import steps
from support.steps import Steps

COLUMNS = ("transport", "remote_id", "user_id", "channel", "message_id", "at")
SIZES = (1, 4, 15, 16, 17, 64, 300, 1111)
ALL = frozenset({"transport", "user_id", "channel", "message_id", "at"})
ALIKE = {"nothing is said": (), "all but the key": (ALL,), "all, or two": (ALL, frozenset({"transport", "at"}))}
ODD = {
    "none": lambda place: {},
    "the last": lambda place: {"message_id": "other"} if place % 16 == 15 else {},
    "the first": lambda place: {"channel": "voice"} if place == 0 else {},
    "each": lambda place: {"user_id": place, "channel": f"c{place}", "message_id": f"m'?1{place}"},
    "time": lambda place: {"at": place},
}


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        yield opened


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("alike", ALIKE)
def test_every_row_has_its_own_values(house: Steps, alike: str, odd: str) -> None:
    usual: dict[str, Any] = {
        "transport": "acme",
        "user_id": 7,
        "channel": "sms",
        "message_id": "m",
        "at": 1_790_000_000,
    }
    for size in SIZES:
        rows = [
            tuple({**usual, "remote_id": f"r{place:05d}", **ODD[odd](place)}[name] for name in COLUMNS)
            for place in range(size)
        ]

        def stored(tx: Tx, rows: Any = rows) -> Any:
            tx.insert_rows("handovers", COLUMNS, rows, ALIKE[alike])
            found = tx.driver(f"SELECT {', '.join(COLUMNS)} FROM handovers ORDER BY remote_id").fetchall()
            tx.driver("DELETE FROM handovers")
            return [tuple(row) for row in found]

        assert house.write(stored) == rows


@pytest.mark.parametrize("codes", [(None, None), ("", ""), ("11", None), (None, "")], ids=repr)
def test_null_is_not_an_empty_text(house: Steps, codes: tuple[str | None, str | None]) -> None:
    """`error_code` of even and of odd rows."""
    rows = [
        (
            7,
            "sms",
            f"m{place:03d}",
            0,
            1_790_000_000,
            1_790_000_009,
            "Delivered",
            "201",
            "Success",
            codes[place % 2],
            "",
        )
        for place in range(100)
    ]
    columns = tuple(name for name in Receipt.__struct_fields__ if name not in ("ordinal", "error_text", "details"))

    def stored(tx: Tx) -> Any:
        tx.insert_rows("receipts", columns, rows, (frozenset(columns) - {"message_id"},))
        sql = f"SELECT {', '.join(columns)} FROM receipts ORDER BY receipt_id"
        return [tuple(row) for row in tx.driver(sql).fetchall()]

    assert house.write(stored) == rows


def test_fractions_stay_and_rows_are_numbered_in_their_order(house: Steps) -> None:
    columns = ("channel", "priority", "due_at", "user_id", "message_id", "attempts", "claimed")
    rows = [("sms", 0, 1_790_000_000.25, 7, f"m{place:03d}", 0, 0) for place in range(100)]

    def stored(tx: Tx) -> Any:
        tx.insert_rows("queue", columns, rows, (frozenset(columns) - {"message_id"},))
        sql = f"SELECT {', '.join(columns)} FROM queue ORDER BY queue_id"
        return [tuple(row) for row in tx.driver(sql).fetchall()]

    assert house.write(stored) == rows
