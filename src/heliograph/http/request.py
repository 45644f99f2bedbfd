"""One request as a handler sees it, the answer it gives, and the row that binds a handler to paths."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.errors import ApiError, BadRequest, NotFound
from heliograph.http import loose
from heliograph.services import Services

T = TypeVar("T")
_HOST = re.compile(r"[\w.:\[\]-]{1,255}").fullmatch


class Request:
    """A matched request. `tx` is open in plain handlers; `who` is set when the route asks for credentials."""

    __slots__ = ("_tx", "_who", "body", "headers", "id", "params", "query", "route", "scheme", "services")

    def __init__(
        self,
        *,
        route: "Route",
        request_id: str,
        params: Mapping[str, str],
        query: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        scheme: str,
        body: bytes,
        services: Services,
    ) -> None:
        self.route = route
        self.id = request_id
        self.params = params
        self.query = query
        self.headers = headers
        self.scheme = scheme
        self.body = body
        self.services = services
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
        return loose.decode(self.body, kind)

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
    """A 200: the `data` of the envelope, and its message when it differs from the route's."""

    data: Any = None
    message: str | None = None
    bare: bool = False


Plain = Callable[[Request], Reply]
Edge = Callable[[Request], Awaitable[Reply]]


class Merged(msgspec.Struct, frozen=True):
    """A handler whose work is done together with that of concurrent requests.

    `prepare` makes an item without a transaction, `merge` works on many, `render` makes the answer of one. Of `large`
    items only one is written at a time, so that others wait for one of them at most.
    """

    prepare: Callable[[Request], Any]
    merge: Callable[[Tx, list[Any]], Sequence[Any]]
    render: Callable[[Request, Any], Reply]
    large: Callable[[Any], bool] = lambda _: False


class Route(msgspec.Struct, frozen=True):
    """A row of routes.py. `number` is the endpoint's in the contract, 0 for our additions.

    `at` is the verb and the canonical path, `also` its other spellings. `access` names the flag that a subaccount
    needs, "" for none, None for a route without credentials. `message` is the documented response_msg; `body` and
    `answer` are structs for the OpenAPI document, `query` its further query parameters; `spends` routes accept an
    Idempotency-Key, `uploads` a body of the size of a file; `guarded` ones, which strangers could use to guess or to
    flood, are limited like failed logins. `refuses` are refusals that no other property of the row tells of.
    """

    number: int
    at: str
    handler: Plain | Edge | Merged
    access: str | None
    message: str
    body: Any = None
    answer: Any = None
    paged: bool = False
    query: tuple[str, ...] = ()
    spends: bool = False
    guarded: bool = False
    uploads: bool = False
    refuses: tuple[type[ApiError], ...] = ()
    also: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The verb."""
        return self.at.partition(" ")[0]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every spelling of the path, the canonical one first."""
        return (self.at.partition(" ")[2], *self.also)
