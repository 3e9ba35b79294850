"""What a full look and an outline of 100,000 records cost on each platform, beside a bare read of the same rows.

``python -m tests.benchmark_presets [COUNT]``; absolute times are noise on a shared machine, their ratios are not.
"""

import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text

from tests.presets.ckan import Ckan
from tests.presets.dspace import DSpace
from tests.presets.inveniordm import METADATA, InvenioRdm
from tests.presets.ojs import Ojs
from tests.presets.site import PREFIX, Installation
from tests.servers import postgresql

_JSON = str({**METADATA, "description": "words " * 100}).replace("'", '"')
FILL: dict[str, tuple[Any, str, list[str], list[str]]] = {
    "ckan": (Ckan, "2.11", [
        "INSERT INTO package (id, name, title, notes, author, state, type, private, owner_org, metadata_created,"
        " metadata_modified) SELECT 'p' || n, 'name' || n, 'Title ' || n, repeat('words ', 100), 'Author', 'active',"
        " 'dataset', false, 'org-1', now(), now() FROM generate_series(1, {n}) n",
        f"INSERT INTO doi SELECT '{PREFIX}/p' || n, 'p' || n, now() FROM generate_series(1, {{n}}) n",
        "INSERT INTO package_extra SELECT 'e' || n || '-' || k, 'key' || k, 'value', 'active', 'p' || n"
        " FROM generate_series(1, {n}) n, generate_series(1, 5) k",
        "INSERT INTO resource (id, url, format, size, position, state, package_id) SELECT 'r' || n || '-' || k, 'u',"
        " 'CSV', 1000, k, 'active', 'p' || n FROM generate_series(1, {n}) n, generate_series(1, 3) k",
        "CREATE INDEX ON package_extra (package_id)", "CREATE INDEX ON resource (package_id)",
        "CREATE INDEX ON package_tag (package_id)",
    ], ["package", "doi", "package_extra", "resource"]),
    "dspace": (DSpace, "7 to 9", [
        "INSERT INTO item (uuid, in_archive, withdrawn, discoverable, last_modified) SELECT md5(n::text)::uuid, true,"
        " false, true, now() FROM generate_series(1, {n}) n",
        f"INSERT INTO doi (doi, resource_type_id, status, dspace_object) SELECT '{PREFIX}/i' || n, 2, 3,"
        " md5(n::text)::uuid FROM generate_series(1, {n}) n",
        "INSERT INTO handle (handle, resource_type_id, resource_id) SELECT '1/' || n, 2, md5(n::text)::uuid"
        " FROM generate_series(1, {n}) n",
        "INSERT INTO metadatavalue (metadata_field_id, text_value, place, dspace_object_id) SELECT k, 'value ' || k, 0,"
        " md5(n::text)::uuid FROM generate_series(1, {n}) n, generate_series(1, 12) k",
        "CREATE INDEX ON handle (resource_id)", "CREATE INDEX ON versionitem (item_id)",
        "CREATE INDEX ON workspaceitem (item_id)", "CREATE INDEX ON cwf_workflowitem (item_id)",
    ], ["item", "doi", "handle", "metadatavalue"]),
    "inveniordm": (InvenioRdm, "14", [
        "INSERT INTO rdm_parents_metadata SELECT md5('p' || n)::uuid, '{{}}', 1, now(), now()"
        " FROM generate_series(1, {n}) n",
        "INSERT INTO rdm_records_metadata (id, json, version_id, created, updated, deletion_status, index, parent_id)"
        " SELECT md5('r' || n)::uuid, jsonb_build_object('id', 'r' || n,"
        " 'access', jsonb_build_object('record', 'public'), 'pids', jsonb_build_object('doi',"
        f" jsonb_build_object('identifier', '{PREFIX}/r' || n, 'provider', 'datacite')),"
        " 'metadata', CAST(:json AS jsonb)), 1, now(), now(), 'P', 1, md5('p' || n)::uuid"
        " FROM generate_series(1, {n}) n",
        "INSERT INTO pidstore_pid (pid_type, pid_value, pid_provider, status, object_type, object_uuid, created,"
        " updated)"
        f" SELECT 'doi', '{PREFIX}/r' || n, 'datacite', 'R', 'rec', md5('r' || n)::uuid, now(), now()"
        " FROM generate_series(1, {n}) n",
    ], ["rdm_records_metadata", "rdm_parents_metadata", "pidstore_pid"]),
    "ojs": (Ojs, "3.4", [
        f"INSERT INTO dois SELECT 1000000 + n, 1, '{PREFIX}/a' || n, 3 FROM generate_series(1, {{n}}) n",
        "INSERT INTO submissions (submission_id, context_id, locale, status, current_publication_id, last_modified)"
        " SELECT 1000000 + n, 1, 'en_US', 3, 1000000 + n, now() FROM generate_series(1, {n}) n",
        "INSERT INTO publications (publication_id, submission_id, status, date_published, last_modified, seq, doi_id)"
        " SELECT 1000000 + n, 1000000 + n, 3, now(), now(), n, 1000000 + n FROM generate_series(1, {n}) n",
        "INSERT INTO publication_settings SELECT 1000000 + n, k.locale, k.name, k.value FROM generate_series(1, {n}) n,"
        " (VALUES ('en_US', 'title', 'A title'), ('en_US', 'abstract', repeat('words ', 100)), ('', 'issueId', '1'))"
        " AS k (locale, name, value)",
        "INSERT INTO authors (author_id, publication_id, seq) SELECT 1000000 + n, 1000000 + n, 1"
        " FROM generate_series(1, {n}) n",
        "INSERT INTO author_settings SELECT 1000000 + n, 'en_US', k.name, 'Name' FROM generate_series(1, {n}) n,"
        " (VALUES ('givenName'), ('familyName')) AS k (name)",
        "CREATE INDEX ON publication_settings (publication_id)", "CREATE INDEX ON authors (publication_id)",
        "CREATE INDEX ON author_settings (author_id)", "CREATE INDEX ON publications (doi_id)",
        "CREATE INDEX ON submissions (current_publication_id)", "CREATE INDEX ON publication_galleys (publication_id)",
    ], ["submissions", "publications", "publication_settings", "authors", "author_settings", "dois"]),
}  # fmt: skip


