"""Programs that the tests talk to and that a machine may lack. `scripts/test-packages` installs them."""

import os
import shutil
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip the test for a component that is missing. In continuous integration that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(*names: str) -> str:
    """The path of the first of these programs that there is, also where only root has it in PATH; `lacking` if none."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is not None:
            return path
    lacking(f"not installed: {' or '.join(names)}")
