"""The how-to for a platform of one's own: its example is installed as it stands there, and works."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError
from syncd.platforms import known, open_platform
from syncd.sandbox.server import RunningSandbox
from tests.presets.site import Installation

HOW_TO = Path(__file__).parent.parent / "deploy" / "platforms" / "your-own.md"


@pytest.fixture
def library(
    tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """The example's package, installed, and a database of its platform."""
    code = re.search(r"<!-- test: library.py -->\n```python\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    entry = re.search(r"```toml\n\[project.entry-points.\"(.*?)\"\]\n(.*?)\n```", HOW_TO.read_text(), re.DOTALL)
    assert code is not None
    assert entry is not None
    (tmp_path / "library.py").write_text(code[1])
    about = tmp_path / "library-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: library\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2].replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    url = database("sqlite")
    site = Installation("library", url, tmp_path, sandbox, database("sqlite"))
    site.script(
        "CREATE TABLE book (id INTEGER PRIMARY KEY, doi TEXT, title TEXT, year INTEGER, status TEXT, modified TEXT);"
        "CREATE TABLE author (book_id INTEGER, place INTEGER, name TEXT);"
        "INSERT INTO book VALUES (1, '10.5072/b1', 'A book', 2020, 'shelf', '2024-01-01 10:00:00'),"
        " (2, '10.5072/b2', 'Lost', 2021, 'lost', '2024-01-01 10:00:00'),"
        " (3, NULL, 'No DOI', 2021, 'shelf', '2024-01-01 10:00:00');"
        "INSERT INTO author VALUES (1, 2, 'Second'), (1, 1, 'First')"
    )
    yield site
    site.close()
    sys.modules.pop("library", None)


def test_the_example_of_the_how_to_brings_its_records_to_datacite(library: Installation) -> None:
    assert "library" in known()
    library.adopt()

    library.sync()

    found = library.remote("10.5072/b1")
    assert found is not None
    assert (found.state, found.attributes["url"]) == ("findable", "https://repository.example.org/books/1")
    assert [one["name"] for one in found.attributes["creators"]] == ["First", "Second"]
    assert library.remote("10.5072/b2") is None


def test_a_state_that_changes_without_a_timestamp_is_seen_by_its_outline(library: Installation) -> None:
    library.adopt()
    library.sync()
    library.execute("INSERT INTO book VALUES (4, '10.5072/b4', 'Other', 2020, 'shelf', '2024-02-01 10:00:00')")
    library.sync()
    library.execute("UPDATE book SET status = 'lost' WHERE id = 1")

    library.sync(full=False)

    found = library.remote("10.5072/b1")
    assert found is not None
    assert found.state == "registered"


def test_its_options_are_checked_as_any_others(library: Installation) -> None:
    library.more = '[accounts.source.options]\nlent = "findable"\nshelf = 3\n'

    with pytest.raises(ConfigurationError, match=r"options.shelf: unknown; known are lent"):
        open_platform(library.settings.accounts[0])
