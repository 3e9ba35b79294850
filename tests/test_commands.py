"""The commands as an operator types them: real processes, real exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.site import Site


def syncd(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "syncd", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def config(site: Site) -> Path:
    """The site's configuration as a file."""
    site.add(1)
    site.add(2, types={"resourceTypeGeneral": "Datset"})
    assert site.settings
    return site.path


def test_the_way_of_a_new_operator(config: Path, site: Site) -> None:
    assert syncd("check-config", "-c", config).returncode == 0
    assert syncd("db", "upgrade", "-c", config).returncode == 0
    plan = syncd("plan", "-c", config, "--exit-code")
    assert plan.returncode == 3
    assert "1 create, 1 set aside" in plan.stdout
    assert site.requests == []

    first = syncd("sync", "-c", config)

    assert (first.returncode, len(site.requests)) == (1, 1)  # the invalid record
    assert "1 accepted, 1 set aside" in first.stdout
    assert "1 stand failed: syncd failures" in first.stdout
    assert syncd("sync", "-c", config).returncode == 0
    assert len(site.requests) == 1
    failures = syncd("failures", "-c", config)
    assert "did you mean 'Dataset'?" in failures.stdout
    assert "→" in failures.stdout
    status = json.loads(syncd("status", "-c", config, "--json").stdout)
    assert status["accounts"][0]["adds_up"] is True
    assert (status["accounts"][0]["in_sync"], status["accounts"][0]["quarantined"]) == (1, 1)
    shown = syncd("-c", config, "show", "https://doi.org/10.5072/R1")
    assert "PUT publish  201  accepted" in shown.stdout
    assert syncd("show", "10.5072/unknown", "-c", config).returncode == 1
    assert syncd("plan", "-c", config, "--exit-code").returncode == 0


def test_json_of_reading_commands_is_one_document(config: Path) -> None:
    syncd("sync", "-c", config)

    for command in (["status"], ["failures"], ["show", "10.5072/r1"], ["plan"]):
        done = syncd(*command, "-c", config, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) is not None
    assert json.loads(syncd("version", "--json").stdout)["tables"]


