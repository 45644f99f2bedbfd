"""Commands that show what the built-in carriers have got: mails, pictures, calls."""

import shutil
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter

from heliograph.commands.base import PLACE, AsJson, Place
from heliograph.process import Problem
from heliograph.terminal import moment, show, table
from heliograph.transports.sandbox import mailsink, mmsfolder
from heliograph.transports.sandbox.phone import records as calls

mails = cyclopts.App(name="mail", help="Mails: those that the built-in carrier holds, and one handed in.")


@mails.default
def mail(*, where: Place = PLACE, as_json: AsJson = False) -> None:
    """Show what the built-in mail carrier holds, the newest last."""
    names = {"sender": "from", "recipient": "to", **{name: name for name in ("id", "at", "subject", "text", "files")}}
    found = mailsink.listing(mailsink.mail_folder(where.load().data))
    rows = [{shown: getattr(entry, name) for name, shown in names.items()} for entry in found]
    texts = [
        f"{moment(row['at'])}  {row['id']}  {row['from']} -> {row['to']}\nSubject: {row['subject']}\n"
        + (f"Attached: {', '.join(row['files'])}\n\n" if row["files"] else "\n")
        + "\n".join("    " + line for line in row["text"].splitlines())
        for row in rows
    ]
    show(as_json, rows, "\n\n".join(texts) if texts else "There are no mails.")


def mms(*, where: Place = PLACE, as_json: AsJson = False) -> None:
    """Show what the built-in MMS carrier has got, the newest last, and where its pictures lie."""
    folder = mmsfolder.mms_folder(where.load().data)
    rows = [{**msgspec.structs.asdict(one), "folder": str(folder / one.id)} for one in mmsfolder.listing(folder)]
    texts = [
        f"{moment(row['at'])}  {row['sender']} -> {row['recipient']}\nSubject: {row['subject']}\n"
        + "".join(f"\n    {line}" for line in row["text"].splitlines())
        + "".join(f"\n    {row['folder']}/{file}" for file in row["files"])
        for row in rows
    ]
    show(as_json, rows, "\n\n".join(texts) if texts else "There are no MMS.")


def phone(
    call_id: Annotated[str, Parameter(help="A call: where the sound of it is.")] = "",
    /,
    *,
    save: Annotated[str, Parameter(help="File to copy the sound of the call into, as WAV.")] = "",
    where: Place = PLACE,
    as_json: AsJson = False,
) -> None:
    """Show the calls that the built-in phone has taken, the newest last, or fetch what it heard of one."""
    folder = calls.phone_folder(where.load().data)
    if call_id:
        sound = calls.heard(folder, call_id)
        if sound is None:
            raise Problem(f"The built-in phone has heard nothing of a call {call_id!r}.")
        if save:
            shutil.copyfile(sound, save)
        place = save or str(sound)
        show(as_json, {"id": call_id, "sound": place}, place)
        return
    rows = [msgspec.structs.asdict(call) for call in calls.listing(folder)]
    texts = [{**row, "at": moment(row["at"]), "heard": f"{row['heard']:.1f} s"} for row in rows]
    show(as_json, rows, table(texts, rows[0]) if rows else "There were no calls.")
