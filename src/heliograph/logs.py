"""Structured logs: pretty on a terminal, JSON otherwise. No secrets, no texts of messages."""

import logging
import sys

import structlog


def configure(level: str, form: str) -> None:
    """Set up the log of this process, on standard error."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([] if pretty else [structlog.processors.format_exc_info]),
            # Plain tracebacks: rich ones show local variables, and a request's body may hold a password or a card.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if pretty
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for noisy in ("mail.log", "aiosmtplib"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
