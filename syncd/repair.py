"""What an audit found is made pending again, in the kinds that a person or the configuration chose."""

from collections.abc import Iterable, Iterator

from syncd.drift import as_drifted
from syncd.store import Store
from syncd.store.copies import Drift
from syncd.store.facts import Confirmed


def repair(store: Store, account: str, kinds: Iterable[str]) -> tuple[int, int]:
    """Make drift of these kinds pending, and nothing else, so that the next pass sends it.

    Left alone is what was sent since the comparison, or is wanted otherwise by now; and a DOI whose state differs
    as well, unless that is to be repaired too: an update of a hidden DOI would end in publishing it.

    Returns:
        Of how many DOIs, and how many were left alone.
    """
    chosen = frozenset(kinds)
    mended = concerned = 0
    for drifts in _in_pages(one for one in store.copies.drift(account) if chosen.intersection(one.kinds)):
        concerned += len(drifts)
        whole = [one for one in drifts if "state" in chosen or "state" not in one.kinds]
        names = [one.doi for one in whole]
        stored, held = store.dois.of_dois(account, names), store.dois.held(account, names)
        mended += store.dois.confirm(
            [
                Confirmed(ours.id, ours.desired_digest, as_drifted(held[one.doi], one, chosen), False, one.found_at,
                          one.version)
                for one in whole
                if (ours := stored.get(one.doi)) is not None and ours.in_sync
            ]
        )  # fmt: skip
    if mended:
        store.weights.let_pass(account)  # a person ordered it
    return mended, concerned - mended


def _in_pages(drifts: Iterable[Drift], size: int = 500) -> Iterator[list[Drift]]:
    page: list[Drift] = []
    for one in drifts:
        page.append(one)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
