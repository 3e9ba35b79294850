"""Programs that no Python package brings: CI has them, elsewhere a test that needs one is left out."""

import os
import shutil
from pathlib import Path

import pytest


def needed(*names: str, package: str) -> Path:
    """The first of these programs that is on this machine.

    README's test command must pass on a fresh machine; with CI set, a program that is missing is a failure.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = next((one for name in names if (one := shutil.which(name, path=path))), None)
    if found is not None:
        return Path(found)
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {names[0]}: .ci/run installs it")
    pytest.skip(f"no {names[0]} on this machine (Debian: apt install {package}); CI has it")


def needed_library(name: str, *, package: str) -> Path:
    """Likewise a shared library."""
    found = next(iter(sorted(Path("/usr/lib").rglob(name))), None)
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {name}: .ci/run installs it")
    pytest.skip(f"no {name} on this machine (Debian: apt install {package}); CI has it")
