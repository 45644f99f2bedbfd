"""The worker process of a SIP transport: it holds the SIP stack, of which a process can have one.

Started by worker.py as `python -m heliograph.transports.sip.process`. It reads orders from stdin, writes reports to
stdout, and ends with its parent, when stdin ends.
"""

import asyncio
import logging
import sys

from heliograph.transports.sip.orders import Begin, Dial, Ended, Ready, Report, frame, next_order

PROBLEM = "voice needs the package baresip-python, which there is for Linux on x86-64 and arm64 only"


async def main() -> None:
    """Make calls until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    begin = await next_order(reader)
    if not isinstance(begin, Begin):
        return
    try:
        from heliograph.transports.sip.caller import Caller
    except ImportError:
        _say(Ready(PROBLEM))
        return
    over = asyncio.Event()
    caller = Caller(begin.options)
    await caller.start(over.set)
    _say(Ready())
    calls: set[asyncio.Task[None]] = set()

    async def one(order: Dial) -> None:
        try:
            _say(await caller.call(order))
        except Exception:
            logging.getLogger(__name__).exception("call %d", order.number)
            _say(Ended(order.number, "lost"))

    async def read() -> None:
        while (order := await next_order(reader)) is not None:
            if isinstance(order, Dial):
                task = asyncio.create_task(one(order))
                calls.add(task)
                task.add_done_callback(calls.discard)
        over.set()

    reading = asyncio.create_task(read())
    await over.wait()
    for task in (reading, *calls):
        task.cancel()
    await asyncio.gather(reading, *calls, return_exceptions=True)
    await caller.close()


def _say(report: Report) -> None:
    """Reports are small, and the parent always reads."""
    sys.stdout.buffer.write(frame(report))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    asyncio.run(main())
