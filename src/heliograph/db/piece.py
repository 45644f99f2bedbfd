"""What callers hand to the writer, and the line in which it waits for its transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from heliograph.db.engine import Tx

MOST_PIECES = 256
"""Pieces in one transaction. All of them wait for its commit: 256 single sends at 20 µs (docs/performance.md) are
5 ms."""

MOST_LARGE = 4
"""Large requests in one transaction on the loop, which runs one of them in a turn. With two, bulk costs as little; with
one, 4 % more of the processor and a sync for each.
"""

Merge = Callable[[Tx, list[Any]], Sequence[Any]]
Tell = Callable[[Any, BaseException | None], None]
"""Called on the event loop after the commit, with the result, or with what the piece failed with. Must not raise."""


class Piece:
    """One caller's work: a function of the transaction, or an item for a merging function.

    `weight` is about how many rows it writes. A `slow` one may take long. `until` is the time of `time.monotonic` after
    which nobody waits for it any more.
    """

    __slots__ = ("failure", "item", "merge", "result", "run", "slow", "tell", "until", "urgent", "weight")

    def __init__(
        self,
        tell: Tell,
        run: Callable[[Tx], Any] | None,
        merge: Merge | None = None,
        item: Any = None,
        *,
        urgent: bool = True,
        slow: bool = False,
        weight: int = 1,
    ) -> None:
        self.tell = tell
        self.run = run
        self.merge = merge
        self.item = item
        self.urgent = urgent
        self.slow = slow
        self.weight = weight
        self.until = 0.0
        self.result: Any = None
        self.failure: BaseException | None = None

    @property
    def name(self) -> str:
        """The name of its function."""
        work: Any = self.merge or self.run
        return str(getattr(work, "__qualname__", None) or getattr(work, "func", work))


def resolve(future: "asyncio.Future[Any]") -> Tell:
    """What tells a future; whoever has cancelled it is not told."""

    def tell(result: Any, failure: BaseException | None) -> None:
        if future.done():
            return
        if failure is None:
            future.set_result(result)
        elif isinstance(failure, StopIteration):  # no future takes one
            future.set_exception(RuntimeError(repr(failure)))
        else:
            future.set_exception(failure)

    return tell


class Line:
    """The pieces that wait, in three rows that take turns: requests, background work, and large requests.

    A request is large when it writes more than `most_rows` rows.
    """

    def __init__(self, most_rows: float = float("inf")) -> None:
        self._urgent: deque[Piece] = deque()
        self._calm: deque[Piece] = deque()
        self._large: deque[Piece] = deque()
        self._rows = (self._urgent, self._calm, self._large)
        self._most_rows = most_rows
        self._turn = -1

    def __bool__(self) -> bool:
        return any(self._rows)

    @property
    def has_requests(self) -> bool:
        """Whether a request waits."""
        return bool(self._urgent or self._large)

    def add(self, piece: Piece) -> None:
        """Put a piece at the end."""
        self._row_of(piece).append(piece)

    def put_back(self, pieces: Sequence[Piece]) -> None:
        """Put pieces where they came from: before all others."""
        for piece in reversed(pieces):
            self._row_of(piece).appendleft(piece)

    def next_batch(self) -> list[Piece]:
        """The pieces of one row that share the next transaction; none when nothing waits."""
        return self._taken(self._next_row(), [])

    def next_group(self) -> list[Piece]:
        """The pieces that share the next transaction: some large ones; or requests and background work together, at
        most `most_rows` rows beyond the first piece.

        Slow pieces of one kind do not ride along with the other, and a slow large one is by itself.
        """
        row = self._next_row()
        if row is self._large:
            group = [row.popleft()]
            while row and len(group) < MOST_LARGE and not (group[0].slow or row[0].slow):
                group.append(row.popleft())
            return group
        group = self._taken(row, [])
        if any(piece.slow for piece in group):
            return group
        return self._taken(self._calm if row is self._urgent else self._urgent, group, slow=False)

    @property
    def has_small(self) -> bool:
        """Whether a request waits that is not large."""
        return bool(self._urgent)

    def small(self) -> list[Piece]:
        """The small requests that find room in a transaction with large ones; no slow ones."""
        return self._taken(self._urgent, [], slow=False)

    def expired(self, now: float) -> list[Piece]:
        """Take out the requests that have waited for too long."""
        late = []
        for row in (self._urgent, self._large):
            while row and row[0].until <= now:
                late.append(row.popleft())
        return late

    def _row_of(self, piece: Piece) -> deque[Piece]:
        if not piece.urgent:
            return self._calm
        return self._large if piece.weight > self._most_rows else self._urgent

    def _next_row(self) -> deque[Piece]:
        for _ in self._rows:
            self._turn = (self._turn + 1) % len(self._rows)
            if self._rows[self._turn]:
                break
        return self._rows[self._turn]

    def _taken(self, row: deque[Piece], group: list[Piece], *, slow: bool = True) -> list[Piece]:
        """The group with as many pieces of a row as find room in it, slow ones only if those may come."""
        room = self._most_rows - sum(piece.weight for piece in group[1:])
        while row and len(group) < MOST_PIECES and (slow or not row[0].slow):
            if group and row[0].weight > room:
                break
            room -= row[0].weight if group else 0
            group.append(row.popleft())
        return group


def units(batch: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces with the same merging function are run as one call; concurrent requests have no order to keep."""
    found: list[list[Piece]] = []
    merged: dict[Merge, list[Piece]] = {}
    for piece in batch:
        if piece.merge is None:
            found.append([piece])
        elif piece.merge in merged:
            merged[piece.merge].append(piece)
        else:
            merged[piece.merge] = [piece]
            found.append(merged[piece.merge])
    return found
