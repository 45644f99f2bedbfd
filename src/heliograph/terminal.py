"""What commands print: sentences and tables for people, JSON for programs.

Texts are read neither as markup nor as orders to the terminal: customers write some of them.
"""

import codecs
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


class _Output(Console):
    """Standard output, also when nobody reads it to its end (`| head`)."""

    def on_broken_pipe(self) -> None:
        """Leave out what follows. A command does what it was asked for, and a server goes on."""
        self.quiet = True
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # for what Python writes out at its end


out = _Output()
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


def give(octets: bytes) -> None:
    """Write octets to standard output as they are, also when nobody reads it to its end."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


def complain(why: str) -> None:
    """Print why a command failed, in one line on standard error."""
    told = Text.assemble(("heliograph: ", "bold red"), " ".join(harmless(why).split()))
    Console(stderr=True).print(told, soft_wrap=True)


def show(as_json: bool, value: Any, shown: str | Table) -> None:
    """Print `value` as JSON, or what is shown in its place: a table row by row if the terminal is too narrow for it."""
    if as_json:
        out.print_json(json.dumps(value), ensure_ascii=not _is_utf8(out.file))
    elif isinstance(shown, str):
        say(shown)
    elif out.is_terminal and not _fits(shown):
        say(_one_by_one(shown))
    else:
        (out if out.is_terminal else _Output(width=WIDE)).print(shown)


def _is_utf8(file: IO[str]) -> bool:
    """Whether every character can be written there; a file in memory has no encoding."""
    return codecs.lookup(getattr(file, "encoding", None) or "utf-8").name == "utf-8"


def table(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Table:
    """The columns `names` of the rows. Where a terminal is narrow, texts of several words are folded first."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    columns = {name: [_cell(row.get(name)) for row in rows] for name in names}
    for name, cells in columns.items():
        made.add_column(name, overflow="fold", no_wrap=not any(re.search(r"\s", cell.plain) for cell in cells))
    for row in zip(*columns.values(), strict=True):
        made.add_row(*row)
    return made


def _cell(value: Any) -> Text:
    return value if isinstance(value, Text) else Text(harmless(str(value)))


def _fits(shown: Table) -> bool:
    """Whether each word of a table (an id, an address) is in one piece in this terminal."""
    return Measurement.get(out, out.options.update(max_width=WIDE), shown).minimum <= out.width


def _one_by_one(shown: Table) -> str:
    """The rows of a table below each other, with a line for each cell."""
    rows = zip(*(column.cells for column in shown.columns), strict=True)
    names = [str(column.header) for column in shown.columns]
    return "\n\n".join(lines(dict(zip(names, row, strict=True))) for row in rows)


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
