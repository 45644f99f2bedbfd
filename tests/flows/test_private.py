"""What other users of the machine, and other processes of the same user, learn of a server: nothing."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import documents
from support.program import ask, environment, send, serving

linux = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """What most systems begin a process with: others may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "heliograph", *arguments], env=environment(), check=True, capture_output=True)


def test_what_the_program_makes_is_for_its_own_user(tmp_path: Path, usual_umask: None) -> None:
    """Commands as well as the server: keys, database, mails, uploads, and what holds the passwords of carriers."""
    data = tmp_path / "deep" / "data"
    run("migrate", "--data", str(data))
    run("routes", "init", "--data", str(data))
    (data / "heliograph.toml").unlink()
    run("account", "create", "ann", "--credit", "5", "--data", str(data))
    with serving(data) as server:
        send(server.port, "Hello")
        content = base64.b64encode(documents.saved(documents.picture(60, 40), "PNG")).decode()
        status, _, made = ask(server.port, "POST", "/v3/uploads?convert=mms", {"content": content})
        assert status == 200
        run("routes", "init", "--data", str(data))
        found = {path.relative_to(data): path.stat().st_mode for path in (data, *data.rglob("*"))}
    names = {path.name for path in found}
    expected = {
        "secret.key",
        "heliograph.db",
        "heliograph.db-wal",
        "files",
        made["data"]["file_name"].partition(".")[0],
    }
    assert expected | {"heliograph.toml"} <= names
    for path, mode in found.items():
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path
    assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700


SECRETS = {
    "secret": "master secret of forty characters, no less",
    "s3_secret": "secret of a store",
    "stripe_key": "secret key of Stripe",
    "stripe_webhook_secret": "secret of events",
    "public_url": "https://sms.example",
}


@linux
@pytest.mark.parametrize("role", ["all", "worker"])
def test_nobody_reads_what_a_server_was_started_with(tmp_path: Path, role: str) -> None:
    """Root reads /proc/<pid>/environ of any process, and a process that breaks out of a conversion that of its user."""
    with serving(tmp_path / "data", "--role", role, **SECRETS) as server:
        server.heard("worker.started" if role == "worker" else "server.listening")
        seen = Path(f"/proc/{server.process.pid}/environ").read_bytes()
        for value in SECRETS.values():
            assert value.encode() not in seen
        assert b"HELIOGRAPH_SECRET=" in seen
        assert f"PATH={os.environ['PATH']}".encode() in seen
        if role == "all":
            assert ask(server.port, "GET", "/v3/account")[0] == 200, "it knows them itself"


@linux
def test_a_process_that_keeps_secrets_keeps_them(tmp_path: Path) -> None:
    """It knows them itself; whatever it starts does not, and others may not look into its memory."""
    text = (
        "import ctypes, os, subprocess, sys\n"
        "from heliograph.process import keep_secrets\n"
        "keep_secrets()\nkeep_secrets()\n"
        "print(ctypes.CDLL(None).prctl(3), os.environ['HELIOGRAPH_SECRET'], os.environ['HELIOGRAPH_EMPTY'] == '')\n"
        "print(open('/proc/self/environ').read().count('forty'))\n"
        "sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"HELIOGRAPH_SECRET\"])'], check=True)\n"
    )
    given = environment(secret=SECRETS["secret"], empty="")
    done = subprocess.run([sys.executable, "-c", text], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"0 {SECRETS['secret']} True", "0", ""]
