"""What all presets share: a first look, grants, advice, the operator's own values, and platforms of one's own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from syncd import config
from syncd.errors import ConfigurationError
from syncd.platforms import check_options, open_platform
from syncd.platforms.grants import reading_grants
from syncd.sandbox.server import RunningSandbox
from tests.presets.ckan import Ckan
from tests.presets.dspace import DSpace
from tests.presets.inveniordm import InvenioRdm
from tests.presets.ojs import Ojs
from tests.presets.site import PREFIX, Installation, config_url

KINDS: dict[str, tuple[Any, str, str]] = {
    "ckan": (Ckan, "2.11", "postgresql"),
    "dspace": (DSpace, "7 to 9", "postgresql"),
    "inveniordm": (InvenioRdm, "14", "postgresql"),
    "ojs": (Ojs, "3.4", "mariadb"),
}


def _add(name: str, portal: Any) -> None:
    """One public record."""
    if name == "ckan":
        portal.dataset("public", 1)
    elif name == "dspace":
        portal.item("public-1")
    elif name == "inveniordm":
        portal.record("public-1")
    else:
        portal.article("public-1", 1)


@pytest.fixture(params=sorted(KINDS))
def site(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> Iterator[Installation]:
    name = request.param
    make, version, kind = KINDS[name]
    made = Installation(name, database(kind), tmp_path, sandbox, database("sqlite"))
    _add(name, make(made, version))
    yield made
    made.close()


def syncd(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "syncd", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environment}
    )


def test_the_first_hour_from_a_database_to_datacite(site: Installation, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"

    made = syncd("init", "--url", site.url, "--site", "https://repository.example.org", "--output", path)

    assert made.returncode == 0, made.stderr
    assert "1 DOIs; 1 findable; prefixes: 10.5072 (1)" in made.stdout
    text_ = path.read_text()
    assert f'platform = "{site.name}"' in text_
    filled = text_.replace("CHANGE.REPOSITORY", site.account).replace("CHANGE@", "team@")
    filled = filled.replace('host = "test"', f'host = "{site.sandbox.address}"')
    path.write_text(filled.replace("sqlite:///syncd-state.db", f"sqlite:///{tmp_path}/new-state.db"))
    for command in (["check-config"], ["db", "upgrade"], ["check"], ["adopt"], ["sync"], ["sync", "--quick"]):
        done = syncd(*command, "-c", path, SYNCD_PASSWORD_DATACITE_DEMO="demo")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    found = site.remote(f"{PREFIX}/public-1")
    assert found is not None
    assert found.state == "findable"


def test_the_printed_grants_are_enough_to_read_and_allow_nothing_else(site: Installation) -> None:
    with site.platform() as platform:
        printed = reading_grants(site.url, platform.relations(), f"reader_{site.name}").replace("CHANGE", "peek")
    with site.engine.begin() as connection:
        for statement in filter(str.strip, printed.split(";")):
            connection.execute(text(statement))
    reader = make_url(site.url).set(username=f"reader_{site.name}", password="peek")
    try:
        account = site.settings.accounts[0]
        source = account.source.model_copy(update={"url": reader.render_as_string(hide_password=False)})
        platform_ = open_platform(account.model_copy(update={"source": source}))
        rows = [row for page in platform_.all() for row in page]
        assert [row.doi for row in rows] == [f"{PREFIX}/public-1"]
        assert platform_.may_write() == []
        assert [one.doi for page in platform_.outlines() for one in page] == [f"{PREFIX}/public-1"]
        platform_.close()
        engine = create_engine(config_url(reader.render_as_string(hide_password=False)))
        for statement in ("CREATE TABLE mine (id INTEGER)", *_writes(site.name)):
            with pytest.raises(DBAPIError), engine.begin() as connection:
                connection.execute(text(statement))
        engine.dispose()
    finally:
        with site.engine.begin() as connection:
            if site.name == "ojs":
                connection.execute(text("DROP USER 'reader_ojs'@'localhost'"))
            else:
                connection.execute(text(f"DROP OWNED BY reader_{site.name}"))
                connection.execute(text(f"DROP ROLE reader_{site.name}"))


def _writes(name: str) -> list[str]:
    table = {"ckan": "package", "dspace": "item", "inveniordm": "rdm_records_metadata", "ojs": "submissions"}[name]
    return [f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM {table}"]


def test_a_session_of_ours_cannot_write_although_its_account_could(site: Installation) -> None:
    with site.platform() as platform, pytest.raises(DBAPIError), platform._engine.begin() as connection:
        connection.execute(text(_writes(site.name)[0]))


def test_every_row_says_the_same_whether_read_alone_or_in_a_page(site: Installation) -> None:
    with site.platform() as platform:
        (row,) = [row for page in platform.all() for row in page]
        (outline,) = [one for page in platform.outlines() for one in page]
        assert platform.one(row.key) == row
        assert platform.one("0") is None
        assert (outline.key, outline.doi, outline.signature) == (row.key, row.doi, row.signature)


def test_the_operators_own_values_go_over_the_mapping(site: Installation) -> None:
    site.more += """
[accounts.source.defaults]
publisher = "Never used: the platform has one"
fundingReferences = [{ funderName = "A donor" }]
[accounts.source.override]
language = "la"
"""
    found = site.documents()[f"{PREFIX}/public-1"]["attributes"]

    assert found["language"] == "la"
    assert found["fundingReferences"] == [{"funderName": "A donor"}]
    assert found["publisher"]["name"] != "Never used: the platform has one"


def test_the_operators_own_function_sees_attributes_and_record(
    site: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / f"own_{site.name}.py"
    module.write_text(
        "def adjust(attributes, record):\n"
        "    return {**attributes, 'version': f\"about {record['doi']}\", 'subjects': [{'subject': 'own'}]}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    site.more += f'\noverride = "own_{site.name}:adjust"\n'

    found = site.documents()[f"{PREFIX}/public-1"]["attributes"]

    assert found["version"] == f"about {PREFIX}/public-1"
    assert found["subjects"] == [{"subject": "own"}]


def test_mistakes_in_options_are_named_all_at_once_and_offline(site: Installation) -> None:
    site.more += "\n[accounts.source.options]\nnonsense = 1\n"
    account = site.settings.accounts[0].model_copy(
        update={"source": site.settings.accounts[0].source.model_copy(update={"landing_page": ""})}
    )

    with pytest.raises(ConfigurationError) as refusal:
        check_options(account)

    assert "options.nonsense: unknown; known are" in str(refusal.value)
    assert "landing_page: the site's address" in str(refusal.value)


def test_another_platforms_database_is_refused(site: Installation, database: Callable[[str], str]) -> None:
    empty = site.settings.accounts[0].source.model_copy(update={"url": database(KINDS[site.name][2])})
    platform = open_platform(site.settings.accounts[0].model_copy(update={"source": empty}))

    with pytest.raises(ConfigurationError, match="this is no database of"):
        list(platform.all())
    platform.close()


def test_an_unknown_platform_is_refused_with_the_nearest_name(site: Installation) -> None:
    path = site.folder / "wrong.toml"
    path.write_text(
        f"""
[[accounts]]
id = "DATACITE.DEMO"
password = "demo"
prefixes = ["10.5072"]
[accounts.source]
platform = "{site.name}x"
url = "{site.url}"
landing_page = "https://example.org"
"""
    )
    path.chmod(0o600)

    with pytest.raises(ConfigurationError) as refusal:
        check_options(config.load(path, {}).accounts[0])

    assert refusal.value.hint == f"did you mean {site.name}?"
