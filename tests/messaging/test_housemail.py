"""Mails of the house over a real relay: sent, put off, refused, without a route, and given up."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from heliograph.mail.letter import Enclosed
from heliograph.messaging.housemail import MOST_ATTEMPTS, NO_ROUTE, HouseMail
from heliograph.messaging.routing import Router
from heliograph.queue import mail
from heliograph.queue.jobs import Job
from heliograph.transports.base import Mail
from heliograph.transports.options import RouteOptions
from support.logs import own_logs
from transports.conformance import run
from transports.relay import Relay, serving, transport


async def nothing(names: Sequence[str]) -> tuple[Enclosed, ...]:
    return ()


async def with_a_mark(written: Mail, sender: str) -> Mail:
    mark = f"X-Signed: {sender}\r\n".encode()
    return msgspec.structs.replace(written, octets=mark + written.octets)


GIVEN = {"from": "house@example.com", "to": "jane@example.net", "subject": "Your code", "text": "It is 4711."}


def tried(relay: Relay, attempt: int) -> tuple[float | None, list[str]]:
    """What a try answers, and what the log says of it."""

    async def scenario() -> float | None:
        async with serving(relay) as port, transport(port) as out:
            router = Router([RouteOptions(transport="relay", medium="email")], {"relay": out})
            return await HouseMail(lambda: router, nothing, with_a_mark).run(Job(7, mail.JOB, mail.JOB, attempt, GIVEN))

    with own_logs() as logs:
        result = run(scenario())
    return result, told(logs)


def told(logs: list[Any]) -> list[str]:
    """What was logged of mails; the transport says more."""
    return [entry["event"] for entry in logs if entry["event"].startswith("mail.")]


def test_it_is_sent_as_it_was_written() -> None:
    relay = Relay()
    assert tried(relay, 1) == (None, [])
    (sent,) = relay.read
    assert (sent["From"], sent["To"], sent["Subject"]) == (GIVEN["from"], GIVEN["to"], GIVEN["subject"])
    assert sent.get_content().strip() == GIVEN["text"]
    assert sent["X-Signed"] == GIVEN["from"]
    assert relay.envelopes[0].mail_from == "<>"
    assert (sent["Auto-Submitted"], sent["X-Auto-Response-Suppress"]) == ("auto-generated", "OOF, AutoReply")


@pytest.mark.parametrize(
    ("answer", "attempt", "result", "said"),
    [
        ("451 4.7.1 Later", 1, 60.0, []),
        ("451 4.7.1 Later", MOST_ATTEMPTS - 1, 60.0 * (MOST_ATTEMPTS - 1), []),
        ("451 4.7.1 Later", MOST_ATTEMPTS, None, ["mail.given_up"]),
        ("550 5.1.1 Nobody here", 1, None, ["mail.refused"]),
    ],
)
def test_what_a_relay_says_decides(answer: str, attempt: int, result: float | None, said: list[str]) -> None:
    relay = Relay()
    relay.answers[GIVEN["to"]] = answer
    assert tried(relay, attempt) == (result, said)
    assert relay.mails == []


@pytest.mark.parametrize("attempt", [1, MOST_ATTEMPTS])
def test_what_comes_too_early_for_its_domain_comes_again_at_its_turn(attempt: int) -> None:
    async def scenario() -> tuple[float | None, float | None]:
        async with serving(Relay()) as port, transport(port, domain_rate=0.1, clock=lambda: 50.0) as out:
            router = Router([RouteOptions(transport="relay", medium="email")], {"relay": out})
            house = HouseMail(lambda: router, nothing, with_a_mark)
            job = Job(7, mail.JOB, mail.JOB, attempt, GIVEN)
            return await house.run(job), await house.run(job)

    assert run(scenario()) == (None, pytest.approx(9.0))


def test_without_a_route_it_waits() -> None:
    router: Any = Router([], {})
    with own_logs() as logs:
        job = Job(7, mail.JOB, mail.JOB, 1, GIVEN)
        assert asyncio.run(HouseMail(lambda: router, nothing, with_a_mark).run(job)) == NO_ROUTE
    assert told(logs) == ["mail.no_route"]
