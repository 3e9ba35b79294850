"""README's commands and example are what they say."""

import re
from pathlib import Path

import pytest

from syncd import config
from syncd.platforms import _PRESETS, check_options, known, openers
from syncd.settings import AccountSettings, SourceSettings

ROOT = Path(__file__).parent.parent


def test_the_two_commands_stand_in_the_readme_as_ci_runs_them() -> None:
    text = (ROOT / "README.md").read_text()

    commands = re.findall(r"^(python3 -m venv .*)$", text, re.MULTILINE)

    assert len(commands) == 2
    assert commands[0].endswith("syncd demo")
    assert "pytest" in commands[1]


FOUND = {
    page.relative_to(ROOT).as_posix(): re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    for page in (ROOT / "README.md", *sorted((ROOT / "deploy" / "platforms").glob("*.md")))
}
BLOCKS = [(page, block) for page, blocks in FOUND.items() for block in blocks if "accounts" in block]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(BLOCKS)])
def test_every_configuration_in_the_documents_is_right(page: str, block: str, tmp_path: Path) -> None:
    """A part of one is completed by what it leaves out."""
    platform = page.rsplit("/", 1)[-1].removesuffix(".md")
    account = '[[accounts]]\nid = "X.Y"\npassword = "x"\nprefixes = ["10.5072"]\n'
    source = '[accounts.source]\nurl = "postgresql://reader@/x"\nlanding_page = "https://example.org"\n'
    source += 'all = "SELECT 1"\none = "SELECT :key"\n' if page == "README.md" else f'platform = "{platform}"\n'
    path = tmp_path / "syncd.toml"
    missing = ("" if "[[accounts]]" in block else account) + ("" if "[accounts.source]\n" in block else source)
    path.write_text(missing + block)
    path.chmod(0o600)

    settings = config.load(path, {})

    if settings.accounts[0].source.platform in known():
        check_options(settings.accounts[0])


def test_every_option_of_a_preset_stands_on_its_page() -> None:
    for one in openers():
        if one.name in _PRESETS:
            text = (ROOT / "deploy" / "platforms" / f"{one.name}.md").read_text()
            for name in one.options.model_fields:
                assert re.search(rf"^{name} = |options\.{name}\]", text, re.MULTILINE), (one.name, name)


def test_the_example_in_deploy_names_every_setting_and_is_right() -> None:
    path = ROOT / "deploy" / "syncd.example.toml"
    settings = config.load(path, {})
    text = path.read_text()

    for section in (
        settings.state,
        settings.datacite,
        settings.schedule,
        settings.log,
        settings.web,
        settings.keep,
        settings.brake,
        settings.notify,
    ):
        for name in type(section).model_fields:
            assert re.search(rf"^#? ?{name} =", text, re.MULTILINE), name
    for name in (*AccountSettings.model_fields, *SourceSettings.model_fields):
        if name not in ("source", "states", "options", "defaults", "override"):
            assert re.search(rf"^#? ?{name} =", text, re.MULTILINE), name
    for name in ("states", "options", "defaults", "override"):
        assert f"[accounts.source.{name}]" in text
