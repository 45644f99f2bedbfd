"""Commands: what they do beside a running server, what they print, and the one sentence that each failure is."""

import contextlib
import io
import json
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from heliograph import cli, process, settings
from heliograph.billing import prices
from heliograph.db import migrate
from heliograph.transports.sandbox import mailsink
from heliograph.transports.sandbox.phone import records as calls
from support.program import Done, command, environment, peers, program, until
from support.server import Api, Running
from transports.ports import dead_port
from transports.relay import Relay
from transports.relay import serving as relaying

ROOT = Path(__file__).parent.parent
COMMANDS = [
    ["serve"],
    ["worker"],
    ["demo"],
    ["account", "create"],
    ["account", "credit"],
    ["account", "list"],
    ["account", "show"],
    ["account", "key"],
    ["account", "set"],
    ["account", "opt-out"],
    ["account", "payout"],
    ["messages", "list"],
    ["messages", "show"],
    ["audit"],
    ["optouts"],
    ["issues", "list"],
    ["issues", "answer"],
    ["issues", "resolve"],
    ["payments", "refund"],
    ["payments", "check"],
    ["numbers", "import"],
    ["routes", "list"],
    ["routes", "check"],
    ["routes", "init"],
    ["prices", "import"],
    ["webhooks", "list"],
    ["webhooks", "replay"],
    ["webhooks", "secret"],
    ["mail"],
    ["mail", "show"],
    ["migrate"],
    ["doctor"],
    ["smsc"],
]


def good(*arguments: str) -> Done:
    """Run a command that must succeed in silence on standard error."""
    done = command(*arguments)
    assert (done.code, done.err) == (0, ""), done
    return done


def bad(*arguments: str) -> str:
    """Run a command that must fail; its one sentence."""
    done = command(*arguments)
    assert done.code == 1, done
    assert done.out == ""
    assert re.fullmatch(r"heliograph: \S[^\n]*\n", done.err), done.err
    return done.err.removeprefix("heliograph: ").rstrip("\n")


