import os
from pathlib import Path
from typing import Any

import pytest

from syncd import config
from syncd.errors import ConfigurationError
from syncd.settings import AccountSettings

MINIMAL = """
[[accounts]]
id = "DATACITE.EXAMPLE"
prefixes = ["10.5072"]
[accounts.source]
url = "postgresql://reader:PASSWORD@localhost/repository"
all = "SELECT 1"
one = "SELECT 1 WHERE id = :key"
"""


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "syncd.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_defaults_are_safe(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, MINIMAL), {})

    assert settings.datacite.base_url == "https://api.test.datacite.org"
    assert settings.datacite.slots == 735  # 2 % under the test system's 750
    assert settings.accounts[0].source.withdrawn_drafts == "delete"


def test_production_keeps_two_percent_under_the_cap(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, '[datacite]\nhost = "production"\n' + MINIMAL), {})

    assert settings.datacite.slots == 2940


@pytest.mark.parametrize(
    ("host", "requests"), [("production", 3001), ("test", 751), ("https://api.test.datacite.org", 751)]
)
def test_more_than_datacites_cap_is_refused(tmp_path: Path, host: str, requests: int) -> None:
    text = f'[datacite]\nhost = "{host}"\nrequests_per_window = {requests}\n' + MINIMAL

    with pytest.raises(ConfigurationError, match="above DataCite's"):
        config.load(write(tmp_path, text), {})


def test_all_mistakes_are_reported_at_once_with_their_place(tmp_path: Path) -> None:
    text = """
[datacite]
hots = "test"
contact = "nobody"
[[accounts]]
id = "nonsense"
prefixes = ["11.5072"]
[accounts.source]
url = "sqlite://"
one = "SELECT 1"
overlap = "5 parsecs"
[schedule]
poll = 5
"""
    with pytest.raises(ConfigurationError) as refusal:
        config.load(write(tmp_path, text), {})

    for part in (
        "datacite.hots: unknown setting",
        "datacite.contact: a mail address",
        "accounts.0.id:",
        "accounts.0.prefixes: a prefix looks like 10.5072, not like 11.5072",
        "accounts.0.source.overlap: a duration looks like",
    ):
        assert part in refusal.value.message
    assert refusal.value.exit_code == 78


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id = :key", "id = 1", "must select by :key"),
        ('one = "', 'changed = "SELECT 1"\none = "', "must compare with :since"),
        ('all = "SELECT 1"\n', "", "needs the queries all"),
        ("[accounts.source]", '[accounts.source]\nmapping = "what is this"', '"json:COLUMN"'),
        ("[accounts.source]", '[accounts.source]\nstate = "public"', "Input should be"),
    ],
)
def test_a_wrong_source_is_explained(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        config.load(write(tmp_path, MINIMAL.replace(old, new)), {})


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    environment = {
        "SYNCD_DATACITE__HOST": "production",
        "SYNCD_ACCOUNTS__0__SOURCE__PAGE_SIZE": "7",
        "SYNCD_LOG__LEVEL": "debug",
        "SYNCD_CONFIG": "ignored",
        "OTHER__THING": "ignored",
    }
    settings = config.load(write(tmp_path, MINIMAL), environment)

    assert settings.datacite.host == "production"
    assert settings.accounts[0].source.page_size == 7
    assert settings.log.level == "debug"


@pytest.mark.parametrize("name", ["SYNCD_DATACITE__NONSENSE", "SYNCD_ACCOUNTS__5__ID", "SYNCD_ACCOUNTS__0"])
def test_a_variable_that_names_nothing_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        config.load(write(tmp_path, MINIMAL), {name: "x"})


def account(tmp_path: Path, text: str = MINIMAL, **changes: Any) -> AccountSettings:
    return config.load(write(tmp_path, text), {}).accounts[0].model_copy(update=changes)


def test_a_password_comes_from_the_environment_before_its_file_before_credentials(tmp_path: Path) -> None:
    """A file can be read again at a reload; what systemd loaded stays as it was when the service started."""
    secret = tmp_path / "secret"
    one = account(tmp_path, password_file=secret)
    (tmp_path / "datacite.example").write_text("from systemd\n")
    assert one.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "from systemd"
    (tmp_path / "datacite.example").rename(tmp_path / "syncd_datacite.example")  # as LoadCredential=syncd:FOLDER has it
    assert one.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "from systemd"
    secret.write_text("from file\n")
    secret.chmod(0o600)
    assert one.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "from file"
    everything = {"CREDENTIALS_DIRECTORY": str(tmp_path), "SYNCD_PASSWORD_DATACITE_EXAMPLE": "from environment"}
    assert one.secret(everything) == "from environment"


def test_a_password_may_end_with_a_space_but_not_with_its_files_newline(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pass word \n")
    secret.chmod(0o600)

    assert account(tmp_path, password_file=secret).secret({}) == "pass word "


def test_no_password_names_the_two_places_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        account(tmp_path).secret({})

    assert "SYNCD_PASSWORD_DATACITE_EXAMPLE" in refusal.value.hint


def test_files_with_passwords_may_not_be_open_to_everybody(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    with pytest.raises(ConfigurationError, match="readable by everybody"):
        account(tmp_path, password_file=secret).secret({})

    text = MINIMAL.replace("prefixes", 'password = "x"\nprefixes')
    with pytest.raises(ConfigurationError, match="readable by everybody"):
        config.load(write(tmp_path, text, 0o644), os.environ)


def test_a_password_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    text = MINIMAL.replace("prefixes", 'password = "hush-hush"\nprefixes')

    assert "hush-hush" not in repr(config.load(write(tmp_path, text), {}))


def test_an_account_twice_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="more than once"):
        config.load(write(tmp_path, MINIMAL + MINIMAL.lower().replace("select", "SELECT")), {})


def test_a_missing_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        config.load(tmp_path / "nowhere.toml", {})

    assert "syncd init" in refusal.value.hint


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ('state = "x"\n' + MINIMAL, {"SYNCD_STATE__URL": "sqlite:///x"}),
        ('accounts = ["x"]\n', {"SYNCD_ACCOUNTS__0__ID": "A.B"}),
        (MINIMAL, {"SYNCD_DATACITE__HOST__X": "y"}),
        ('[datacite]\nhost = "http://127.0.0.1:abc"\n' + MINIMAL, {}),
        ("[datacite]\nrequest_timeout = inf\n" + MINIMAL, {}),
        ("[datacite]\ngrace = 1e30\n" + MINIMAL, {}),
    ],
)
def test_any_nonsense_is_refused_in_words(tmp_path: Path, text: str, environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        config.load(write(tmp_path, text), environment)


def test_the_state_lies_beside_the_configuration_wherever_the_program_is_started(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, MINIMAL), {}).state.url == f"sqlite:///{tmp_path}/syncd-state.db"


def test_a_passwords_variable_is_no_setting(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, MINIMAL), {"SYNCD_PASSWORD_A_X__B": "x"})


def test_a_mapping_that_fails_when_it_is_imported_is_a_mistake_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncd.platforms.mapping import mapper

    (tmp_path / "broken_mapping.py").write_text("def map(\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match="cannot be imported"):
        mapper("broken_mapping:map")
