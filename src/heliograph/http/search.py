"""`q`, `operator` and `order_by` over declared columns. Source: api-v3, "Searching and Sorting"."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import BigInteger, ColumnElement, Select, String, and_, asc, cast, desc, func, literal, or_, select

from heliograph.db.shown import Columns, Shown
from heliograph.errors import BadRequest
from heliograph.http import paging
from heliograph.http.paging import Window
from heliograph.http.request import Reply, Request

LONGEST, MOST_PAIRS = 2000, 50
"""Characters and pairs of a search: more of them would be more than a database takes in one condition."""
LONGEST_NAME, MOST_NAMES = 60, 20
"""Characters and names in the header of what was ignored: proxies take some kilobytes of headers."""

_PAIR = re.compile(r"(?:\\[\\,*]|[^,])+")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_FIELD = re.compile(r"[^,]+")
_MARK = re.compile(r"\\[\\,*]|.", re.DOTALL)


class Search(NamedTuple):
    """What a request searches and sorts by, as far as the list knows the fields."""

    where: ColumnElement[bool] | None
    orders: tuple[tuple[str, bool], ...]
    """(field, descending), the first one first; each field once."""


def read(req: Request, columns: Columns) -> Search:
    """The search of a request. What it cannot use is left out and named in `req.ignored`. Raises BadRequest.

    Unknown fields, and fields without a value or with no such direction, come from clients that always send the
    parameters (`q=field_name`). They filter and sort nothing, and the answer is a 200. Source: clients 1.
    """
    where, unfit = condition(req, columns)
    orders, unsorted = order(req, columns)
    req.ignored = tuple(dict.fromkeys(unfit + unsorted))
    return Search(where, orders)


def asked(req: Request, columns: Columns) -> bool:
    """Whether the request searches or sorts by anything that the list has. Raises BadRequest."""
    found = read(req, columns)
    return found.where is not None or bool(found.orders)


def condition(req: Request, columns: Columns) -> tuple[ColumnElement[bool] | None, list[str]]:
    r"""(what `q` asks for, fields of it that filter nothing): `field:value` pairs by commas, in any case.

    `*` in a value stands for any text; `\,`, `\*` and `\\` are the characters themselves. Raises BadRequest.
    """
    operator = req.query.get("operator", "").strip().upper() or "AND"
    if operator not in ("AND", "OR"):
        raise BadRequest({"operator": "Operator must be AND or OR."})
    parts, unfit = [], []
    for pair in _pieces(req, "q", _PAIR):
        name, _, value = pair.partition(":")
        if name.strip().lower() in columns and value.strip():
            parts.append(_one(_known(name.strip().lower(), columns), value.strip()))
        else:
            unfit.append(name.strip() or pair.strip())
    if not parts:
        return None, unfit
    return (or_(*parts) if operator == "OR" else and_(*parts)), unfit


def order(req: Request, columns: Columns) -> tuple[tuple[tuple[str, bool], ...], list[str]]:
    """((field, descending) of `order_by` or `order`, fields of it that sort nothing). Raises BadRequest."""
    text = req.query.get("order_by", "")
    given = "order_by" if text.strip() or len(text) > LONGEST else "order"
    orders: dict[str, bool] = {}
    unfit = []
    for pair in _pieces(req, given, _FIELD):
        name, _, way = (part.strip().lower() for part in pair.partition(":"))
        if name in columns and way in ("", "asc", "desc"):
            orders.setdefault(name, way == "desc")
        else:
            unfit.append(pair.partition(":")[0].strip() or pair.strip())
    return tuple(orders.items()), unfit


def _pieces(req: Request, parameter: str, piece: re.Pattern[str]) -> list[str]:
    """What stands between the commas of a parameter. Raises BadRequest."""
    text = req.query.get(parameter, "")  # spaces count too, as the API document has it
    pieces = [found for found in piece.findall(text[: LONGEST + 1]) if found.strip()]
    if len(text) > LONGEST or len(pieces) > MOST_PAIRS:
        raise BadRequest({parameter: f"A search has at most {LONGEST} characters and {MOST_PAIRS} pairs."})
    return pieces


def _one(column: Shown, value: str) -> ColumnElement[bool]:
    if "\x00" in value:
        raise BadRequest({"q": "The search contains characters that cannot be stored."})
    marks = _MARK.findall(value)
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


def _known(name: str, columns: Columns) -> Shown:
    column = columns[name]
    return column if isinstance(column, Shown) else Shown(column, column)


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
    found = read(req, columns)
    if found.where is not None:
        base = base.where(found.where)
    total = int(req.tx.scalar(select(func.count()).select_from(base.subquery())))
    ordered = base.order_by(*_sorted(found.orders or (default,), default[0], columns))
    return total, req.tx.rows(ordered.limit(window.limit).offset(min(window.offset, total)))


def _sorted(orders: Sequence[tuple[str, bool]], unique: str, columns: Columns) -> Iterator[ColumnElement[Any]]:
    """The columns to sort by. Rows that are alike in all of them come in the order of the field `unique`."""
    last, descending = orders[-1]
    for name, down in orders[:-1]:
        yield _way(_known(name, columns).stored, down)
    for name in dict.fromkeys((last, unique)):
        column = _known(name, columns)
        yield _way(column.stored if column.exact is None else column.exact, descending)


def _way(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    way: ColumnElement[Any] = desc(column) if descending else asc(column)
    return way


def header(ignored: Sequence[str]) -> tuple[bytes, bytes]:
    """The header that names the fields which a search did not use, percent-encoded where they are no plain words."""
    names = [quote(name)[:LONGEST_NAME] for name in ignored[:MOST_NAMES]]
    more = ["..."] * (len(ignored) > MOST_NAMES)
    return b"x-search-ignored", ", ".join(names + more).encode()
