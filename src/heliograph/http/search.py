"""`q`, `operator` and `order_by` over declared columns. Source: api-v3, "Searching and Sorting"."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, asc, cast, desc, func, or_, select

from heliograph.errors import BadRequest
from heliograph.http.paging import Window
from heliograph.http.request import Request

Columns = Mapping[str, ColumnElement[Any]]


def condition(req: Request, columns: Columns) -> ColumnElement[bool] | None:
    r"""What `q` asks for, or None. `field:value` pairs by commas; `\,` is a comma in a value; `*` matches anything.

    Case-insensitive. Raises BadRequest that names the known fields.
    """
    text = req.query.get("q", "").strip()
    if not text:
        return None
    parts = [_one(pair, columns) for pair in re.split(r"(?<!\\),", text) if pair.strip()]
    if not parts:
        return None
    operator = req.query.get("operator", "AND").strip().upper() or "AND"
    if operator not in ("AND", "OR"):
        raise BadRequest({"operator": "Operator must be AND or OR."})
    return or_(*parts) if operator == "OR" else and_(*parts)


def _one(pair: str, columns: Columns) -> ColumnElement[bool]:
    name, found, value = pair.partition(":")
    column = _column(name, columns, "q")
    if not found:
        raise BadRequest({"q": f"Write the search as field:value, not {pair.strip()[:50]!r}."})
    value = value.replace("\\,", ",").strip().lower()
    if "\x00" in value:
        raise BadRequest({"q": "The search contains characters that cannot be stored."})
    as_text = func.lower(cast(column, String))
    if "*" not in value:
        return as_text == value
    pattern = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return as_text.like(pattern, escape="\\")


def _column(name: str, columns: Columns, where: str) -> ColumnElement[Any]:
    column = columns.get(name.strip().lower())
    if column is None:
        known = ", ".join(columns)
        raise BadRequest({where: f"Unknown field {name.strip()[:50]!r}. Known fields: {known}."})
    return column


def order(req: Request, columns: Columns) -> tuple[str, bool] | None:
    """(field, descending) of `order_by` (or `order`), or None. Raises BadRequest."""
    text = (req.query.get("order_by") or req.query.get("order") or "").strip()
    if not text:
        return None
    name, _, way = text.partition(":")
    _column(name, columns, "order_by")
    if way.strip().lower() not in ("", "asc", "desc"):
        raise BadRequest({"order_by": "Write the order as field:asc or field:desc."})
    return name.strip().lower(), way.strip().lower() == "desc"


def rows(
    req: Request, base: Select[Any], columns: Columns, shown: Window, default: tuple[str, bool]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """(total, rows of the page) of a selection with what the request searches and sorts by.

    For lists that stay small or are being searched: the total is counted.
    """
    wanted = condition(req, columns)
    if wanted is not None:
        base = base.where(wanted)
    field, descending = order(req, columns) or default
    total = int(req.tx.scalar(select(func.count()).select_from(base.subquery())))
    ordered = base.order_by(
        (desc if descending else asc)(columns[field]), (desc if descending else asc)(columns[default[0]])
    )
    return total, req.tx.rows(ordered.limit(shown.limit).offset(min(shown.offset, total)))
