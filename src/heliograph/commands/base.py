"""What commands share: output, the sentence that ends one, a transaction beside a running server."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from heliograph import settings
from heliograph.accounts import account
from heliograph.app import database_url
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import ApiError
from heliograph.settings import Settings

T = TypeVar("T")
Data = Annotated[str | None, Parameter("--data", help="Folder of the database, the files and the keys.")]
AsJson = Annotated[bool, Parameter("--json", help="Print JSON, for programs.", negative="")]

out = Console()


class Problem(Exception):
    """Ends a command with one sentence and exit code 1."""


def show(as_json: bool, value: Any, text: str | Table) -> None:
    """Print a result, for programs or for people."""
    if as_json:
        out.print_json(json.dumps(value))
    else:
        out.print(text, highlight=False, soft_wrap=True)


def within(data: str | None, work: Callable[[Settings, Tx], T]) -> T:
    """Run `work` in a transaction of its own, beside a running server. Raises Problem for what it refuses."""
    options = settings.load(data=data)
    options.data.mkdir(parents=True, exist_ok=True)

    async def run() -> T:
        migrate.upgrade(database_url(options))
        database = Database(database_url(options))
        try:
            return await database.write(lambda tx: work(options, tx))
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except ApiError as refused:
        detail = " ".join(refused.data.values()) if isinstance(refused.data, dict) else ""
        raise Problem(detail or refused.message) from None


def named(tx: Tx, username: str) -> Mapping[str, Any]:
    """The row of a user. Raises Problem."""
    row = account.find(tx, username)
    if row is None:
        raise Problem(f"There is no account {username!r}.")
    return row
