"""Every setting, command, exit code, metric and log event stands in the reference, and says what the program does."""

import re
import subprocess
from pathlib import Path

import pytest

from syncd.cli import COMMANDS
from syncd.errors import ExitCode
from syncd.events import EVENTS
from syncd.metrics import METRICS
from tests.reference import DEPLOY, described_settings, logged, made, settings


@pytest.mark.parametrize("path", sorted(made()), ids=lambda path: path.name)
def test_what_is_made_of_the_program_is_what_it_is_now(path: Path) -> None:
    assert path.read_text() == made()[path], "python -m tests.reference"


def test_nothing_is_left_of_what_was_made_earlier() -> None:
    there = {path for folder in ("man", "completions") for path in (DEPLOY / folder).iterdir()}

    assert there == {path for path in made() if path.parent != DEPLOY}


def test_every_setting_is_explained_and_nothing_else() -> None:
    described = described_settings()
    known = {name for name, _ in settings()}
    tables = {name for name in described if name in known or any(one.startswith(f"{name}.") for one in known)}

    unexplained = [name for name in known if not described.get(name, ("", ""))[1]]
    assert unexplained == []
    examples = {name for name in described if name.startswith("accounts.source.")}
    inside = {"states", "defaults", "override", "options"}
    assert {name for name in set(described) - tables if name not in examples} == set()
    assert all(name in known or name.split(".")[2] in inside for name in examples)


def test_every_log_event_of_the_code_is_explained_and_no_other() -> None:
    assert set(logged()) == set(EVENTS)


def test_the_reference_names_everything() -> None:
    text = (DEPLOY / "reference.md").read_text()
    wanted = [f"`{name}`" for name, _ in settings()] + [f"`{name}`" for name in (*METRICS, *EVENTS)]
    wanted += [f"### syncd {name}" for name in COMMANDS] + [f"| {int(code)} |" for code in ExitCode]

    assert [one for one in wanted if one not in text] == []


def test_the_completion_for_bash_completes() -> None:
    script = (DEPLOY / "completions" / "syncd.bash").read_text()
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"complete .*syncd", script)
