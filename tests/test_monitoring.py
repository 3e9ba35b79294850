"""deploy/monitoring: what Prometheus' own tool says of it, and that every metric in it exists."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import syncd
from syncd.metrics import METRICS, exposition
from syncd.settings import DataCiteSettings
from syncd.snapshot import Board
from tests.programs import needed
from tests.site import Site
from tests.test_web import stated

FOLDER = Path(syncd.__file__).parent.parent / "deploy" / "monitoring"
_OTHERS = {"up", "process_resident_memory_bytes"}
_NAME = re.compile(r"\b(?:syncd_\w+|up|process_\w+)\b(?=[{\s),]|$)")


@pytest.fixture(scope="module")
def promtool() -> Path:
    return needed("promtool", package="prometheus")


def _expressions() -> list[str]:
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    found += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [one["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]


def test_every_metric_in_alerts_and_dashboard_exists_and_so_do_its_labels() -> None:
    used: set[str] = set()
    for expression in _expressions():
        names = _NAME.findall(expression)
        assert names, expression
        used |= set(names)
        for name, labels in re.findall(r"(syncd_\w+)\{([^}]*)\}", expression):
            for label in re.findall(r"(\w+)(?:=~|!=|=)", labels):
                assert label in METRICS[name][0].split(", "), expression

    assert used - _OTHERS <= set(METRICS)


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]

    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
    names = {rule["alert"] for rule in rules}
    assert set(re.findall(r'alertname="(\w+)"', (FOLDER / "alerts_test.yml").read_text())) == names


def test_prometheus_own_tool_takes_the_rules_and_they_fire_when_they_should(promtool: Path) -> None:
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_own_tool_takes_the_metrics(promtool: Path, site: Site) -> None:
    for number in range(3):
        site.add(number)
    site.add(9, creators=[])
    site.sync()
    state = stated((site.account,))
    text = exposition(Board(site.store, DataCiteSettings(), lambda: state))

    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)

    assert (done.returncode, done.stderr.decode()) == (0, "")
