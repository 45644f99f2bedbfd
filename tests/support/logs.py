"""What the program logs while a test looks."""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from structlog import DropEvent
from structlog.testing import capture_logs


@contextmanager
def own_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What this thread logs meanwhile, and threads that are started meanwhile.

    Not what others do: a server that other tests share may have something to say at any moment.
    """
    others = set(threading.enumerate()) - {threading.current_thread()}

    def own(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if threading.current_thread() in others:
            raise DropEvent
        return entry

    with capture_logs(processors=[own]) as entries:
        yield entries
