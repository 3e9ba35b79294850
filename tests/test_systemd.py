"""The units in deploy/systemd: valid, hardened, and what they promise is what the program does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import syncd
from syncd.errors import ExitCode
from tests.programs import needed

FOLDER = Path(syncd.__file__).parent.parent / "deploy" / "systemd"
UNITS = ["syncd.service", "syncd@.service"]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """As installed, but for the place of the program, which a test machine has elsewhere."""
    program = Path(sys.executable).parent / "syncd"
    for name in UNITS:
        text = (FOLDER / name).read_text().replace("/opt/syncd/bin/syncd", str(program))
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_valid(name: str, units: Path) -> None:
    analyze = needed("systemd-analyze", package="systemd")
    instance = name.replace("@", "@library")
    if instance != name:
        shutil.copy(units / name, units / instance)

    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", units / instance],
        capture_output=True,
        text=True,
        check=False,
    )

    said = [line for line in (done.stdout + done.stderr).splitlines() if "syncd" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_leaves_little_to_somebody_who_gets_in(name: str, units: Path) -> None:
    analyze = needed("systemd-analyze", package="systemd")

    done = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=15", "--no-pager", units / name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-600:]


def test_the_two_units_differ_only_in_names() -> None:
    one, many = ((FOLDER / name).read_text().splitlines() for name in UNITS)
    differ = {line.split("=")[0] for line in set(one) ^ set(many) if "=" in line}

    assert differ == {"Description", "ExecStart", "WorkingDirectory", "StateDirectory", "LoadCredential"}


def test_exit_codes_that_a_restart_does_not_heal_prevent_it() -> None:
    text = (FOLDER / "syncd.service").read_text()
    codes = re.search(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)

    assert codes is not None
    assert {int(code) for code in codes[1].split()} == {ExitCode.CREDENTIALS, ExitCode.CONFIGURATION}
