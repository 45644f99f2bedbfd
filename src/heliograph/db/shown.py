"""Columns that lists can be searched and sorted by, as the answers show them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, case, cast, func


class Shown(NamedTuple):
    """A column that answers show in another form than it is stored: sorted as stored, searched as shown.

    With a `unit`, `stored` is a whole number of 1/unit, and any spelling of the same amount finds it: 0.07, 0.0700.
    `exact` is a column that sorts as `stored` does and is never the same in two rows.
    """

    stored: ColumnElement[Any]
    text: ColumnElement[Any]
    unit: int = 0
    exact: ColumnElement[Any] | None = None


Columns = Mapping[str, ColumnElement[Any] | Shown]
"""What a list can be searched and sorted by: the name of a field in the answer -> its column."""


def decimals(column: ColumnElement[int], digits: int, unit: int = 1) -> Shown:
    """A whole number of 1/unit that is shown with `digits` decimals, one or more.

    Half a last digit is rounded away from zero, as `prices.fixed` does.
    """
    scale = 10**digits
    step = unit // scale
    rounded = (func.abs(column) + step // 2) // step if step else func.abs(column) * (scale // unit)
    sign = case(((column < 0) & (rounded > 0), "-"), else_="")
    part = func.substr(cast(scale + rounded % scale, String), 2)
    return Shown(column, sign + cast(rounded // scale, String) + "." + part, unit)
