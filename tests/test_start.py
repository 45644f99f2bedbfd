"""A start imports only what every server needs: what one feature, database or service needs comes with its use."""

import shutil
import subprocess
import sys
from pathlib import Path

LATE = {
    "aiohttp": "the first push or download",
    "alembic": "a database that is old",
    "arabic_reshaper": "the first invoice",
    "bidi": "the first invoice",
    "dkim": "the first mail from a domain with a key, or that must prove its sender",
    "dns": "the same, and questions to name servers",
    "flufl": "the first bounce without a report",
    "inscriptis": "the first mail in HTML",
    "img2pdf": "a process of its own that converts files",
    "limits": "HELIOGRAPH_RATE_LIMIT_STORE",
    "mailparser_reply": "the first mail that arrives",
    "mako": "a database that is old",
    "obstore": "HELIOGRAPH_FILE_STORE",
    "pikepdf": "a process of its own that converts files",
    "PIL": "a process of its own that converts files, and invoices",
    "publicsuffixlist": "the first mail that must prove its sender",
    "psycopg": "a database on PostgreSQL",
    "pypdfium2": "a process of its own that converts files",
    "python_calamine": "the first import of a sheet",
    "redis": "HELIOGRAPH_RATE_LIMIT_STORE",
    "reportlab": "the first invoice",
    "selectolax": "the first body of an email",
    "spf": "the first mail that must prove its sender",
    "stripe": "HELIOGRAPH_PAYMENT_GATEWAY",
}
"""package -> what it is imported for. Each takes from ten to several hundred milliseconds."""

START = """
import asyncio, sys
from heliograph.cli import make_server
from heliograph.settings import load

async def start():
    started = asyncio.get_running_loop().create_future()
    server = make_server(load(data=sys.argv[1], host="127.0.0.1", port=0), started)
    serving = asyncio.ensure_future(server.serve())
    await started
    print("imported", *sys.modules)
    server.should_exit = True
    await serving

asyncio.run(start())
"""


def test_a_server_on_a_database_of_today_imports_nothing_that_it_may_never_use(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "heliograph.db")
    done = subprocess.run([sys.executable, "-c", START, tmp_path], capture_output=True, text=True, check=True)
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("imported "))
    imported = {name.partition(".")[0] for name in line.split()}
    assert {"heliograph", "sqlalchemy", "uvicorn"} < imported
    assert imported.isdisjoint(LATE)
