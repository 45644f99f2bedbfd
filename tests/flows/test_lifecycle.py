"""Processes from start to end: ready, stopped cleanly by a signal, told to read heliograph.toml again, and in pairs."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from heliograph import app
from heliograph.accounts.account import TEST_KEY
from heliograph.option import SettingsError
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.session import Request, Session
from support import postgres
from support.program import DEMO_KEY, Peers, Program, ask, peers, program, send, serving, until
from support.server import Running
from transports.ports import free_port


class Carrier:
    """A simulated SMSC that stays while programs come and go."""

    def __init__(self, name: str, among: Peers, port: int = 0, kind: type[SimulatedSmsc] = SimulatedSmsc) -> None:
        self.name, self._among = name, among
        self.texts: Counter[str] = Counter()
        self.smsc = kind(on_message=lambda sender, recipient, text: self.texts.update([text]))
        self.port = among.do(self.smsc.start("127.0.0.1", port))

    def toml(self, *options: str, system_id: str = "heliograph") -> str:
        table = (f'[transports.{self.name}]\nkind = "smpp"\nhost = "127.0.0.1"\nport = {self.port}\n',)
        rest = "".join(option + "\n" for option in (f'system_id = "{system_id}"', *options))
        return f'{table[0]}{rest}[[routes]]\ntransport = "{self.name}"\n'

    def sessions(self) -> set[Session]:
        async def bound() -> set[Session]:
            return set(self.smsc._bound)

        return self._among.do(bound())

    def stop(self) -> None:
        self._among.do(self.smsc.stop())


@pytest.fixture
def among() -> Iterator[Peers]:
    with peers() as made:
        yield made


@pytest.fixture
def carrier(among: Peers) -> Iterator[Carrier]:
    made = Carrier("one", among)
    yield made
    made.stop()


@pytest.fixture
def other(among: Peers) -> Iterator[Carrier]:
    made = Carrier("two", among)
    yield made
    made.stop()


def configure(data: Path, *tables: str) -> None:
    data.mkdir(exist_ok=True)
    (data / "heliograph.toml").write_text("\n".join(tables))


def statuses(port: int, total: int) -> Counter[str]:
    """How many messages of the demo account have which status."""
    found: Counter[str] = Counter()
    for page in range(1, -(-total // 100) + 1):
        _, _, answer = ask(port, "GET", f"/v3/sms/history?limit=100&page={page}")
        found.update(entry["status"] for entry in answer["data"]["data"])
    return found


def all_complete(port: int, total: int) -> None:
    until(lambda: statuses(port, total) == {"Completed": total}, 90, f"not all {total} messages are completed")


def spent(process: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_ready(port: int) -> tuple[int, dict[str, str], Any] | None:
    """What /readyz says, as soon as every carrier is there: a mail relay is connected to in the background."""
    answer = ask(port, "GET", "/readyz")
    return answer if answer[0] == 200 else None


def loading() -> float:
    """Processor seconds that three of the libraries take to load here: the measure of this machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import sqlalchemy, aiohttp, alembic.command"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_server_starts_is_ready_and_ends_well(tmp_path: Path) -> None:
    """On an empty folder. The time is the processor's own, since the machine may be busy with other tests."""
    with serving(tmp_path / "data") as server:
        assert ask(server.port, "GET", "/healthz")[0::2] == (200, "ok\n")
        assert spent(server.process.pid) < 5 * loading(), "it takes 2.2 times as long; where that is 0.46 s, a second"
        status, _, state = until(lambda: is_ready(server.port))
        assert (status, state) == (
            200,
            {
                "database": True,
                "transport sandbox-sms": True,
                "transport sandbox-email": True,
                "transport sandbox-mms": True,
                "transport sandbox-voice": True,
            },
        )
        assert server.end() == 0
        assert server.events("server.stopped")


def test_a_signal_during_the_start_is_a_clean_end_too(tmp_path: Path) -> None:
    """The database is made when the port is taken: a signal then waits until the house stands, and ends it."""
    with serving(tmp_path / "data") as server:
        until(lambda: (tmp_path / "data").exists() or server.process.poll() is not None)
        assert server.end() == 0
        assert "Traceback" not in server.said


