"""``syncd check`` and ``syncd db grants``: what is missing is named, and the account that is printed can only read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from syncd.platforms.grants import reading_grants, relations
from syncd.sandbox.server import RunningSandbox
from tests.elsewhere import Elsewhere
from tests.site import ATTRIBUTES, Site


def check(site: Site, text_of: str | None = None) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    assert site.settings
    if text_of is not None:
        site.path.write_text(text_of)
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(site.path), "check", "--json"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, {(one["about"], one["name"]): one for one in json.loads(done.stdout)}


DEMO = "DATACITE.DEMO"


def test_everything_that_a_pass_needs_is_looked_at_and_nothing_is_written(site: Site) -> None:
    site.add(1)
    site.add(2, doi="10.9999/x")
    site.sync()
    before = len(site.requests)

    code, found = check(site)

    assert code == 0
    assert {place: one["level"] for place, one in found.items()} == {
        ("", "state database"): "ok", ("", "clock"): "ok", (DEMO, "password"): "ok", (DEMO, "platform"): "ok",
        (DEMO, "read-only"): "ok", (DEMO, "binding"): "ok", (DEMO, "DataCite"): "ok", (DEMO, "prefixes"): "ok",
    }  # fmt: skip
    assert "1 of them under none of 10.5072" in found[DEMO, "platform"]["words"]
    assert "1 DOIs" in found[DEMO, "DataCite"]["words"]
    assert {one["method"] for one in site.requests[before:]} == {"GET"}


def test_what_stands_in_the_place_of_a_doi_and_is_none_is_named(site: Site) -> None:
    site.add(1)
    site.add(2, doi="10.9999/x")
    site.add(3, doi="to be registered")

    _, found = check(site)

    place = found[DEMO, "platform"]
    assert place["level"] == "warn"
    assert "3 have a DOI; 1 of them under none of 10.5072; 1 of them no DOI at all, e.g. 'to be reg" in place["words"]


def test_a_database_password_that_everybody_can_read_is_named(site: Site) -> None:
    assert site.settings
    text = site.path.read_text().replace(f'url = "{site.platform_url}"', 'url = "postgresql://reader:pa55@localhost/x"')
    site.path.write_text(text)
    site.path.chmod(0o640)
    assert ("", "configuration") not in check_file(site)
    # An account's own password may not stand in such a file at all, so it stands elsewhere.
    site.path.write_text(text.replace('password = "demo"\n', ""))
    site.path.chmod(0o644)

    found = check_file(site)["", "configuration"]

    assert (found["level"], found["hint"]) == ("warn", f"chmod 640 {site.path}")
    assert "pa55" not in json.dumps(found)


def check_file(site: Site) -> dict[tuple[str, str], dict[str, Any]]:
    """``check`` with the file as it is."""
    command = [sys.executable, "-m", "syncd", "-c", str(site.path), "check", "--json"]
    environment = {**os.environ, "SYNCD_PASSWORD_DATACITE_DEMO": "demo"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return {(one["about"], one["name"]): one for one in json.loads(done.stdout)}


def test_a_wrong_password_is_named_although_datacite_answers_200(site: Site) -> None:
    site.sandbox.application.world.accounts["demo"].password = "another"

    code, found = check(site)

    assert code == 77
    assert found[DEMO, "DataCite"]["level"] == "fail"
    assert "does not accept the credentials" in found[DEMO, "DataCite"]["words"]


def test_what_datacite_has_otherwise_is_named(site: Site) -> None:
    site.add(1)
    account = site.sandbox.application.world.accounts["demo"]
    account.active = False
    account.prefixes = ["10.1234"]
    account.domains = "*.example.org"

    code, found = check(site)

    assert code == 77
    assert "403" in found[DEMO, "account"]["words"]
    assert "does not list 10.5072" in found[DEMO, "prefixes"]["words"]
    assert 'domains = "*.example.org"' in found[DEMO, "domains"]["hint"]


def test_each_missing_part_is_a_line_and_the_others_are_still_looked_at(
    tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> None:
    site = Site(tmp_path, sandbox, database("sqlite"), database("sqlite"), adopted=False)
    Elsewhere(sandbox.application).write("10.5072/there", {**ATTRIBUTES, "url": "https://example.org/1"})
    _, found = check(site)
    assert "syncd adopt" in found[DEMO, "adoption"]["hint"]
    assert found[DEMO, "platform"]["level"] == "warn"  # it gives no record
    text_of = site.path.read_text()

    code, found = check(site, text_of.replace(site.state_url, f"sqlite:///{tmp_path}/new.db"))
    assert code == 78
    assert "syncd db upgrade" in found["", "state database"]["hint"]
    assert found[DEMO, "DataCite"]["level"] == "warn"

    code, found = check(site, text_of.replace("FROM record", "FROM nowhere"))
    assert code == 78
    assert "no such table" in found[DEMO, "platform"]["words"]
    assert found[DEMO, "DataCite"]["level"] == "ok"

    code, found = check(site, text_of.replace(sandbox.address, "http://127.0.0.1:1"))
    assert code == 69
    # Looking has bound nothing: the address can still be corrected.
    assert check(site, text_of)[0] == 0
    site.close()


@pytest.fixture(params=["postgresql", "mariadb"])
def shared(request: pytest.FixtureRequest, database: Callable[[str], str]) -> Iterator[str]:
    """A database with two tables, of which the configuration reads one."""
    url = database(request.param)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE record (id INTEGER PRIMARY KEY, doi VARCHAR(100))"))
        connection.execute(text("CREATE TABLE secret (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO record VALUES (1, '10.5072/r1')"))
    yield url
    with engine.begin() as connection:
        if request.param == "postgresql":
            connection.execute(text("DROP OWNED BY syncd_peek"))
            connection.execute(text("DROP ROLE syncd_peek"))
        else:
            connection.execute(text("DROP USER 'syncd_peek'@'localhost'"))
    engine.dispose()


def test_the_printed_account_reads_what_is_needed_and_writes_nothing(shared: str, site: Site) -> None:
    source = site.settings.accounts[0].source.model_copy(
        update={"url": shared, "all": "SELECT id AS record_key, doi FROM record", "one": "SELECT 1 FROM record",
                "changed": ""},
    )  # fmt: skip
    admin = create_engine(shared)
    with admin.begin() as connection:
        for statement in (
            reading_grants(source.url, relations(source), "syncd_peek").replace("CHANGE", "peek").split(";")
        ):
            if statement.strip():
                connection.execute(text(statement))
    admin.dispose()
    url = make_url(shared).set(username="syncd_peek", password="peek")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM record")).scalar_one() == 1
    for statement in ("SELECT * FROM secret", "INSERT INTO record VALUES (2, 'x')", "CREATE TABLE mine (id INTEGER)"):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()

    from syncd.platforms.connection import may_write, open_engine

    reader, owner = open_engine(url.render_as_string(hide_password=False), 10), open_engine(shared, 10)
    assert may_write(reader, "X.Y") == []
    assert may_write(owner, "X.Y") != []
    reader.dispose()
    owner.dispose()


def test_the_grants_are_printed_for_every_account(site: Site) -> None:
    assert site.settings
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(site.path), "db", "grants"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "-- DATACITE.DEMO")
    assert "SQLite has no accounts" in done.stdout


def test_an_orcid_id_that_cannot_be_right_is_remarked(site: Site) -> None:
    right, wrong = "0000-0002-1825-0097", "0000-0002-1825-0098"
    site.add(1, creators=[{"name": "Roe, Jo", "orcid": right}, {"name": "Doe, Jane", "orcid": wrong}])
    site.sync()

    done = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(site.path), "check", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )

    (finding,) = [one for one in json.loads(done.stdout) if one["name"] == "platform"]
    assert finding["level"] == "warn"
    assert f"1 ORCID iDs in them cannot be right, e.g. {wrong}" in finding["words"]
