"""The process of the built-in phone: `python -m heliograph.transports.sandbox.phone.process FOLDER`.

It says its port on stdout, a line, and ends with its parent, when stdin ends.
"""

import asyncio
import sys
from pathlib import Path

from heliograph.transports.sandbox.phone.phone import Phone


async def main(folder: Path) -> None:
    """Take calls until stdin ends."""
    phone = Phone(folder)
    port = await phone.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    await reader.read()
    await phone.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
