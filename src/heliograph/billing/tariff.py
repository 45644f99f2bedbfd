"""The rates in force: the newest imported file, else the one that comes with the program."""

from sqlalchemy import select

from heliograph.billing.prices import Rates, RatesError, default
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs, rates, users

_cached: dict[int, Rates] = {}


def rates_of(tx: Tx) -> Rates:
    """The rates in force in this transaction (parsed once per import and process)."""
    row = tx.driver("SELECT value FROM epochs WHERE name = 'rates'").fetchone()
    if row is None:
        return default()
    version = int(row[0])
    if version not in _cached:
        text = tx.scalar(select(rates.c.text).where(rates.c.rates_id == version))
        _cached.clear()
        _cached[version] = Rates.parse(text)
    return _cached[version]


def import_rates(tx: Tx, text: str) -> Rates:
    """Put a rates file in force from the next transaction on. Raises RatesError for a wrong one."""
    parsed = Rates.parse(text)
    used = {row[0] for row in tx.execute(select(users.c.currency).distinct())}
    if lost := used - parsed.currencies:
        raise RatesError(f"There are accounts in {', '.join(sorted(lost))}, which the file does not price.")
    made = tx.scalar(
        rates.insert().values(version=parsed.version, text=text, imported_at=tx.now).returning(rates.c.rates_id)
    )
    if tx.execute(epochs.update().where(epochs.c.name == "rates").values(value=made)).rowcount == 0:
        tx.execute(epochs.insert().values(name="rates", value=made))
    return parsed
