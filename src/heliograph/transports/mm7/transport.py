"""Multimedia messages to a carrier's MMSC over MM7 (3GPP TS 23.140): the client's side. Knows nothing of who pays."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import encode_basic_auth

from heliograph.transports.base import LONGEST_ID, Failed, Mms, Outcome, Outgoing, Retry, Sent
from heliograph.transports.http.client import (
    AWAY,
    LONGEST_WORDS,
    LOOK_AGAIN,
    HttpAnswer,
    HttpRequest,
    HttpTransport,
    Place,
    by_status,
)
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import SCHEMAS, Dialect, Envelope, Malformed, Tree
from heliograph.transports.mm7.package import CONTENT_ID, opened, packed
from heliograph.transports.options import Mm7Options

SHORT_CODE = 8
"""Digits of the longest short code."""


def dialect_of(options: Mm7Options) -> Dialect:
    """The namespace and the version that a carrier wants."""
    release = options.release
    namespace = release if "://" in release else SCHEMAS + release
    return Dialect(namespace, options.version or envelope.version_of(namespace))


def submit_request(options: Mm7Options, message: Outgoing, subject: str) -> Tree:
    """The children of a SubmitReq, in the order of the schema."""
    identification: list[tuple[str, str | Tree | Mapping[str, str]]] = [
        (name, value) for name, value in (("VASPID", options.vasp_id), ("VASID", options.vas_id)) if value
    ]
    identification.append(("SenderAddress", [_address(options, message.sender, options.sender_form)]))
    tree: list[tuple[str, str | Tree | Mapping[str, str]]] = [
        ("MM7Version", dialect_of(options).version),
        ("SenderIdentification", identification),
        ("Recipients", [("To", [_address(options, message.recipient, "number")])]),
        ("ServiceCode", options.service_code),
        ("MessageClass", "Personal"),
        ("TimeStamp", _stamp(time.time())),
        ("ExpiryDate", _stamp(message.valid_until)),
        ("DeliveryReport", "true"),
        ("ReadReply", "true" if options.read_reply else ""),
        ("Priority", "Normal"),
        ("Subject", subject),
        ("Content", {"href": f"cid:{CONTENT_ID}", "allowAdaptations": "true"}),
    ]
    return [(name, value) for name, value in tree if value and name not in options.omit]


def _address(options: Mm7Options, address: str, form: str) -> tuple[str, str]:
    digits = address.removeprefix("+")
    short = form == "short-code" or (form == "auto" and (not digits.isdigit() or len(digits) <= SHORT_CODE))
    if short:
        return "ShortCode", digits
    return "Number", f"+{digits}" if options.plus else digits


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Mm7Transport(HttpTransport):
    """One MMSC; one recipient a request. It reports by requests of its own: inbox.py."""

    def __init__(self, name: str, options: Mm7Options, *, look_again: float = LOOK_AGAIN) -> None:
        super().__init__(name, look_again=look_again)
        self._options = options
        self._dialect = dialect_of(options)

    @property
    def place(self) -> Place:
        """Where the MMSC is."""
        options = self._options
        tls = options.url.startswith("https:")
        return Place(*options.address, tls, options.tls_ca, options.connections, options.timeout)

    async def request(self, message: Outgoing) -> HttpRequest | Failed:
        """A SubmitReq. Its TransactionID is the message's id: an MMSC that got it before can tell."""
        content, options = message.content, self._options
        if not isinstance(content, Mms):
            return Failed(None, "An MMSC takes nothing but multimedia messages")
        tree = submit_request(options, message, content.subject)
        try:
            soap = envelope.write(self._dialect, "SubmitReq", message.key.message_id, tree)
        except ValueError:
            return Failed(None, "The message has characters that XML cannot hold")
        kind, body = await packed(soap, content)
        headers = {"SOAPAction": '""', "Content-Type": kind}
        if options.username:
            headers["Authorization"] = encode_basic_auth(options.username, options.password, "utf-8")
        return HttpRequest("POST", options.url, headers, body)

    def outcome(self, answer: HttpAnswer) -> Outcome:
        """What an answer means. A refusal in MM7 says more than the HTTP status around it."""
        try:
            said = envelope.read(opened(answer.content_type, answer.octets)[0], self._dialect.namespace)
        except Malformed:
            said = None
        if said is not None and said.status[0]:
            return self._judged(said, answer.pause)
        return by_status(answer) or Retry(
            AWAY, "The MMSC gave an answer that is no MM7", answer.status, maybe_sent=True
        )

    def _judged(self, said: Envelope, pause: float) -> Outcome:
        """Not every 3xxx may be tried again: which codes may is a setting."""
        code, words = said.status
        text = f"{code} {words}".strip()[:LONGEST_WORDS].rstrip(".")
        if said.name == "SubmitRsp" and code in (envelope.SUCCESS, envelope.PARTLY):
            remote_id = said.text("MessageID")
            return Sent((remote_id,) if 0 < len(remote_id) <= LONGEST_ID else (), text)
        if code in self._options.retry:
            return Retry(pause, text, code)
        return Failed(code, text)
