"""`heliograph …` as a process of its own, and carriers that live on in a thread while it comes and goes."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from heliograph import cli

T = TypeVar("T")
DEMO_KEY = "DEMO0000-0000-4000-8000-000000000000"


def until(what: Callable[[], T], seconds: float = 90.0, failure: str = "it did not happen in time") -> T:
    """Ask again until the answer is true."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, failure
        time.sleep(0.01)


def environment(**options: str) -> dict[str, str]:
    """The environment of a process with these HELIOGRAPH_ options and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return clean | {f"HELIOGRAPH_{name.upper()}": value for name, value in options.items()}


class Done(NamedTuple):
    """What became of a command: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


class Errors(io.StringIO):
    """Standard error of a command. What servers of other tests, which run in this process as well, say goes beside."""

    def __init__(self) -> None:
        super().__init__()
        self._beside = sys.stderr
        self._others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def write(self, text: str) -> int:
        """Take what the command says."""
        return self._beside.write(text) if threading.get_ident() in self._others else super().write(text)


def command(*arguments: str) -> Done:
    """Run a command in this process: for those that end by themselves."""
    written, err, code = io.BytesIO(), Errors(), 0
    out = io.TextIOWrapper(written, "utf-8", "surrogatepass", write_through=True)
    with restored_logs(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Done(code, written.getvalue().decode("utf-8", "surrogateescape"), err.getvalue())


@contextmanager
def restored_logs() -> Iterator[None]:
    """Undo what setting up a process's log (and its umask) does to this one."""
    root, before = logging.getLogger(), structlog.get_config()
    mask = os.umask(0o022)
    os.umask(mask)
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.configure(**before)
        sys.excepthook, threading.excepthook = hooks
        os.umask(mask)


class Program:
    """A command that runs; what it says on standard error is its log, in `log`."""

    def __init__(self, log: Path, *arguments: str, **options: str) -> None:
        self.log = log
        self._handle = log.open("ab")
        self._start = log.stat().st_size
        command = [sys.executable, "-m", "heliograph", *arguments]
        self.process = subprocess.Popen(
            command, env=environment(**options), stdout=subprocess.PIPE, stderr=self._handle, text=True
        )

    @property
    def said(self) -> str:
        """What this process has written to the log."""
        return self.log.read_bytes()[self._start :].decode()

    @property
    def complaints(self) -> list[str]:
        """The lines of the log, but for what a busy machine makes a program say."""
        return [line for line in self.said.splitlines() if "database.long_on_loop" not in line]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's entries of one name."""
        whole = self.said.rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in whole if line.startswith("{")]
        return [entry for entry in found if entry["event"] == name]

    def heard(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait until the log has `count` entries of this name; the last of them."""

        def there() -> list[dict[str, Any]]:
            assert self.process.poll() is None or len(self.events(name)) >= count, self.said
            return self.events(name)[count - 1 :]

        return until(there, failure=f"{name} is not in the log")[0]

    @property
    def port(self) -> int:
        """The port of a server, as soon as it listens."""
        return int(self.heard("server.listening")["url"].rpartition(":")[2])

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals | None = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal (or none) and wait; the exit code."""
        if number is not None:
            self.tell(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._handle.close()


@contextmanager
def program(log: Path, *arguments: str, **options: str) -> Iterator[Program]:
    """A command that runs, and is killed at the end if it still does."""
    made = Program(log, *arguments, **options)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def serving(data: Path, *arguments: str, **options: str) -> Iterator[Program]:
    """`heliograph serve` on a free port; its log lies beside the data folder."""
    command = ["serve", "--data", str(data), "--port", "0", *arguments]
    with program(data.with_suffix(".log"), *command, **options) as made:
        yield made


def ask(
    port: int, method: str, path: str, body: Any = None, username: str = "demo", key: str = DEMO_KEY
) -> tuple[int, dict[str, str], Any]:
    """One request: status, headers, and the decoded body (its text when it is no JSON)."""
    token = base64.b64encode(f"{username}:{key}".encode()).decode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        raw = None if body is None else json.dumps(body)
        connection.request(method, path, raw, {"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        headers = {name.lower(): value for name, value in answer.getheaders()}
    try:
        return answer.status, headers, json.loads(text)
    except ValueError:
        return answer.status, headers, text


def send(port: int, *bodies: str, to: str = "+61491570006", username: str = "demo", key: str = DEMO_KEY) -> list[Any]:
    """Send an SMS for each body; the entries of the answer, all accepted."""
    messages = [{"to": to, "body": body} for body in bodies]
    status, _, answer = ask(port, "POST", "/v3/sms/send", {"messages": messages}, username, key)
    assert status == 200, answer
    found: list[Any] = answer["data"]["messages"]
    assert {entry["status"] for entry in found} == {"SUCCESS"}
    return found


class Peers:
    """An event loop in a thread, for carriers that outlive the programs that bind to them."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
        """Run a coroutine there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def peers() -> Iterator[Peers]:
    made = Peers()
    try:
        yield made
    finally:
        made.close()
