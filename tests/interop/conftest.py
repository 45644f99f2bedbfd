"""Programs that nobody here wrote: where they are missing the tests skip, but in continuous integration they fail."""

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def require() -> Callable[[str], str]:
    """Gives the path of a program: `require("bearerbox")`."""

    def find(program: str) -> str:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        if path is None:
            reason = f"{program} is not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find
