"""Presets on the schemas that the platforms' own packages make, in an environment of their own.

``python -m tests.real_platforms ckan|ckan-2.12|inveniordm|inveniordm-14 postgresql://…/EMPTY_DATABASE [FOLDER]``
installs the platform's packages into FOLDER, lets them make their tables, fills these as the fixtures do, and compares
what the preset makes of them with the same readable file. So a new version can be checked before it arrives.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.presets.ckan import DOI, Ckan
from tests.presets.inveniordm import InvenioRdm
from tests.presets.site import Installation, check_documents

_CKAN = """
import subprocess, sys
from pathlib import Path
url, folder = sys.argv[1:]
plugins = "activity doi" if "ckanext-doi" in PACKAGES else "activity"
ckan = str(Path(sys.executable).parent / "ckan")
path = Path(folder) / "ckan.ini"
subprocess.run([ckan, "generate", "config", str(path)], check=True)
lines = []
for line in path.read_text().splitlines():
    name = line.split("=")[0].strip()
    line = {"sqlalchemy.url": f"sqlalchemy.url = {url}", "ckan.plugins": f"ckan.plugins = {plugins}",
            "ckan.site_url": "ckan.site_url = https://ckan.example.org"}.get(name, line)
    lines.append(line)
    if name == "ckan.plugins":
        lines += ["ckanext.doi.account_name = X.Y", "ckanext.doi.account_password = none",
                  "ckanext.doi.prefix = 10.5072", "ckanext.doi.publisher = P"]
path.write_text("\\n".join(lines))
subprocess.run([ckan, "-c", str(path), "db", "init"], check=True)
if "doi" in plugins:
    subprocess.run([ckan, "-c", str(path), "db", "upgrade", "-p", "doi"], check=True)
"""
_INVENIORDM = """
import importlib, sys
from sqlalchemy import create_engine
from invenio_db import db
for module in ("invenio_pidstore.models", "invenio_accounts.models", "invenio_files_rest.models",
               "invenio_communities.communities.records.models", "invenio_requests.records.models",
               "invenio_rdm_records.records.models", "invenio_vocabularies.records.models",
               *(f"invenio_vocabularies.contrib.{name}.api" for name in
                 ("affiliations", "funders", "awards", "subjects", "names"))):
    importlib.import_module(module)
db.metadata.create_all(create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg2://")))
"""


@dataclass(frozen=True)
class Real:
    """How one platform is installed and filled."""

    packages: list[str]
    schema: str
    make: Callable[..., Any]
    version: str
    more: str = ""
    tables: str = ""


def _options() -> str:
    from tests.test_ckan import OPTIONS

    return OPTIONS


_FOR_CKAN = ["ckanext-doi", "setuptools<81", "psycopg2-binary"]
_FOR_INVENIO = ["invenio-app", "invenio-db[postgresql]", "invenio-search[opensearch2]", "setuptools<81"]
PLATFORMS = {
    "ckan": Real(["ckan[requirements]==2.11.*", *_FOR_CKAN], _CKAN, Ckan, "2.11", _options()),
    # ckanext-doi 4.0 cannot be loaded with the SQLAlchemy of CKAN 2.12, so its one table is ours.
    "ckan-2.12": Real(["ckan[requirements]==2.12.*", *_FOR_CKAN[1:]], _CKAN, Ckan, "2.12", _options(), DOI),
    "inveniordm": Real(["invenio-rdm-records~=20.3", *_FOR_INVENIO], _INVENIORDM, InvenioRdm, "13"),
    "inveniordm-14": Real(["invenio-rdm-records~=32.3", *_FOR_INVENIO], _INVENIORDM, InvenioRdm, "14"),
}


def main(name: str, url: str, folder: Path) -> None:
    """Install, make the tables, fill them, compare."""
    real = PLATFORMS[name]
    environment = folder / "environment"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *real.packages], check=True)
    subprocess.run([python, "-c", f"PACKAGES = {real.packages!r}\n{real.schema}", url, folder], check=True)
    sandbox: Any = SimpleNamespace(address="http://127.0.0.1:9")
    site = Installation(name.split("-")[0], url, folder, sandbox, f"sqlite:///{folder}/state.db", more=real.more)
    if real.tables:
        site.script(real.tables)
    real.make(site, real.version, empty=False).fill()
    check_documents(site, site.name, there=False)
    with site.platform() as platform:
        sys.stdout.write(f"{platform.preset.title}: every record is mapped as tests/presets/{site.name}.json says\n")
    site.close()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as place:
            main(sys.argv[1], sys.argv[2], Path(place))
