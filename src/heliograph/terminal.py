"""What commands print: sentences and tables for people, JSON for programs.

Texts are read neither as markup nor as orders to the terminal: customers write some of them.
"""

import codecs
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console()
WIDE = 1000
"""Columns of a table that is read by a program: nothing is folded."""


def say(text: str) -> None:
    """Print a text as it is; the terminal breaks its lines."""
    out.print(Text(harmless(text)), soft_wrap=True)


_ORDERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""


def harmless(text: str) -> str:
    """A text in which what would command the terminal is a mark that can be seen."""
    return _ORDERS.sub("\ufffd", text)


def complain(why: str) -> None:
    """Print why a command failed, in one line on standard error."""
    told = Text.assemble(("heliograph: ", "bold red"), " ".join(harmless(why).split()))
    Console(stderr=True).print(told, soft_wrap=True)


def show(as_json: bool, value: Any, shown: str | Table) -> None:
    """Print `value` as JSON, or what is shown in its place."""
    if as_json:
        out.print_json(json.dumps(value), ensure_ascii=not _is_utf8(out.file))
    elif isinstance(shown, str):
        say(shown)
    else:
        (out if out.is_terminal else Console(width=WIDE)).print(shown)


def _is_utf8(file: IO[str]) -> bool:
    """Whether every character can be written there; a file in memory has no encoding."""
    return codecs.lookup(getattr(file, "encoding", None) or "utf-8").name == "utf-8"


def table(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Table:
    """The columns `names` of the rows."""
    columns = list(names)
    made = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(harmless(str(cell))) for cell in map(row.get, columns)))
    return made


def lines(values: Mapping[str, Any]) -> str:
    """Names and values, a line each; further lines of a value stand below its first one."""
    wide = max(map(len, values), default=0) + 2
    texts = {
        name: "" if value is None else str(value).replace("\n", "\n" + " " * wide) for name, value in values.items()
    }
    return "\n".join(f"{name:{wide}}{text}".rstrip() for name, text in texts.items())


def moment(at: float) -> str:
    """A Unix time in the time zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
