from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect, text

from syncd.errors import SafetyError, SchemaError
from syncd.model import Held, State
from syncd.store import Store, schema
from syncd.store.facts import GONE_DIGEST, LANE_STATE, LANE_UPDATE, Claim, Failed, Note, Settlement
from syncd.store.tables import metadata

ACCOUNT = "DATACITE.DEMO"
MINUTE = timedelta(minutes=1)
NOW = timedelta(0)


def note(number: int, digest: str = "v1:a", **more: object) -> Note:
    return replace(
        Note(f"10.5072/{number}", str(number), f"row{digest}", digest, State.FINDABLE, LANE_UPDATE),
        **more,  # type: ignore[arg-type]
    )


def add(store: Store, *notes: Note) -> None:
    store.dois.note(ACCOUNT, [(one, store.dois.of_dois(ACCOUNT, [one.doi]).get(one.doi)) for one in notes])


def claim(store: Store, owner: str = "me", duration: timedelta = MINUTE, grace: timedelta = NOW) -> Claim | None:
    return store.claims.claim(ACCOUNT, owner, duration=duration, grace=grace)


def done(one: Claim) -> Settlement:
    held = Held(State.FINDABLE, {"titles": "1"})
    return Settlement(held, one.desired_digest, one.desired_digest, State.FINDABLE, "row", verified=True)


def bucket(store: Store, number: int) -> str:
    found = store.reading.doi(ACCOUNT, f"10.5072/{number}")
    assert found is not None
    return str(found["bucket"])


def test_a_noted_doi_is_pending_until_it_is_settled(store: Store) -> None:
    add(store, note(1))
    assert bucket(store, 1) == "pending"

    one = claim(store)
    assert one is not None
    assert claim(store) is None
    assert store.claims.settle(one, done(one))

    assert bucket(store, 1) == "in_sync"
    assert claim(store) is None


def test_what_becomes_visible_or_hidden_goes_before_corrections(store: Store) -> None:
    add(store, note(1), note(2, lane=LANE_STATE))

    first, second = claim(store), claim(store)

    assert first is not None
    assert second is not None
    assert (first.doi, second.doi) == ("10.5072/2", "10.5072/1")


def test_many_workers_claim_every_doi_exactly_once(store: Store) -> None:
    add(store, *(note(number) for number in range(60)))

    def work(owner: int) -> list[str]:
        mine = []
        while (one := claim(store, f"worker{owner}")) is not None:
            mine.append(one.doi)
        return mine

    with ThreadPoolExecutor(6) as pool:
        claimed = [doi for dois in pool.map(work, range(6)) for doi in dois]

    assert len(claimed) == 60
    assert len(set(claimed)) == 60


def test_a_claim_that_ran_out_is_another_workers_and_the_first_can_settle_nothing(store: Store) -> None:
    add(store, note(1))
    first = claim(store, "first", duration=NOW)
    second = claim(store, "second")
    assert first is not None
    assert second is not None

    assert not store.claims.mark_unsure(first, NOW)
    assert not store.claims.settle(first, done(first))
    assert store.claims.mark_unsure(second, NOW)
    assert store.claims.settle(second, done(second))


def test_a_claim_with_too_little_time_left_may_not_send(store: Store) -> None:
    add(store, note(1))
    one = claim(store, duration=timedelta(seconds=5))
    assert one is not None

    assert not store.claims.mark_unsure(one, MINUTE)


