"""What `heliograph doctor` looks at. It changes nothing; into a bucket it puts a small object for a moment."""

import asyncio
import io
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from sqlalchemy import make_url

from heliograph import carriers
from heliograph.channels.voice.speech import PACKAGE, Failure, Speaker, Text, engine_version
from heliograph.db import dialect
from heliograph.db.health import reason
from heliograph.db.holder import find
from heliograph.db.servertime import MOST_DIFFERENCE, measured
from heliograph.files.stores import file_store
from heliograph.option import SettingsError
from heliograph.process import told, url
from heliograph.settings import Settings
from heliograph.transports.options import SandboxOptions, TransportOptions
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.ping import is_there

__all__ = ["Finding", "examine", "reason"]

PROBE = "00-DOCTOR"
PATIENCE = 5.0
"""Seconds that a peer gets to answer."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    what: str
    fine: bool
    detail: str


async def examine(options: Settings, database: str) -> list[Finding]:
    """Every finding."""
    findings = [
        Finding("heliograph", True, f"{version('heliograph')} on Python {platform.python_version()}"),
        Finding("mode", True, options.mode),
        _folder(options),
        _permissions(options, database),
        *await asyncio.to_thread(_database, database),
        await asyncio.to_thread(_file_store, options),
        await asyncio.to_thread(_office, options.soffice),
        await _limits(options.rate_limit_store),
        await asyncio.to_thread(_conversions, options.data.absolute()),
        await _speech(options),
        _calls(),
        await _server(options, database),
    ]
    path = carriers.path(options)
    try:
        found = carriers.read(options)
    except SettingsError as problem:
        return [*findings, Finding("carriers", False, str(problem))]
    where = str(path) if path.exists() else "built in"
    findings.append(Finding("carriers", bool(found.routes), f"{len(found.routes)} routes ({where})"))
    checks = [_transport(name, transport) for name, transport in sorted(found.transports.items())]
    return [*findings, *await asyncio.gather(*checks)]


def _folder(options: Settings) -> Finding:
    """Whether it is there and can be written."""
    folder = options.data
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        return Finding("data folder", False, f"{there} is no folder")
    if not os.access(there, os.W_OK):
        return Finding("data folder", False, f"{there} cannot be written")
    if not folder.exists():
        return Finding("data folder", False, f"there is no {folder}; `{told('serve', options)}` makes it")
    return Finding("data folder", True, f"{folder} ({shutil.disk_usage(there).free // 2**20:,} MB free)")


def _permissions(options: Settings, database: str) -> Finding:
    """Whether other users of this machine can read the data. Older versions left that to the system's umask."""
    folder, address, wiring = options.data.absolute(), make_url(database), carriers.path(options).absolute()
    inside = sorted(folder.iterdir()) if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) else []
    file = address.database if address.get_backend_name() == "sqlite" else None
    beside = [Path(file + end).absolute() for end in ("", "-wal", "-shm")] if file else []
    private = dict.fromkeys([folder, *inside, *beside])
    found = [path for path in private if _open_to(path, 0o077)]
    if wiring not in private and _open_to(wiring, 0o007):  # elsewhere a group may have it
        found.append(wiring)
    if not found:
        return Finding("permissions", True, "only the program's own user can read the data")
    outside = [str(path) for path in found if folder not in (path, *path.parents)]
    mended = [str(folder)] * (len(outside) < len(found)) + outside
    names = ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")
    return Finding("permissions", False, f"other users may read {names}: {shlex.join(['chmod', '-R', 'go=', *mended])}")


def _open_to(path: Path, others: int) -> bool:
    try:
        return bool(path.stat().st_mode & others)
    except OSError:
        return False


def _database(address: str) -> list[Finding]:
    """Whether it is there; of PostgreSQL also whether it can be written, and whether its clock is ours."""
    parsed = make_url(address)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return [Finding("database", True, "SQLite, made at the first start")]
    engine, kind = dialect.engine(address)
    difference = None
    try:
        with engine.connect() as connection:
            running = connection.exec_driver_sql(kind.version).scalar()
            writable = not getattr(connection.connection.driver_connection, "readonly", False)
            if kind.clock:
                difference = measured(lambda: float(connection.exec_driver_sql(kind.clock).scalar() or 0))
    except Exception as problem:  # noqa: BLE001 - every driver has errors of its own; the reason is the finding
        return [Finding("database", False, reason(problem))]
    finally:
        engine.dispose()
    told = f"{'PostgreSQL' if kind.name == 'postgresql' else 'SQLite'} {running}"
    found = [Finding("database", writable, told if writable else f"{told}, which only reads")]
    return found if difference is None else [*found, _clock(difference)]


def _clock(difference: float) -> Finding:
    """How many seconds this machine's clock is ahead of the database's. The database's is what counts."""
    if abs(difference) <= MOST_DIFFERENCE:
        return Finding("clock", True, "the database's and this machine's agree")
    where = "ahead of" if difference > 0 else "behind"
    return Finding("clock", False, f"this machine's is {abs(difference):.1f} s {where} the database's")


def _file_store(options: Settings) -> Finding:
    """Whether a file can be stored in the bucket, which it is and removed again."""
    if not options.file_store:
        return Finding("file store", True, "the data folder")
    try:
        store = file_store(options)
        store.put(PROBE, io.BytesIO(b"heliograph doctor"))
        store.remove(PROBE)
    except (OSError, SettingsError) as problem:
        return Finding("file store", False, str(problem).splitlines()[0])
    return Finding("file store", True, options.file_store)


