"""The countries that an account has selected to send SMS and MMS to, and its agreement to their rules."""

from collections.abc import Collection, Sequence

from sqlalchemy import select

from heliograph import countries
from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.countries import Country
from heliograph.db.engine import Tx
from heliograph.db.tables import user_countries
from heliograph.errors import BadRequest

FIELD = "country_list_ids"


def allows(who: Principal, country: str, home_only: bool) -> bool:
    """Whether an account may send to a country (ISO alpha-2).

    Without a selection: anywhere, or when `home_only` to its default country.
    """
    if who.countries is not None:
        return country in who.countries
    return not home_only or country == who.country


def of(tx: Tx, user_id: int) -> Sequence[tuple[Country, int | None]]:
    """The selected countries by name, each with the Unix time of the agreement to its rules."""
    mine = select(user_countries.c.country, user_countries.c.agreed_at).where(user_countries.c.user_id == user_id)
    agreed = {row["country"]: row["agreed_at"] for row in tx.rows(mine)}
    return [(country, agreed[code]) for code, country in countries.reachable().items() if code in agreed]


def replace(tx: Tx, user_id: int, ids: Collection[int]) -> None:
    """Select exactly these countries; those that were selected before keep their agreement. Raises BadRequest."""
    wanted = _codes(ids)
    account.touch(
        tx
    )  # first, since it locks the user's row until the commit: two selections at once would insert the same rows
    before = {country.code for country, _ in of(tx, user_id)}
    mine = user_countries.c.user_id == user_id
    tx.execute(user_countries.delete().where(mine, user_countries.c.country.not_in(wanted)))
    added = [(user_id, code) for code in wanted if code not in before]
    tx.insert_rows("user_countries", ("user_id", "country"), added)


def agree(tx: Tx, user_id: int, ids: Collection[int] | None) -> None:
    """Agree to the rules of some selected countries, or of all. Raises BadRequest for one that is not selected."""
    chosen = {country.code for country, _ in of(tx, user_id)}
    wanted = chosen if ids is None else _codes(ids)
    if missing := sorted(set(wanted) - chosen):
        raise BadRequest({FIELD: f"These countries are not selected: {', '.join(missing)}."})
    mine = (user_countries.c.user_id == user_id) & user_countries.c.country.in_(wanted)
    tx.execute(user_countries.update().where(mine, user_countries.c.agreed_at.is_(None)).values(agreed_at=tx.now))


def _codes(ids: Collection[int]) -> list[str]:
    codes = {country.id: code for code, country in countries.reachable().items()}
    if unknown := sorted(set(ids) - codes.keys()):
        raise BadRequest({FIELD: f"Unknown country ids: {', '.join(map(str, unknown[:10]))}. See GET /country-list."})
    return sorted({codes[one] for one in ids})