def test_an_unsure_doi_rests_for_the_grace_time_and_its_content_is_unknown(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    store.claims.settle(one, done(one))
    add(store, note(1, "v1:b"))
    two = claim(store, duration=NOW)
    assert two is not None
    assert two.held.digests == {"titles": "1"}
    store.claims.mark_unsure(two, -MINUTE)  # and then the process dies

    assert claim(store, grace=MINUTE) is None
    again = claim(store)

    assert again is not None
    assert (again.held.digests, again.held.sure, again.held.state) == (None, False, State.FINDABLE)


def test_a_note_made_while_a_request_was_on_its_way_keeps_the_doi_pending(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    add(store, note(1, "v1:newer"))

    store.claims.settle(one, done(one))

    found = store.reading.doi(ACCOUNT, "10.5072/1")
    assert found is not None
    assert (found["bucket"], found["desired_digest"], found["synced_digest"]) == ("pending", "v1:newer", "v1:a")


def test_a_refusal_of_what_a_scan_noted_meanwhile_is_a_refusal(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    add(store, note(1, "v1:newer"))
    read_again = replace(done(one), synced_digest=None, desired_digest="v1:newer", quarantine=True)

    store.claims.settle(one, replace(read_again, failed=Failed("refused", "no")))

    assert claim(store) is None
    assert bucket(store, 1) == "quarantined"


def test_quarantine_lasts_until_the_content_differs(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    store.claims.settle(one, replace(done(one), synced_digest=None, quarantine=True, failed=Failed("refused", "no")))

    add(store, note(1, row_digest="touched"))
    assert (bucket(store, 1), claim(store)) == ("quarantined", None)
    add(store, note(1, "v1:b"))

    found = store.reading.doi(ACCOUNT, "10.5072/1")
    assert found is not None
    assert (found["bucket"], found["cause"], found["attempts"]) == ("pending", None, 0)


def test_a_mapping_that_works_again_finds_what_was_in_sync_in_sync(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    store.claims.settle(one, done(one))
    add(store, note(1, desired_digest=None, quarantine=("mapping_failed", "broken")))
    assert bucket(store, 1) == "quarantined"

    add(store, note(1))

    assert bucket(store, 1) == "in_sync"


def test_a_deferred_doi_waits_until_its_time(store: Store) -> None:
    add(store, note(1))
    one = claim(store)
    assert one is not None
    later = replace(done(one), synced_digest=None, retry_in=MINUTE, attempts=3, failed=Failed("server_error", "x", 503))
    store.claims.settle(one, later)

    assert (bucket(store, 1), claim(store)) == ("pending", None)


def test_a_forgotten_doi_is_gone_unless_a_scan_found_it_again(store: Store) -> None:
    gone = note(1, GONE_DIGEST, gone=True, row_digest=None, desired_state=State.NONE)
    add(store, note(1), note(2))
    add(store, gone, replace(gone, doi="10.5072/2", record_key="2"))
    first, second = claim(store), claim(store)
    assert first is not None
    assert second is not None
    add(store, replace(note(2), doi=second.doi))

    for one in (first, second):
        store.claims.settle(one, replace(done(one), held=Held(), forget=True))

    assert store.reading.doi(ACCOUNT, first.doi) is None
    assert store.reading.doi(ACCOUNT, second.doi) is not None


def test_the_lease_has_one_holder_and_passes_on_when_it_ends(store: Store) -> None:
    runs = store.runs

    assert runs.take_lease("scan", "a", MINUTE)
    assert not runs.take_lease("scan", "b", MINUTE)
    assert runs.take_lease("scan", "a", NOW)
    assert runs.take_lease("scan", "b", MINUTE)
    runs.release_lease("scan", "a")
    assert not runs.take_lease("scan", "a", MINUTE)
    runs.release_lease("scan", "b")
    assert runs.take_lease("scan", "a", MINUTE)


def test_a_pause_holds_for_its_account_until_somebody_resumes(store: Store) -> None:
    store.runs.pause("A", "operator", "no", lambda _: None)

    assert [pause.cause for pause in store.runs.pauses("A")] == ["operator"]
    assert store.runs.leave("A", MINUTE) is None
    assert store.runs.leave("B", MINUTE) == ()
    assert store.runs.resume("A")
    assert not store.runs.resume("A")
    assert store.runs.leave("A", MINUTE) == ()


def test_when_a_pause_is_over_one_request_tries_and_the_others_go_on_waiting(store: Store) -> None:
    lengths: list[int] = []

    def at_once(attempts: int) -> timedelta:
        lengths.append(attempts)
        return timedelta(0)

    store.runs.pause("host", "unreachable", "no route", at_once)
    assert store.runs.leave("A", MINUTE) == ("host",)
    assert store.runs.leave("B", MINUTE) is None
    store.runs.pause("host", "unreachable", "no route", at_once)  # said by one that was on its way before
    assert store.runs.leave("B", MINUTE) is None

    store.runs.pause("host", "unreachable", "no route", at_once, tried=True)
    assert store.runs.leave("B", MINUTE) == ("host",)
    store.runs.end_wait(["host"])  # it had nothing to send
    assert store.runs.leave("A", MINUTE) == ("host",)
    assert store.runs.resume("host")

    assert lengths == [1, 2]
    assert store.runs.leave("B", MINUTE) == ()


def test_the_state_is_bound_to_one_datacite_and_one_platform(store: Store) -> None:
    store.bindings.bind("A", "https://api.test.datacite.org", "sqlite:///x")
    store.bindings.bind("A", "https://api.test.datacite.org", "sqlite:///x")

    with pytest.raises(SafetyError, match="belongs to the host"):
        store.bindings.bind("A", "https://api.datacite.org", "sqlite:///x")
    with pytest.raises(SafetyError, match="belongs to the platform"):
        store.bindings.bind("A", "https://api.test.datacite.org", "sqlite:///y")


def test_the_watermark_is_the_one_of_the_last_scan_that_ended_well(store: Store) -> None:
    for result, watermark in (("done", "1"), ("failed", "2"), ("done", None)):
        store.runs.begin("A", "full", at_once=True).end(result, {}, watermark)

    assert store.runs.watermark("A") == "1"
    assert store.runs.watermark("B") is None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrations_make_the_tables_that_the_code_expects(kind: str, database: Callable[[str], str]) -> None:
    store = Store.open(database(kind))
    with pytest.raises(SchemaError, match="no syncd tables"):
        schema.check(store.database)

    schema.upgrade(store.database)
    schema.upgrade(store.database)

    schema.check(store.database)
    inspector = inspect(store.database.engine)
    assert set(inspector.get_table_names()) == {*metadata.tables, schema.VERSION_TABLE}
    for name, table in metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert {index["name"] for index in inspector.get_indexes(name)} >= {index.name for index in table.indexes}
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_tables_of_a_newer_version_are_refused_politely(kind: str, database: Callable[[str], str]) -> None:
    store = Store.open(database(kind))
    schema.upgrade(store.database)
    with store.database.writing() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))

    with pytest.raises(SchemaError, match="revision 9999") as refusal:
        schema.check(store.database)

    assert "newer syncd" in refusal.value.hint
    store.close()


def test_claiming_uses_the_index_of_pending_rows(database: Callable[[str], str]) -> None:
    from sqlalchemy import select

    from syncd.store.tables import PENDING, doi

    query = select(doi.c.id).where(doi.c.account == "A", PENDING).order_by(doi.c.lane, doi.c.changed_at, doi.c.id)
    for kind, explain in (("sqlite", "EXPLAIN QUERY PLAN"), ("postgresql", "EXPLAIN")):
        store = Store.open(database(kind))
        schema.upgrade(store.database)
        compiled = str(query.compile(store.database.engine, compile_kwargs={"literal_binds": True}))
        with store.database.engine.connect() as connection:
            if kind == "postgresql":
                connection.execute(text("SET enable_seqscan = off"))
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{explain} {compiled}"))
        assert "syncd_doi_pending" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
        store.close()
