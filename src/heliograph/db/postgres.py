"""Connections to PostgreSQL that do not wait for ever for a server that is gone."""

from typing import Any, TypeVar

import psycopg
from psycopg import errors, waiting
from psycopg.abc import PQGen

T = TypeVar("T")

ERRORS = psycopg.Error
BROKEN = (psycopg.OperationalError, psycopg.InterfaceError)
CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure)
CROWDED = (errors.LockNotAvailable, errors.QueryCanceled)
FORBIDDEN = errors.ReadOnlySqlTransaction
"""What the driver raises, by what it means for us; see `dialect.PostgreSQL`."""

SUSPICIOUS = 4.5
"""Seconds without an answer after which the server is asked, on another connection, whether it is at work at all. More
than it keeps an idle transaction (`dialect.WRITING`): a commit that was lost on its way must not arrive after we have
given it up.
"""

QUESTION = 2
"""Seconds that this question may take to connect, and to be answered."""

LAST_LOOK = 0.5
"""Seconds that are waited on when it is not at work: its answer may have come while it was asked."""

_AT_WORK = (
    "SELECT state NOT LIKE 'idle%%' AND wait_event_type IS DISTINCT FROM 'Client' FROM pg_stat_activity WHERE pid = %s"
)
"""Whether a session is at work. One that waits for its client never got its question, or cannot give its answer."""


class Silent(psycopg.OperationalError):
    """The server does not answer: it has stopped, or what goes between us is lost."""


class Connection(psycopg.Connection[Any]):
    """A connection that gives up a server that is not there. A server that is only slow gets its time.

    `standby`: the server repeats what another one does. `readonly`: it writes nothing, for whatever reason.
    """

    standby = readonly = False
    _parameters: dict[str, Any]
    _pid = 0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for an answer. Raises Silent.

        psycopg's own method is not called: this one runs with each statement, and a call more is 2 % of a short one.
        """
        patience = SUSPICIOUS
        while True:
            try:
                return waiting.wait(gen, self.pgconn.socket, interval, patience)
            except errors._WaitTimeout:
                if patience == LAST_LOOK:
                    self.pgconn.finish()
                    raise Silent("the server does not answer") from None
                at_work = self._pid and _is_at_work(self._parameters, self._pid)
                patience = SUSPICIOUS if at_work else LAST_LOOK
            except KeyboardInterrupt:
                self.pgconn.finish()  # the answer belongs to nobody any more
                raise

    def meet(self, parameters: dict[str, Any]) -> None:
        """Ask who the server is. Behind a pooler its process is another one than the protocol says."""
        self.autocommit = True
        question = "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only')"
        self._pid, self.standby, readonly = self.execute(question).fetchone() or (0, False, "off")
        self.readonly = readonly != "off"
        self._parameters = parameters


def connect(*arguments: Any, **parameters: Any) -> Connection:
    """Open a connection. Raises psycopg.Error."""
    made = Connection.connect(*arguments, **parameters)
    made.meet(parameters)
    return made


class _Question(psycopg.Connection[Any]):
    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(gen, interval, QUESTION)


def _is_at_work(parameters: dict[str, Any], pid: int) -> bool:
    """What the server says of one of its sessions."""
    try:
        with _Question.connect(**{**parameters, "connect_timeout": QUESTION, "autocommit": True}) as asked:
            found = asked.execute(_AT_WORK, [pid]).fetchone()
    except psycopg.Error:
        return False
    return bool(found and found[0])
