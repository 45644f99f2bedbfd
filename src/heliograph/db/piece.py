"""What callers hand to the writer, and the line in which it waits for its transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from heliograph.db.engine import Tx

MOST_PIECES = 256
"""Pieces in one transaction. All of them wait for its commit: 256 single sends at 20 µs (docs/performance.md) are
5 ms."""

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
        else:
            future.set_exception(failure)

    return tell


class Line:
    """The pieces that wait: requests (urgent), and background work.

    Whose turn it is goes first, so that neither starves the other.
    """

    def __init__(self, most_rows: float = float("inf")) -> None:
        self.urgent: deque[Piece] = deque()
        self._calm: deque[Piece] = deque()
        self._most_rows = most_rows
        self._turn = False

    def __bool__(self) -> bool:
        return bool(self.urgent or self._calm)

    def add(self, piece: Piece) -> None:
        """Put a piece at the end."""
        (self.urgent if piece.urgent else self._calm).append(piece)

    def put_back(self, pieces: Sequence[Piece]) -> None:
        """Put pieces where they came from: before all others."""
        for piece in reversed(pieces):
            (self.urgent if piece.urgent else self._calm).appendleft(piece)

    def next_batch(self) -> list[Piece]:
        """The pieces of one kind that share the next transaction."""
        self._turn = not self._turn
        return self._taken(*self._by_turn()[:1], [])

    def next_group(self) -> list[Piece]:
        """The pieces that share the next transaction, of both kinds: background work rides along with requests.

        Slow pieces of one kind do not ride along with the other. At most `most_rows` rows beyond its first piece.
        """
        self._turn = not self._turn
        first, second = self._by_turn()
        group = self._taken(first, [])
        if any(piece.slow for piece in group):
            return group
        return self._taken(second, group, slow=False)

    def expired(self, now: float) -> list[Piece]:
        """Take out the requests that have waited for too long."""
        late = []
        while self.urgent and self.urgent[0].until <= now:
            late.append(self.urgent.popleft())
        return late

    def _by_turn(self) -> tuple[deque[Piece], deque[Piece]]:
        if self.urgent and (self._turn or not self._calm):
            return self.urgent, self._calm
        return (self._calm, self.urgent) if self._calm else (self.urgent, self._calm)

    def _taken(self, source: deque[Piece], group: list[Piece], *, slow: bool = True) -> list[Piece]:
        """The group with as many pieces of a source as find room in it, slow ones only if those may come."""
        room = self._most_rows - sum(piece.weight for piece in group[1:])
        while source and len(group) < MOST_PIECES and (slow or not source[0].slow):
            if group and source[0].weight > room:
                break
            room -= source[0].weight if group else 0
            group.append(source.popleft())
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
