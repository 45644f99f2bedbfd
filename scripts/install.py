"""Installs what a lock file names, by pip, and says how far it is; what pip says is shown when it fails.

Usage: install.py LOCK [further arguments of pip install]
"""

import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from pathlib import Path

STEP = 5.0
"""Seconds between two lines."""


def main(lock: str, *more: str) -> int:
    """Run pip; its exit code."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    command += ["--require-hashes", "-r", lock, *more]
    total = len(re.findall(r"^[\w.-]+==", Path(lock).read_text(encoding="utf-8"), re.MULTILINE))
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603
        assert pip.stdout is not None
        said = follow(pip.stdout, total)
    if pip.returncode:
        show("".join(said))
    else:
        show(f"Installed what {lock} names, in {time.monotonic() - started:.0f} seconds.")
    if sys.stdout.isatty():
        sys.stdout.write("\n")
    return pip.returncode


def follow(lines: Iterable[str], total: int) -> list[str]:
    """Show what pip is at, of `total` packages; what it has said."""
    said, done, shown, over = [], 0, float("-inf"), threading.Event()
    for line in lines:
        said.append(line)
        word, _, rest = line.strip().partition(" ")
        total -= word == "Ignoring"  # it is for another system
        if word in ("Collecting", "Requirement"):
            done += 1
            if time.monotonic() > shown + STEP:
                name = re.split(r"[=<>! ;\[:]", rest.removeprefix("already satisfied: "))[0]
                show(f"Fetching {done} of {total}: {name}")
                shown = time.monotonic()
        elif line.startswith("Installing collected packages"):
            threading.Thread(target=count, args=(rest.count(",") + 1, over), daemon=True).start()
    over.set()
    return said


def count(total: int, over: threading.Event) -> None:
    """Show how many of `total` packages are there since the beginning: pip says nothing until it has all of them."""
    before, now = installed(), 0
    while not over.is_set():
        show(f"Installing {now} of {total}")
        over.wait(STEP)
        now = installed() - before


def installed() -> int:
    """How many packages there are."""
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def show(text: str) -> None:
    """Show a line; on a terminal it takes the place of the one before."""
    sys.stdout.write(f"\r\033[K{text}" if sys.stdout.isatty() else text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
