"""Structured logs on standard error: pretty on a terminal, JSON otherwise. No secrets, no texts of messages.

What an exception says may quote anything (a database quotes the row that it refuses), so its quotes are left out
above the level `debug`. Libraries that log in the standard way are heard from warnings up.
"""

import contextlib
import logging
import re
import sys
import threading
import traceback
from types import TracebackType
from typing import TextIO, cast

import structlog
from rich.console import Console
from structlog.typing import EventDict, Processor, WrappedLogger

from heliograph.terminal import harmless

SECRETS = frozenset({"api_key", "authorization", "key", "password", "secret"})
"""Names of values that no level shows."""

TEXTS = frozenset({"body", "raw", "subject", "text"})
"""Names of values that may be what somebody wrote to somebody else."""

QUOTE_NAMES = (OSError, AttributeError, ImportError, NameError, TypeError)
"""Exceptions that quote names of files, or of things in the source, and no values."""

Raised = tuple[type[BaseException], BaseException, TracebackType | None]
LEFT_OUT = "(left out)"
_QUOTES = re.compile(r"""(?<!\w)(["'])(?:.*\1|.*)""")
_REPR = re.compile(r"""([A-Za-z_]\w*)\((["'])(.*)\2,?\)""")
log = structlog.get_logger(__name__)


def configure(level: str, form: str) -> None:
    """Set up the log of this process."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    discreet = level != "debug"
    steps: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        structlog.processors.StackInfoRenderer(),
        _Discretion() if discreet else _no_secrets,
        structlog.processors.ExceptionRenderer(_story if discreet else _whole_story),
    ]
    if pretty:
        steps.append(_no_orders)
    plain = structlog.dev.plain_traceback  # the default shows the variables of every frame
    last: Processor = structlog.processors.JSONRenderer()
    if pretty:
        colours = sys.stderr.isatty() and not Console().no_color  # which knows NO_COLOR
        last = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)
    structlog.configure(
        processors=[*steps, last],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Sink(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    _hear_libraries([*([_first_line] if discreet else []), *steps], last)
    sys.excepthook = _unexpected
    threading.excepthook = _unexpected_in_thread


class _Sink:
    """Standard error, unless it cannot be written: a full disk or a lost terminal must not end who wanted to log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _hear_libraries(steps: list[Processor], last: Processor) -> None:
    """Have what others log and warn of in the same form, in the same place."""
    handler = logging.StreamHandler(sys.stderr)
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=steps, processors=[meta, last]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for noisy in ("mail.log", "aiosmtplib"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _no_secrets(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    for key in event.keys() & SECRETS:
        event[key] = LEFT_OUT
    return event


def _no_orders(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Somebody else wrote some of these values: none of them commands the terminal."""
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


class _Discretion:
    """Leaves out what somebody wrote, and what errors quote."""

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        for key in event.keys() & TEXTS:
            event[key] = LEFT_OUT
        if isinstance(event.get("error"), str):
            event["error"] = _without_repr(event["error"])
        return _no_secrets(logger, name, event)


def _first_line(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """The lines after the first are for debugging: asyncio adds the repr of what failed, with its arguments."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _without_repr(text: str) -> str:
    """The repr of an exception as `Name: what it says`, without quotes."""
    found = _REPR.fullmatch(text)
    if found is None:
        return _without_quotes(text)
    name, says = found.group(1), found.group(3).partition("\\n")[0]
    return f"{name}: {'…' if name == 'KeyError' else _without_quotes(says)}"


def _without_quotes(text: str) -> str:
    """The first line of a text, from its first opening quote to its last closing one replaced."""
    return _QUOTES.sub("…", text.partition("\n")[0])


def _story(exc_info: Raised) -> str:
    """A traceback whose exceptions do not quote. Source lines are fine: they name values and do not show them."""
    chain: list[BaseException] = []
    at: BaseException | None = exc_info[1]
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    lines = []
    for problem in reversed(chain):
        says = str(problem) if isinstance(problem, QUOTE_NAMES) else _without_quotes(str(problem))
        kind = f"{type(problem).__module__}.{type(problem).__qualname__}".removeprefix("builtins.")
        lines += [*traceback.format_tb(problem.__traceback__), f"{kind}: {says}\n"]
    return "".join(lines).rstrip()


def _whole_story(exc_info: Raised) -> str:
    return "".join(traceback.format_exception(*exc_info)).rstrip()


def _unexpected(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught, in the form of the log."""
    log.critical("process.failed", exc_info=(kind, problem, trace))


def _unexpected_in_thread(lost: threading.ExceptHookArgs) -> None:
    if lost.exc_value is not None:
        _unexpected(lost.exc_type, lost.exc_value, lost.exc_traceback)
