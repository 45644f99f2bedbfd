"""Commands about short links: kill one, let it live again."""

import re
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from heliograph import audit
from heliograph.commands.base import STORE, AsJson, Store, within
from heliograph.db.engine import Tx
from heliograph.links import register
from heliograph.links.link import STOP
from heliograph.process import Problem
from heliograph.terminal import show

app = cyclopts.App(name="links", help="Short links in messages.")
Code = Annotated[str, Parameter(help="Its code, or the link as the message has it.")]
Everywhere = Annotated[
    bool,
    Parameter(help="With all links of the account that lead to the same URL.", negative="", show_default=False),
]


@app.command
def disable(code: Code, /, *, everywhere: Everywhere = False, where: Store = STORE, as_json: AsJson = False) -> None:
    """Kill a link: from now on it leads nowhere."""
    _switch(code, where, as_json, disabled=True, everywhere=everywhere)


@app.command
def enable(code: Code, /, *, everywhere: Everywhere = False, where: Store = STORE, as_json: AsJson = False) -> None:
    """Let a link that was killed lead to its URL again."""
    _switch(code, where, as_json, disabled=False, everywhere=everywhere)


def _switch(code: str, where: Store, as_json: bool, *, disabled: bool, everywhere: bool) -> None:
    code = re.split("[?#]", code)[0].rstrip("/").rpartition("/")[2]

    def work(tx: Tx) -> tuple[str, int]:
        link = register.find(tx, [code]).get(code)
        if link is None:
            raise Problem(f"There is no link {code!r}.")
        if link.kind == STOP:
            raise Problem("People opt out by this link. It cannot be killed.")
        changed = register.switch(tx, link, disabled=disabled, everywhere=everywhere)
        said = f"{link.url}: {changed} links" if everywhere else code
        audit.record(tx, link.user_id, audit.CLI, "links disabled" if disabled else "links enabled", said)
        return link.url, changed

    url, changed = within(where.load(), work)
    done = "killed" if disabled else "enabled"
    text = f"{changed} link{'' if changed == 1 else 's'} to {url} {done}." if changed else f"It was {done} before."
    show(as_json, {"code": code, "url": url, "changed": changed, "disabled": disabled}, text)
