"""Group commit: what shares a transaction, each piece in its own savepoint, and what happens when it fails.

It knows nothing of what the pieces do, nor of who runs it: one thread at a time.
"""

from collections.abc import Callable, Sequence
from time import monotonic

import structlog

from heliograph.db.engine import QUICK, Connector, TooLong, Tx
from heliograph.db.health import Health, reason
from heliograph.db.piece import Piece, units
from heliograph.errors import DatabaseAway

MOST_CONFLICTS = 5
"""Tries of a piece that conflicts with other processes (`Dialect.conflict`). After the last one its caller gets the
error: in each conflict one of the processes goes on, so five losses in a row are more likely a defect than chance.
"""

DEADLINE = 25.0
"""Seconds that a request may wait for its turn. Clients give up after 30, as a rule, and ask again: what was run after
that would be done twice.
"""

LATEST = 1.0
"""Seconds after which a group in a thread begins no further piece: whoever comes first must not wait for the last."""

Answer = Callable[[Sequence[Piece], set[str]], None]
"""Tells the callers of these pieces, and wakes the listeners of these names."""

log = structlog.get_logger(__name__)


class Groups:
    """Runs groups on one connection. `answer` is called in the thread that runs them."""

    def __init__(self, connector: Connector, health: Health, answer: Answer) -> None:
        self.connector = connector
        self._health = health
        self._answer = answer
        self._committing = False
        self._starved = ""
        self._kept = 0
        self._whole = True
        """Whether all of the transaction is one unit, without a savepoint: when it fails, nothing is left to commit."""
        self.left: list[Piece] = []

    def finish(self, batch: list[Piece], attempt: int = 1) -> None:
        """Commit a batch and answer its callers, waiting for other processes as long as it takes. What takes long is
        committed in parts.
        """
        began = monotonic()
        self._committing = False
        try:
            wakes = self._commit(self.connector.begin_write(), batch)
        except BaseException as problem:  # noqa: BLE001 - the writer must survive a lost database; callers are told
            self.recover(batch, problem, began, attempt)
            return
        left = self.left
        self._answer(without(left, batch), wakes)
        if left:
            self.finish(left)

    def recover(self, batch: list[Piece], problem: BaseException, began: float, attempt: int = 1) -> None:
        """Do what is to be done after a batch failed as a whole, and answer its callers.

        After a conflict with another process its pieces are committed one by one: what many of them lock together is in
        nobody's order. When the connection is lost before the commit, the batch is run once more on another one.
        """
        dialect = self.connector.dialect
        if dialect.conflict(problem) and (len(batch) > 1 or attempt < MOST_CONFLICTS):
            self.connector.reset()
            for piece in batch:
                self.finish([piece], attempt + 1 if len(batch) == 1 else 1)
            return
        again = dialect.lost(problem) and not self._committing and monotonic() - began < QUICK
        if again and attempt == 1:
            self.connector.reset()
            self.finish(batch, 2)
            return
        refusal = self._refusal(problem)
        for piece in batch:
            piece.failure = refusal
        self._answer(batch, set())

    def _commit(self, tx: Tx, batch: list[Piece]) -> set[str]:
        self.begin()
        self.run(tx, batch, monotonic() + LATEST)
        return self.end(tx)

    def begin(self) -> None:
        """Forget the transaction before."""
        self._committing = False
        self._starved = ""
        self._kept = 0
        self._whole = True
        self.left = []

    def run(self, tx: Tx, batch: list[Piece], until: float, *, more: bool = False) -> None:
        """Run pieces in a transaction; `more`: they are not all that it has. Raises what the database raises.

        A piece for which nobody waits any more is refused, however long the beginning of the transaction took. Once the
        time `until` of `time.monotonic` is over, no further piece is begun. Pieces that were not begun, or belong in a
        thread (`Tx.long`), are in `left` then, and nothing of them was written.
        """
        for piece in batch:
            piece.failure = None
        found = units(batch)
        self._whole = alone = len(found) == 1 and not more
        soonest = min(piece.until for piece in batch)
        for number, unit in enumerate(found):
            now = monotonic()
            if number and now > until:
                self.left += unit
                continue
            wanted = unit if now < soonest else _in_time(unit, now)
            if wanted:
                self._kept += self._run_unit(tx, wanted, alone)

    def end(self, tx: Tx) -> set[str]:
        """Commit; what the transaction wakes. Raises what the database raises."""
        self._end(tx, self._kept > 0 or not self._whole)
        return tx.wakes

    def _end(self, tx: Tx, commits: bool) -> None:
        if commits:
            proof = not self._health.writes and tx.has_written()
            self._committing = True
            tx.driver("COMMIT")
            self._health.written()
            if proof:
                self._health.works()
        else:
            tx.driver("ROLLBACK")
            tx.wakes.clear()
        if self._starved:
            self._health.failed(self._starved)

    def _refusal(self, problem: BaseException) -> BaseException:
        """What the callers of a batch that failed as a whole are told. Ends its transaction."""
        if self.connector.dialect.away(problem):
            problem = self.connector.give_up(problem)
        else:
            self.connector.reset()
        if isinstance(problem, DatabaseAway):
            self._health.failed(problem.why)
        else:
            log.error("database.commit_failed", error=repr(problem))
        return problem

    def _run_unit(self, tx: Tx, unit: list[Piece], alone: bool) -> int:
        """Run a piece or a merged group; a group that fails is run again piece by piece. Returns how many were kept."""
        if not alone:
            tx.driver("SAVEPOINT piece")
        wakes = set(tx.wakes)
        memo = dict(tx.memo)
        try:
            _run(tx, unit)
        except Exception as problem:
            dialect = self.connector.dialect
            if dialect.conflict(problem) or dialect.lost(problem):
                raise
            tx.wakes, tx.memo = wakes, memo
            if not alone:
                tx.driver("ROLLBACK TO SAVEPOINT piece")
                tx.driver("RELEASE SAVEPOINT piece")
            elif len(unit) > 1:
                tx.driver("ROLLBACK")
                tx.driver(dialect.begin_write)
            if len(unit) > 1:
                self._whole = False
                return sum(self._run_unit(tx, [piece], alone=False) for piece in unit)
            self._failed(unit[0], problem)
            return 0
        if not alone:
            tx.driver("RELEASE SAVEPOINT piece")
        return len(unit)

    def _failed(self, piece: Piece, problem: Exception) -> None:
        if isinstance(problem, TooLong):
            piece.slow = True
            self.left.append(piece)
        else:
            piece.failure = self._told(problem)

    def _told(self, problem: Exception) -> Exception:
        """What the caller of a piece gets that failed by itself: the server had no room, or no time, for it."""
        dialect = self.connector.dialect
        if not dialect.away(problem):
            return problem
        why = reason(problem)
        if not dialect.crowded(problem):
            self._starved = why
        return DatabaseAway(why)


def refuse(late: Sequence[Piece]) -> None:
    """Let pieces fail that have waited for too long."""
    if late:
        log.warning("database.too_late", pieces=len(late))
    for piece in late:
        piece.failure = DatabaseAway(f"nothing could be written for {DEADLINE:.0f} seconds")


def without(left: Sequence[Piece], batch: Sequence[Piece]) -> list[Piece]:
    """The pieces of a batch that are not left."""
    waiting = set(map(id, left))
    return [piece for piece in batch if id(piece) not in waiting]


def _in_time(unit: list[Piece], now: float) -> list[Piece]:
    """The pieces that somebody still waits for; the others are refused."""
    refuse([piece for piece in unit if piece.until <= now])
    return [piece for piece in unit if piece.until > now]


def _run(tx: Tx, unit: list[Piece]) -> None:
    first = unit[0]
    if first.merge is None:
        assert first.run is not None
        first.result = first.run(tx)
        return
    for piece, result in zip(unit, first.merge(tx, [piece.item for piece in unit]), strict=True):
        if isinstance(result, BaseException):
            piece.failure = result
        else:
            piece.result = result
