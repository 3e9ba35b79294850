"""What is forgotten, and what never is."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update

from syncd.store import Store
from syncd.store.tables import failure, run, witness, write
from tests.site import Site

_KEEP = {"writes": timedelta(days=30), "failures": timedelta(days=30), "runs": timedelta(days=30)}
_OLD = datetime.now(UTC) - timedelta(days=31)


def _fill(store: Store) -> None:
    with store.database.writing() as connection:
        for at in (_OLD, datetime.now(UTC)):
            connection.execute(insert(write), [
                {"account": "A.B", "doi": f"10.1/{n}", "at": at, "method": "PUT", "reason": "new", "attributes": "[]",
                 "bytes": 1, "result": "accepted"} for n in range(1500)
            ])  # fmt: skip
            connection.execute(insert(failure), [
                {"account": "A.B", "doi": "10.1/1", "record_key": "1", "at": at, "cause": "refused", "message": "no"}
            ])  # fmt: skip


def test_old_rows_go_in_small_transactions_and_new_ones_stay(store: Store) -> None:
    _fill(store)

    gone = store.pruning.prune(**_KEEP)

    assert (gone["writes"], gone["failures"]) == (1500, 1)
    with store.database.reading() as connection:
        assert len(connection.execute(select(write.c.id)).all()) == 1500
        assert len(connection.execute(select(failure.c.id)).all()) == 1
    assert sum(store.pruning.prune(**_KEEP).values()) == 0


def test_it_stops_between_two_transactions_when_the_program_is_to_end(store: Store) -> None:
    _fill(store)
    asked: list[int] = []

    gone = store.pruning.prune(**_KEEP, stopping=lambda: asked.append(1) or len(asked) > 1)

    assert gone["writes"] == 1000


def test_the_newest_run_of_each_kind_and_the_watermark_stay_whatever_their_age(store: Store) -> None:
    for kind, watermark in (
        ("full", {"at": 1}),
        ("full", None),
        ("changed", {"at": 2}),
        ("changed", None),
        ("send", None),
    ):
        store.runs.begin("A.B", kind, at_once=True).end("done", {}, watermark)
    with store.database.writing() as connection:
        connection.execute(update(run).values(started_at=_OLD))

    gone = store.pruning.prune(**_KEEP)

    assert gone["runs"] == 1  # the full one that a later full one and a later watermark supersede
    assert store.runs.watermark("A.B") == {"at": 2}
    assert {one["kind"] for one in store.reading.last_runs("A.B")} == {"full", "changed", "send"}


def test_the_word_of_a_machine_that_was_started_anew_is_forgotten(store: Store) -> None:
    with store.database.writing() as connection:
        connection.execute(insert(witness), [{"boot": "long ago", "monotonic": 1.0, "steady": _OLD}])

    assert store.pruning.prune(**_KEEP)["witnesses"] == 1


def test_where_a_doi_stands_is_never_pruned(site: Site) -> None:
    site.add(1)
    site.add(2, creators=[])
    site.sync()
    before = site.store.reading.sum(site.account)

    site.store.pruning.prune(writes=timedelta(0), failures=timedelta(0), runs=timedelta(0))

    assert site.store.reading.sum(site.account) == before
    assert site.row(2)["cause"] == "metadata_invalid"
    assert site.sync().send.requests == 0
