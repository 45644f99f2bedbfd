"""What all tables share."""

from sqlalchemy import BigInteger, Index, Integer, MetaData, text

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

metadata, sqlite_metadata = MetaData(naming_convention=NAMES), MetaData(naming_convention=NAMES)
"""The tables of both databases, and those that only SQLite has."""

POSTGRESQL_ONLY = {"only": "postgresql"}
"""What `Index.info` says of an index that SQLite does not have."""

Id = BigInteger().with_variant(Integer, "sqlite")
"""A generated key: INTEGER PRIMARY KEY is what SQLite numbers by itself."""


def some(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that a condition holds for."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