def test_a_refusal_is_a_json_object_on_stderr_where_json_was_asked_for(tmp_path: Path) -> None:
    done = syncd("status", "--json", "-c", tmp_path / "nowhere.toml")

    refusal = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, refusal["exit_code"], done.stdout) == (78, 78, "")
    assert "syncd init" in refusal["hint"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["status"], 78), (["nonsense"], 2), (["show"], 2), (["sandbox", "--rate-limit", "x"], 2)]
)
def test_exit_codes_of_what_cannot_begin(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = syncd(*arguments, SYNCD_CONFIG=str(tmp_path / "none.toml"))

    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_exit_codes_of_what_cannot_go_on(config: Path, site: Site) -> None:
    site.sandbox.application.world.accounts["demo"].password = "changed"
    assert syncd("sync", "-c", config).returncode == 77
    site.sandbox.application.world.accounts["demo"].password = "demo"
    site.sandbox.application.faults.replace([{"kind": "html-403"}])
    assert syncd("sync", "-c", config).returncode == 69
    site.store.runs.take_lease("scan:DATACITE.DEMO", "another", _minute())
    busy = syncd("sync", "-c", config)
    assert busy.returncode == 75
    assert "another process" in busy.stderr


def test_tables_that_are_missing_name_the_command_that_makes_them(config: Path) -> None:
    done = syncd("sync", "-c", config, SYNCD_STATE__URL=f"sqlite:///{config.parent}/new.db")

    assert done.returncode == 78
    assert "→ syncd db upgrade" in done.stderr


def test_a_dry_run_sends_nothing(config: Path, site: Site) -> None:
    done = syncd("sync", "--dry-run", "-c", config)

    assert done.returncode == 0
    assert "1 create" in done.stdout
    assert site.requests == []


def test_check_config_reports_every_mistake(config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace('"json:metadata"', '"nowhere:map"').replace('password = "demo"\n', ""))

    done = syncd("check-config", "-c", config)

    assert done.returncode == 78
    assert "cannot be imported" in done.stderr
    assert "no password" in done.stderr


def test_init_writes_a_configuration_from_the_columns_of_a_view(site: Site, tmp_path: Path) -> None:
    site.add(1)
    site.execute(
        "CREATE VIEW records AS SELECT id AS record_key, doi, status, url, modified, 'T' AS titles, 'A' AS creators,"
        " 'P' AS publisher, 2024 AS publication_year, 'Dataset' AS types, 7 AS internal FROM record"
    )
    path = tmp_path / "new.toml"
    made = syncd("init", "--url", site.platform_url, "--view", "records", "--output", path)
    assert made.returncode == 0, made.stderr
    assert "left out: internal" in path.read_text()
    filled = path.read_text().replace("CHANGE.REPOSITORY", "DATACITE.DEMO").replace("CHANGE@", "team@")
    filled = filled.replace('host = "test"', f'host = "{site.sandbox.address}"')
    path.write_text(filled.replace("sqlite:///syncd-state.db", f"sqlite:///{tmp_path}/new-state.db"))
    environment = {"SYNCD_PASSWORD_DATACITE_DEMO": "demo"}

    for command in (["check-config"], ["db", "upgrade"], ["sync"], ["sync", "--quick"]):
        done = syncd(*command, "-c", path, **environment)
        assert done.returncode == 0, done.stderr

    # The first pass looks once whether DataCite holds something of this account already.
    assert [request["method"] for request in site.requests] == ["GET", "PUT"]
    assert syncd("init", "--output", path).returncode == 2  # never over an existing file


def test_init_on_a_raw_table_says_what_is_missing_and_selects_nothing_that_is_ignored(
    site: Site, tmp_path: Path
) -> None:
    site.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, handle TEXT, titles TEXT, updated_at TEXT, secret TEXT)")
    path = tmp_path / "raw.toml"

    assert syncd("init", "--url", site.platform_url, "--view", "item", "--output", path).returncode == 0

    text = path.read_text()
    tomllib.loads(text)
    assert "left out: handle, secret" in text
    assert "no column is called so: creators, publisher, publication_year, types" in text
    assert "updated_at AS modified" in text
    assert "secret," not in text.split("all =")[1]


def test_the_first_signal_lets_requests_finish_and_the_exit_code_says_so(config: Path, site: Site) -> None:
    for number in range(10, 60):
        site.add(number)
    site.sandbox.application.faults.replace([{"kind": "latency", "seconds": 0.3}])
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd", "sync", "-c", str(config)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while len(site.requests) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 130, errors
    assert 4 <= len(site.requests) < 50
    found = site.store.reading.sum("DATACITE.DEMO")
    assert found.in_sync == len(site.requests) == len(site.sandbox.application.world.dois)


def test_the_demo_keeps_what_it_made_and_its_next_commands_work(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = syncd("demo", "--keep", kept)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("10.5072/demo.") >= 8
    assert "0 requests." in done.stdout
    commands = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("  syncd ")]
    server = subprocess.Popen([sys.executable, "-m", "syncd", *commands[0]], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert "DataCite sandbox at" in server.stdout.readline()
        for command in commands[1:]:
            result = syncd(*command)
            assert result.returncode == 0, (command, result.stderr)
        again = _numbers(syncd("-c", kept / "syncd.toml", "sync").stdout)
        assert again["requests"] == 0
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()
    assert syncd("demo", "--keep", kept).returncode == 2


def test_the_demo_without_keep_leaves_nothing(tmp_path: Path) -> None:
    done = syncd("demo", TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def _minute() -> Any:
    from datetime import timedelta

    return timedelta(minutes=1)


def _numbers(text: str) -> dict[str, int]:
    import re

    return {word: int(number) for number, word in re.findall(r"(\d+) (records|requests|accepted|failed)", text)}
