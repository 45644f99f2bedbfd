"""Messages to a carrier with an HTTP API of its own, and its reports. What it is asked and says is a template."""

import structlog

from heliograph.transports.base import (
    LONGEST_ID,
    Failed,
    Outcome,
    Outgoing,
    Retry,
    Sent,
)
from heliograph.transports.http.client import (
    LONGEST_WORDS,
    LOOK_AGAIN,
    HttpAnswer,
    HttpRequest,
    HttpTransport,
    Place,
)
from heliograph.transports.http.template import document, filled, found
from heliograph.transports.options import HttpOptions

log = structlog.get_logger(__name__)


class TemplateTransport(HttpTransport):
    """One carrier; one message a request."""

    def __init__(self, name: str, options: HttpOptions, *, look_again: float = LOOK_AGAIN) -> None:
        super().__init__(name, look_again=look_again)
        self._options = options

    @property
    def place(self) -> Place:
        """Where the carrier is."""
        options = self._options
        tls = options.url.startswith("https:")
        return Place(*options.address, tls, options.tls_ca, options.connections, options.timeout)

    async def request(self, message: Outgoing) -> HttpRequest | Failed:
        """The template with this message in it."""
        return filled(self._options, message)

    def outcome(self, answer: HttpAnswer) -> Outcome:
        """A 2xx without an error code is taken; of everything else the settings say whether to try again."""
        said = document(answer.content_type, answer.octets)
        code = found(said, self._options.error)
        if answer.status // 100 == 2 and not code:
            remote_id = found(said, self._options.id)
            return Sent((remote_id,) if 0 < len(remote_id) <= LONGEST_ID else (), f"HTTP {answer.status}")
        words = f"The carrier answered HTTP {answer.status} {code}".rstrip()[:LONGEST_WORDS]
        number = int(code) if code.isascii() and code.isdigit() and len(code) < 10 else answer.status
        if str(answer.status) in self._options.retry or code in self._options.retry:
            return Retry(answer.pause, words, number)
        return Failed(number, words)
