"""The log: one form for everything that a process says, request ids, and neither secrets nor what people wrote."""

import contextlib
import errno
import io
import json
import logging
import sqlite3
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import structlog

from heliograph import logs
from heliograph.db.engine import Connector
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from support.program import ask, command, peers, restored_logs, serving, until


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Configure the log of this process, for the length of a test; gives what it writes to."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    with restored_logs():

        def configured(level: str, form: str, where: io.StringIO | None = None) -> io.StringIO:
            written = where or io.StringIO()
            monkeypatch.setattr(sys, "stderr", written)
            logs.configure(level, form)
            return written

        yield configured


def raised(make: Callable[[], Any]) -> BaseException:
    try:
        make()
    except Exception as problem:  # noqa: BLE001 - whatever it raises is what the test needs
        return problem
    raise AssertionError("nothing was raised")


def entries(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


WROTE = "what somebody wrote"


def test_json_where_nobody_looks(log: Any) -> None:
    written = log("info", "auto")
    structlog.get_logger("x").info("some.event", count=3)
    structlog.get_logger("x").debug("unheard")
    (entry,) = entries(written)
    assert (entry["event"], entry["level"], entry["count"]) == ("some.event", "info", 3)
    assert entry["timestamp"].endswith("Z")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_pretty_on_a_terminal(log: Any) -> None:
    written = log("info", "auto", Terminal())
    structlog.get_logger("x").info("some.event", count=3)
    assert "some.event" in written.getvalue()
    assert "\x1b[" in written.getvalue()
    assert not written.getvalue().startswith("{")


def test_no_value_commands_the_terminal(log: Any) -> None:
    """A stranger's path may be a value, and the words of a carrier."""
    written = log("info", "pretty")
    order = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202e"
    structlog.get_logger("x").warning("login.refused", path=f"/sms/{order}x", why=order)
    logging.getLogger("a.library").warning("It said %s", order)
    try:
        raise ValueError(order)
    except ValueError:
        structlog.get_logger("x").exception("some.failure")
    assert not set(written.getvalue()) & set("\x1b\x07\x9b\u202e")
    assert written.getvalue().count("PWNED") >= 3


def test_no_colour_for_who_wants_none(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = log("info", "auto", Terminal())
    structlog.get_logger("x").info("some.event", count=3)
    assert "some.event" in written.getvalue()
    assert "\x1b[" not in written.getvalue()


def test_libraries_and_warnings_take_the_same_form(log: Any) -> None:
    written = log("info", "json")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("sqlalchemy.engine").info("SELECT secrets")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: <Task coro=send({WROTE!r})>")
    first, second, third = entries(written)
    assert (first["event"], first["level"]) == ("Invalid HTTP request received.", "warning")
    assert "careful" in second["event"]
    assert third["event"] == "Task exception was never retrieved"


def test_what_nobody_caught_takes_the_same_form(log: Any) -> None:
    written = log("info", "json")
    thread = threading.Thread(target=lambda: int(WROTE))
    thread.start()
    thread.join()
    problem = raised(lambda: int(WROTE))
    sys.excepthook(type(problem), problem, problem.__traceback__)
    for entry in entries(written):
        assert (entry["event"], entry["level"]) == ("process.failed", "critical")
        assert "ValueError: invalid literal for int() with base 10: …" in entry["exception"]
    assert WROTE not in written.getvalue()


def unique_violation(url: str) -> None:
    """What a database says of a row that it refuses."""
    connector = Connector(url, lambda: 0.0)
    try:
        tx = connector.begin_write()
        table = sqlalchemy.Table(
            "notes", sqlalchemy.MetaData(), sqlalchemy.Column("body", sqlalchemy.Text, unique=True)
        )
        table.create(tx.connection)
        for _ in range(2):
            tx.execute(table.insert().values(body=WROTE))
    finally:
        connector.close()


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_errors_do_not_quote_above_debug(log: Any, form: str, database_url: str) -> None:
    """The traceback and the kinds of the errors are there; variables and values are not."""
    written = log("info", form)
    problem = raised(lambda: unique_violation(database_url))
    assert WROTE in str(problem)
    structlog.get_logger("x").error("request.failed", exc_info=problem)
    structlog.get_logger("x").error("database.commit_failed", error=repr(getattr(problem, "orig", problem)))
    text = written.getvalue()
    assert WROTE not in text
    assert "IntegrityError" in text
    assert "in unique_violation" in text
    log("debug", form)
    structlog.get_logger("x").error("request.failed", exc_info=problem)
    assert WROTE in sys.stderr.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (KeyError(WROTE), "KeyError: …"),
        (ValueError(f"it's bad: {WROTE!r}, and that too"), "ValueError: it's bad: …, and that too"),
        (ValueError(f'it said "{WROTE}\nand more"'), "ValueError: it said …"),
        (ValueError(f"a line\n{WROTE}"), "ValueError: a line"),
        (FileNotFoundError(2, "No such file", "/etc/x"), "FileNotFoundError: [Errno 2] No such file: '/etc/x'"),
        (AttributeError("'int' object has no attribute 'x'"), "AttributeError: 'int' object has no attribute 'x'"),
    ],
)
def test_what_is_left_of_an_error(log: Any, problem: Exception, says: str) -> None:
    written = log("info", "json")
    structlog.get_logger("x").error("failed", exc_info=problem)
    structlog.get_logger("x").error("failed", error=repr(problem))
    whole, short = entries(written)
    assert whole["exception"].splitlines()[-1] == says
    assert WROTE not in short["error"]