def main(count: int) -> None:
    """A line for each platform."""
    with postgresql() as server, tempfile.TemporaryDirectory() as folder:
        for name, (make, version, statements, tables) in FILL.items():
            sandbox: Any = SimpleNamespace(address="http://127.0.0.1:9")
            site = Installation(name, server.database(), Path(folder), sandbox, f"sqlite:///{folder}/{name}.db")
            portal = make(site, version)
            if name == "dspace":
                for field in (
                    "dc.title",
                    "dc.contributor.author",
                    "dc.date.issued",
                    *(f"dc.subject.k{k}" for k in range(9)),
                ):
                    portal.field(field)
            for statement in statements:
                values = {"json": _JSON} if ":json" in statement else {}
                site.execute(statement.format(n=count), **values)
            site.execute("ANALYZE")
            sys.stdout.write(_measured(site, count, tables) + "\n")
            sys.stdout.flush()
            site.close()


def _measured(site: Installation, count: int, tables: list[str]) -> str:
    bare = _seconds(lambda: _bare(site, tables))
    with site.platform() as platform:
        seen = [0]
        outlines = _seconds(lambda: _count(platform.outlines(), seen))
        assert seen[0] == count, seen
        tracemalloc.start()
        whole = _seconds(lambda: _count(platform.all(), [0]))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        whole = _seconds(lambda: _count(platform.all(), [0]))
        mark = platform.watermark
        quick = _seconds(lambda: _count(platform.changed({"datetime": "2999-01-01T00:00:00+00:00"}), [0]))
        assert mark is not None
    return (
        f"{site.name}: {count:,} records; bare read {bare:.1f} s, full look {whole:.1f} s"
        f" ({count / whole:,.0f} a second, {whole / bare:.1f} times), outlines {outlines:.1f} s"
        f" ({count / outlines:,.0f} a second), an idle question for changes {quick:.2f} s;"
        f" at most {peak / 1e6:.0f} MB of Python objects"
    )


def _bare(site: Installation, tables: list[str]) -> None:
    with site.engine.connect().execution_options(stream_results=True) as connection:
        for table in tables:
            for _ in connection.execute(text(f"SELECT * FROM {table}")):
                pass


def _count(pages: Iterator[list[Any]], seen: list[int]) -> None:
    for page in pages:
        seen[0] += len(page)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
