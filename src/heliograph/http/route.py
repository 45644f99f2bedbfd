"""The rows of routes.py, and what stands behind them: data for the server and for the API document."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.errors import ApiError

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
TYPES = {"": "string", "int": "integer"}
"""Type of a parameter in a path, {name} or {name:int} -> the same in JSON Schema."""


class Query(msgspec.Struct, frozen=True):
    """A query parameter in the API document; an empty one is as if it were not there.

    `key` is its name among the parameters of the document, where another one is called the same.
    """

    name: str
    text: str
    schema: Mapping[str, Any]
    key: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A handler, and what the server and the API document have to know of it. `@endpoint` (endpoint.py) makes it.

    `response_msg` is the documented one, empty where the handler has its own each time; `answer` and `body` are the
    types of the answer's `data` and of the body, and `takes_body` says whether the handler gets the body decoded.
    A `paged` endpoint is a list that is paged, searched and sorted; `query` are its further parameters. `spends`:
    it accepts an Idempotency-Key. `uploads`: its body may have the size of a file, and be a form. `encloses`: it
    may have that size, since files stand in it. `guarded`: strangers could use it to guess or to flood, so it is
    limited like failed logins. `before_activation`: an account that is not activated yet may use it. `refuses`:
    refusals that no other property tells of. `most_body`: bytes of its body, where what bodies.py makes of its kind
    does not fit. `daily`: the setting that says how often one address may call it within a day. `bare`: its answer
    has no envelope.
    """

    handler: Any
    is_edge: bool
    takes_body: bool
    summary: str
    notes: str
    response_msg: str
    answer: Any
    body: Any
    paged: bool
    query: tuple[Query, ...]
    spends: bool
    uploads: bool
    encloses: bool
    guarded: bool
    before_activation: bool
    refuses: tuple[type[ApiError], ...]
    most_body: int
    daily: str
    bare: bool


class Route:
    """A row: the endpoint's number in the contract, verb and path, the endpoint, access.

    The number is 0 for our additions. Parameters of the path are text, `{name}`, or whole numbers, `{name:int}`: that
    is for the document, `Request.number` reads them. `access` names the flag that a subaccount needs, "" for none, None
    for a route without credentials. `also` are other spellings of the path.
    """

    __slots__ = ("access", "at", "endpoint", "method", "number", "parameters", "paths")

    def __init__(
        self, number: int, at: str, endpoint: Endpoint, access: str | None, *, also: tuple[str, ...] = ()
    ) -> None:
        self.number = number
        self.endpoint = endpoint
        self.access = access
        self.parameters = {name: TYPES[kind] for path in (at, *also) for name, kind in _PARAMETER.findall(path)}
        self.at, *others = (_PARAMETER.sub(r"{\1}", path) for path in (at, *also))
        self.method, _, path = self.at.partition(" ")
        self.paths = (path, *others)
        """Every spelling, the canonical one first, as the contract writes them: without types."""


class Section:
    """A section of the API document: its title, what it is about, its rows."""

    def __init__(self, title: str, about: str, *routes: Route) -> None:
        self.title = title
        self.about = about
        self.routes = routes
