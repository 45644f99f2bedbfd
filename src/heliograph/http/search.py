"""`q`, `operator` and `order_by` over declared columns. Source: api-v3, "Searching and Sorting"."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, String, and_, asc, cast, desc, func, literal, or_, select

from heliograph.db.shown import Columns, Shown
from heliograph.errors import BadRequest
from heliograph.http import paging
from heliograph.http.paging import Window
from heliograph.http.request import Reply, Request

LONGEST, MOST_PAIRS = 2000, 50
"""Characters and pairs of a search: more of them would be more than a database takes in one condition."""

_PAIR = re.compile(r"(?:\\[\\,*]|[^,])+")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_MARK = re.compile(r"\\[\\,*]|.", re.DOTALL)


def asked(req: Request) -> bool:
    """Whether the request searches or sorts at all."""
    return any(req.query.get(name, "").strip() for name in ("q", "operator", "order_by", "order"))


def condition(req: Request, columns: Columns) -> ColumnElement[bool] | None:
    r"""What `q` asks for, or None: `field:value` pairs by commas, in any case. `*` in a value stands for any text.

    `\,`, `\*` and `\\` in a value are the characters themselves. Raises BadRequest that names the known fields.
    """
    text = req.query.get("q", "").strip()
    operator = req.query.get("operator", "").strip().upper() or "AND"
    if operator not in ("AND", "OR"):
        raise BadRequest({"operator": "Operator must be AND or OR."})
    pairs = [pair for pair in _PAIR.findall(text) if pair.strip()]
    if len(text) > LONGEST or len(pairs) > MOST_PAIRS:
        raise BadRequest({"q": f"A search has at most {LONGEST} characters and {MOST_PAIRS} pairs."})
    parts = [_one(pair, columns) for pair in pairs]
    if not parts:
        return None
    return or_(*parts) if operator == "OR" else and_(*parts)


def _one(pair: str, columns: Columns) -> ColumnElement[bool]:
    name, colon, value = pair.partition(":")
    column = _column(name, columns, "q")
    if not colon:
        raise BadRequest({"q": f"Write the search as field:value, not {pair.strip()[:50]!r}."})
    if "\x00" in value:
        raise BadRequest({"q": "The search contains characters that cannot be stored."})
    marks = _MARK.findall(value.strip())
    text_shown = func.coalesce(cast(column.text, String), "")
    if "*" not in marks:
        text = "".join(mark[-1] for mark in marks)
        same = [text_shown == text, func.lower(text_shown).in_(_lowered(text))]
        if column.unit and _DECIMAL.fullmatch(text):
            worth = Decimal(text) * column.unit
            same += [column.stored == literal(int(worth), BigInteger)] if worth == int(worth) else []
        return or_(*same)
    pattern = "".join("%" if mark == "*" else _LITERAL.get(mark[-1], mark[-1]) for mark in marks)
    return or_(*(func.lower(text_shown).like(lower, escape="\\") for lower in _lowered(pattern)))


_LITERAL = {"\\": "\\\\", "%": "\\%", "_": "\\_"}
"""What LIKE would take for something else."""


def _lowered(text: str) -> list[str]:
    """What a database may make of a text with LOWER: SQLite (and PostgreSQL in the C locale) only knows A to Z."""
    return sorted({text.lower(), re.sub("[A-Z]+", lambda letters: letters.group().lower(), text)})


def _column(name: str, columns: Columns, where: str) -> Shown:
    column = columns.get(name.strip().lower())
    if column is None:
        known = ", ".join(columns)
        raise BadRequest({where: f"Unknown field {name.strip()[:50]!r}. Known fields: {known}."})
    return column if isinstance(column, Shown) else Shown(column, column)


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


def page(
    req: Request,
    base: Select[Any],
    columns: Columns,
    default: tuple[str, bool],
    render: Callable[[Mapping[str, Any]], Any],
) -> Reply:
    """The answer of a list endpoint: the page of a selection that the request asks for, searches and sorts by.

    `default` is the order without `order_by`: (field, descending). Raises BadRequest.
    """
    window = paging.window(req)
    total, rows = select_rows(req, base, columns, window, default)
    return Reply(paging.page(req, window, total, rows, render))


def select_rows(
    req: Request, base: Select[Any], columns: Columns, window: Window, default: tuple[str, bool]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """(total, rows of the page) of a selection with what the request searches and sorts by.

    For lists that stay small or are being searched: the total is counted.
    """
    wanted = condition(req, columns)
    if wanted is not None:
        base = base.where(wanted)
    field, descending = order(req, columns) or default
    total = int(req.tx.scalar(select(func.count()).select_from(base.subquery())))
    way = desc if descending else asc
    ordered = base.order_by(*(way(_column(name, columns, "order_by").stored) for name in (field, default[0])))
    return total, req.tx.rows(ordered.limit(window.limit).offset(min(window.offset, total)))