def test_ready_is_no_when_a_transport_is_not_bound(tmp_path: Path, among: Peers) -> None:
    port = free_port()
    configure(tmp_path, f'[transports.away]\nkind="smpp"\nhost="127.0.0.1"\nport={port}\nreconnect_max=0.3')
    with running(tmp_path) as server:
        until(lambda: ask(server.port, "GET", "/readyz")[2]["transport sandbox-email"])
        status, _, state = ask(server.port, "GET", "/readyz")
        assert (status, state["transport away"], state["transport sandbox-sms"]) == (503, False, True)
        back = Carrier("away", among, port)
        until(lambda: is_ready(server.port))
        back.stop()
        until(lambda: ask(server.port, "GET", "/readyz")[0] == 503)


@contextmanager
def running(data: Path, **options: Any) -> Iterator[Running]:
    """The same server in this process, where only its answers matter."""
    made = Running(data, **options)
    try:
        yield made
    finally:
        made.stop()


def test_a_carrier_that_asks_to_slow_down_is_there(tmp_path: Path, carrier: Carrier) -> None:
    """The pause is for the routes: what checks whether the server is well must not flap with it."""
    configure(tmp_path, carrier.toml())
    with running(tmp_path) as server:
        until(lambda: is_ready(server.port))
        transport: Any = server.house.router.transports["one"]

        async def throttled() -> None:
            transport._pace._next_pause = 3600.0
            transport._pace.throttled()

        server.call(throttled)
        assert (transport.connected, transport.ready) == (True, False)
        assert ask(server.port, "GET", "/readyz")[0::2] == (
            200,
            {
                "database": True,
                "transport one": True,
                **{f"transport sandbox-{medium}": True for medium in ("email", "mms", "voice")},
            },
        )


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    """A bulk request whose body is still coming when SIGTERM arrives; new connections are refused meanwhile."""
    body = json.dumps({"messages": [{"to": "+61491570006", "body": f"slow {n}"} for n in range(500)]}).encode()
    token = b64encode(f"demo:{DEMO_KEY}".encode()).decode()
    head = (
        f"POST /v3/sms/send HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    data = tmp_path / "data"
    with serving(data) as server, socket.create_connection(("127.0.0.1", server.port)) as customer:
        port = server.port
        customer.sendall(head.encode() + body[:1000])
        ask(port, "GET", "/healthz")  # answered after the head of the other request was read
        server.tell(signal.SIGTERM)
        until(lambda: refused(port))
        customer.sendall(body[1000:])
        answer = http.client.HTTPResponse(customer)
        answer.begin()
        accepted = json.loads(answer.read())["data"]
        assert answer.getheader("connection") == "close"
        assert (answer.status, accepted["queued_count"]) == (200, 500)
        assert server.end(None) == 0
    with serving(data) as server:
        all_complete(server.port, 500)
        assert server.end(signal.SIGINT) == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.slow
def test_a_clean_stop_loses_and_doubles_nothing(tmp_path: Path, carrier: Carrier) -> None:
    """Three times in the middle of a queue that a slow carrier drains: a window full of messages is under way."""
    data, total = tmp_path / "data", 400
    configure(data, carrier.toml("rate = 20", "window = 10"))
    with serving(data) as server:
        send(server.port, *[f"queued {n}" for n in range(total)])
        until(lambda: carrier.texts.total() > 10)
        assert server.end() == 0
    assert carrier.texts.total() < total
    for _ in range(2):
        with serving(data) as server:
            before = carrier.texts.total()
            until(lambda: carrier.texts.total() > before + 10)  # noqa: B023 - asked within this turn
            assert server.end() == 0
    assert carrier.texts.total() < total
    configure(data, carrier.toml())
    with serving(data) as server:
        all_complete(server.port, total)
    assert carrier.texts == Counter(f"queued {n}" for n in range(total))


class Falling(SimulatedSmsc):
    """A carrier that answers `patience` requests and then no more."""

    patience = 21

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        answered, self.patience = requests[: self.patience], max(0, self.patience - len(requests))
        if answered:
            super().on_requests(session, answered)


def test_a_stop_records_what_was_answered(tmp_path: Path, among: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of 40 of which the carrier answers 20: those are never sent again, the others say that they may be."""
    monkeypatch.setattr(app, "QUIET", 0.1)
    falling = Carrier("one", among, kind=Falling)
    configure(tmp_path, falling.toml())
    bodies = [f"batch {n}" for n in range(40)]
    with running(tmp_path) as server:
        sent = send(server.port, *bodies)
        until(lambda: falling.texts.total() == 20)
    falling.stop()
    taken = set(falling.texts)
    configure(tmp_path)
    with running(tmp_path) as server:
        for entry in sent:
            steps = ask(server.port, "GET", f"/v3/sms/{entry['message_id']}/timeline")[2]["data"]
            last = (
                "Taken by one" if entry["body"] in taken else "The carrier may have taken it, so it may be sent twice"
            )
            assert last in " ".join(step["detail"] for step in steps)
        assert statuses(server.port, 40)["Queued"] == 20


def test_what_a_killed_server_had_in_hand_goes_out_at_the_next_start(
    tmp_path: Path, among: Peers, carrier: Carrier
) -> None:
    """And not when a lease ends: on SQLite nobody else can have it. What was sent twice says so."""
    data, falling = tmp_path / "data", Carrier("one", among, kind=Falling)
    configure(data, falling.toml("window = 30"))
    with serving(data, lease_seconds="3600") as server:
        sent = send(server.port, *[f"killed {n}" for n in range(40)])
        until(lambda: falling.texts.total() == 20)
        server.end(signal.SIGKILL)
    falling.stop()
    configure(data, carrier.toml())
    with serving(data, lease_seconds="3600") as server:
        until(lambda: set(carrier.texts) | set(falling.texts) == {entry["body"] for entry in sent}, 60, "some wait")
        for entry in sent:
            steps = ask(server.port, "GET", f"/v3/sms/{entry['message_id']}/timeline")[2]["data"]
            told = any("may be sent twice" in step["detail"] for step in steps)
            assert told or not (falling.texts[entry["body"]] and carrier.texts[entry["body"]])


def test_the_built_in_carrier_hands_its_receipts_over_before_it_ends(tmp_path: Path) -> None:
    """It lives in the process that ends, so nobody would deliver them later."""
    data = tmp_path / "data"
    for turn in range(2):
        with serving(data) as server:
            send(server.port, *[f"at once {turn} {n}" for n in range(1000)])
            assert server.end() == 0
    with serving(data) as server:
        all_complete(server.port, 2000)


def test_hang_up_reads_the_carriers_again(tmp_path: Path, carrier: Carrier, other: Carrier) -> None:
    """A bind that did not change stays, a removed one is unbound, a new one is bound, a changed one is bound anew."""
    data = tmp_path / "data"
    configure(data, carrier.toml(), other.toml())
    with serving(data) as server:
        port = server.port
        (kept,), (gone,) = carrier.sessions(), other.sessions()
        configure(data, carrier.toml())
        server.tell(signal.SIGHUP)
        told = server.heard("settings.reread")
        assert (told["kept"], told["opened"], told["closed"]) == (
            ["one", "sandbox-email", "sandbox-mms", "sandbox-voice"],
            [],
            ["two"],
        )
        assert gone.why_closed == "the peer said unbind"
        assert not other.sessions()
        check_sent(port, carrier, "after the first")

        configure(data, carrier.toml(), other.toml(system_id="changed"))
        server.tell(signal.SIGHUP)
        assert server.heard("settings.reread", 2)["opened"] == ["two"]
        configure(data, carrier.toml(), other.toml(system_id="again"))
        server.tell(signal.SIGHUP)
        told = server.heard("settings.reread", 3)
        assert (told["opened"], told["closed"]) == (["two"], ["two"])
        assert [bound[1] for bound in other.smsc._bound.values()] == ["again"]
        assert carrier.sessions() == {kept}
        assert server.end() == 0


def check_sent(port: int, carrier: Carrier, text: str) -> None:
    """A message goes through this carrier."""
    send(port, text)
    until(lambda: carrier.texts[text] == 1)


def test_a_wrong_file_changes_nothing(tmp_path: Path, carrier: Carrier) -> None:
    data = tmp_path / "data"
    configure(data, carrier.toml())
    with serving(data) as server:
        port, before = server.port, carrier.sessions()
        configure(data, carrier.toml("windoww = 10"))
        server.tell(signal.SIGHUP)
        why = server.heard("settings.refused")["why"]
        assert why.startswith(f"{data / 'heliograph.toml'}, line 6: transports.one: windoww: unknown")
        assert carrier.sessions() == before
        until(lambda: is_ready(port))
        check_sent(port, carrier, "all the same")
        (data / "heliograph.toml").unlink()
        server.tell(signal.SIGHUP)
        assert server.heard("settings.reread")["closed"] == ["one"]
        assert not carrier.sessions()


def test_a_hang_up_while_one_is_read_is_not_forgotten(tmp_path: Path, carrier: Carrier) -> None:
    """The last file wins, however quickly the signals follow each other."""
    data = tmp_path / "data"
    with serving(data) as server:
        server.heard("server.listening")
        for n in range(20):
            configure(data, carrier.toml(f"window = {n + 1}") if n % 2 else "")
            server.tell(signal.SIGHUP)
        until(lambda: len(carrier.sessions()) == 1 and ask(server.port, "GET", "/readyz")[2].get("transport one"))
        assert server.end() == 0
        assert "Traceback" not in server.said
    assert not carrier.sessions()


def test_api_and_worker_are_processes_of_their_own(tmp_path: Path, postgres_url: str) -> None:
    """All start at once on an empty PostgreSQL; a message goes in by one and out by the other."""
    data = tmp_path / "data"
    with postgres.database(postgres_url) as url, serving(data, "--role", "api", "--database", url) as api:
        for command in (["worker"], ["serve", "--role", "worker"]):
            given = [*command, "--data", str(data), "--database", url]
            with program(tmp_path / f"{command[-1]}{len(command)}.log", *given) as worker:
                worker.heard("mailserver.listening")
                worker.heard("worker.started")
                message_id = send(api.port, f"In two steps by {command[0]}")[0]["message_id"]
                until(lambda: "Completed" in statuses_of(api, message_id))  # noqa: B023 - asked in this turn
                worker.tell(signal.SIGHUP)
                worker.heard("settings.reread")
                assert worker.end() == 0
                assert "Traceback" not in worker.said
        assert ask(api.port, "GET", "/readyz")[0::2] == (200, {"database": True})
        api.tell(signal.SIGHUP)
        assert api.end() == 0
        assert "Traceback" not in api.said


def statuses_of(server: Program, message_id: str) -> list[str]:
    """Those of its timeline; a receipt may overtake the record of the hand-over."""
    steps = ask(server.port, "GET", f"/v3/sms/{message_id}/timeline")[2]["data"]
    return [step["status"] for step in steps]


SECRET = "a secret of 32 characters or more"


def test_production_has_neither_demo_nor_sandbox(tmp_path: Path) -> None:
    with running(tmp_path, mode="production", secret=SECRET) as server:
        port = server.port
        assert ask(port, "GET", "/readyz")[0::2] == (200, {"database": True})
        for user, key in (("demo", DEMO_KEY), ("nocredit", TEST_KEY)):
            assert ask(port, "GET", "/v3/account", username=user, key=key)[0] == 401
        assert not (tmp_path / "secret.key").exists()


def test_production_does_not_take_over_the_demo(tmp_path: Path) -> None:
    """The secret of the data folder would make the demo's key work, which is in the manual."""
    with running(tmp_path):
        pass
    with pytest.raises(SettingsError, match="holds the demo account"):
        Running(tmp_path, mode="production", secret=(tmp_path / "secret.key").read_text())
    with running(tmp_path, mode="production", secret=SECRET) as server:
        assert ask(server.port, "GET", "/v3/account")[0] == 401
