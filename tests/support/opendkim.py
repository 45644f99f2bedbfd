"""Signatures as OpenDKIM sees them: a verifier that nobody here wrote. It takes the keys out of a file."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from support import installed

LONGEST_HEADER = 60_000
"""Octets of a header that it can read."""


def says(octets: bytes, records: Mapping[str, str], folder: Path) -> str:
    """ "good", "bad" or "none" of the signature of a mail. `records`: name in the DNS -> record of a key."""
    keys, configuration, mail = folder / "keys", folder / "opendkim.conf", folder / "mail.eml"
    keys.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    configuration.write_text(f"Mode v\nTestPublicKeys {keys}\n")
    mail.write_bytes(octets)
    command = [installed.program("opendkim"), "-x", configuration, "-t", mail]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    verdicts = {") succeeded": "good", ") failed": "bad", "message not signed": "none"}
    (found,) = {verdict for words, verdict in verdicts.items() if words in said} or {said}
    return found
