"""`make bench`: accept, end-to-end and history rates of a server on this machine, with ratios within this run.

Everything stays on loopback and ends by itself. Needs wrk (Debian package) for the load.
"""

import argparse
import base64
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
AUTH = "Basic " + base64.b64encode(b"bench:key").decode()
NOOP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""
CARRIER = """
[transports.sink]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "bench"
password = "bench"
window = 500

[[routes]]
transport = "sink"
channel = "sms"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_port(port: int) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"port {port} did not open")


class Server:
    """A child process and its CPU seconds."""

    def __init__(self, *command: str, port: int, **environment: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_port(port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def wrk(port: int, path: str, connections: int, seconds: int, messages: int) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "send.lua")]
    command += [f"http://127.0.0.1:{port}", "--", str(messages), AUTH, path]
    found = re.search(r"RESULT (\{.*\})", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found
    result: dict[str, float] = json.loads(found.group(1))
    return result


def noop(seconds: int) -> float:
    """Requests a second of an application that does nothing, on the same web server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noop.py").write_text(NOOP)
        server = Server(
            *(sys.executable, "-m", "uvicorn", "noop:app", "--app-dir", folder),
            *("--port", str(port), "--log-level", "error", "--no-access-log"),
            port=port,
        )
        result = wrk(port, "/", 64, seconds, 1)
        server.stop()
    return result["requests"] / result["duration"]


def open_messages(data: Path) -> int:
    with sqlite3.connect(data / "heliograph.db", timeout=30) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM messages WHERE status IN ('Queued', 'Sent')").fetchone()
    return int(count)


def sending(seconds: int, connections: int, messages: int, role: str) -> dict[str, float]:
    """Load on POST /v3/sms/send; with role `all` also until every receipt is joined."""
    data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    program = str(Path(sys.executable).with_name("heliograph"))
    smsc_port, port = free_port(), free_port()
    (data / "heliograph.toml").write_text(CARRIER.format(port=smsc_port))
    create = [program, "account", "create", "bench", "--api-key", "key", "--credit", "1000000", "--data", str(data)]
    subprocess.run(create, check=True, capture_output=True)
    smsc = Server(program, "smsc", "--port", str(smsc_port), port=smsc_port)
    # The load repeats its texts, which the throttle would refuse.
    server = Server(
        *(program, "serve", "--data", str(data), "--port", str(port), "--role", role),
        port=port,
        HELIOGRAPH_THROTTLE_SECONDS="0",
        HELIOGRAPH_LOG_LEVEL="error",
    )
    before = server.cpu()
    result = wrk(port, "/v3/sms/send", connections, seconds, messages)
    sent = result["requests"] * messages
    while role == "all" and open_messages(data):
        time.sleep(0.5)
    result["rate"] = sent / result["duration"]
    result["per_cpu_second"] = sent / max(0.01, server.cpu() - before)
    server.stop()
    smsc.stop()
    shutil.rmtree(data)
    return result


def history(rows: int) -> dict[str, float]:
    """Milliseconds of the first, a deep and a dated page of a history of `rows` messages."""
    data = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    program = str(Path(sys.executable).with_name("heliograph"))
    subprocess.run(
        [program, "account", "create", "bench", "--api-key", "key", "--data", str(data)],
        check=True,
        capture_output=True,
    )
    fill(data / "heliograph.db", rows)
    port = free_port()
    server = Server(program, "serve", "--data", str(data), "--port", str(port), "--role", "api", port=port)
    found = {
        "first": page(port, "page=1"),
        "deep": page(port, f"page={rows // 15 - 1}"),
        "dated": page(port, f"date_from={1_700_000_000 + rows // 2}"),
    }
    server.stop()
    shutil.rmtree(data)
    return found


def fill(path: Path, rows: int) -> None:
    """Insert a history of one account, one message a second."""
    with sqlite3.connect(path) as database:
        (user,) = database.execute("SELECT user_id FROM users WHERE username = 'bench'").fetchone()
        (sub,) = database.execute("SELECT subaccount_id FROM subaccounts WHERE user_id = ?", [user]).fetchone()
        columns = (
            "user_id, channel, ordinal, message_id, subaccount_id, date, schedule, sender, recipient, country, carrier,"
            " body, encoding, parts, parts_left, price_micros, status, custom_string, source, request_id"
        )
        rest = ("AU", "", "Hello", "gsm", 1, 0, 71500, "Completed", "", "", "")
        start = 1_700_000_000
        values = (
            (user, "sms", n, f"{n:036d}", sub, start + n, start + n, "+61481074190", f"+61411{n % 10**6:06d}", *rest)
            for n in range(1, rows + 1)
        )
        marks = ",".join("?" * 20)
        database.executemany(f"INSERT INTO messages ({columns}) VALUES ({marks})", values)
        database.execute("INSERT INTO counters VALUES (?, 'sms', ?, 0, 0)", [user, rows])


def page(port: int, query: str) -> float:
    """Median milliseconds of a page."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/sms/history?{query}", headers={"Authorization": AUTH})
    times = []
    for _ in range(30):
        start = time.perf_counter()
        urllib.request.urlopen(request).read()
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[len(times) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large history")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    base = noop(options.seconds)
    print(f"no-op application, 64 connections: {base:,.0f} requests/s")
    for role in ("api", "all"):
        single = sending(options.seconds, 64, 1, role)
        bulk = sending(options.seconds, 4, 1000, role)
        print(
            f"role {role}: 1 a request, 64 connections: {single['rate']:,.0f}/s"
            f" ({single['rate'] / base:.2f} of the no-op,"
            f" p50 {single['p50']:.0f} ms, p99 {single['p99']:.0f} ms, {single['per_cpu_second']:,.0f} per CPU-second)"
        )
        print(
            f"role {role}: 1000 a request, 4 connections: {bulk['rate']:,.0f} messages/s"
            f" ({bulk['per_cpu_second']:,.0f} per CPU-second)"
        )
    small, large = history(10_000), history(options.rows)
    for name in small:
        ratio = large[name] / small[name]
        print(
            f"history, {name} page: {small[name]:.1f} ms of 10,000, {large[name]:.1f} of {options.rows:,} ({ratio:.2f})"
        )


if __name__ == "__main__":
    main()
