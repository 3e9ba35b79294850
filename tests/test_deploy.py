"""The files in deploy for containers: valid against their schemas, and what they rest on exists."""

import re
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

import syncd
from syncd.cli import COMMANDS

DEPLOY = Path(syncd.__file__).parent.parent / "deploy"
MANIFESTS = ["deployment.yaml", "sidecar.yaml", "backfill.yaml", "command.yaml"]


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid_for_kubernetes(name: str, version: str) -> None:
    for document in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()):
        kubernetes_validate.validate(document, version, strict=True)


def _pod(name: str) -> Any:
    document = yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())
    spec = document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
    return spec["template"]["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_our_container_has_no_rights_and_a_command_that_exists(name: str) -> None:
    pod = _pod(name)
    ours = [one for one in (*pod.get("initContainers", []), *pod["containers"]) if one["image"] == "syncd"]
    assert len(ours) == 1
    security = {**pod["securityContext"], **ours[0]["securityContext"]}

    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == 10001
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert ours[0]["args"][0] in COMMANDS
    assert pod["terminationGracePeriodSeconds"] > 60 + 30  # request_timeout and what settles after it
    mounted = {one["name"] for one in ours[0]["volumeMounts"]}
    assert mounted <= {one["name"] for one in pod["volumes"]}


def test_a_password_in_kubernetes_is_not_readable_for_everybody() -> None:
    for name in MANIFESTS:
        for volume in _pod(name)["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_the_image_runs_as_a_number_through_exec_forms_and_checks_its_health_with_our_own_command() -> None:
    text = (DEPLOY / "Dockerfile").read_text()

    assert text.count("FROM ${PYTHON}") == 2
    assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["syncd"]' in text
    assert 'CMD ["syncd", "health"]' in text
    assert "--require-hashes" in text
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((DEPLOY.parent / one).exists() for one in source.split())


def test_the_compose_file_takes_every_right_away() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]["syncd"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def _needed_to_run() -> list[str]:
    return [one for one in metadata.requires("syncd") or [] if "extra ==" not in one or "mysql" in one]


def _needed_to_build() -> list[str]:
    needed: list[str] = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["build-system"]["requires"]
    return needed


@pytest.mark.parametrize(("name", "needed"), [("requirements", _needed_to_run), ("build", _needed_to_build)])
def test_a_lock_has_a_hash_for_every_package_names_no_host_and_fits_the_project(
    name: str, needed: Callable[[], list[str]]
) -> None:
    text = (DEPLOY / f"{name}.lock").read_text()
    assert "://" not in text
    locked: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        found = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", block)
        assert found, block
        assert "--hash=sha256:" in block
        locked[found[1].lower().replace("_", "-")] = found[2]
    for one in map(Requirement, needed()):
        package = one.name.lower().replace("_", "-")
        assert package in locked, f"{package}: make the lock anew (deploy/README.md)"
        assert one.specifier.contains(locked[package]), package
