"""A log that cannot fail: the disk that has no room for the database has none for the log either, as a rule, and the
threads of the database must go on.
"""

import contextlib
from typing import Any

import structlog


class Log:
    """What structlog does, unless it cannot be written."""

    def __init__(self, name: str) -> None:
        self._log = structlog.get_logger(name)

    def tell(self, level: str, event: str, **values: Any) -> None:
        """Write an entry of a level (info, warning, error, critical)."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            getattr(self._log, level)(event, **values)
