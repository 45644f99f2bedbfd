"""The command that takes apart a mail that the built-in carrier holds."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from heliograph.commands.base import STORE, AsJson, Store, within
from heliograph.mail import domains, inspection
from heliograph.mail.inspection import Inspected, Part, Verdict
from heliograph.process import Problem
from heliograph.settings import Settings
from heliograph.terminal import give, say, show
from heliograph.transports.sandbox import mailsink

Out = Annotated[str, Parameter(help="File to write the mail or the part into, in place of standard output.")]


def show_mail(
    mail_id: Annotated[str, Parameter(name="ID", help="The mail, as heliograph mail names it.")],
    /,
    *,
    raw: Annotated[bool, Parameter(help="Print the mail as it is.", negative="", show_default=False)] = False,
    part: Annotated[int | None, Parameter(help="Print what a part holds, by its number.")] = None,
    out: Out = "",
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show a mail of the built-in carrier: its headers, parts and links, and whether its signature is good."""
    options = where.load()
    octets = mailsink.find(mailsink.mail_folder(options.data), mail_id)
    if octets is None:
        raise Problem(f"There is no mail {mail_id!r}. What there is shows: heliograph mail")
    if raw:
        _give(octets, out)
        return
    try:
        mail = inspection.inspect(octets)
    except RecursionError:
        raise Problem("The parts of this mail lie too deep to be told apart. With --raw it is printed.") from None
    if part is None:
        _show(mail_id, mail, _verdicts(options, octets), as_json)
    else:
        _give(_held(mail, part), out)


def _held(mail: Inspected, number: int) -> bytes:
    """What a part holds. Raises Problem."""
    if not 1 <= number <= len(mail.parts):
        raise Problem(f"The mail has no part {number}: they are 1 to {len(mail.parts)}.")
    octets = mail.parts[number - 1].octets
    if octets is None:
        raise Problem(f"Part {number} holds nothing but other parts.")
    return octets


def _give(octets: bytes, out: str) -> None:
    """Write octets into a file or to standard output. A terminal gets texts only, and no orders."""
    if out:
        Path(out).write_bytes(octets)
        return
    if not sys.stdout.isatty():
        give(octets)
        return
    if b"\0" in octets:
        raise Problem("This is no text. Name a file for it with --out.")
    say(octets.decode("utf-8", "replace").replace("\r\n", "\n"))


def _verdicts(options: Settings, octets: bytes) -> tuple[Verdict, ...]:
    records = dict(map(domains.published, within(options, domains.listing)))
    return inspection.verdicts(octets, records)


def _show(mail_id: str, mail: Inspected, verdicts: tuple[Verdict, ...], as_json: bool) -> None:
    heads = [f"{name}: {value}" for name, value in mail.headers]
    parts = [_line(part) for part in mail.parts]
    targets = [f"{target.element:4}  {target.url}" for target in mail.targets]
    signed = [str(one) for one in verdicts] or ["no signature"]
    blocks = {"Headers": heads, "Parts": parts, "Links": [*targets, *filter(None, [mail.unread])], "DKIM": signed}
    text = "\n\n".join(
        f"{title}\n" + "\n".join(f"  {line}" for line in lines) for title, lines in blocks.items() if lines
    )
    parts_told = [
        {**msgspec.structs.asdict(part), "octets": None if part.octets is None else len(part.octets)}
        for part in mail.parts
    ]
    value = {
        "id": mail_id,
        "headers": mail.headers,
        "parts": parts_told,
        "links": msgspec.to_builtins(mail.targets),
        "dkim": msgspec.to_builtins(verdicts),
    }
    show(as_json, value, text)


def _line(part: Part) -> str:
    """One line of the tree of parts."""
    size = "" if part.octets is None else f"{len(part.octets)} bytes"
    told = (part.content_type, part.disposition, part.name, f"cid:{part.content_id}" if part.content_id else "", size)
    return f"{part.number:3}  {'  ' * part.depth}" + "  ".join(filter(None, told))
