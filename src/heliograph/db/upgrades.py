"""Migrations by Alembic. migrate.py imports it when a database is old."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection

from heliograph.errors import Unfit


def run(connection: Connection, folder: Path) -> list[str]:
    """Run, within its transaction, the migrations of a folder that a database lacks; their ids. Raises Unfit."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    try:
        before = MigrationContext.configure(connection).get_current_revision()
        script = ScriptDirectory.from_config(config)
        pending = [step.revision for step in script.iterate_revisions("heads", before)]
        if pending:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (CommandError, RevisionError) as problem:
        raise Unfit(str(problem)) from problem
    return pending[::-1]
