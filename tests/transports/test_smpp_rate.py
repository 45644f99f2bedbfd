"""The rate of a route: however the clock falls between two looks at it, what waits goes out."""

from collections.abc import Callable

from heliograph.transports.base import Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.pace import Pace
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.transport import SmppTransport
from transports.conformance import Recorder, run, sms, soon
from transports.wire import QUICK, TAKEN


class Turning(Pace):
    """A pace that grants nothing, and a moment later something: its token comes between the two looks."""

    def __init__(self, real: Pace, allowed: Callable[[], int]) -> None:
        self.__dict__.update(real.__dict__)
        self._looks = 0
        self._real = allowed

    def allowed(self) -> int:
        self._looks += 1
        return 0 if self._looks == 1 else max(1, self._real())


async def sent_at_the_turn() -> None:
    smsc = SimulatedSmsc()
    port = await smsc.start()
    transport = SmppTransport("carrier", SmppOptions("127.0.0.1", port, rate=20), timing=QUICK)
    await transport.open(Recorder())
    try:
        transport._pace = Turning(transport._pace, transport._pace.allowed)
        (outcome,) = await soon(transport.send([sms(TAKEN)]))
        assert isinstance(outcome, Sent)
    finally:
        await transport.close()
        await smsc.stop()


def test_a_token_that_comes_between_two_looks_is_used() -> None:
    """Nothing is in flight then whose answer would set off the next look: only a timer can."""
    run(sent_at_the_turn())
