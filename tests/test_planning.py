"""The plan: five thousand changes on one screen, the same value in four forms, and done exactly or not at all."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from syncd.cli import syncd
from syncd.cli.planning import plan_of
from syncd.errors import SafetyError
from tests.site import Site

HOSTILE = '<script>alert("x")</script> & [bold]|pipe|`code`'


def run(site: Site, *arguments: str) -> tuple[int, str, str]:
    """A command in this process: many of them are asked here."""
    assert site.settings
    result = CliRunner().invoke(syncd, ["-c", str(site.path), *arguments], standalone_mode=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    return int(result.return_value or 0), result.stdout, result.stderr


@pytest.fixture
def mixed(site: Site) -> Site:
    """Changes of every kind."""
    for number in range(1, 41):
        site.add(number, status="draft" if number in (5, 6) else "published", titles=[{"title": f"Title {number}"}])
    site.sync()
    site.more = "[brake]\nchanged = 100\nhidden = 100\n"
    site.edit(1, titles=[{"title": HOSTILE}])
    for number in range(10, 20):
        site.execute("UPDATE record SET url = 'https://new.example.org/' || id WHERE id = :id", id=number)
    site.edit(5, status="published")
    site.edit(6, status="withdrawn")
    site.edit(7, status="withdrawn")
    site.remove(8)
    site.add(41)
    site.add(42, types={"resourceTypeGeneral": "Datset"})
    site.add(43, doi="10.9999/foreign")
    site.store.orders.exclude("DATACITE.DEMO", ["10.5072/r40"], "by hand")
    return site


def test_a_plan_names_every_kind_of_change_with_its_reason(mixed: Site) -> None:
    before = len(mixed.requests)

    code, out, _ = run(mixed, "plan", "--json", "--exit-code")

    assert code == 3
    (plan,) = json.loads(out)
    assert plan["counts"] == {
        "create": 1, "publish": 1, "update": 11, "hide": 2, "delete": 1, "set aside": 1, "foreign": 1,
    }  # fmt: skip
    assert (plan["unchanged"], plan["excluded"], plan["requests"]) == (24, 1, 16)
    assert all(one["reason"] for one in plan["plan"])
    moved = next(group for group in plan["groups"] if group["count"] == 10)
    assert moved["what"] == "changed: landing page at new.example.org"
    assert len(mixed.requests) == before


def test_old_values_come_from_datacite_where_they_are_asked_for(mixed: Site) -> None:
    _, out, _ = run(mixed, "plan", "--json", "--remote")

    (plan,) = json.loads(out)
    one = next(each for each in plan["plan"] if each["doi"] == "10.5072/r10")
    assert one["changes"]["url"] == {"before": "https://example.org/10", "after": "https://new.example.org/10"}
    moved = next(group for group in plan["groups"] if group["count"] == 10)
    assert moved["what"] == "changed: landing page from example.org to new.example.org"
    assert plan["checksum"] == json.loads(run(mixed, "plan", "--json")[1])[0]["checksum"]


def test_five_thousand_mixed_changes_fit_on_one_screen(site: Site) -> None:
    site.execute(
        "INSERT INTO record WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " SELECT i, '10.5072/r' || i, CASE i % 10 WHEN 0 THEN 'draft' WHEN 1 THEN 'private' ELSE 'published' END,"
        " 'https://example.org/' || i, :metadata, '2026-01-01 10:00:00' FROM n",
        metadata=json.dumps({"titles": [{"title": "T"}], "creators": [{"name": "A"}], "publisher": {"name": "P"},
                             "publicationYear": 2024, "types": {"resourceTypeGeneral": "Dataset"}}),
    )  # fmt: skip
    site.scan()
    with site.store.database.writing() as connection:  # as if they had been sent as something else
        connection.exec_driver_sql(
            "UPDATE syncd_doi SET synced_state = CASE id % 3 WHEN 0 THEN 'none' WHEN 1 THEN 'draft' ELSE 'findable' END"
        )

    _, out, _ = run(site, "plan")

    assert len(out.splitlines()) <= 40
    assert max(len(line) for line in out.splitlines() if not line.startswith("A pass would stop")) <= 160
    assert "syncd sync --account DATACITE.DEMO --plan" in out
    _, full, _ = run(site, "plan", "--full")
    assert len(full.splitlines()) > 4000


@pytest.mark.parametrize("form", ["markdown", "html", "text"])
def test_a_hostile_title_is_text_in_every_form(mixed: Site, form: str) -> None:
    _, out, _ = run(mixed, "plan", "--remote", "--full", "--format", form)

    assert "<script>alert" not in out or form == "text"
    if form == "text":
        assert "[bold]" in out
    if form == "markdown":
        assert "|pipe|" not in out


def test_the_html_is_whole_and_loads_nothing(mixed: Site) -> None:
    _, out, _ = run(mixed, "plan", "--format", "html")

    assert out.startswith("<!doctype html>")
    assert "src=" not in out
    assert "href=" not in out
    assert out.count("10.5072/r1") >= 11  # every DOI stands in it


def test_exactly_the_plan_is_done(mixed: Site) -> None:
    mixed.more = ""
    (plan,) = json.loads(run(mixed, "plan", "--json")[1])
    before = len(mixed.requests)
    assert f"--plan {plan['checksum']} --accept-changes" in run(mixed, "plan")[1]

    with pytest.raises(SafetyError, match="known DOIs changed at once"):
        run(mixed, "sync", "--plan", plan["checksum"])  # a checksum alone lets no brake pass
    (plan,) = json.loads(run(mixed, "plan", "--json")[1])
    run(mixed, "sync", "--plan", plan["checksum"], plan["option"])

    assert len(mixed.requests) == before + 16
    assert mixed.store.reading.sum("DATACITE.DEMO").pending == 0


def test_one_more_edit_makes_the_plan_another_one(mixed: Site) -> None:
    checksum = json.loads(run(mixed, "plan", "--json")[1])[0]["checksum"]
    before = len(mixed.requests)
    mixed.edit(20, titles=[{"title": "One more edit"}])

    with pytest.raises(SafetyError, match="something changed since it was made") as stop:
        run(mixed, "sync", "--plan", checksum)

    assert "syncd plan" in stop.value.hint
    assert len(mixed.requests) == before


def test_a_plan_that_the_brake_would_stop_says_so(mixed: Site) -> None:
    mixed.more = ""

    _, out, _ = run(mixed, "plan")

    assert "A pass would stop: " in out
    assert "--accept-changes" in out


def test_what_happens_between_plan_and_pass_is_not_done_with_it(mixed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.cli import passes

    mixed.more = ""
    (plan,) = json.loads(run(mixed, "plan", "--json")[1])
    before = len(mixed.requests)
    made = passes.plan_of

    def then_a_disaster(*arguments: object) -> object:
        found = made(*arguments)  # type: ignore[arg-type]
        mixed.execute("UPDATE record SET status = 'withdrawn'")
        return found

    monkeypatch.setattr(passes, "plan_of", then_a_disaster)
    with pytest.raises(SafetyError, match="would be hidden, and the plan showed"):
        run(mixed, "sync", "--plan", plan["checksum"], "--accept-changes", "--accept-missing")

    assert len(mixed.requests) == before


def test_the_plan_as_a_real_process_writes_a_file(mixed: Site) -> None:
    assert mixed.settings
    target = mixed.folder / "plan.html"
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(mixed.path), "plan", "--format", "html", "--output", str(target)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert target.read_text().endswith("</html>")


def test_a_plan_counts_every_record_once(site: Site) -> None:
    for number in range(1, 5):
        site.add(number)
    site.add(5, types={"resourceTypeGeneral": "Nope"})
    site.add(6, status="private")
    first = plan_of(site.settings, site.settings.accounts[0], site.store)
    assert (first.counts, first.unchanged, first.failed) == ({"create": 4, "set aside": 1}, 1, 0)
    site.sync()

    site.edit(1, titles=[{"title": "Edited"}])
    site.edit(5, titles=[{"title": "Edited"}])
    second = plan_of(site.settings, site.settings.accounts[0], site.store)

    assert sum(second.counts.values()) + second.unchanged + second.failed == 6
