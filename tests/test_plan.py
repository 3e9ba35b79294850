"""Every cell of the plan table, and what a request carries."""

from typing import Any

import pytest

from syncd.datacite.request import Delete, Put
from syncd.digest import document_digests
from syncd.model import MANAGED_ATTRIBUTES, Desired, Held, State
from syncd.plan import Nothing, Policy, Step, decide, delay, difference, exhausted
from tests.site import ATTRIBUTES

NONE, DRAFT, REGISTERED, FINDABLE = State.NONE, State.DRAFT, State.REGISTERED, State.FINDABLE
FULL = {**ATTRIBUTES, "url": "https://example.org/1"}
CHANGED = {**FULL, "titles": [{"title": "Another"}]}


def wanted(state: State, attributes: dict[str, Any] | None = None) -> Desired:
    content = {} if state is NONE else attributes or FULL
    return Desired("10.5072/x", state, content, *document_digests(state, content))


def held(state: State, attributes: dict[str, Any] | None = None, **more: Any) -> Held:
    if state is NONE:
        return Held(**more)
    return Held(state, document_digests(state, attributes or FULL)[1], **more)


def shape(step: Step) -> Any:
    if isinstance(step, Put):
        return ("PUT", step.event, "complete" if step.complete else sorted(step.attributes), sorted(step.expects))
    return "DELETE" if isinstance(step, Delete) else "nothing"


@pytest.mark.parametrize(
    ("holds", "wants", "expected"),
    [
        (NONE, NONE, "nothing"),
        (NONE, DRAFT, ("PUT", None, "complete", ["draft"])),
        (NONE, REGISTERED, "nothing"),
        (NONE, FINDABLE, ("PUT", "publish", "complete", ["findable"])),
        (DRAFT, NONE, "DELETE"),
        (DRAFT, DRAFT, ("PUT", None, ["titles"], ["draft"])),
        (DRAFT, REGISTERED, "DELETE"),
        (DRAFT, FINDABLE, ("PUT", "publish", ["titles"], ["findable"])),
        (REGISTERED, NONE, "nothing"),
        (REGISTERED, DRAFT, ("PUT", None, ["titles"], ["registered"])),
        (REGISTERED, REGISTERED, ("PUT", None, ["titles"], ["registered"])),
        (REGISTERED, FINDABLE, ("PUT", "publish", ["titles"], ["findable"])),
        (FINDABLE, NONE, ("PUT", "hide", [], ["registered"])),
        (FINDABLE, DRAFT, ("PUT", "hide", ["titles"], ["registered"])),
        (FINDABLE, REGISTERED, ("PUT", "hide", ["titles"], ["registered"])),
        (FINDABLE, FINDABLE, ("PUT", None, ["titles"], ["findable"])),
    ],
)
def test_every_cell_of_the_table_with_a_changed_title(holds: State, wants: State, expected: Any) -> None:
    assert shape(decide(held(holds), wanted(wants, CHANGED))) == expected


@pytest.mark.parametrize(
    ("holds", "wants", "expected"),
    [
        (DRAFT, DRAFT, "nothing"),
        (DRAFT, FINDABLE, ("PUT", "publish", [], ["findable"])),
        (REGISTERED, DRAFT, "nothing"),
        (REGISTERED, REGISTERED, "nothing"),
        (REGISTERED, FINDABLE, ("PUT", "publish", [], ["findable"])),
        (FINDABLE, DRAFT, ("PUT", "hide", [], ["registered"])),
        (FINDABLE, REGISTERED, ("PUT", "hide", [], ["registered"])),
        (FINDABLE, FINDABLE, "nothing"),
    ],
)
def test_every_cell_of_the_table_with_equal_content(holds: State, wants: State, expected: Any) -> None:
    assert shape(decide(held(holds), wanted(wants))) == expected


