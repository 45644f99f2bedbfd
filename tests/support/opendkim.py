"""Signatures as OpenDKIM sees them: a verifier that nobody here wrote. It takes the keys out of a file."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

LONGEST_HEADER = 60_000
"""Octets of a header that it can read."""


def program() -> str:
    """Where it is. Skips the test where it is missing, but fails in continuous integration."""
    path = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin")
    if path is None:
        reason = "opendkim is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return path


def says(octets: bytes, records: Mapping[str, str], folder: Path) -> str:
    """ "good", "bad" or "none" of the signature of a mail. `records`: name in the DNS -> record of a key."""
    keys, configuration, mail = folder / "keys", folder / "opendkim.conf", folder / "mail.eml"
    keys.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    configuration.write_text(f"Mode v\nTestPublicKeys {keys}\n")
    mail.write_bytes(octets)
    command = [program(), "-x", configuration, "-t", mail]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    verdicts = {") succeeded": "good", ") failed": "bad", "message not signed": "none"}
    (found,) = {verdict for words, verdict in verdicts.items() if words in said} or {said}
    return found
