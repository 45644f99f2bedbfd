"""A carrier of `make chaos`, as a process of its own: its receipts overtake its answers and come by any bind.

It writes what it was given to a file, a line each: the first two words, which are the message's name. SIGUSR1 sends it
away (it hangs up and listens no more, and keeps its receipts), SIGUSR2 brings it back.
"""

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import TextIO

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.overtaking import OvertakingSmsc


class Recording(OvertakingSmsc):
    def __init__(self, record: TextIO) -> None:
        super().__init__()
        self._record = record
        self.manner = lambda: random.choice(("after", "after", "together", "before"))
        self.elsewhere = True

    def _heard(self, sender: str, recipient: str, text: str) -> None:
        super()._heard(sender, recipient, text)
        self._record.write(" ".join(text.split()[:2]) + "\n")
        self._record.flush()

    def away(self) -> None:
        if self._server is not None:
            self._server.close()
            self.disconnect()


async def main(port: int, record: Path) -> None:
    loop = asyncio.get_running_loop()
    tasks = set()
    end = asyncio.Event()
    with record.open("a") as file:
        smsc = Recording(file)
        await smsc.start("127.0.0.1", port)
        loop.add_signal_handler(signal.SIGUSR1, smsc.away)
        loop.add_signal_handler(signal.SIGUSR2, lambda: tasks.add(loop.create_task(smsc.start("127.0.0.1", port))))
        loop.add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()
        await smsc.stop()


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
