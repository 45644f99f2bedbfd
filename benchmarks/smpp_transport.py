"""What the SMPP transport costs: `python benchmarks/smpp_transport.py [messages]`.

The transport runs here, the simulated SMSC in a process of its own. Every message is submitted, answered, and its
receipt is delivered and acknowledged. Prints messages a second and the CPU time of this process for each message.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import uvloop

from heliograph.transports.base import Inbound, Join, MessageKey, Outgoing, Part, Receipt, Sent, SmsText
from heliograph.transports.options import SmppOptions
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.transport import SmppTransport

BATCH = 500
SENDERS = 4
ROUNDS = 3
TEXT = "Your parcel comes today between 10 and 11. Reply STOP to opt out."


class Counter:
    """Takes receipts and says when all are there."""

    def __init__(self) -> None:
        self.missing = 0
        self.known = 0
        self.calls = 0
        self.complete = asyncio.Event()

    def expect(self, count: int) -> None:
        self.missing, self.known, self.calls = count, 0, 0
        self.complete.clear()

    async def on_receipts(self, receipts: Sequence[Receipt]) -> None:
        self.calls += 1
        self.missing -= len(receipts)
        self.known += sum(1 for receipt in receipts if receipt.key is not None)
        if self.missing <= 0:
            self.complete.set()

    async def on_inbound(self, message: Inbound) -> None:
        raise AssertionError(message)

    async def on_part(self, part: Part, join: Join) -> None:
        raise AssertionError(part)

    async def on_overdue_parts(self, transport: str, age: float, most: int, join: Join) -> None:
        """There are no parts."""


def serve(port: Connection) -> None:
    """The SMSC, until it is terminated."""

    async def run() -> None:
        port.send(await SimulatedSmsc().start())
        await asyncio.get_running_loop().create_future()

    uvloop.run(run())


async def measure(port: int, messages: int, binds: int, window: int) -> None:
    transport = SmppTransport("bench", SmppOptions(host="127.0.0.1", port=port, binds=binds, window=window))
    events = Counter()
    await transport.open(events)
    outgoing = [
        Outgoing(
            MessageKey(1, "sms", f"0193A7C0-0000-7000-8000-{number:012d}"),
            "+61481074190",
            f"+614{number % 900_000:08d}",
            SmsText((TEXT,), False),
            int(time.time()) + 259_200,
        )
        for number in range(messages)
    ]
    batches = iter([outgoing[at : at + BATCH] for at in range(0, messages, BATCH)])

    async def sender() -> None:
        for batch in batches:
            outcomes = await transport.send(batch)
            assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes[:3]

    for _ in range(ROUNDS):
        batches = iter([outgoing[at : at + BATCH] for at in range(0, messages, BATCH)])
        events.expect(messages)
        start, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(sender() for _ in range(SENDERS)))
        sent = time.perf_counter() - start
        await asyncio.wait_for(events.complete.wait(), 60)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        assert events.known == messages, events.known
        print(
            f"binds {binds} window {window:4d}: {messages / sent:7.0f} submits/s, "
            f"{messages / wall:7.0f} with receipts/s, {cpu / messages * 1e6:5.1f} us CPU a message, "
            f"{messages / events.calls:5.1f} receipts a call"
        )
    await transport.close()


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ours, theirs = multiprocessing.Pipe()
    smsc = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    smsc.start()
    try:
        port = ours.recv()
        for binds, window in ((1, 10), (1, 100), (1, 1000), (4, 100)):
            uvloop.run(measure(port, messages, binds, window))
    finally:
        smsc.terminate()
        smsc.join()


if __name__ == "__main__":
    main()
