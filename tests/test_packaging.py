"""A wheel, a source distribution and an editable install each carry all that they need."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def run(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_an_installation_upgrades_its_tables_and_runs_the_demo(kind: str, built: Path, tmp_path: Path) -> None:
    target = {"wheel": next(built.glob("*.whl")), "sdist": next(built.glob("*.tar.gz")), "editable": ROOT}[kind]
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    # syncd itself is installed afresh; what it depends on is taken from where the tests run.
    ours = next((environment / "lib").glob("python*")) / "site-packages"
    (ours / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    flags = ["--editable"] if kind == "editable" else []
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", *flags, target, cwd=tmp_path)
    where = run(python, "-c", "import syncd; print(syncd.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(ROOT if kind == "editable" else environment)
    configuration = tmp_path / "syncd.toml"
    program = environment / "bin" / "syncd"
    run(program, "init", "--output", configuration, cwd=tmp_path)
    text = configuration.read_text().replace("CHANGE.REPOSITORY", "A.B")
    configuration.write_text(text.replace("sqlite:///syncd-state.db", f"sqlite:///{tmp_path}/state.db"))

    upgraded = run(program, "db", "upgrade", "-c", configuration, cwd=tmp_path)
    demo = run(program, "demo", cwd=tmp_path)

    assert "is at revision" in upgraded
    assert "7 requests:" in demo


def test_the_source_distribution_carries_tests_and_migrations(built: Path) -> None:
    import tarfile

    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    for expected in ("migrations/versions/0001_first_tables.py", "tests/conftest.py", "LICENSE", "syncd/py.typed"):
        assert expected in names
