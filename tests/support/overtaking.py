"""A carrier that is there while programs come and go, whose receipts may come before its answers and by other binds."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from heliograph.transports.sandbox.smsc import SimulatedSmsc, _Delivery
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.session import Request, Session
from support.lasting import Lasting

Manner = Literal["after", "together", "before"]
"""When the receipt comes: after the answer; written just before it; or the answer waits until it is acknowledged."""


class OvertakingSmsc(SimulatedSmsc):
    """`submitted` counts whole messages by their text, `answered` those whose last answer was written.

    `manner` is asked for each submit_sm. `elsewhere`: receipts go to another bind of the ESME than the one that
    submitted, where there is one. `copies`: so many receipts for a whole message, and none for its other parts.
    """

    def __init__(self) -> None:
        super().__init__(on_message=self._heard, receipt_delay=0.0, retry_delay=0.05)
        self.submitted: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.order: list[str] = []
        self.usual()

    def usual(self) -> None:
        """Behave like any other carrier."""
        self.manner: Callable[[], Manner] = lambda: "after"
        self.elsewhere = False
        self.copies: int | None = None

    def give(self, ids: Iterator[int]) -> None:
        """Take the ids of the next messages from here."""
        self._ids = ids  # type: ignore[assignment]

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        for request in requests:
            if request.command in pdu.BINDS:
                super().on_requests(session, [request])
            else:
                self._take(session, request)

    def _heard(self, sender: str, recipient: str, text: str) -> None:
        self.submitted[text] += 1
        self.order.append(text)
        self._text = text

    def _take(self, session: Session, request: Request) -> None:
        made: list[_Delivery] = []
        self._text = ""
        status, remote_id = self._submit(session, request, made)
        assert status is not None, "the scenario with a connection that drops is not played here"
        if self.copies is not None:
            made = [_Delivery(self, one.account, one.body) for one in made * self.copies if self._text]
        body = pdu.c_string(remote_id) if remote_id else b""
        response, text = pdu.encode(request.command | pdu.RESPONSE, status, request.sequence, body), self._text
        manner = self.manner() if made else "after"
        if manner == "before":
            made[-1].done = self._loop.create_future()
            made[-1].done.add_done_callback(lambda _: self._respond(session, response, text))
            self._report(session, made)
        elif manner == "together":
            self._report(session, made)
            self._respond(session, response, text)
        else:
            self._respond(session, response, text)
            if made:
                self._later(self._receipt_delay, lambda: self._report(session, made))

    def _respond(self, session: Session, response: bytes, text: str) -> None:
        if text and not session.closed:
            self.answered[text] += 1
        session.write([response])

    def _report(self, session: Session, made: list[_Delivery]) -> None:
        """Send receipts by the bind of their message or by another one; those that find none wait for the next."""
        there = [one for one in self._accounts[made[0].account].receivers if one.room >= len(made)]
        others = [one for one in there if one is not session]
        ways = others if self.elsewhere and others else [one for one in there if one is session]
        if ways:
            random.choice(ways).submit(pdu.DELIVER_SM, made)
        else:
            self._queue(made[0].account, made)


class Overtaker(Lasting[OvertakingSmsc]):
    """An OvertakingSmsc on a loop of its own."""

    @property
    def smsc(self) -> OvertakingSmsc:
        """The carrier."""
        return self.carrier

    async def _made(self) -> OvertakingSmsc:
        return OvertakingSmsc()

    async def _listen(self) -> int:
        return await self.smsc.start("127.0.0.1", self.port)

    async def _end(self) -> None:
        await self.smsc.stop()

    def toml(self, *options: str, route: str = "") -> str:
        lines = [f"[transports.{self.name}]", 'kind = "smpp"', 'host = "127.0.0.1"', f"port = {self.port}"]
        return "\n".join(
            [*lines, 'system_id = "house"', *options, "[[routes]]", f'transport = "{self.name}"', route, ""]
        )

    def binds(self) -> int:
        """How many binds there are now."""
        return len(self.smsc._bound)
