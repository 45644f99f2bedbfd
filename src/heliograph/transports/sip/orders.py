"""What a SIP transport and its worker process say to each other: frames of a length and MessagePack."""

import asyncio
from typing import Literal

import msgspec

from heliograph.transports.sip.options import SipOptions


class Begin(msgspec.Struct, tag=True):
    """The first order: with which trunk."""

    options: SipOptions


class Dial(msgspec.Struct, tag=True):
    """Make a call. Numbers are in E.164; an empty `sender` is the trunk's caller id."""

    number: int
    recipient: str
    sender: str
    sound: bytes
    keys: bool
    machines: bool


Order = Begin | Dial

How = Literal["played", "hung up", "too long", "lost", "mute", "silent", "unanswered", "refused"]
"""How a call ended.

Answered: the text was said to its end, the person hung up before, the longest time was over, the sound stopped (RTP).
Not: mute is an answer without sound in common, silent a trunk that says nothing at all.
"""


class Ended(msgspec.Struct, tag=True):
    """A call is over. `status` is the SIP status of the refusal, 0 for none; `spoken` and `heard` are seconds.

    `starved` are packets that went out empty because the worker was too slow.
    """

    number: int
    how: How
    status: int = 0
    reason: str = ""
    spoken: float = 0.0
    heard: float = 0.0
    digits: str = ""
    machine: bool = False
    starved: int = 0


class Ready(msgspec.Struct, tag=True):
    """The worker can call; or it cannot, and says why."""

    problem: str = ""


Report = Ready | Ended

_orders = msgspec.msgpack.Decoder(Order)
_reports = msgspec.msgpack.Decoder(Report)


def frame(said: Order | Report) -> bytes:
    """As it goes through the pipe."""
    body = msgspec.msgpack.encode(said)
    return len(body).to_bytes(4, "big") + body


async def _next(reader: asyncio.StreamReader) -> bytes | None:
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def next_order(reader: asyncio.StreamReader) -> Order | None:
    """The next order; None: there will be none any more."""
    body = await _next(reader)
    return None if body is None else _orders.decode(body)


async def next_report(reader: asyncio.StreamReader) -> Report | None:
    """The next report; None: the worker is gone."""
    body = await _next(reader)
    return None if body is None else _reports.decode(body)