@pytest.mark.parametrize("wants", [NONE, DRAFT, REGISTERED, FINDABLE])
@pytest.mark.parametrize("last", [NONE, DRAFT, REGISTERED, FINDABLE])
@pytest.mark.parametrize("truth", [NONE, DRAFT, REGISTERED, FINDABLE])
def test_after_a_lost_answer_the_steps_lead_to_the_wanted_state_whichever_datacite_is_in(
    wants: State, last: State, truth: State
) -> None:
    if truth in (NONE, DRAFT) and last in (REGISTERED, FINDABLE):
        return  # what was public stays public
    desired, known = wanted(wants), Held(last, None, sure=False)
    for _ in range(4):
        step = decide(known, desired)
        if isinstance(step, Nothing):
            break
        truth = _at_datacite(truth, step)
        known = _answer(truth, step, known)
    else:
        pytest.fail("no end")

    reachable = {
        NONE: (NONE, REGISTERED),
        DRAFT: (DRAFT, REGISTERED),
        REGISTERED: (REGISTERED, NONE),
        FINDABLE: (FINDABLE,),
    }
    assert truth in reachable[wants]


def _at_datacite(state: State, step: Put | Delete) -> State:
    if isinstance(step, Delete):
        return NONE if state is DRAFT else state
    state = DRAFT if state is NONE else state
    moves = {(DRAFT, "publish"): FINDABLE, (REGISTERED, "publish"): FINDABLE, (FINDABLE, "hide"): REGISTERED}
    return moves.get((state, step.event or ""), state)


def _answer(state: State, step: Put | Delete, before: Held) -> Held:
    if isinstance(step, Delete):
        return Held() if state is NONE else Held(FINDABLE, None)
    return Held(state, step.digests if step.digests is not None else before.digests)


def test_a_complete_request_carries_every_managed_attribute_and_clears_the_absent_ones() -> None:
    step = decide(Held(), wanted(FINDABLE))

    assert isinstance(step, Put)
    assert sorted(step.attributes) == list(MANAGED_ATTRIBUTES)
    assert (step.attributes["subjects"], step.attributes["language"]) == ([], None)


def test_a_removed_attribute_is_sent_with_its_clearing_value() -> None:
    before = {**FULL, "subjects": [{"subject": "x"}], "language": "en", "publisher": {"name": "P"}}
    after = {name: value for name, value in before.items() if name not in ("subjects", "language", "publisher")}

    sent = difference(held(FINDABLE, before), wanted(FINDABLE, after))

    assert sent == {"subjects": [], "language": None, "publisher": {}}


def test_diff_of_equal_content_is_empty() -> None:
    assert difference(held(FINDABLE), wanted(FINDABLE)) == {}


def test_a_withdrawn_draft_is_kept_when_the_operator_wants_so() -> None:
    assert shape(decide(held(DRAFT), wanted(REGISTERED), Policy(keep_withdrawn_drafts=True))) == "nothing"


def test_a_hide_says_why_and_touches_no_attribute() -> None:
    step = decide(held(FINDABLE), wanted(NONE), Policy(hide_comment="removed by its author"))

    assert isinstance(step, Put)
    assert (step.attributes, step.comment) == ({}, "removed by its author")
    assert b'"reason":"removed by its author"' in step.body()


def test_a_doi_that_does_not_resolve_yet_is_sent_again_without_attributes() -> None:
    step = decide(held(FINDABLE, resolves=False), wanted(FINDABLE))

    assert shape(step) == ("PUT", None, [], ["findable"])


def test_schema_version_goes_with_every_write() -> None:
    for step in (decide(Held(), wanted(DRAFT)), decide(held(FINDABLE), wanted(NONE))):
        assert isinstance(step, Put)
        assert b'"schemaVersion":"http://datacite.org/schema/kernel-4"' in step.body()


def test_waiting_times_double_with_jitter_and_respect_retry_after() -> None:
    assert [delay(attempt, None, 1.0) for attempt in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert delay(8, None, 1.0) == 256.0
    assert delay(9, None, 0.0) == 3600.0
    assert delay(33, None, 0.0) == 86400.0  # by then it is the record, not the weather
    assert delay(1, None, 0.0) == 0.0
    assert delay(1, 120.0, 0.5) == 120.0
    assert delay(9, 0, 1.0) == 0.0
    assert [exhausted(attempts) for attempts in (1, 2, 3)] == [False, False, True]