def place(server: Running) -> list[str]:
    """The options that lead a command to a running server's data."""
    database = ["--database", server.options.database] if server.options.database else []
    return ["--data", str(server.options.data), *database]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder with the account alice, which has GBP 50."""
    folder = str(tmp_path_factory.mktemp("cli"))
    good("migrate", "--data", folder)
    good("account", "create", "alice", "--credit", "50", "--country", "gb", "--data", folder)
    return folder


# Accounts


def test_a_new_account_can_send_at_once(server: Running) -> None:
    """While the server runs: credit comes in when it is given, and the password works as the key does."""
    made = good(
        "account",
        "create",
        "Carol.1",
        "--password",
        "open sesame",
        "--email",
        "carol@example.com",
        "--json",
        *place(server),
    ).value
    assert {**made, "user_id": 0, "api_key": ""} == {
        "user_id": 0,
        "username": "carol.1",
        "api_key": "",
        "currency": "AUD",
        "balance": "0.0000",
    }
    carol = server.client("carol.1", made["api_key"])
    to = {"messages": [{"to": "+61491570156", "body": "First"}]}
    assert carol.post("/sms/send", to)["messages"][0]["status"] == "INSUFFICIENT_CREDIT"
    text = good("account", "credit", "carol.1", "0.1", *place(server)).out
    assert text == "carol.1 now has AUD 0.1000.\n"
    sent = carol.post("/sms/send", to)["messages"][0]
    assert sent["status"] == "SUCCESS"
    carol.final(sent["message_id"])
    assert server.client("carol.1", "open sesame").get("/account")["user_email"] == "carol@example.com"


def test_an_account_with_a_given_key_country_and_currency(server: Running) -> None:
    done = good(
        *("account", "create", "dave", "--api-key", "given-key", "--country", "nz", "--currency", "usd"),
        *("--credit", "12.5", *place(server)),
    )
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert lines.pop("user_id").isdigit()
    assert lines == {"username": "dave", "api_key": "given-key", "currency": "USD", "balance": "12.5000"}
    seen = server.client("dave", "given-key").get("/account")
    assert (seen["country"], seen["balance"]) == ("NZ", "12.500000")


def test_credit_can_be_taken_away(data: str) -> None:
    taken = good("account", "credit", "ALICE", "-20.25", "--data", data, "--json").value
    assert taken == {"username": "alice", "balance": "29.7500", "currency": "GBP"}
    assert bad("account", "credit", "alice", "-29.76", "--data", data) == "That would take the balance below zero."
    good("account", "credit", "alice", "20.25", "--data", data)


ACCOUNT_ERRORS = [
    (["create", "alice"], "Username has already been taken."),
    (["create", "ALICE"], "Username has already been taken."),
    (["create", "b b"], "The username 'b b' must have 2 to 100 letters, digits or . @ + - _."),
    (["create", ""], "The username '' must have"),
    (["create", "a:b"], "The username 'a:b' must have"),
    (["create", "[/bold]"], "The username '[/bold]' must have"),
    (["create", "x" * 101], "must have 2 to 100 letters"),
    (["create", "bob", "--country", "XX"], "There is no country 'XX'"),
    (["create", "bob", "--country", "Australia"], "There is no country 'Australia': give its ISO code"),
    (["create", "bob", "--country", ""], "There is no country ''"),
    (["create", "bob", "--currency", "XXQ"], "The rates have no prices in XXQ."),
    (["create", "bob", "--currency", "ars"], "The rates have no prices in ARS."),
    (["create", "bob", "--credit", "-5"], "--credit: an opening credit is not negative."),
    (["create", "bob", "--credit", "1e30"], "--credit: An amount is less than 1,000,000,000,000."),
    (["create", "bob", "--credit", "much"], "--credit: 'much' is not a number."),
    (["create", "bob", "--credit", "nan"], "--credit: This is not a finite number."),
    (["create", "bob", "--credit", "0.0000001"], "--credit: An amount has 6 decimals at most."),
    (["create", "bob", "--api-key", ""], "An API key has 1 to 200 characters"),
    (["create", "bob", "--api-key", "two words"], "An API key has 1 to 200 characters"),
    (["create", "bob", "--password", "abc"], "A password has 4 to 200 characters."),
    (["create", "bob", "--email", "bob"], "'bob' is no email address."),
    (["create"], 'Command "account create" parameter USERNAME requires an argument.'),
    (["create", "bob", "bert"], "There is no use for: bert"),
    (["create", "bob", "--colour", "red"], "Unknown option: --colour"),
    (["credit", "nobody", "5"], "There is no account 'nobody'."),
    (["credit", "alice", "999999999999"], "A balance is less than 1,000,000,000,000."),
    (["credit", "alice", "1e99999999999"], "amount: "),
    (["credit", "alice", "five"], "amount: 'five' is not a number."),
    (["credit", "alice"], 'Command "account credit" parameter AMOUNT requires an argument.'),
    (["remove", "alice"], 'Unknown command "remove". Available commands: '),
]


@pytest.mark.parametrize(("arguments", "why"), ACCOUNT_ERRORS)
def test_errors_of_account(data: str, arguments: list[str], why: str) -> None:
    place = [] if arguments[0] == "remove" else ["--data", data]
    assert why in bad("account", *arguments, *place)


# Carriers and prices


def test_routes(tmp_path: Path) -> None:
    place = ("--data", str(tmp_path))
    assert [route["transport"] for route in good("routes", "list", *place, "--json").value] == [
        "sandbox-email",
        "sandbox-mms",
        "sandbox-sms",
        "sandbox-voice",
    ]
    assert good("routes", "check", *place, "--json").value == {"file": None, "transports": 4, "routes": 4}
    assert f"heliograph.toml. Edit it, and try it with: heliograph routes check --data {tmp_path}" in (
        good("routes", "init", *place).out
    )
    path = tmp_path / "heliograph.toml"
    assert bad("routes", "init", *place) == f"{path} exists already."
    assert good("routes", "check", *place).out.startswith(f"{path}: nothing is wrong; 4 transports and 4 routes")
    path.write_text('[transports.acme]\nkind="smpp"\nhost="x"\n[[routes]]\ntransport="acme"\nprefix="+614"\npriority=5')
    assert good("routes", "list", *place, "--json").value[2] == {
        "channel": "sms",
        "transport": "acme",
        "kind": "smpp",
        "country": "",
        "prefix": "+614",
        "sender": "",
        "account": "",
        "priority": 5,
        "weight": 1,
    }
    lines = good("routes", "list", *place).out.splitlines()
    assert lines[0].split() == ["channel", "transport", "kind", "prefix", "priority", "weight"]
    assert lines[3].split() == ["sms", "acme", "smpp", "+614", "5", "1"]
    elsewhere = tmp_path / "elsewhere.toml"
    good("routes", "init", *place, "--config", str(elsewhere))
    assert good("routes", "check", *place, "--config", str(elsewhere), "--json").value["routes"] == 4


def test_prices_are_in_force_at_once(server: Running, api: Api, tmp_path: Path) -> None:
    """For a server that runs already. Afterwards the prices are those that came with the program again."""
    shipped = (Path(prices.__file__).parent / "rates.toml").read_text()
    ours = shipped[shipped.index("[AUD.sms.message]") :].partition("[")[2].partition("\n[")[0]
    dear = shipped.replace(ours, 'AUD.sms.message]\n"*" = "9.9900"\n')
    try:
        for text, price in ((dear, "9.9900"), (shipped, "0.0715")):
            (tmp_path / "rates.toml").write_text(text)
            assert good("prices", "import", str(tmp_path / "rates.toml"), *place(server)).out.endswith(
                " are in force.\n"
            )
            message = {"messages": [{"to": "+61491570156", "body": "How much?"}]}
            assert api.post("/sms/price", message)["messages"][0]["message_price"] == price
    finally:
        (tmp_path / "rates.toml").write_text(shipped)
        good("prices", "import", str(tmp_path / "rates.toml"), *place(server))


def test_prices_that_cannot_be_read(data: str, tmp_path: Path) -> None:
    wrong = {
        "empty": b"",
        "binary": b"\xff\xfe",
        "broken": b"[",
        "price": b'version="1"\nsource="x"\n[AUD.sms.message]\n"*"=1',
    }
    told = {}
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        told[name] = bad("prices", "import", str(tmp_path / name), "--data", data).removeprefix(f"{tmp_path / name}: ")
    assert told["empty"] == "version: a text is needed here."
    assert told["binary"] == "this is no text in UTF-8."
    assert told["broken"].startswith("This is no TOML: ")
    assert told["price"].startswith("AUD.sms.message.* = 1: write a price as a text")
    assert bad("prices", "import", str(tmp_path / "none"), "--data", data).endswith("none: No such file or directory.")
    assert bad("prices", "import", str(tmp_path), "--data", data).endswith(": Is a directory.")


# Webhooks and mails


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Running]:
    """A server that gives a webhook up after one try."""
    made = Running(tmp_path / "data", webhook_attempts=1)
    yield made
    made.close_clients()
    made.stop()


def test_webhooks_are_listed_and_replayed(quick: Running) -> None:
    api, where = quick.account(), place(quick)
    assert good("webhooks", "list", api.username, *where).out == "Nothing was pushed yet.\n"
    with dead_port() as port:
        rule = {"rule_name": "push", "match_type": 0, "action": "URL", "enabled": 1}
        api.post("/automations/sms/receipts", rule | {"action_address": f"http://127.0.0.1:{port}/[b]hook[/b]"})
        api.final(api.send("+61491570156")["message_id"])

        def given_up() -> Any:
            (found,) = good("webhooks", "list", api.username, *where, "--json").value
            return found if found["state"] == "given up" else None

        key = until(given_up)["delivery_id"]
    lines = good("webhooks", "list", api.username, *where).out.splitlines()
    assert [name for name in ("delivery", "url", "state", "tries") if name not in lines[0]] == []
    assert f"http://127.0.0.1:{port}/[b]hook[/b]" in lines[1]
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert good("webhooks", "replay", api.username, *where).out == "1 delivery is pushed again.\n"
    until(lambda: len(good("webhooks", "list", api.username, *where, "--json").value[0]["attempts"]) == 2)
    assert good("webhooks", "replay", api.username, str(key), *where, "--json").value == {"replayed": 1}
    other = quick.account().username
    assert "does not have all of these deliveries" in bad("webhooks", "replay", other, str(key), *where)


def test_the_signing_secret_is_shown_and_renewed(data: str) -> None:
    first = good("webhooks", "secret", "alice", "--data", data).out
    assert first.startswith("whsec_")
    assert good("webhooks", "secret", "alice", "--data", data).out == first
    second = good("webhooks", "secret", "alice", "--new", "--data", data).out
    assert second != first
    assert good("webhooks", "secret", "alice", "--data", data, "--json").value["secret"] == second.strip()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["list", "nobody"], "There is no account 'nobody'."),
        (["secret", "nobody"], "There is no account 'nobody'."),
        (["replay", "nobody"], "There is no account 'nobody'."),
        (["replay", "alice", "99"], "alice does not have all of these deliveries, so none is pushed."),
        (["replay", "alice", "99999999999999999999"], "The number of a delivery is positive"),
        (["replay", "alice", "-1"], "The number of a delivery is positive"),
        (["replay", "alice", "first"], 'unable to convert "first" into int'),
    ],
)
def test_errors_of_webhooks(data: str, arguments: list[str], why: str) -> None:
    assert why in bad("webhooks", *arguments, "--data", data)


def forward_to_mail(server: Running, text: str) -> None:
    """Have an inbound SMS mailed to an address."""
    api = server.account()
    rule = {
        "dedicated_number": "*",
        "rule_name": "mail",
        "message_search_type": 0,
        "action": "EMAIL_FIXED",
        "enabled": 1,
    }
    api.post("/automations/sms/inbound", rule | {"action_address": "ann@example.net", "webhook_type": ""})
    api.send("+61491999007", text)


def test_mails_are_shown(quick: Running) -> None:
    where = ["--data", str(quick.options.data)]
    assert good("mail", *where).out == "There are no mails.\n"
    good("domains", "add", "localhost.localdomain", *where)  # the domain of the house's own address
    forward_to_mail(quick, "Say [bold]it[/bold] again")
    (mail,) = until(lambda: good("mail", *where, "--json").value)
    assert (mail["to"], "Say [bold]it[/bold] again" in mail["text"]) == ("ann@example.net", True)
    shown = good("mail", *where).out
    assert "-> ann@example.net\nSubject: " in shown
    assert "    Say [bold]it[/bold] again" in shown
    one = good("mail", "show", mail["id"], *where).out
    assert "\n  To: ann@example.net\n" in one
    assert re.search(r"\nDKIM\n  good \(\w+\._domainkey\.\w+\.localdomain\)\n$", one), one


def test_mails_leave_by_the_relay_of_heliograph_toml(tmp_path: Path) -> None:
    relay = Relay()
    with peers() as among:
        server_of_mails = relaying(relay)
        port = among.do(server_of_mails.__aenter__())
        (tmp_path / "heliograph.toml").write_text(
            f'[transports.relay]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\nhelo = "test.local"\n'
            '[[routes]]\ntransport = "relay"\nchannel = "email"\n'
        )
        running = Running(tmp_path)
        forward_to_mail(running, "By the relay")
        until(lambda: relay.mails)
        running.close_clients()
        running.stop()
        among.do(server_of_mails.__aexit__(None, None, None))
    assert relay.envelopes[0].rcpt_tos == ["ann@example.net"]
    assert "By the relay" in relay.read[0].get_content()
    assert good("mail", "--data", str(tmp_path)).out == "There are no mails.\n"


# Upkeep


def test_migrate(tmp_path: Path) -> None:
    place = ("--data", str(tmp_path / "data"))
    every = sorted(file.name[:4] for file in (migrate.FOLDER / "versions").glob("[0-9]*.py"))
    assert good("migrate", *place).out == f"Ran {', '.join(every)}.\n"
    assert good("migrate", *place, "--json").value == {"ran": []}
    with closing(sqlite3.connect(tmp_path / "data" / "heliograph.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    assert bad("migrate", *place).startswith("The database does not fit this version of the program: ")
    assert bad("account", "create", "bob", *place).startswith("The database does not fit this version of the program: ")


def test_calls_of_the_built_in_phone_are_shown_and_fetched(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path)]
    assert good("phone", *where).out == "There were no calls.\n"
    folder = calls.phone_folder(tmp_path)
    folder.mkdir()
    record = calls.CallRecord(calls.new_id(1.0), 1, "+61481074190", "+61491570006", "listens", 200, 2.5)
    calls.keep(folder, record, b"\x01\x00" * 8000)
    (shown,) = good("phone", *where, "--json").value
    assert (shown["id"], shown["called"], shown["heard"]) == (record.id, "+61491570006", 2.5)
    assert "2.5 s" in good("phone", *where).out
    saved = tmp_path / "heard.wav"
    assert good("phone", record.id, *where, "--save", str(saved)).out == f"{saved}\n"
    assert saved.read_bytes()[:4] == b"RIFF"
    assert "has heard nothing" in bad("phone", "../../etc/passwd", *where)


def findings(*arguments: str) -> dict[str, tuple[bool, str]]:
    return {found["what"]: (found["fine"], found["detail"]) for found in command("doctor", *arguments, "--json").value}


def test_doctor_before_the_first_start(tmp_path: Path) -> None:
    """It changes nothing."""
    found = findings("--data", str(tmp_path / "data"), "--database", "")
    told = f"there is no {tmp_path / 'data'}; `heliograph serve --data {tmp_path / 'data'}` makes it"
    assert found.pop("data folder") == (False, told)
    assert all(fine for fine, _ in found.values())
    assert "made at the first start" in found["database"][1]
    assert found["server"][1].startswith("none runs on this data")  # another server may run on this machine
    assert "a word" in found["speech"][1]
    assert "baresip-python" in found["calls"][1]
    assert not (tmp_path / "data").exists()
    lines = good("doctor", "--data", str(tmp_path)).out.splitlines()
    assert lines[0].split() == ["what", "state", "detail"]
    assert not list(tmp_path.iterdir())


def test_doctor_beside_a_server(server: Running) -> None:
    (server.options.data / "away.toml").write_text(
        '[transports.away]\nkind="smpp"\nhost="127.0.0.1"\nport=1\n[[routes]]\ntransport="away"'
    )
    done = command("doctor", *place(server), "--config", str(server.options.data / "away.toml"))
    assert done.code == 1
    assert "127.0.0.1:1: Connection refused" in done.out
    assert ("PostgreSQL" if server.options.database else "SQLite") in done.out


def test_an_sqlite_database_has_one_server_which_doctor_finds_on_any_port(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    here, link = ("--data", str(data)), tmp_path / "link"
    with program(log, "serve", *here, "--port", "0") as first:
        base, pid = first.heard("server.listening")["url"], first.process.pid
        why = f"heliograph.db is in use by process {pid} ({base}). SQLite is made for one server: stop it, or take"
        link.symlink_to(data)
        port = base.rpartition(":")[2]
        for words in (f"serve --port {port}", "serve --port 0 --role api", "worker", "demo --port 0"):
            assert why in bad(*words.split(), "--data", str(link))
        assert findings(*here)["server"] == (True, f"runs at {base} and is ready (process {pid})")
        other = ("--data", str(tmp_path), "--database", "")
        assert findings(*other)["server"][1].startswith("none runs on this data")
        first.process.kill()
        first.process.wait()
    assert findings(*here)["server"][1].startswith("none runs on this data")
    with program(log, "worker", *here) as second:
        second.heard("worker.started")
        assert findings(*here)["server"] == (True, f"process {second.process.pid} only delivers")
        assert second.end() == 0


def test_doctor_sees_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert findings("--data", str(tmp_path / "file"))["data folder"] == (False, f"{tmp_path / 'file'} is no folder")
    (tmp_path / "heliograph.db").write_text("this is something else " * 100)
    assert findings("--data", str(tmp_path))["database"] == (False, "file is not a database")
    (tmp_path / "heliograph.toml").write_text("x")
    monkeypatch.setenv("HELIOGRAPH_VOICE_ENGINE", "no-espeak")
    found = findings("--data", str(tmp_path))
    assert not found["carriers"][0]
    assert found["speech"] == (False, "no-espeak: There is no program 'no-espeak'.")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    (tmp_path / "heliograph.toml").write_text(f'[transports.trunk]\nkind="sip"\nhost="127.0.0.1"\nport={port}')
    assert findings("--data", str(tmp_path))["transport trunk"] == (
        False,
        f"127.0.0.1:{port} does not answer to OPTIONS",
    )
    found = findings("--data", str(tmp_path), "--database", "postgresql://x@127.0.0.1:1/y")["database"]
    assert "Connection refused" in found[1]


def test_doctor_tells_of_data_that_others_may_read(tmp_path: Path) -> None:
    """As older versions made it, with the command that mends it."""
    data, elsewhere = tmp_path / "the data", tmp_path / "elsewhere.db"
    place = ("--data", str(data), "--database", f"sqlite:///{elsewhere}")
    good("migrate", *place)
    (data / "files").mkdir(mode=0o700)
    assert findings(*place)["permissions"] == (True, "only the program's own user can read the data")
    for path, mode in ((data, 0o755), (data / "files", 0o705), (elsewhere, 0o640)):
        path.chmod(mode)
        fine, told = findings(*place)["permissions"]
        assert not fine
        assert told.startswith(f"other users may read {path}: chmod -R go= ")
        subprocess.run(["sh", "-c", told.partition(": ")[2]], check=True)
        assert findings(*place)["permissions"][0]
    wiring = tmp_path / "carriers.toml"
    wiring.write_text("")
    for mode, fine in ((0o644, False), (0o640, True), (0o600, True)):  # a group of operators may have it
        wiring.chmod(mode)
        assert findings(*place, "--config", str(wiring))["permissions"][0] == fine
    for path in (data, data / "files", elsewhere, wiring):
        path.chmod(0o777 if path.is_dir() else 0o666)
    told = findings(*place, "--config", str(wiring))["permissions"][1]
    assert ", …: chmod -R go= " in told
    subprocess.run(["sh", "-c", told.partition(": ")[2]], check=True)
    assert findings(*place, "--config", str(wiring))["permissions"][0]


def test_doctor_says_what_keeps_conversions_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine, told = findings("--data", str(tmp_path))["conversions"]
    assert told.endswith(("and without other files, by Landlock", "(no Landlock) cannot keep them from other files"))
    for said, expected in (
        ("namespace filter files\n", (True, "without a network, by namespace and filter, and without other files")),
        ("filter files\n/data\n", (False, "without a network, by filter; they can read /data, which lies among")),
        ("filter\n", (False, "without a network, by filter; its kernel (no Landlock) cannot keep them from other")),
        ("files\n", (False, "this machine cannot keep them from the network, and without other files, by Landlock")),
    ):
        done = subprocess.CompletedProcess([], 0, said, "")
        monkeypatch.setattr("heliograph.doctor.subprocess.run", lambda *_, done=done, **__: done)
        fine, told = findings("--data", str(tmp_path))["conversions"]
        assert (fine, told[: len(expected[1])]) == expected


# What can be wrong with all of them

DATABASE = [
    "account create bob",
    "account credit alice 5",
    "webhooks list alice",
    "migrate",
    "worker",
    "serve --port 0",
]


@pytest.mark.parametrize("words", DATABASE)
def test_a_database_that_cannot_be_used(tmp_path: Path, words: str) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:1/y"
    why = bad(*words.split(), "--data", str(tmp_path), "--database", url)
    assert why.startswith("The database cannot be used: ")
    assert "Connection refused" in why
    (tmp_path / "heliograph.db").write_text("this is something else " * 100)
    why = bad(*words.split(), "--data", str(tmp_path))
    assert why == "The database cannot be used: file is not a database."


ELSEWHERE = [
    *("account create bob", "account credit alice 5", "account set alice", "account opt-out alice --strict"),
    *("account list", "account show alice", "account key alice", "messages list alice", "messages show ABC"),
    *("account payout alice", "audit", "issues list", "issues answer 1 yes", "issues resolve 1", "mail", "mail show 1"),
    "optouts alice",
    *("payments refund abc", "payments check", "numbers import FILE", "prices import FILE"),
    *("routes list", "routes check", "routes init", "webhooks list alice", "webhooks replay alice"),
    "webhooks secret alice",
]


@pytest.mark.parametrize("words", ELSEWHERE)
def test_a_data_folder_that_is_not_there_is_a_mistake(tmp_path: Path, words: str) -> None:
    """What was done there would be seen by no server."""
    (tmp_path / "list").write_text("+61491570156")
    place, words = ("--data", str(tmp_path / "tpyo")), words.replace("FILE", str(tmp_path / "list"))
    assert bad(*words.split(), *place).startswith(f"There is no data folder {tmp_path / 'tpyo'}. Name another")
    assert bad(*words.split(), "--data", str(tmp_path / "list")) == f"{tmp_path / 'list'} is no folder."
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


@pytest.mark.parametrize("words", [words for words in ELSEWHERE if not words.startswith(("mail", "routes"))])
def test_a_folder_without_a_database_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A volume that is not mounted, or an empty variable: `--data "$UNSET"` names no folder."""
    (tmp_path / "list").write_text("+61491570156")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    words = words.replace("FILE", str(tmp_path / "list"))
    file = tmp_path / "empty" / "heliograph.db"
    assert bad(*words.split(), "--data", str(file.parent)).startswith(f"There is no database {file}. Name another")
    assert bad(*words.split(), "--data", "").startswith("There is no data folder heliograph-data.")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "list"]