def test_secrets_by_name_are_never_shown_and_texts_only_for_debugging(log: Any) -> None:
    for level, shown in (("info", False), ("debug", True)):
        written = log(level, "json")
        structlog.get_logger("x").warning("odd", text=WROTE, password="hunter2", authorization="Basic x", secret="s")
        assert (WROTE in written.getvalue()) is shown
        assert "hunter2" not in written.getvalue()
        assert "Basic" not in written.getvalue()


KEY, PASSWORD, WRONG = "alices-key-4711", "alices password 4712", "guessed-key-4713"
BIND_PASSWORD, HOOK_SECRET = "bind4714", "hook-token-4715"
BODY, ELSEWHERE = "body of a message 4716", "body of a template 4717"


def test_the_whole_log_of_a_server(tmp_path: Path) -> None:
    """It sends, gets replies, fails to log people in, pushes in vain, is refused by a carrier, and breaks."""
    data = tmp_path / "data"
    data.mkdir()
    with refusing() as port:
        refused = f'kind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "me"\npassword = "{BIND_PASSWORD}"\n'
        (data / "heliograph.toml").write_text(f"[transports.strict]\n{refused}")
        with serving(data, webhook_attempts="1") as server:
            live(server.port, data)
            server.heard("smpp.bind_refused")
            broken = [break_it(server.port, data, *how) for how in (TEMPLATES, MESSAGES)]
            told = {entry["request"]: entry["exception"] for entry in server.events("request.failed")}
            assert told.keys() == set(broken)
            assert all("no such table" in story for story in told.values())
            assert server.end() == 0
    for line in server.said.splitlines():
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()
    for secret in (KEY, PASSWORD, WRONG, BIND_PASSWORD, HOOK_SECRET, "DEMO0000", "Basic ", "Bearer "):
        assert secret not in server.said
    for text in (BODY, ELSEWHERE):
        assert text not in server.said


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """The port of an SMSC that refuses every bind."""
    strict = SimulatedSmsc(authenticate=lambda bind: False)
    with peers() as among:
        yield among.do(strict.start())
        among.do(strict.stop())


def live(port: int, data: Path) -> None:
    """What happens to a server on any day."""
    made = ["--api-key", KEY, "--password", PASSWORD, "--credit", "5", "--data", str(data)]
    assert command("account", "create", "alice", *made).code == 0
    for key in (WRONG, "", PASSWORD + "x"):
        assert ask(port, "GET", "/v3/account", username="alice", key=key)[0] == 401
    assert ask(port, "GET", "/v3/account", username="alice", key=PASSWORD)[0] == 200
    rule = {"rule_name": "push", "match_type": 0, "action": "URL", "enabled": 1}
    rule["action_address"] = f"http://127.0.0.1:9/?token={HOOK_SECRET}"
    assert ask(port, "POST", "/v3/automations/sms/receipts", rule, "alice", KEY)[0] == 200
    messages = [{"to": f"+61491{end}", "body": f"{BODY} {end}"} for end in ("570006", "999004", "999007", "999009")]
    status, headers, answer = ask(port, "POST", "/v3/sms/send", {"messages": messages}, "alice", KEY)
    assert status == 200
    for sent in answer["data"]["messages"][:3]:
        first = settled(port, sent["message_id"])[0]
        assert first["detail"] == f"Accepted in request {headers['x-request-id']}."
    until(lambda: "given up" in command("webhooks", "list", "alice", "--data", str(data)).out)


def settled(port: int, message_id: str) -> list[Any]:
    """The timeline of a message, when it has come to its end."""

    def steps() -> list[Any]:
        found: list[Any] = ask(port, "GET", f"/v3/sms/{message_id}/timeline", None, "alice", KEY)[2]["data"]
        return found if any(step["status"] in ("Completed", "Failed") for step in found) else []

    return until(steps)


TEMPLATES = ("sms_templates", "/v3/sms/templates", {"template_name": "one", "body": ELSEWHERE})
MESSAGES = ("messages", "/v3/sms/send", {"messages": [{"to": "+61491570006", "body": BODY}]})


def break_it(port: int, data: Path, table: str, path: str, body: Any) -> str:
    """Take a table away and have a request fail for it; the request's id."""
    with contextlib.closing(sqlite3.connect(data / "heliograph.db", timeout=30)) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO gone_{table}")
    status, headers, answer = ask(port, "POST", path, body, "alice", KEY)
    assert (status, answer["response_code"]) == (500, "INTERNAL_SERVER_ERROR")
    return headers["x-request-id"]


def test_a_log_that_cannot_be_written_ends_nobody(log: Callable[..., io.StringIO]) -> None:
    """Its disk is full when the database's is; the thread that writes the database must go on."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    log("info", "json", Full())
    structlog.get_logger("test").error("something.failed")
