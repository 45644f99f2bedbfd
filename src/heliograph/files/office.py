"""LibreOffice: documents to PDF, with a profile that fetches nothing and runs nothing. In the worker process only."""

import subprocess
import sys
from pathlib import Path

from heliograph.files.task import Refused

FILTERS = {"docx": "MS Word 2007 XML", "doc": "MS Word 97", "rtf": "Rich Text Format", "txt": "Text (encoded):UTF8"}
"""Kind -> LibreOffice's import filter. Named, so that LibreOffice does not guess the kind and open the file as
another."""

_SCRIPTING = "/org.openoffice.Office.Common/Security/Scripting"
_CONTENT = "/org.openoffice.Office.Writer/Content/Update"
_HARDENED = (
    (_SCRIPTING, "BlockUntrustedRefererLinks", "true"),
    (_SCRIPTING, "DisableMacrosExecution", "true"),
    (_SCRIPTING, "MacroSecurityLevel", "3"),
    (_CONTENT, "Link", "0"),
    ("/org.openoffice.Office.Common/Save/Document", "LoadPrinter", "false"),
)
"""(path, option, value): linked pictures, templates and sections are not loaded, from the network or from disk."""

_ITEM = '<item oor:path="{}"><prop oor:name="{}" oor:op="fuse"><value>{}</value></prop></item>'
_PROFILE = (
    '<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry"'
    ' xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    + "".join(_ITEM.format(*one) for one in _HARDENED)
    + "</oor:items>"
)


def to_pdf(data: bytes, kind: str, folder: Path, soffice: str) -> bytes:
    """The document as PDF. Works in `folder`, an empty one. Raises Refused: not installed, cannot read the file."""
    if not soffice:
        raise Refused(f"This server cannot read {kind} files: LibreOffice is not installed.")
    user = folder / "profile" / "user"
    user.mkdir(parents=True)
    (user / "registrymodifications.xcu").write_text(_PROFILE, encoding="utf-8")
    source = folder / f"document.{kind}"
    source.write_bytes(data)
    command = [
        soffice,
        f"-env:UserInstallation={user.parent.as_uri()}",
        "--headless",
        "--norestore",
        "--nologo",
        "--nolockcheck",
        "--nodefault",
        f"--infilter={FILTERS[kind]}",
        "--convert-to",
        "pdf:writer_pdf_Export",
        "--outdir",
        str(folder),
        str(source),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    made = source.with_suffix(".pdf")
    if done.returncode or not made.exists():
        sys.stderr.write(f"soffice ended with {done.returncode}: {done.stderr[-1000:]!r}")
        raise Refused(f"The file could not be read as {kind}.")
    return made.read_bytes()
