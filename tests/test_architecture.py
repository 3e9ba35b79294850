"""The shape of the source: which way imports run, what the story names, what may not be in the tree."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import syncd
from syncd.causes import CAUSES
from syncd.cli import COMMANDS
from syncd.cli import syncd as group

ROOT = Path(syncd.__file__).parent.parent


def sources() -> list[Path]:
    return sorted((ROOT / "syncd").rglob("*.py"))


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_story_of_one_record_names_every_module() -> None:
    modules = {path.relative_to(ROOT / "syncd").parts[0].removesuffix(".py") for path in sources()}
    story = syncd.__doc__ or ""

    assert [name for name in sorted(modules - {"__init__", "__main__"}) if f"``{name}" not in story] == []


def test_every_module_says_what_it_holds() -> None:
    assert [path.name for path in sources() if not path.read_text().startswith('"""')] == []


def test_a_file_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}

    assert {name: lines for name, lines in long.items() if lines > 520} == {}


def test_nothing_names_a_place_of_one_machine_or_a_registry() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    places = (f"{ROOT}/", f"{Path.home()}/", "index" + "-url", "../" + "shared")
    pattern = re.compile("|".join(re.escape(place) for place in places if place != "/"))
    found = []
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".yaml", "") and path.is_file():
            found += [name for line in path.read_text(errors="replace").splitlines() if pattern.search(line)]

    assert found == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_an_example_and_a_place_in_the_readme(name: str) -> None:
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None
    text = command.help or ""

    assert "Example: syncd" in text
    assert COMMANDS[name][1].rstrip(".").split(",")[0].split(":")[0] in text.replace("\n", " ")
    assert f"syncd {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["plan", "status", "failures", "show", "version", "sync"])
def test_commands_that_read_speak_json(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None

    assert "--json" in [option for parameter in command.params for option in parameter.opts]


def test_every_cause_that_the_code_uses_is_explained() -> None:
    text = "\n".join(path.read_text() for path in sources() if path.name != "causes.py")
    used = set(re.findall(r'(?:Problem|Failed|Deferred|Rejected|Halted)\(\s*"([a-z_]+)"', text))

    assert used
    assert used <= set(CAUSES)
    assert all(cause.action.endswith(".") and cause.sentence.endswith(".") for cause in CAUSES.values())


def test_help_answers_without_importing_the_program() -> None:
    code = (
        "import sys\nfrom syncd import cli\n"
        "assert not {'sqlalchemy', 'httpx', 'pydantic', 'rich'} & set(sys.modules), sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
