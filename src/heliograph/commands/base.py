"""What commands share: their options, and a transaction beside a running server."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from sqlalchemy import make_url

from heliograph import settings
from heliograph.accounts import account
from heliograph.accounts.vault import Vault
from heliograph.app import database_url
from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.process import Problem, told
from heliograph.settings import Settings

T = TypeVar("T")


def option(name: str) -> Parameter:
    """The flag of a setting, with the setting's own sentence."""
    return Parameter(help=settings.sentence(name))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """The option that every command has."""

    data: Annotated[str | None, option("data")] = None

    def load(self, **more: Any) -> Settings:
        """The settings of this place, which must be there. Raises SettingsError, Problem."""
        options = self.anywhere(**more)
        if not (options.data.is_dir() or _needs_no_folder(options)):
            if options.data.exists():
                raise Problem(f"{options.data} is no folder.")
            raise _not_there(f"data folder {options.data}", options)
        return options

    def anywhere(self, **more: Any) -> Settings:
        """The settings of this place, for commands that make it if need be. Raises SettingsError."""
        given = {name: value or None for name, value in asdict(self).items()}  # an empty one is none, as a variable
        return settings.load(**given, **more)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Store(Place):
    """Options of commands that use the database."""

    database: Annotated[str | None, option("database")] = None

    def load(self, **more: Any) -> Settings:
        """The settings of this place, where the database must be. Raises SettingsError, Problem."""
        options = super().load(**more)
        file = _sqlite_file(options)
        if file and not file.exists():
            raise _not_there(f"database {file}", options)
        return options


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wiring(Place):
    """Options of commands that read heliograph.toml."""

    config: Annotated[str | None, option("config")] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Everything(Store):
    """Options of commands that use both."""

    config: Annotated[str | None, option("config")] = None


AsJson = Annotated[bool, Parameter("--json", help="Print JSON, for programs.", negative="", show_default=False)]
Username = Annotated[str, Parameter(help="The account.")]
PLACE, STORE, WIRING, EVERYTHING = Place(), Store(), Wiring(), Everything()


def _not_there(what: str, options: Settings) -> Problem:
    return Problem(f"There is no {what}. Name another place with --data, or make it: {told('serve', options)}.")


def _needs_no_folder(options: Settings) -> bool:
    """Whether neither the database nor the secret lies in the data folder, so that nothing would be made there."""
    return options.database.startswith("postgresql:") and bool(options.secret)


def _sqlite_file(options: Settings) -> Path | None:
    """The file of the database; None when it is none."""
    url = make_url(database_url(options))
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def vault_of(tx: Tx, options: Settings) -> Vault:
    """The vault that the keys in the database were made with. Raises Problem: that is another one.

    What another vault hashes and seals is no use to the server, which would know neither the key nor its account.
    """
    sealed = account.sealed_keys(tx)
    try:
        found = Vault.open(options.secret, options.data, make=not sealed)
    except FileNotFoundError:
        raise Problem("The secret of the keys in this database is missing: set HELIOGRAPH_SECRET.") from None
    if sealed and not any(map(found.unseal, sealed)):
        raise Problem("The keys in this database were sealed with another secret: set HELIOGRAPH_SECRET.")
    return found


def within(options: Settings, work: Callable[[Tx], T]) -> T:
    """Run `work` in a transaction of its own, beside a running server."""

    async def run() -> T:
        migrate.upgrade(database_url(options))
        database = Database(database_url(options))
        try:
            return await database.write(work)
        finally:
            await database.close()

    return asyncio.run(run())


def named(tx: Tx, username: str) -> Mapping[str, Any]:
    """The row of a user. Raises Problem."""
    row = account.find(tx, username)
    if row is None:
        raise Problem(f"There is no account {username!r}.")
    return row
