"""Sending and pricing over HTTP, made for a channel by its name."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from heliograph.channels import sending
from heliograph.errors import BadRequest, required
from heliograph.http.endpoint import Merged, endpoint
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint
from heliograph.messaging.channel import Accepted, ForList, Order

Gather = Callable[[Request, Any], Awaitable[Any]]
Render = Callable[[Request, list[Accepted]], Reply]


def list_of(given: Any) -> int | None:
    """The contact list that a message is for, when it names no recipient."""
    return given.list_id if given.list_id is not None and not given.to else None


def sending_and_pricing(
    channel: str,
    body: type[msgspec.Struct],
    answer: type[msgspec.Struct],
    sent: Render,
    priced: Render,
    *,
    most: int,
    response_msg: str = "Here are your data.",
    gather: Gather | None = None,
    asked: Callable[[Any], Sequence[Any]] = attrgetter("messages"),
) -> tuple[Endpoint, Endpoint]:
    """A channel's endpoints for sending and for pricing the same.

    `body` has `messages`, at most `most` of them, each with `to` and `list_id`; the channel drafts them. `gather`
    fetches beforehand what they need (`Request.gathered`). `asked` makes of a body, or of what was gathered for it,
    what the channel drafts. `sent` and `priced` make the answers, and their docstrings describe the endpoints.
    """

    def prepare(req: Request, given: Any, *, quote: bool) -> Order:
        messages: Sequence[Any] = asked(given if gather is None else req.gathered)
        if not messages:
            raise BadRequest({"messages": required("messages")})
        if len(messages) > most:
            text = f"Too many recipients: at most {most} messages in one request."
            raise BadRequest({"messages": text}, message=text)
        who, to = req.who, req.services.channels[channel]
        now = req.services.database.clock()
        throttle = req.services.settings.throttle_seconds if who.throttle_seconds is None else who.throttle_seconds
        return Order(
            principal=who,
            channel=to,
            request_id=req.id,
            drafts=[to.draft(who, message, now) for message in messages],
            throttle=0 if quote else throttle,
            quote=quote,
            lists={
                place: ForList(list_id, message)
                for place, message in enumerate(messages)
                if (list_id := list_of(message)) is not None
            },
        )

    def merged(render: Render, quote: bool) -> Merged:
        return Merged(partial(prepare, quote=quote), sending.place, render, _is_large, gather, _weight)

    return (
        endpoint(response_msg, answer, body=body, spends=True)(merged(sent, False)),
        endpoint(response_msg, answer, body=body)(merged(priced, True)),
    )


def _is_large(order: Order) -> bool:
    return bool(order.lists)


def _weight(order: Order) -> int:
    return len(order.drafts)
