"""What a start costs: seconds of the processor from exec to the first 200, on a new database and on one that exists.

`python benchmarks/start.py [rounds]`; `python -X importtime -m heliograph --help` tells what takes them.
"""

import statistics
import sys
import tempfile
import time
import urllib.request
from urllib.error import URLError

from machine import PROGRAM, Child, free_port


def start(data: str) -> tuple[float, float]:
    """(seconds of the processor, seconds) until the server has answered."""
    port, begun = free_port(), time.perf_counter()
    server = Child(PROGRAM, "serve", "--data", data, "--port", str(port), port=port)
    try:
        for _ in range(1000):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
                    assert answer.status == 200
                return server.cpu(), time.perf_counter() - begun
            except URLError:
                time.sleep(0.01)
        raise SystemExit("the server did not answer")
    finally:
        server.stop()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as data:
        print("new database: {:.2f} s of the processor, {:.2f} s".format(*start(data)))
        seen = [start(data) for _ in range(rounds)]
    for what, values in zip(("of the processor", "in all"), zip(*seen, strict=True), strict=True):
        print(f"existing database, {what}: {statistics.median(values):.2f} s (best {min(values):.2f}, {rounds} rounds)")


if __name__ == "__main__":
    main()
