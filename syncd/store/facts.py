"""What goes into our rows and comes out of them, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncd.model import Held, State

LANE_STATE, LANE_UPDATE, LANE_BACKFILL = 0, 1, 2
"""What is claimed first: publish and hide, then updates, then mass work."""

GONE_DIGEST = "v1:gone"
"""The desired digest of a record that the platform does not have any more."""

FOREIGN, EXCLUDED = "foreign", "excluded"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a scan needs to know of a row of ours.

    Attributes:
        sure: No answer is outstanding.
        version: DataCite's ``metadataVersion`` when it last confirmed.
    """

    id: int
    doi: str
    record_key: str
    row_digest: str | None
    desired_digest: str | None
    synced_digest: str | None
    synced_state: State
    standing: str | None
    cause: str | None
    rival_key: str | None
    quarantined_digest: str | None = None
    sure: bool = True
    version: int | None = None
    signature: str | None = None

    @property
    def noted(self) -> tuple[str | None, str | None]:
        """What a scan or a worker last wrote of the record: its digest, and the one at which it was refused."""
        return self.desired_digest, self.quarantined_digest

    @property
    def in_sync(self) -> bool:
        """DataCite confirmed what is wanted."""
        return self.desired_digest is not None and self.desired_digest == self.synced_digest and self.sure


@dataclass(frozen=True, slots=True)
class Note:
    """What a scan found out about one DOI and wants remembered.

    Attributes:
        quarantine: Why nothing may be sent, as (cause, message); None when it may.
        judge_again: Set aside by our own check, which may come to another result now: the configuration
            or the program may have changed.
    """

    doi: str
    record_key: str
    row_digest: str | None
    desired_digest: str | None
    desired_state: State
    lane: int = LANE_UPDATE
    standing: str | None = None
    quarantine: tuple[str, str] | None = None
    rival_key: str | None = None
    gone: bool = False
    judge_again: bool = False
    signature: str | None = None

    @property
    def quarantined_digest(self) -> str | None:
        """The digest at which the record is set aside; a mapping that failed has only its row's."""
        if self.quarantine is None:
            return None
        if self.rival_key is not None:
            return f"rival:{self.rival_key}"
        return self.desired_digest or f"row:{self.row_digest}"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What DataCite holds of a DOI, seen without sending anything.

    Attributes:
        desired_digest: What was wanted when it was compared.
        done: It holds what is wanted.
        seen_at: When DataCite said so, or rather earlier.
    """

    row_id: int
    desired_digest: str | None
    held: Held
    done: bool
    seen_at: datetime
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One pending DOI that this worker may settle, until ``until``."""

    id: int
    account: str
    doi: str
    record_key: str
    owner: str
    number: int
    until: datetime
    held: Held
    desired_digest: str | None
    desired_state: State
    synced_digest: str | None
    attempts: int
    cause: str | None
    lane: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure to write down: its cause, DataCite's or our words, the HTTP status if there was one."""

    cause: str
    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A line of the trail: one request that left."""

    method: str
    reason: str
    event: str | None
    attributes: Sequence[str]
    bytes: int
    status: int | None
    result: str
    state_after: State | None
    digest_after: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is true of a DOI after a worker was done with it.

    Attributes:
        held: What DataCite holds now, as far as known; while not sure, nothing goes out during the grace time.
        synced_digest: The desired digest that DataCite confirmed; None: not in sync.
        desired_digest: The digest of the record as it was read again; replaces the claimed one.
        row_digest: Likewise of its raw row; None when the record is gone.
        signature: Likewise of its outline.
        verified: DataCite confirmed something just now.
        retry_in: When to try again; None: as soon as something differs.
        quarantine: Do not send this desired digest again.
        version: DataCite's ``metadataVersion``, if the answer told it.
    """

    held: Held
    synced_digest: str | None
    desired_digest: str | None
    desired_state: State
    row_digest: str | None
    verified: bool = False
    retry_in: timedelta | None = None
    attempts: int = 0
    quarantine: bool = False
    failed: Failed | None = None
    written: Written | None = None
    forget: bool = False
    version: int | None = None
    signature: str | None = None
