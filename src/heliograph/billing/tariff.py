"""The rates in force: the newest imported file, else the one that comes with the program."""

from weakref import WeakKeyDictionary

from sqlalchemy import select

from heliograph.billing.prices import Rates, RatesError, default
from heliograph.db.dialect import Dialect
from heliograph.db.engine import Tx
from heliograph.db.epochs import ACCESS, bump, value
from heliograph.db.tables import epochs, rates, users

_parsed: WeakKeyDictionary[Dialect, tuple[int, Rates]] = WeakKeyDictionary()
"""Parsed rates, by the dialect of a connection, since a process may have more than one database."""


def rates_of(tx: Tx) -> Rates:
    """The rates in force in this transaction (parsed once for an import and a connection)."""
    version = value(tx, "rates")
    if not version:
        return default()
    known = _parsed.get(tx.dialect)
    if known is None or known[0] != version:
        text = tx.scalar(select(rates.c.text).where(rates.c.rates_id == version))
        known = _parsed[tx.dialect] = version, Rates.parse(text)
    return known[1]


def import_rates(tx: Tx, text: str) -> Rates:
    """Put a rates file in force from the next transaction on. Raises RatesError for a wrong one."""
    parsed = Rates.parse(text)
    used = {row[0] for row in tx.execute(select(users.c.currency).distinct())}
    priced = {key for key in rates_of(tx).prices if key[2] in used}
    if lost := priced - parsed.prices.keys():
        names = ", ".join(sorted(f"{currency}.{channel}.{kind}" for channel, kind, currency in lost))
        raise RatesError(f"There are accounts that pay by {names}, which the file does not price.")
    made = tx.scalar(
        rates.insert().values(version=parsed.version, text=text, imported_at=tx.now).returning(rates.c.rates_id)
    )
    if tx.execute(epochs.update().where(epochs.c.name == "rates").values(value=made)).rowcount == 0:
        tx.execute(epochs.insert().values(name="rates", value=made))
    bump(tx, ACCESS)  # cached principals hold the discount of their package
    return parsed
