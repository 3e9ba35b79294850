"""README's commands and example are what they say."""

import re
from pathlib import Path

from syncd import config

ROOT = Path(__file__).parent.parent


def test_the_two_commands_stand_in_the_readme_as_ci_runs_them() -> None:
    text = (ROOT / "README.md").read_text()

    commands = re.findall(r"^(python3 -m venv .*)$", text, re.MULTILINE)

    assert len(commands) == 2
    assert commands[0].endswith("syncd demo")
    assert "pytest" in commands[1]


def test_the_example_configuration_in_the_readme_is_right(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "syncd.toml"
    path.write_text(example[1])

    assert config.load(path, {}).accounts[0].source.states


def test_the_example_in_deploy_names_every_setting_and_is_right() -> None:
    path = ROOT / "deploy" / "syncd.example.toml"
    settings = config.load(path, {})
    text = path.read_text()

    for section in (settings.state, settings.datacite, settings.schedule, settings.log):
        for name in type(section).model_fields:
            assert re.search(rf"^#? ?{name} =", text, re.MULTILINE), name
    for name in (*config.AccountSettings.model_fields, *config.SourceSettings.model_fields):
        if name not in ("source", "states"):
            assert re.search(rf"^#? ?{name} =", text, re.MULTILINE), name
