"""What the brake remembers: how much is on its way already, and what a person let pass."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, and_, func, or_, select, update

from syncd.model import State
from syncd.store.database import Database
from syncd.store.tables import PENDING, doi, fingerprint, write

_DAY = timedelta(days=1)
_BECAUSE_OF_US = doi.c.synced_state != State.NONE
_VANISHES = or_(
    and_(doi.c.synced_state == State.FINDABLE, doi.c.desired_state != State.FINDABLE),
    and_(doi.c.synced_state == State.DRAFT, doi.c.desired_state.in_([State.NONE, State.REGISTERED])),
)


@dataclass(frozen=True, slots=True)
class Weight:
    """What weighs before a scan begins.

    Attributes:
        known: DOIs that DataCite has because of us.
        changed: Of these, pending with other content than DataCite has, beyond what a person let pass.
        hidden: Of these, pending to be hidden or deleted, or hidden or deleted in the last 24 hours, likewise.
    """

    known: int
    changed: int
    hidden: int


class Weights:
    """Counts what the brake weighs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def before(self, account: str) -> Weight:
        """What weighs already."""
        ours = and_(doi.c.account == account, doi.c.standing.is_(None), _BECAUSE_OF_US)
        with self._database.reading() as connection:
            now = self._database.now(connection)
            known = connection.execute(select(func.count()).select_from(doi).where(ours)).scalar_one()
            let = connection.execute(select(fingerprint).where(fingerprint.c.account == account)).one_or_none()
            changed, hidden = _pending(connection, account)
            recent = let is not None and let.accepted_at is not None and let.accepted_at > now - _DAY
            since = let.accepted_at if let is not None and recent else now - _DAY
            vanished = and_(
                write.c.account == account, write.c.at >= since, write.c.result == "accepted",
                or_(write.c.event == "hide", write.c.method == "DELETE"),
            )  # fmt: skip
            sent = connection.execute(select(func.count()).select_from(write).where(vanished)).scalar_one()
        let_changed, let_hidden = (let.accepted_changed, let.accepted_hidden) if let is not None else (0, 0)
        if not recent:
            let_hidden = min(let_hidden, hidden)
        return Weight(known, max(0, changed - let_changed), max(0, hidden + sent - let_hidden))

    def let_pass(self, account: str) -> None:
        """A person said that what is pending now is right."""
        with self._database.writing() as connection:
            changed, hidden = _pending(connection, account)
            values = {
                "accepted_at": self._database.now(connection),
                "accepted_changed": changed,
                "accepted_hidden": hidden,
            }
            connection.execute(update(fingerprint).where(fingerprint.c.account == account).values(values))


def _pending(connection: Connection, account: str) -> tuple[int, int]:
    """How many are pending changed, and to vanish; a record that is only sent once more is neither."""
    pending = select(func.count()).select_from(doi).where(doi.c.account == account, PENDING)
    changed = pending.where(doi.c.synced_attributes.is_not(None), _BECAUSE_OF_US)
    return connection.execute(changed).scalar_one(), connection.execute(pending.where(_VANISHES)).scalar_one()
