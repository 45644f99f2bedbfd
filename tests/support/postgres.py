"""A private PostgreSQL server for the tests: a temporary folder, a unix socket, no network, gone at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from heliograph.db.tables import metadata

READY = "ready to accept connections"
SPEED = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=64MB", "listen_addresses=")


class Missing(Exception):
    """PostgreSQL cannot be started here; the text says why."""


def _programs() -> Path:
    """The folder of initdb and postgres: Debian keeps them out of PATH. The newest version wins."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    in_path = shutil.which("initdb")
    if in_path:
        folders.append(Path(in_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Missing("PostgreSQL is not installed (no initdb in PATH or /usr/lib/postgresql)")


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command: PostgreSQL refuses to run as root. Gives `folder` to whom it runs as.

    Where setpriv exists, the server also ends with the thread that started it, so that a killed test run leaves none.
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "INT"] if setpriv else []
    if os.geteuid() != 0:
        return prefix
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise Missing("PostgreSQL does not run as root, and there is no user postgres") from None
    if setpriv is None:
        raise Missing("PostgreSQL does not run as root, and there is no setpriv to change the user")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*prefix, "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]


@contextmanager
def server(options: Sequence[str] = SPEED) -> Iterator[tuple[str, int]]:
    """Start a server with these settings; (URL of its maintenance database, its process id).

    Raises Missing, or RuntimeError with its log.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-", dir="/tmp"))  # a socket's path has at most 107 bytes
    try:
        prefix = _unprivileged(folder)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        how = ["--no-sync", "--auth=trust", "--username=heliograph", "--encoding=UTF8", "--no-locale"]
        command = [*prefix, str(programs / "initdb"), *how, "--pgdata", str(folder / "data")]
        made = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        settings = [part for option in (*options, f"unix_socket_directories={folder}") for part in ("-c", option)]
        command = [*prefix, str(programs / "postgres"), "-D", str(folder / "data"), *settings]
        with _running(command, environment) as pid:
            yield f"postgresql://heliograph@/postgres?host={folder}", pid
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    with subprocess.Popen(command, cwd="/", env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if READY in line:
                break
        else:
            raise RuntimeError("PostgreSQL did not start:\n" + "".join(log))
        drain = threading.Thread(target=deque, args=(process.stderr, 0))  # a full pipe would stop the server
        drain.start()
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGQUIT)  # the fast way out: nothing here is worth a checkpoint
            drain.join()


@contextmanager
def database(server_url: str, template: str | None = None) -> Iterator[str]:
    """Create a database, empty or a copy of the one at the URL `template`; gives its URL.

    Drops it at the end, with whoever is still connected.
    """
    name = f"test_{uuid.uuid4().hex}"
    original = make_url(template).database if template else "template1"
    with psycopg.connect(server_url, autocommit=True) as connection:
        # Copying files is three times as fast as writing what is in them to a log (which came with version 15).
        how = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + how)
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(original or "")))
        try:
            yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


SHAPE = """
SELECT md5(string_agg(concat_ws(' ', oid, relname, relnatts, reltriggers, relchecks), ',' ORDER BY oid)),
    (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_db_role_setting)
FROM (SELECT *, (SELECT count(*) FROM pg_trigger WHERE tgrelid = pg_class.oid) AS reltriggers FROM pg_class) AS them
WHERE relnamespace = 'public'::regnamespace
"""
"""What a test may have changed besides rows."""


class Stock:
    """Databases with the newest tables and no rows, for one test after the other.

    To make one takes PostgreSQL a good part of a second, to empty one some milliseconds. One in which more was changed
    than rows is not used again.
    """

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url, self._template = server_url, template
        self._free: list[str] = []
        self._shape: Any = None
        self._made = ExitStack()

    @contextmanager
    def lent(self) -> Iterator[str]:
        """A database that nobody else has; its URL."""
        url = self._free.pop() if self._free else self._made.enter_context(database(self._server_url, self._template))
        self._shape = self._shape or shape_of(url)  # copies have the same
        try:
            yield url
        finally:
            if shape_of(url) == self._shape:
                empty(url)
                self._free.append(url)

    def close(self) -> None:
        """Drop all of them."""
        self._made.close()


def shape_of(url: str) -> Any:
    """Something that is different when tables, columns, triggers, functions or settings are."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(SHAPE).fetchone()


def empty(url: str) -> None:
    """Remove every row of a database, and whoever is still connected; ids begin anew.

    Those of rates do not: a process keeps rates by their id (billing/tariff.py), and no house is emptied under it.
    """
    others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
    begin = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' AND relname !~ '^rates_'"
    rows = [f'DELETE FROM "{table}"' for table in metadata.tables]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"{others} AND pid <> pg_backend_pid()")
        connection.execute("; ".join(["SET lock_timeout = '10s'", *rows, begin]))
