"""A second PostgreSQL server that repeats what the first one does, and only reads."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from support.postgres import SPEED, _programs, _unprivileged


@contextmanager
def standby(primary: str) -> Iterator[str]:
    """Copy the server of this URL, and let the copy follow it; the URL of the copy's maintenance database."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-", dir="/tmp"))
    try:
        prefix = _unprivileged(folder)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        host = str(make_url(primary).query["host"])
        copy = ["-D", str(folder / "data"), "-h", host, "-U", "heliograph", "-R", "--checkpoint=fast", "--no-sync"]
        command = [*prefix, str(programs / "pg_basebackup"), *copy]
        made = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        settings = [part for option in (*SPEED, f"unix_socket_directories={folder}") for part in ("-c", option)]
        command = [*prefix, str(programs / "postgres"), "-D", str(folder / "data"), *settings]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd="/", env=environment, **quiet) as process:  # type: ignore[call-overload]
            try:
                url = f"postgresql://heliograph@/postgres?host={folder}"
                _wait(url)
                yield url
            finally:
                process.send_signal(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "the standby does not start"
            time.sleep(0.05)
        else:
            return
