"""`heliograph smpp`: logins of ESMEs, beside a server that runs."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from esme.peer import Esme
from heliograph.transports.smpp import pdu
from support import program
from support.server import Api, Running
from transports.conformance import run as play

Run = Callable[..., program.Done]


@pytest.fixture
def run(server: Running, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of `heliograph` on the server's data."""
    monkeypatch.setenv("HELIOGRAPH_DATA", str(server.options.data))
    monkeypatch.setenv("HELIOGRAPH_DATABASE", server.options.database)
    return program.command


def test_a_login_is_made_listed_used_and_removed(server: Running, api: Api, run: Run) -> None:
    name = f"shop-{api.user_id}"
    made = run("smpp", "add", name, api.username, "--networks", "127.0.0.1, 192.0.2.0/24", "--rate", "50", "--json")
    password = made.value["password"]
    assert len(password) == 8

    async def bound() -> int:
        esme = await Esme.connect(server)
        status = await esme.bind(name, password)
        await esme.wire.close()
        return status

    assert play(bound()) == pdu.ESME_ROK
    (row,) = [row for row in run("smpp", "list", "--json").value if row["system_id"] == name]
    assert row == {
        "system_id": name,
        "username": api.username,
        "api_username": api.username,
        "networks": "127.0.0.1/32 192.0.2.0/24",
        "binds": 2,
        "window": 10,
        "rate": 50.0,
        "waiting": 0,
    }
    assert password not in run("smpp", "list").out
    assert json.loads(run("smpp", "remove", name, "--json").out) == {"system_id": name}
    assert play(bound()) == pdu.ESME_RINVPASWD
    whats = [entry["what"] for entry in run("audit", api.username, "--json").value]
    assert {"smpp.added", "smpp.removed"} <= set(whats)


def test_what_is_wrong_is_said(server: Running, api: Api, run: Run) -> None:
    sub, known = server.subaccount(api), f"known{api.user_id}"
    assert run("smpp", "add", known, api.username, "--subaccount", sub.username).code == 0
    wrong = {
        ("add", known, api.username): f"The system_id {known!r} is taken.",
        ("add", "sixteen_letters_", api.username): "A system_id has 1 to 15 letters",
        ("add", "blank name", api.username): "A system_id has 1 to 15 letters",
        ("add", "new", "nobody-at-all"): "There is no account 'nobody-at-all'.",
        ("add", "new", api.username, "--subaccount", "nobody"): "The account has no subaccount 'nobody'.",
        ("add", "new", api.username, "--networks", "10.0.0.1/8"): "'10.0.0.1/8' is no address or network.",
        ("add", "new", api.username, "--binds", "0"): "--binds and --window are from 1 to 1000",
        ("add", "new", api.username, "--rate", "nan"): "--rate is from 0 to 1000000",
        ("remove", "new"): "There is no system_id 'new'.",
    }
    for words, sentence in wrong.items():
        done = run("smpp", *words)
        assert done.code == 1
        assert sentence in " ".join(done.err.split())


def test_a_server_that_cannot_listen_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOGRAPH_DATA", str(tmp_path / "data"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("HELIOGRAPH_SMPP_PORT", port)
        done = program.command("serve", "--port", "0")
        assert done.code == 1
        assert f"HELIOGRAPH_SMPP_PORT={port}: cannot listen:" in " ".join(done.err.split())
    monkeypatch.setenv("HELIOGRAPH_SMPP_PORT", "0")
    monkeypatch.setenv("HELIOGRAPH_SMPP_TLS_PORT", "0")
    monkeypatch.setenv("HELIOGRAPH_SMPP_TLS_CERT", str(tmp_path / "none.pem"))
    done = program.command("serve", "--port", "0")
    assert done.code == 1
    assert "none.pem: No such file or directory." in " ".join(done.err.split())
    monkeypatch.setenv("HELIOGRAPH_SMPP_PORT", "70000")
    done = program.command("serve", "--port", "0")
    assert done.code == 1
    assert "HELIOGRAPH_SMPP_PORT='70000': it does not have the right form." in " ".join(done.err.split())
