"""What `heliograph doctor` looks at."""

import asyncio
import io
import os
import platform
import shutil
import subprocess
from pathlib import Path

import msgspec

from heliograph import settings
from heliograph.app import file_store
from heliograph.db import dialect
from heliograph.settings import SandboxOptions, Settings, SettingsError

PROBE = "00-DOCTOR"


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    what: str
    fine: bool
    detail: str


async def examine(options: Settings, database: str) -> list[Finding]:
    """Every finding; nothing is changed but the data folder, which is made."""
    findings = [Finding("python", True, platform.python_version()), Finding("mode", True, options.mode)]
    findings.append(_folder(options.data))
    findings.append(await asyncio.to_thread(_database, database))
    findings.append(await asyncio.to_thread(_file_store, options))
    findings.append(await asyncio.to_thread(_office, options.soffice))
    try:
        found = settings.carriers(options)
    except SettingsError as problem:
        return [*findings, Finding("routes", False, str(problem))]
    findings.append(Finding("routes", bool(found.routes), f"{len(found.routes)} routes"))
    for name, transport in found.transports.items():
        if isinstance(transport, SandboxOptions):
            findings.append(Finding(f"transport {name}", True, f"built-in carrier for {transport.channel}"))
        else:
            findings.append(await _reach(name, transport.host, transport.port))
    return findings


def _folder(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free // 2**20
    except OSError as problem:
        return Finding("data folder", False, str(problem))
    return Finding("data folder", os.access(folder, os.W_OK), f"{folder} ({free} MB free)")


def _database(address: str) -> Finding:
    engine, kind = dialect.engine(address)
    try:
        with engine.connect() as connection:
            version = connection.exec_driver_sql(kind.version).scalar()
    except Exception as problem:  # noqa: BLE001 - every driver has errors of its own; the reason is the finding
        return Finding("database", False, str(problem).splitlines()[0])
    finally:
        engine.dispose()
    return Finding("database", True, f"{kind.name} {version}")


def _file_store(options: Settings) -> Finding:
    """Whether a file can be stored, which it is and removed again."""
    where = options.file_store or "the data folder"
    try:
        store = file_store(options)
        store.put(PROBE, io.BytesIO(b"heliograph doctor"))
        store.remove(PROBE)
    except (OSError, SettingsError) as problem:
        return Finding("file store", False, str(problem).splitlines()[0])
    return Finding("file store", True, where)


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


async def _reach(name: str, host: str, port: int) -> Finding:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
    except (OSError, TimeoutError) as problem:
        return Finding(f"transport {name}", False, f"{host}:{port}: {problem or 'no answer in 5 s'}")
    writer.close()
    return Finding(f"transport {name}", True, f"{host}:{port} answers")
