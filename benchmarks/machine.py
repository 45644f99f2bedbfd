"""What the benchmarks share: child processes with their CPU time and memory, the load generator, and an empty queue."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from heliograph.db.engine import Connector

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
SENDER = "+61481074190"
"""As in send.lua."""
AUTH = "Basic " + base64.b64encode(b"bench:key").decode()
PROGRAM = str(Path(sys.executable).with_name("heliograph"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_port(port: int) -> None:
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"port {port} did not open")


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it started and that still runs."""
    total = 0.0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICK
    return total


class Child:
    """A child process that listens on a port."""

    def __init__(self, *command: str, port: int, **environment: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_port(port)

    def cpu(self) -> float:
        return cpu_seconds(self._process.pid)

    def memory(self) -> float:
        """Resident megabytes."""
        return self._megabytes("VmRSS")

    def peak(self) -> float:
        """The most of them that there ever were."""
        return self._megabytes("VmHWM")

    def _megabytes(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{self._process.pid}/status").read_text())
        assert found
        return int(found.group(1)) / 1024

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def heliograph(data: Path, database: str, *arguments: str) -> str:
    """Run a command of the program to its end; what it printed."""
    environment = {**os.environ, "HELIOGRAPH_DATABASE": database}
    command = [PROGRAM, *arguments, "--data", str(data)]
    return subprocess.run(command, check=True, capture_output=True, env=environment, text=True).stdout


def make_account(data: Path, database: str, username: str, key: str) -> None:
    """Make the tables, and an account with more credit than a benchmark spends."""
    heliograph(data, database, "migrate")
    heliograph(data, database, "account", "create", username, "--api-key", key, "--credit", "100000000")


def serve(data: Path, database: str, role: str = "api", smpp_port: str = "off") -> Child:
    """A server whose throttle is off: the load repeats its texts."""
    port = free_port()
    return Child(
        *(PROGRAM, "serve", "--data", str(data), "--port", str(port), "--role", role),
        port=port,
        HELIOGRAPH_DATABASE=database,
        HELIOGRAPH_THROTTLE_SECONDS="0",
        HELIOGRAPH_SMPP_PORT=smpp_port,
        HELIOGRAPH_LOG_LEVEL="error",
    )


def wrk(port: int, path: str, connections: int, seconds: int, messages: int) -> dict[str, float]:
    """The load of sends: `requests`, `duration` in seconds, `p50` and `p99` in milliseconds."""
    if path == "/v3/sms/send":
        _see_it_taken(port)
    return load(port, connections, seconds, "send.lua", str(messages), AUTH, path)


def _see_it_taken(port: int) -> None:
    """A message that is refused is answered with a 200 as well, and costs half of one that is accepted."""
    message = {"source": "bench", "from": SENDER, "to": "+61411000000", "body": "Is this accepted?"}
    url, body = f"http://127.0.0.1:{port}/v3/sms/send", json.dumps({"messages": [message]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Authorization": AUTH})) as answer:
        (sent,) = json.load(answer)["data"]["messages"]
    if sent["status"] != "SUCCESS":
        raise SystemExit(f"a message of the load is refused: {sent['status']}")


def load(port: int, connections: int, seconds: int, script: str, *arguments: str) -> dict[str, float]:
    """The load that a script of wrk makes with these arguments."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / script)]
    command += [f"http://127.0.0.1:{port}", "--", *arguments]
    found = re.search(r"RESULT (\{.*\})", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found
    result: dict[str, float] = json.loads(found.group(1))
    if result["non2xx"]:
        raise SystemExit(f"{result['non2xx']:.0f} answers were refusals")
    return result


def drain(url: str) -> None:
    """Wait until no message is queued or without its receipt."""
    connector = Connector(url, time.time, readonly=True)
    text = "SELECT COUNT(*) FROM messages WHERE status IN ('Queued', 'Sent')"
    while True:
        tx = connector.begin_read()
        (left,) = tx.driver(text).fetchone()
        tx.driver("ROLLBACK")
        if not left:
            break
        time.sleep(0.5)
    connector.close()
