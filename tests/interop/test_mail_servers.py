"""swaks and Postfix hand mails in: over STARTTLS, with a login, and through a queue."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailserver.mails import DOMAIN, agree, allow, own, sent
from support import installed
from support.certificates import self_signed
from support.server import Running
from transports.ports import free_port

pytestmark = pytest.mark.slow
TO = f"61491570156@{DOMAIN}"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{house}
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
smtp_tls_security_level = encrypt
minimal_backoff_time = 2s
queue_run_delay = 2s
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a certificate."""
    folder = tmp_path_factory.mktemp("house")
    running = Running(folder / "data", smtp_tls_cert=str(self_signed(folder)), throttle_seconds=0)
    yield running
    running.close_clients()
    running.stop()


def swaks(program: str, server: Running, *more: str) -> tuple[int, str]:
    """Exit code and transcript."""
    command = [program, "--server", f"127.0.0.1:{server.smtp_port}", "--to", TO, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_swaks(house: Running) -> None:
    program, api = installed.program("swaks"), house.account()
    allow(api)
    who = ("--from", own(api), "--body", "By swaks")
    code, told = swaks(program, house, *who, "--header-Subject", "x")
    assert (code, "250 2.0.0 1 SMS of 1" in told) == (0, True), told
    login = ("--auth-user", api.username, "--auth-password", api.key)
    for number, kind in enumerate(("PLAIN", "LOGIN")):
        code, told = swaks(program, house, *who[:3], f"In TLS {number}", "--tls", "--auth", kind, *login)
        assert (code, "TLS started" in told, "235 2.7.0" in told) == (0, True, True), told
    code, told = swaks(program, house, *who, "--tls", "--auth", "PLAIN", "--auth-user", "demo", "--auth-password", "no")
    assert (code, "535 5.7.8" in told) == (28, True), told
    code, told = swaks(program, house, "--from", "x@example.org", "--body", "Refused")
    assert (code, "550 5.7.1" in told) == (26, True), told
    code, told = swaks(program, house, "--from", "<>", "--body", "Refused")
    assert (code, "550 5.7.1" in told) == (24, True), told
    assert [row["body"] for row in sent(api)] == ["By swaks", "In TLS 0", "In TLS 1"]


@contextlib.contextmanager
def postfix(program: str, house: Running) -> Iterator[tuple[int, Path]]:
    """A Postfix of our own that relays to the house: its port, and its log."""
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)
    port = free_port()
    try:
        for name in ("queue", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        (folder / "main.cf").write_text(MAIN.format(folder=folder, house=house.smtp_port))
        (folder / "master.cf").write_text(MASTER.format(port=port))
        subprocess.run([program, "-c", str(folder), "start"], check=True, capture_output=True, timeout=60)
        yield port, folder / "log"
    finally:
        subprocess.run([program, "-c", str(folder), "stop"], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def relayed(program: str, port: int, sender: str, body: str) -> None:
    command = [program, "--server", f"127.0.0.1:{port}", "--from", sender, "--to", TO, "--body", body]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_postfix(house: Running) -> None:
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    program, client, api = installed.program("postfix"), installed.program("swaks"), house.account()
    allow(api, "desk@example.com")
    agree(api, "desk@example.com")
    with postfix(program, house) as (port, log):
        for number in range(5):
            relayed(client, port, "desk@example.com", f"Relayed {number}")
        relayed(client, port, "stranger@example.org", "Refused")
        api.until(lambda: len(sent(api)) == 5)
        assert sorted(row["body"] for row in sent(api)) == [f"Relayed {number}" for number in range(5)]
        until(lambda: "status=bounced" in log.read_text())
        text = log.read_text()
        assert text.count("250 2.0.0 1 SMS of 1") == 5
        assert "550 5.7.1 Mail from this address does not become SMS here" in text
        # the notice to the stranger, with the null sender, is for nobody of the house: nothing answers it
        assert len(sent(api)) == 5


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)
