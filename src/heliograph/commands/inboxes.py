"""Commands that show what the built-in carriers have got (mails, pictures, calls), and one that hands a mail in."""

import shutil
import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter

from heliograph.commands.base import PLACE, AsJson, Place
from heliograph.process import Problem, told
from heliograph.terminal import moment, show, table
from heliograph.transports.sandbox import mailsink, mmsfolder
from heliograph.transports.sandbox.phone import records as calls

mails = cyclopts.App(name="mail", help="Mails: those that the built-in carrier holds, and one handed in.")
PATIENCE = 60.0
"""Seconds that the mail server may take for an answer."""


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


@mails.command
def send(
    sender: Annotated[str, Parameter(name="FROM", help="Address that it comes from.")],
    recipient: Annotated[str, Parameter(name="TO", help="Address that it goes to, as 61411111111@ the reply domain.")],
    /,
    text: Annotated[str, Parameter(help="What it says; -: read it from standard input.")] = "Hello from a mail",
    *,
    subject: Annotated[str, Parameter(help="Its subject.")] = "",
    raw: Annotated[str, Parameter(help="A file with the whole mail, in place of text and subject.")] = "",
    where: Place = PLACE,
    as_json: AsJson = False,
) -> None:
    """Hand a mail in to the mail server of a running Heliograph, as another mail server does."""
    options = where.load()
    place, start = options.smtp_address, f"Start one: {told('serve', options)}"
    if not place.is_file():
        raise Problem(f"No mail server listens for this data folder. {start}")
    host, port = place.read_text().split()
    octets = Path(raw).read_bytes() if raw else _written(sender, recipient, subject, text)
    try:
        with smtplib.SMTP(host, int(port), timeout=PATIENCE) as client:
            client.ehlo()
            client.mail(sender, ["SMTPUTF8"] if not f"{sender}{recipient}".isascii() else ())
            code, said = client.rcpt(recipient)
            if code == 250:
                code, said = client.data(octets)
    except smtplib.SMTPException as problem:
        raise Problem(f"The mail server at {host}:{port} did not take it: {problem}.") from None
    except OSError as problem:  # it was killed, and could not take its address away
        why = problem.strerror or problem
        raise Problem(f"No mail server answers at {host}:{port}: {why}. {start}") from None
    answer = f"{code} {said.decode('utf-8', 'replace')}"
    if code != 250:
        raise Problem(f"It was refused: {answer}")
    show(as_json, {"answer": answer}, answer)


def _written(sender: str, recipient: str, subject: str, text: str) -> bytes:
    """The octets of a mail with this text. Raises Problem."""
    letter = EmailMessage(policy=SMTPUTF8)
    try:
        letter["From"], letter["To"], letter["Subject"] = sender, recipient, subject
        letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain="localhost")
    except ValueError as problem:
        raise Problem(f"That makes no mail: {problem}.") from None
    letter.set_content(sys.stdin.read() if text == "-" else text)
    return letter.as_bytes()


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
