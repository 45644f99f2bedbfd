"""What a handler is stands on the handler: `@endpoint` above it, or around a `Merged` one.

    @endpoint("New template has been saved.", Template)
    def create_template(req: Request, body: TemplateBody) -> Reply:
        \"\"\"Create a template.\"\"\"

A plain handler works in a transaction, which the server opens and commits. One that is `async` is an edge: it waits for
something and opens its own. A handler with a second parameter gets the body, decoded as its annotation says.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from heliograph.db.engine import Tx
from heliograph.errors import ApiError
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint, Query


class Merged(msgspec.Struct, frozen=True):
    """A handler whose work is done together with that of concurrent requests.

    `gather(req, body)`, if there is one, is awaited once, outside of any transaction: whatever the request has to fetch
    (a file by its URL, an upload) is fetched there, and becomes `req.gathered`. Nothing is written when it refuses.

    `prepare(req, body)` makes an item. It must be pure and quick: no database, no network, no side effect. It runs
    without a transaction, and a second time inside of one when the account was changed in between.

    `merge` works on the items of many requests in one transaction. `render` makes the answer of one, and its docstring
    describes the endpoint. Of `large` items only one is written at a time, so that others wait for one of them at most.
    `weight` is about how many rows an item writes. Neither large items nor `slow` handlers hold up the event loop.
    """

    prepare: Callable[[Request, Any], Any]
    merge: Callable[[Tx, list[Any]], Sequence[Any]]
    render: Callable[[Request, Any], Reply]
    large: Callable[[Any], bool] = lambda _: False
    gather: Callable[[Request, Any], Awaitable[Any]] | None = None
    weight: Callable[[Any], int] = lambda _: 1
    slow: bool = False


Answered = Reply | Awaitable[Reply]
Handler = Callable[[Request], Answered] | Callable[[Request, Any], Answered] | Merged


def endpoint(
    response_msg: str,
    answer: Any,
    *,
    body: Any = None,
    paged: bool = False,
    query: tuple[Query, ...] = (),
    spends: bool = False,
    uploads: bool = False,
    encloses: bool = False,
    guarded: bool = False,
    before_activation: bool = False,
    refuses: tuple[type[ApiError], ...] = (),
    most_body: int = 0,
    daily: str = "",
    bare: bool = False,
    summary: str = "",
) -> Callable[[Handler], Endpoint]:
    """Make a handler an endpoint, a row of routes.py. What the values mean: `Endpoint`.

    The docstring goes into the API document, its first sentence as the summary. Handlers that a function makes say by
    `body` and `summary` what neither their signature nor their docstring can; with `body`, a handler that takes the
    request alone reads the body by itself.
    """

    def decorate(handler: Handler) -> Endpoint:
        first, described = (handler.prepare, handler.render) if isinstance(handler, Merged) else (handler, handler)
        annotations = _annotations(first)
        sentence, _, notes = " ".join((inspect.getdoc(described) or "").split()).partition(". ")
        return Endpoint(
            handler=handler,
            is_edge=inspect.iscoroutinefunction(handler),
            takes_body=len(annotations) > 1,
            summary=summary or sentence.rstrip("."),
            notes=notes,
            response_msg=response_msg,
            answer=answer,
            body=body or (annotations[1] if len(annotations) > 1 else None),
            paged=paged,
            query=query,
            spends=spends,
            uploads=uploads,
            encloses=encloses,
            guarded=guarded,
            before_activation=before_activation,
            refuses=refuses,
            most_body=most_body,
            daily=daily,
            bare=bare,
        )

    return decorate


def _annotations(function: Callable[..., Any]) -> list[Any]:
    """Of the parameters that a caller has to give."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.annotation for parameter in parameters if parameter.default is parameter.empty]