def _office(soffice: str) -> Finding:
    """LibreOffice may be missing: the program does without, and says so to whoever sends such a file."""
    program = shutil.which(soffice)
    if program is None:
        return Finding("libreoffice", True, "not installed: doc, docx, rtf and txt files cannot be converted")
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Finding("libreoffice", False, str(problem))
    return Finding("libreoffice", not done.returncode, done.stdout.strip() or done.stderr.strip())


def _conversions(data: Path) -> Finding:
    """Whether the process that reads a customer's file does so without a network and without our files."""
    command = [sys.executable, "-I", "-m", "heliograph.files.confine", str(data)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Finding("conversions", False, str(problem))
    if done.returncode:
        return Finding("conversions", False, done.stderr.strip().splitlines()[-1])
    walls, *exposed = done.stdout.splitlines()
    network = " and ".join(wall for wall in walls.split() if wall != "files")
    told = f"without a network, by {network}" if network else "this machine cannot keep them from the network"
    if "files" not in walls.split():
        return Finding("conversions", False, f"{told}; its kernel (no Landlock) cannot keep them from other files")
    if exposed:
        return Finding("conversions", False, f"{told}; they can read {exposed[0]}, which lies among the libraries")
    return Finding("conversions", bool(network), f"{told}, and without other files, by Landlock")


async def _speech(options: Settings) -> Finding:
    """Whether a text can be spoken, and by what."""
    name = await asyncio.to_thread(_engine, options.voice_engine)
    speaker = Speaker(msgspec.structs.replace(options, speech_kept=0))
    try:
        sound = await asyncio.to_thread(speaker.speak, Text("<speak>Hello</speak>", "en-us", "female"))
    except Failure as problem:
        return Finding("speech", False, f"{name}: {problem.why}")
    return Finding("speech", True, f"{name}: {len(sound) / 16000:.1f} s for a word")


def _engine(program: str) -> str:
    """The name of the speech engine, with its version."""
    if not program:
        return f"eSpeak NG of {PACKAGE} {engine_version('')}".rstrip()
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return program
    return f"{program} ({done.stdout.partition('Data at')[0].strip()[:100]})"


def _calls() -> Finding:
    """Whether this machine can make calls. Where it cannot, everything else works."""
    try:
        return Finding("calls", True, f"baresip-python {version('baresip-python')}")
    except PackageNotFoundError:
        return Finding("calls", True, "off: baresip-python is not installed; it is for Linux on x86-64 and arm64")


async def _limits(store: str) -> Finding:
    """Whether the store of shared limits answers."""
    if store == "memory://":
        return Finding("rate limits", True, "in memory")
    from redis import asyncio as redis  # what most servers do not use
    from redis import exceptions

    where = urlsplit(store).netloc.rpartition("@")[2]
    client = redis.from_url(store, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    try:
        async with asyncio.timeout(PATIENCE):  # the client tries several times
            await client.ping()
    except (exceptions.RedisError, OSError) as problem:
        return Finding("rate limits", False, f"{where}: {reason(problem)}")
    finally:
        await client.aclose()
    return Finding("rate limits", True, f"{where} answers")


async def _server(options: Settings, database: str) -> Finding:
    """Whether a server runs; it is no fault if none does. That of an SQLite database is found on any port."""
    alone = bool(dialect.path_of(database))
    holder = find(database)
    if holder and not holder.url:
        return Finding("server", True, f"{holder} only delivers")
    base = holder.url if holder else url(options.host, options.port)
    try:
        state = await _readiness(base)
    except (aiohttp.ClientConnectionError, TimeoutError):
        told = f"{holder} does not answer" if holder else f"none runs {'on this data' if alone else 'at ' + base}"
        return Finding("server", not holder, told)
    except (aiohttp.ClientError, ValueError):
        return Finding("server", False, f"something else answers at {base}")
    if alone and not holder:
        return Finding("server", True, f"none runs on this data; the one at {base} has other data")
    missing = [name for name, good in state.items() if not good]
    told = f"runs at {base}, but is not ready: {', '.join(missing)}" if missing else f"runs at {base} and is ready"
    return Finding("server", not missing, told + (f" (process {holder.pid})" if holder else ""))


async def _readiness(base: str) -> dict[str, bool]:
    """What a server says of itself. Raises aiohttp.ClientError, TimeoutError, ValueError."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as client, client.get(base + "/readyz") as answer:
        state = await answer.json()
        if not isinstance(state, dict):
            raise ValueError
        return state


async def _transport(name: str, transport: TransportOptions) -> Finding:
    what = f"transport {name}"
    if isinstance(transport, SandboxOptions):
        return Finding(what, True, f"built-in carrier for {transport.medium}")
    host, port = transport.address
    where = f"{host}:{port}"
    if isinstance(transport, SipOptions):
        there = await is_there(host, port, transport.protocol, PATIENCE)
        return Finding(what, there, f"{where} {'answers' if there else 'does not answer'} to OPTIONS")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), PATIENCE)
    except TimeoutError:
        return Finding(what, False, f"{where} does not answer")
    except OSError as problem:
        why = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror or str(problem)
        return Finding(what, False, f"{where}: {why}")
    writer.close()
    await writer.wait_closed()
    return Finding(what, True, f"{where} answers")
