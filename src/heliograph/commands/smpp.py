"""Commands for the logins of ESMEs: customers that send over SMPP."""

from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from heliograph import audit
from heliograph.commands.base import STORE, AsJson, Store, Username, named, vault_of, within
from heliograph.db.engine import Tx
from heliograph.esme import login as logins
from heliograph.esme.login import Login
from heliograph.process import Problem
from heliograph.terminal import show, table

app = cyclopts.App(name="smpp", help="Logins of ESMEs: customers that send over SMPP.")
SystemId = Annotated[str, Parameter(help="Its system_id: at most 15 letters, digits, dots, hyphens, underscores.")]
MOST = 1000


@app.command
def add(
    system_id: SystemId,
    username: Username,
    /,
    *,
    subaccount: Annotated[str | None, Parameter(help="API username of the subaccount; without one, the main.")] = None,
    networks: Annotated[str, Parameter(help="Addresses or networks that it may bind from, by commas.")] = "",
    binds: Annotated[int, Parameter(help="Binds at once, in each process that serves.")] = 2,
    window: Annotated[int, Parameter(help="Unanswered submits that a bind may have.")] = 10,
    rate: Annotated[float, Parameter(help="Submits a second over its binds of a process; 0: any.")] = 0.0,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Let an ESME bind for an account, and print its password, which is shown this once."""
    if not 1 <= binds <= MOST or not 1 <= window <= MOST or not 0 <= rate <= 1_000_000:
        raise Problem(f"--binds and --window are from 1 to {MOST}, --rate is from 0 to 1000000.")
    options = where.load()

    def work(tx: Tx) -> dict[str, Any]:
        user_id = int(named(tx, username)["user_id"])
        made = Login(
            system_id=system_id,
            user_id=user_id,
            subaccount_id=logins.subaccount(tx, user_id, subaccount),
            password_hash="",
            networks=logins.networks_of(networks),
            binds=binds,
            window=window,
            rate=rate,
        )
        password = logins.add(tx, vault_of(tx, options), made)
        audit.record(tx, user_id, audit.CLI, "smpp.added", system_id)
        return {"system_id": system_id, "password": password}

    made = within(options, work)
    show(as_json, made, f"system_id {made['system_id']}\npassword  {made['password']}")


@app.command(name="list")
def list_logins(*, where: Store = STORE, as_json: AsJson = False) -> None:
    """Show who may bind, and how many deliver_sm wait for each."""
    found = within(where.load(), logins.listing)
    names = ("system_id", "username", "api_username", "networks", "binds", "window", "rate", "waiting")
    rows = [{name: row[name] for name in names} for row in found]
    show(as_json, rows, table(rows, names) if rows else "There are no SMPP logins.")


@app.command
def remove(system_id: SystemId, /, *, where: Store = STORE, as_json: AsJson = False) -> None:
    """End a login. Its binds are closed, and what waits for them is forgotten."""

    def work(tx: Tx) -> None:
        gone = logins.remove(tx, system_id)
        audit.record(tx, gone.user_id, audit.CLI, "smpp.removed", system_id)

    within(where.load(), work)
    show(as_json, {"system_id": system_id}, f"{system_id} may bind no more.")
