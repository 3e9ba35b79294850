"""One record that differs from what we noted of it, and what is to be remembered of it. Pure."""

from dataclasses import dataclass, replace

from syncd.brake import known
from syncd.causes import CAUSES
from syncd.datacite.validation import doi_problem, looks_like_doi, owned
from syncd.model import Desired, Problem, Row, State
from syncd.settings import AccountSettings
from syncd.store.facts import FOREIGN, GONE_DIGEST, LANE_BACKFILL, LANE_STATE, LANE_UPDATE, Note, Stored

_MASS_FROM = 300
DUPLICATE = "doi_duplicate"


@dataclass(frozen=True, slots=True)
class Finding:
    """One record that differs from what we noted.

    Attributes:
        note: What is to be remembered.
        stored: Our row so far; None for a DOI that is new to us.
        desired: What DataCite should hold; None when the mapping could not say.
    """

    note: Note
    stored: Stored | None
    desired: Desired | None

    @property
    def same_content(self) -> bool:
        """Whether only the raw row differs: the record was touched, what DataCite should hold was not."""
        stored, note = self.stored, self.note
        return (
            stored is not None
            and note.quarantine is None
            and not note.judge_again
            and (stored.desired_digest, stored.record_key, stored.standing, stored.rival_key)
            == (note.desired_digest, note.record_key, note.standing, None)
        )

    @property
    def waits(self) -> bool:
        """Whether it is noted only when the brake let the whole scan pass: it changes a row of ours."""
        return self.stored is not None and not self.same_content

    @property
    def weighs(self) -> bool:
        """Whether something would change for a DOI that DataCite has because of us."""
        same = self.note.quarantine is None and self.stored is not None and (
            self.note.desired_digest == self.stored.synced_digest
        )  # fmt: skip
        return known(self.stored) and not self.same_content and not same and self.note.standing is None


def in_lane(finding: Finding, before: int) -> Finding:
    """What a scan finds beyond the usual is mass work and waits behind it; what is to be hidden never waits.

    Args:
        finding: What differs.
        before: How many the scan had found before this one.
    """
    note = finding.note
    hides = note.lane == LANE_STATE and note.desired_state is not State.FINDABLE
    if before < _MASS_FROM or note.gone or hides:
        return finding
    return replace(finding, note=replace(note, lane=LANE_BACKFILL))


def note_of(row: Row, mapped: Desired | Problem, stored: Stored | None, account: AccountSettings) -> Note:
    """What to remember of a row. Pure."""
    held = stored.synced_state if stored else State.NONE
    nothing = Note(row.doi, row.key, row.digest, None, State.NONE, signature=row.signature)
    if not looks_like_doi(row.doi):
        problem = doi_problem(row.doi) or Problem("doi_invalid", f"{row.doi} is no DOI", "doi")
        return replace(nothing, quarantine=(problem.cause, str(problem)))
    if not owned(row.doi, account.prefixes):
        return replace(nothing, standing=FOREIGN)
    if isinstance(mapped, Desired) and held is State.NONE and mapped.state is not State.NONE:
        mapped = doi_problem(row.doi) or mapped
    if isinstance(mapped, Problem):
        return replace(nothing, quarantine=(mapped.cause, str(mapped)))
    # Whatever becomes visible or invisible goes before corrections.
    visibility = State.FINDABLE in (held, mapped.state) and held is not mapped.state
    lane = LANE_STATE if visibility else LANE_UPDATE
    # Our own refusal may be another one now: the domains, the mapping or this program may have changed.
    again = stored is not None and stored.cause is not None and CAUSES[stored.cause].ours
    return replace(nothing, desired_digest=mapped.digest, desired_state=mapped.state, lane=lane, judge_again=again)


def gone_note(stored: Stored) -> Note:
    """The platform has this record no more."""
    return Note(stored.doi, stored.record_key, None, GONE_DIGEST, State.NONE, LANE_STATE, gone=True)


def contested(note: Note, rival: str) -> Note:
    """Two records claim one DOI: neither is sent until one of them gives it up."""
    message = f"{note.doi} is claimed by the records {note.record_key} and {rival}"
    return replace(note, row_digest=None, desired_digest=None, rival_key=rival, quarantine=(DUPLICATE, message))
