"""Commands that show messages: the newest of an account, and one with what happened to it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter

from heliograph import phone
from heliograph.accounts import account
from heliograph.billing import prices
from heliograph.channels.email import sends
from heliograph.commands.base import STORE, AsJson, Store, Username, named, within
from heliograph.db.engine import Tx
from heliograph.mailaddress import in_ascii, small
from heliograph.messaging import history, message
from heliograph.messaging.rows import Message
from heliograph.process import Problem
from heliograph.terminal import lines, moment, out, say, show, table

app = cyclopts.App(name="messages", help="Messages, and what became of them.")
LISTED = ("message_id", "channel", "sender", "recipient", "status", "status_text", "body")
SHORT = 40
"""Characters of a text in a list."""


@app.command(name="list")
def list_messages(
    username: Username,
    /,
    *,
    to: Annotated[
        str | None, Parameter(help="Only those to this recipient: a number as in the account's country, or an address.")
    ] = None,
    limit: Annotated[int, Parameter(help="Most messages to show.")] = 20,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show the newest messages of an account, the newest first."""
    if not 0 < limit <= 10_000:
        raise Problem(f"--limit={limit}: it must be an integer from 1 to 10000.")

    def work(tx: Tx) -> list[dict[str, Any]]:
        user = named(tx, username)
        rows = history.newest(tx, user["user_id"], limit, to if to is None else _recipients(to, user["country"]))
        return [{"date": row["date"], **{name: row[name] for name in LISTED}} for row in rows]

    found = within(where.load(), work)
    rows = [{**row, "date": moment(row["date"]), "body": _short(row["body"])} for row in found]
    names = ("date", "message_id", "channel", "sender", "recipient", "status", "body")
    show(as_json, found, table(rows, names) if rows else "There are no messages.")


def _recipients(text: str, country: str) -> set[str]:
    """Every spelling in which the recipient may be kept whom an account of `country` writes so. Raises Problem."""
    if found := phone.parse(text, country):
        return phone.spellings(found.number) | {found.number}
    address = in_ascii(text.strip())
    if address is None:
        raise Problem("--to: this is no number and no address.")
    return {small(address), address.lower()}  # SQLite makes letters of ASCII small, PostgreSQL all of them


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"


@app.command(name="show")
def show_message(
    message_id: Annotated[str, Parameter(help="Its id, in any case.")],
    /,
    *,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show a message and its timeline: each step, with the carrier's own words."""
    found = within(where.load(), lambda tx: _found(tx, message_id.strip().upper()))
    about = {**found, "date": moment(found["date"]), "schedule": moment(found["schedule"])}
    steps = [{**step, "at": moment(step["at"])} for step in about.pop("timeline")]
    if as_json:
        show(as_json, found, "")
        return
    say(lines({name: value for name, value in about.items() if value not in (None, "")}))
    out.print()
    show(as_json, steps, table(steps, ("at", "status", "detail")))


def _found(tx: Tx, message_id: str) -> dict[str, Any]:
    """A message of whatever account. Raises Problem."""
    for user_id in message.owners(tx, message_id):
        row = message.find(tx, user_id, message_id)
        if row is not None:
            steps = message.timeline(tx, user_id, message_id)
            return {**_about(account.row(tx, user_id), row), "timeline": _told(steps)}
    for user_id in sends.owners(tx, message_id):
        mail, steps = sends.find(tx, user_id, message_id), sends.timeline(tx, user_id, message_id)
        if mail is not None:
            return {**_about_send(account.row(tx, user_id), mail), "timeline": _told(steps)}
    raise Problem(f"There is no message {message_id!r}.")


def _told(steps: Sequence[tuple[float, str, str]]) -> list[dict[str, Any]]:
    return [{"at": round(at, 3), "status": status, "detail": detail} for at, status, detail in steps]


def _about_send(user: Mapping[str, Any], mail: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a mail with all its recipients, each of whom is a message as well."""
    same = ("message_id", "date", "schedule", "sender", "to", "cc", "bcc", "subject", "status")
    counts = ("status_text", "soft_bounce_count", "hard_bounce_count", "custom_string")
    mail = {**mail, **{name: _addresses(mail[f"{name}_array"]) for name in ("to", "cc", "bcc")}}
    price = f"{prices.fixed(mail['price_micros'], 4)} {mail['currency']}"
    return {"account": user["username"], **{name: mail[name] for name in (*same, *counts)}, "price": price}


def _addresses(listed: str | None) -> str:
    return ", ".join(one["email"] for one in msgspec.json.decode(listed)) if listed else ""


def _about(user: Mapping[str, Any], row: Message) -> dict[str, Any]:
    """What a message is: its row without what is for us only, the account's name, the price in its currency."""
    whole = msgspec.structs.asdict(row)
    for ours in ("user_id", "ordinal", "msisdn", "receipts_left", "price_micros", "details", "list_id", "contact_id"):
        del whole[ours]
    return {
        "message_id": whole.pop("message_id"),
        "account": user["username"],
        **whole,
        "price": f"{prices.fixed(row.price_micros, 4)} {user['currency']}",
    }