def test_no_secret_is_made_beside_a_database_that_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has it in its environment, and the shell has not."""
    place = ("--data", str(tmp_path))
    good("migrate", *place)
    monkeypatch.setenv("HELIOGRAPH_SECRET", "y" * 32)
    key = good("account", "create", "alice", *place, "--json").value["api_key"]
    monkeypatch.delenv("HELIOGRAPH_SECRET")
    for words in ("account key alice --new", "account create bob", "account key alice"):
        assert "set HELIOGRAPH_SECRET" in bad(*words.split(), *place)
    assert not (tmp_path / "secret.key").exists()
    monkeypatch.setenv("HELIOGRAPH_SECRET", "y" * 32)
    assert good("account", "key", "alice", *place).out.strip() == key


def test_every_command_with_data_is_asked_about_a_folder_that_is_not_there() -> None:
    makers = {"serve", "worker", "demo", "migrate", "smsc", "doctor"}
    asked = {" ".join(words) for words in COMMANDS if any((one + " ").startswith(" ".join(words)) for one in ELSEWHERE)}
    assert asked == {" ".join(words) for words in COMMANDS} - makers


def test_no_folder_is_needed_where_nothing_lies_in_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgres_url: str
) -> None:
    """The database is PostgreSQL and the secret is given: a command may run on any machine."""
    place = ("--data", str(tmp_path / "none"), "--database", postgres_url)
    assert bad("account", "create", "anywhere", *place).startswith("There is no data folder")
    monkeypatch.setenv("HELIOGRAPH_SECRET", "x" * 32)
    good("account", "create", "anywhere", *place)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("words", [*DATABASE, "routes init", "demo --port 0"])
def test_a_data_folder_that_cannot_be_one(tmp_path: Path, words: str) -> None:
    """A file, and a place where nobody can make a folder (not even root)."""
    (tmp_path / "file").touch()
    assert re.search("no folder|Not a directory", bad(*words.split(), "--data", str(tmp_path / "file")))
    assert "/proc/" in bad(*words.split(), "--data", "/proc/heliograph")


@pytest.mark.parametrize("words", ["routes list", "routes check", "serve --port 0", "worker", "demo --port 0"])
def test_a_wrong_heliograph_toml(tmp_path: Path, words: str) -> None:
    """Told with its line, before anything is made."""
    (tmp_path / "heliograph.toml").write_text("\n[transports.a]\nkind = 'smp'")
    path = tmp_path / "heliograph.toml"
    why = f"{path}, line 3: transports.a: kind: it must be one of smpp, smtp, mm7, http, sip, sandbox."
    assert bad(*words.split(), "--data", str(tmp_path)) == why
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("serve --role boss", "--role='boss': it must be one of all, api, worker."),
        ("serve --port 99999", "--port='99999': it must be an integer from 0 to 65535."),
        ("serve --port abc", 'Invalid value for --port: unable to convert "abc" into int.'),
        ("serve --port", 'Command "serve" parameter --port requires an argument.'),
        ("serve --host 192.0.2.1 --port 0", "Cannot listen on 192.0.2.1, port 0: Cannot assign requested address."),
        ("serve --database mysql://user:hunter2@x/y", "--database: it does not have the right form."),
        ("worker now", "There is no use for: now"),
        ("worker --config none.toml", "none.toml: no such file."),
        ("smsc --port 99999", "--port=99999: it must be an integer from 0 to 65535."),
        ("smsc --password x", "--password: it goes with a --system-id."),
        ("smsc --port 0 --host 192.0.2.1", "Cannot listen on 192.0.2.1, port 0: Cannot assign requested address."),
        ("start", 'Unknown command "start".'),
        ("account", None),
    ],
)
def test_errors_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, why: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    if why is None:
        assert good(*words.split()).out.startswith("Usage: ")
        return
    told = bad(*words.split())
    assert why in told
    assert "hunter2" not in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["serve", "demo", "smsc"])
def test_a_taken_port(tmp_path: Path, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = [] if words == "smsc" else ["--data", str(tmp_path / "data")]
        why = bad(words, "--port", str(port), *place)
    assert why == f"Cannot listen on 127.0.0.1, port {port}: Address already in use."
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "words",
    [
        *("messages show \udcff", "messages list \udcff", "account show \udce9", "account create b\udce9a"),
        *("account create bob --email a\udce9@x.example", "account set alice --account-name Caf\udce9", "\udcff"),
    ],
)
def test_arguments_that_are_no_text(data: str, words: str) -> None:
    """Python has halves of surrogates for bytes that are not UTF-8."""
    assert bad(*words.split(), "--data", data) == "An argument is no text in UTF-8."


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_a_terminal_cannot_show_is_a_mark_and_json_is_whole(data: str, encoding: str) -> None:
    good("account", "set", "alice", "--account-name", "Ω Süd", "--data", data)
    name = "Ω Süd".encode(encoding, "replace")
    for words, told in (("show alice", name), ("list", name), ("show alice --json", None), ("--help", b"")):
        written = io.BytesIO()
        out = io.TextIOWrapper(written, encoding, write_through=True)
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            cli.main(["account", *words.split(), "--data", data])
        text = written.getvalue()
        assert json.loads(text)["account_name"] == "Ω Süd" if told is None else told in text, text


INTERRUPTED = """
import os, signal, sys, weakref

