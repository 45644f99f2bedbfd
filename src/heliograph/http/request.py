"""One request as a handler sees it, and the answer it gives."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound
from heliograph.http import loose
from heliograph.http.route import Route
from heliograph.services import Services

T = TypeVar("T")
_HOST = re.compile(r"[\w.:\[\]-]{1,255}").fullmatch


class Request:
    """A matched request. `tx` is open in plain handlers; `who` is set when the route asks for credentials.

    `client` is the address that it comes from, "" when that is not known. `gathered` is what the `gather` of a merged
    handler has fetched, `ignored` the fields that a search did not use.
    """

    __slots__ = (
        "_ahead",
        "_tx",
        "_who",
        "body",
        "client",
        "gathered",
        "headers",
        "id",
        "ignored",
        "params",
        "query",
        "route",
        "scheme",
        "services",
    )

    def __init__(
        self,
        *,
        route: Route,
        request_id: str,
        params: Mapping[str, str],
        query: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        scheme: str,
        client: str = "",
        body: bytes,
        services: Services,
    ) -> None:
        self.route = route
        self.id = request_id
        self.params = params
        self.query = query
        self.headers = headers
        self.scheme = scheme
        self.client = client
        self.body = body
        self.services = services
        self.gathered: Any = None
        self.ignored: tuple[str, ...] = ()
        self._ahead: tuple[Any, Any] | None = None
        self._tx: Tx | None = None
        self._who: Principal | None = None

    @property
    def tx(self) -> Tx:
        """The open transaction."""
        assert self._tx is not None, "this handler has no transaction"
        return self._tx

    @property
    def who(self) -> Principal:
        """Who asks."""
        assert self._who is not None, "this route asks for no credentials"
        return self._who

    def enter(self, tx: Tx | None, who: Principal | None) -> None:
        """Give the request its transaction and its principal (the server does)."""
        self._tx = tx
        self._who = who

    def header(self, name: str) -> str:
        """A header by its name in small letters; empty when it is not there."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

    @property
    def base_url(self) -> str:
        """Where customers reach this server: the setting, or else what the request was sent to."""
        public = self.services.settings.public_url.rstrip("/")
        host = self.header("host")
        return public or f"{self.scheme}://{host if _HOST(host) else 'localhost'}"

    def decode(self, kind: type[T]) -> T:
        """The body as `kind`, loose types made exact. Raises BadRequest."""
        if self._ahead is not None and self._ahead[0] is kind:
            if isinstance(self._ahead[1], BadRequest):
                raise self._ahead[1]
            done: T = self._ahead[1]
            return done
        return loose.decode(self.body, kind)

    def decode_ahead(self, kind: type[T]) -> None:
        """Decode the body now, in whatever thread this is; `decode` gives what came of it."""
        try:
            self._ahead = kind, loose.decode(self.body, kind)
        except BadRequest as refused:
            self._ahead = kind, refused

    def number(self, name: str, missing: str = "Record not found.") -> int:
        """An integer out of the path; anything else names no record. Raises NotFound."""
        text = self.params[name]
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise NotFound(missing)
        return int(text)

    def unix_time(self, name: str) -> int | None:
        """A Unix time out of the query, or None when it is not given. Raises BadRequest."""
        text = self.query.get(name, "").strip()
        if not text:
            return None
        try:
            return loose.integer(text)
        except ValueError as problem:
            raise BadRequest({name: f"{name} {problem}"}) from None


class Reply(msgspec.Struct, frozen=True):
    """A 200: the `data` of the envelope, and its message when it is not the endpoint's."""

    data: Any = None
    message: str | None = None
