"""Our tables as SQLAlchemy sees them; migrations create them (``migrations/versions``)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which knows none, keeps it as UTC without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


SteadyDateTime = UtcDateTime
"""A moment of steady time (``store.steady``): to be compared and counted with, not to be shown as it is."""


doi = Table(
    "syncd_doi",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("doi", Text, nullable=False),
    Column("record_key", Text, nullable=False),
    Column("row_digest", Text, comment="raw row and mapping; null: map it again"),
    Column("signature", Text, comment="the record's outline; null: look at the record again"),
    Column("desired_digest", Text),
    Column("desired_state", Text, nullable=False),
    Column("synced_digest", Text, comment="null: never sent, or content unknown"),
    Column("synced_state", Text, nullable=False),
    Column("synced_attributes", Text, comment="JSON: attribute to digest; null: unknown"),
    Column("resolves", Boolean, nullable=False, default=True),
    Column("unsure_since", SteadyDateTime, comment="a request left and its answer is not settled"),
    Column("changed_at", UtcDateTime, comment="of the oldest unsent change"),
    Column("lane", SmallInteger, nullable=False, default=1),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_try_at", SteadyDateTime),
    Column("cause", Text),
    Column("message", Text),
    Column("quarantined_digest", Text, comment="not sent again while the desired digest is this one"),
    Column("standing", Text, comment="foreign, excluded; null: ours to keep true"),
    Column("excluded_because", Text, comment="the operator's reason"),
    Column("rival_key", Text, comment="the other record that claims this DOI"),
    Column("claim_owner", Text),
    Column("claim_number", BigInteger, nullable=False, default=0),
    Column("claim_until", SteadyDateTime),
    Column("gone_at", UtcDateTime, comment="a full scan did not find the record"),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("verified_at", UtcDateTime, comment="DataCite last confirmed"),
    Column("version", Integer, comment="DataCite's metadataVersion then"),
    UniqueConstraint("account", "doi"),
    Index("syncd_doi_record_key", "account", "record_key"),
)

PENDING = and_(
    doi.c.desired_digest.is_distinct_from(doi.c.synced_digest),
    doi.c.quarantined_digest.is_(None),
    doi.c.standing.is_(None),
)
"""What is to be sent; there is no queue. Also the condition of the index below, so keep the two together."""

Index(
    "syncd_doi_pending",
    doi.c.account,
    doi.c.lane,
    doi.c.changed_at,
    doi.c.id,
    sqlite_where=PENDING,
    postgresql_where=PENDING,
)

failure = Table(
    "syncd_failure",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("doi", Text, nullable=False),
    Column("record_key", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("cause", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("status", Integer, comment="HTTP status; null when nothing was sent or no answer came"),
    Index("syncd_failure_doi", "account", "doi", "at"),
)

write = Table(
    "syncd_write",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("doi", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("method", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("event", Text),
    Column("attributes", Text, nullable=False, comment="JSON: names of the attributes sent"),
    Column("bytes", Integer, nullable=False),
    Column("digest_before", Text),
    Column("digest_after", Text),
    Column("state_after", Text),
    Column("status", Integer),
    Column("result", Text, nullable=False),
    Index("syncd_write_doi", "account", "doi", "at"),
    Index("syncd_write_at", "account", "at"),
)

run = Table(
    "syncd_run",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="full, changed, send"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("result", Text, comment="done, failed; null: running or killed"),
    Column("watermark", Text, comment="JSON; where the next changed scan begins"),
    Column("counts", Text, comment="JSON"),
    Column("message", Text, comment="why it failed"),
    Index("syncd_run_account", "account", "kind", "started_at"),
)

slot = Table(
    "syncd_slot",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("free_at", SteadyDateTime, nullable=False),
    Index("syncd_slot_free_at", "free_at"),
)

pause = Table(
    "syncd_pause",
    metadata,
    Column("scope", Text, primary_key=True, comment="an account, or host"),
    Column("cause", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", SteadyDateTime, comment="then one request tries again; null: until an operator resumes"),
    Column("attempts", Integer, nullable=False, default=1, comment="tries in a row that failed"),
    Column("doi", Text, comment="whose request failed first; null: nobody's"),
    Column("several", Boolean, nullable=False, default=False, comment="requests of other DOIs failed as well"),
)

lease = Table(
    "syncd_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", SteadyDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

fingerprint = Table(
    "syncd_fingerprint",
    metadata,
    Column("account", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("bound_at", UtcDateTime, nullable=False),
    Column("adopted_at", UtcDateTime, comment="what DataCite holds was compared, or it held nothing"),
    Column("hosts", Text, comment="JSON: the hosts of landing pages that were ever wanted"),
    Column("mass_per_window", Integer, comment="a lower ceiling that was ordered with mass work; null: as configured"),
    Column("accepted_at", UtcDateTime, comment="a person let the brake pass"),
    Column("accepted_changed", Integer, nullable=False, default=0, comment="pending then"),
    Column("accepted_hidden", Integer, nullable=False, default=0, comment="to be hidden or deleted then"),
)

listing = Table(
    "syncd_listing",
    metadata,
    Column("account", Text, primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, comment="null: it goes on at the cursor"),
    Column("cursor", Text, comment="where the next page begins"),
    Column("pages", Integer, nullable=False, default=0),
    Column("total", Integer, comment="as DataCite counts"),
)

remote = Table(
    "syncd_remote",
    metadata,
    Column("account", Text, primary_key=True),
    Column("doi", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("resolves", Boolean, nullable=False),
    Column("version", Integer, comment="DataCite's metadataVersion"),
    Column("fingerprints", Text, nullable=False, comment="JSON: attribute to digest of its normal form"),
    Column("matched", Boolean, nullable=False, default=False, comment="the platform has a record for it"),
)

drift = Table(
    "syncd_drift",
    metadata,
    Column("account", Text, primary_key=True),
    Column("doi", Text, primary_key=True),
    Column("kinds", Text, nullable=False, comment="JSON: names of what differs"),
    Column("attributes", Text, nullable=False, comment="JSON: attribute to [ours, theirs]"),
    Column("words", Text, nullable=False),
    Column("version", Integer, comment="DataCite's metadataVersion"),
    Column("found_at", UtcDateTime, nullable=False),
)

shift = Table(
    "syncd_shift",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="one row: 1"),
    Column("microseconds", BigInteger, nullable=False, comment="steady time less the database's clock"),
    Column("epoch", BigInteger, nullable=False, comment="how often it was changed"),
)

witness = Table(
    "syncd_witness",
    metadata,
    Column("boot", Text, primary_key=True, comment="a machine since it was started"),
    Column("monotonic", Double, nullable=False, comment="its own clock, in seconds"),
    Column("steady", SteadyDateTime, nullable=False, comment="steady time at that moment"),
)