class Finder:
    def find_spec(self, name, *_):
        if name == imported:  # as the import system does, in a callback that cannot raise
            gone = Finder()
            heard = weakref.ref(gone, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del gone

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and their children
sys.meta_path.insert(0, Finder())
imported = sys.argv.pop(1)
from heliograph.__main__ import main
main()
"""


@pytest.mark.parametrize(("imported", "code"), [("heliograph.cli", -signal.SIGINT), ("heliograph.demo", 130)])
def test_ctrl_c_ends_a_start_in_silence(tmp_path: Path, imported: str, code: int) -> None:
    words = [sys.executable, "-c", INTERRUPTED, imported, "demo", "--data", str(tmp_path / "data"), "--port", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert not (tmp_path / "data").exists()


def test_the_environment_says_where_the_data_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HELIOGRAPH_DATA", str(tmp_path / "here"))
    (tmp_path / "there").mkdir()
    assert bad("account", "create", "erin").startswith(f"There is no data folder {tmp_path / 'here'}.")
    good("migrate")
    good("account", "create", "erin")
    assert (tmp_path / "here" / "heliograph.db").exists()
    good("migrate", "--data", str(tmp_path / "there"))
    assert bad("account", "credit", "erin", "1", "--data", str(tmp_path / "there")) == "There is no account 'erin'."


def test_production_asks_for_its_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HELIOGRAPH_MODE", "production")
    for words in ("serve", "worker", "account create bob", "demo"):
        assert "HELIOGRAPH_SECRET" in bad(*words.split(), "--data", str(tmp_path / "data"))
    monkeypatch.setenv("HELIOGRAPH_SECRET", "x" * 32)
    assert (
        bad("demo", "--data", str(tmp_path / "data"))
        == "The demo needs sandbox mode, but HELIOGRAPH_MODE is production."
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_explains_every_option(words: list[str]) -> None:
    text = good(*words, "--help").out
    assert text.startswith(f"Usage: heliograph {' '.join(words)}")
    options = [line for line in text.splitlines() if re.match(r"│ [* ] *-?-?[A-Z-]", line)]
    for line in options:
        assert re.search(r"[a-z]{2,} .*[a-z]", line), f"no word on {line!r}"
    assert ("--data" in text) is (words != ["smsc"])


def test_every_command_that_the_manual_shows_exists() -> None:
    known = {" ".join(words) for words in COMMANDS}
    shown = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "src" / "heliograph" / "example.toml"):
        for found in re.findall(r"heliograph ((?:[a-z]+ ?){1,2})", page.read_text(encoding="utf-8")):
            shown |= {name for name in known if (found + " ").startswith(name + " ")}
    assert shown >= {"serve", "worker", "mail", "smsc", "doctor", "account create", "routes init", "prices import"}


# The demo


def test_demo(tmp_path: Path) -> None:
    """The whole tour, twice on one folder."""
    for turn in range(2):
        with program(tmp_path / f"log{turn}", "demo", "--data", str(tmp_path / "data"), "--port", "0") as demo:
            assert demo.process.stdout is not None
            text = demo.process.stdout.read()
            assert demo.end(None) == 0
            assert demo.complaints == []
        port = re.findall(r"http://127\.0\.0\.1:(\d+)/v3\n", text)[0]
        message_id = re.findall(r"SUCCESS, AUD 0\.0715, ([0-9A-F-]{36})\n", text)[0]
        steps = [step for step, _ in groupby(re.findall(r"^  \d\d:\d\d:\d\d  (\w+) ", text, flags=re.M))]
        # A receipt may overtake the record of the hand-over, and then the demo does not wait for that.
        assert steps in (["Queued", "Sent", "Completed"], ["Queued", "Completed"], ["Queued", "Completed", "Sent"])
        assert f"Pushed to a webhook: message_id={message_id} and 13 more fields\n" in text
        assert "Rule Demo push (URL): a call of its URL.\n" in text
        assert "GET /v3/sms/receipts: 201 Success: Message received on handset.\n" in text
        assert "username  demo\n" in text
        assert "API key   DEMO0000-0000-4000-8000-000000000000\n" in text
        assert re.search(
            rf"curl -u demo:DEMO0000\S+ .*\n.*\+61491570006.* http://127\.0\.0\.1:{port}/v3/sms/send\n", text
        )


def test_a_demo_that_nobody_watches_ends_well(tmp_path: Path) -> None:
    """As in `heliograph demo | true`."""
    with program(tmp_path / "log", "demo", "--data", str(tmp_path / "data"), "--port", "0") as demo:
        assert demo.process.stdout is not None
        demo.process.stdout.close()
        assert demo.end(None) == 0
        assert demo.complaints == []


@pytest.mark.parametrize("arguments", ["--help", "serve --help", "--version", "mail show 0123456789ab --raw"])
def test_what_nobody_reads_ends_well(tmp_path: Path, arguments: str) -> None:
    """As in `heliograph --help | true`."""
    (tmp_path / "heliograph.db").touch()
    folder = mailsink.mail_folder(tmp_path)
    folder.mkdir()
    (folder / "20260102T030405.000006Z-0123456789ab.eml").write_bytes(b"Subject: One\r\n\r\nText\r\n")
    with program(tmp_path / "log", *arguments.split(), data=str(tmp_path)) as shown:
        assert shown.process.stdout is not None
        shown.process.stdout.close()
        assert (shown.end(None), shown.said) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "<&- 2>&-"])
def test_closed_streams_are_no_hindrance(tmp_path: Path, closed: str) -> None:
    """Their numbers are free then, and would be those of the database and of connections."""
    words = [sys.executable, "-m", "heliograph", "demo", "--data", str(tmp_path / "data"), "--port", "0"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("\nThis server ends now" in done.stdout) is (closed != ">&-")


def test_a_command_that_is_shown_works_where_it_is_typed(tmp_path: Path) -> None:
    """The card's line for a mail, with a server and after one that was killed."""
    data = tmp_path / "the data"
    with program(tmp_path / "log", "demo", "--serve", "--data", str(data), "--port", "0", smtp_port="0") as demo:
        assert demo.process.stdout is not None
        card = iter(demo.process.stdout.readline, "")
        line = next(line for line in card if line.startswith("  mail "))
        name, *words = shlex.split(line.partition("; ")[2])
        assert (name, good(*words).out[:4]) == ("heliograph", "250 ")
        demo.end(signal.SIGKILL)
    start = f"Connection refused. Start one: heliograph serve --data '{data}'"
    assert re.fullmatch(rf"No mail server answers at 127\.0\.0\.1:\d+: {re.escape(start)}", bad(*words))
    (data / "smtp.address").unlink()
    why = f"No mail server listens for this data folder. Start one: heliograph serve --data '{data}'"
    assert bad(*words) == why
    assert process.told("serve", settings.load()) == "heliograph serve"


def test_the_demo_does_not_send_by_a_carrier(tmp_path: Path) -> None:
    path = tmp_path / "heliograph.toml"
    path.write_text('[transports.acme]\nkind="smpp"\nhost="x"\n[[routes]]\ntransport="acme"')
    assert bad("demo", "--data", str(tmp_path), "--port", "0").startswith(f"{path} sends SMS by a carrier")
    assert list(tmp_path.iterdir()) == [path]
