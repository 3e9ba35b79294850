"""Programs that no Python package brings.

README's test command must pass on a fresh machine that has nothing but Python and the package registry, and no
package there brings MariaDB, a browser, promtool or systemd-analyze: there, and only there, the few tests that are
about these programs are left out, each by its name. CI installs all of them (``.ci/run``) and sets ``CI``, with which a
program that is missing is a failure; so nothing can be left out where it is decided what lands.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def needed(*names: str, package: str) -> Path:
    """The first of these programs that is on this machine; else as ``missing``."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = next((one for name in names if (one := shutil.which(name, path=path))), None)
    return Path(found) if found is not None else missing(names[0], package=package)


def needed_library(name: str, *, package: str) -> Path:
    """Likewise a shared library."""
    found = next(iter(sorted(Path("/usr/lib").rglob(name))), None)
    return found if found is not None else missing(name, package=package)


def missing(name: str, *, package: str) -> NoReturn:
    """Fail in CI; elsewhere leave the test out, and say what would run it."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {name}: .ci/run installs it")
    pytest.skip(f"no {name} on this machine (Debian: apt install {package}); CI has it")
