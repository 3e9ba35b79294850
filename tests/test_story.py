"""The demo's story over every pair of databases: platform by own tables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.demo.story import play, write_configuration
from syncd.sandbox.server import RunningSandbox


@pytest.mark.parametrize("state", ["sqlite", "postgresql"])
@pytest.mark.parametrize("platform", ["sqlite", "postgresql", "mariadb"])
def test_seven_edits_cost_exactly_seven_requests(
    platform: str, state: str, database: Callable[[str], str], tmp_path: Path, sandbox: RunningSandbox
) -> None:
    path = write_configuration(tmp_path, database(platform), database(state), sandbox.address)

    story = play(path, sandbox)

    assert story.first is not None
    assert story.first.scan.records == 240
    # 239 have a DOI; 10 are restricted, 10 withdrawn before DataCite had them, one is invalid.
    assert story.first_requests == 239 - 10 - 10 - 1
    assert (story.second_requests, story.third_requests) == (0, 7)
    assert [(edit.request, list(edit.attributes), edit.state) for edit in story.edits] == [
        ("PUT", ["titles"], "findable"),
        ("PUT", ["creators"], "findable"),
        ("PUT", ["url"], "findable"),
        ("PUT", ["rightsList"], "findable"),
        ("PUT publish", [], "findable"),
        ("PUT hide", [], "registered"),
        ("PUT hide", [], "registered"),
    ]
    assert all(edit.bytes < edit.full_bytes for edit in story.edits)
    assert [(group.cause, [doi for doi, _ in group.examples]) for group in story.failures] == [
        ("metadata_invalid", ["10.5072/demo.0042"])
    ]
    assert story.sum is not None
    assert (story.sum.wanted, story.sum.in_sync, story.sum.quarantined, story.sum.pending) == (239, 238, 1, 0)
    assert story.sum.adds_up
    world = sandbox.application.world.dois
    assert len(world["10.5072/demo.0017"].attributes["creators"]) == 120
    assert world["10.5072/demo.0011"].attributes["titles"] == [{"title": "A better title"}]
    assert world["10.5072/demo.0018"].attributes["rightsList"] == []
    orcid = world["10.5072/demo.0012"].attributes["creators"][0]["nameIdentifiers"][0]["nameIdentifier"]
    assert orcid == "https://orcid.org/0000-0002-1825-0097"
