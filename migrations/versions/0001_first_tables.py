"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "syncd_doi",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("doi", sa.Text, nullable=False),
        sa.Column("record_key", sa.Text, nullable=False),
        sa.Column("row_digest", sa.Text),
        sa.Column("signature", sa.Text),
        sa.Column("desired_digest", sa.Text),
        sa.Column("desired_state", sa.Text, nullable=False),
        sa.Column("synced_digest", sa.Text),
        sa.Column("synced_state", sa.Text, nullable=False),
        sa.Column("synced_attributes", sa.Text),
        sa.Column("resolves", sa.Boolean, nullable=False),
        sa.Column("unsure_since", Time),
        sa.Column("changed_at", Time),
        sa.Column("lane", sa.SmallInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try_at", Time),
        sa.Column("cause", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("quarantined_digest", sa.Text),
        sa.Column("standing", sa.Text),
        sa.Column("excluded_because", sa.Text),
        sa.Column("rival_key", sa.Text),
        sa.Column("claim_owner", sa.Text),
        sa.Column("claim_number", sa.BigInteger, nullable=False),
        sa.Column("claim_until", Time),
        sa.Column("gone_at", Time),
        sa.Column("noted_at", Time, nullable=False),
        sa.Column("verified_at", Time),
        sa.Column("version", sa.Integer),
        sa.UniqueConstraint("account", "doi"),
    )
    op.create_index("syncd_doi_record_key", "syncd_doi", ["account", "record_key"])
    different = "IS NOT" if op.get_bind().dialect.name == "sqlite" else "IS DISTINCT FROM"
    pending = sa.text(f"desired_digest {different} synced_digest AND quarantined_digest IS NULL AND standing IS NULL")
    op.create_index(
        "syncd_doi_pending",
        "syncd_doi",
        ["account", "lane", "changed_at", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_table(
        "syncd_failure",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("doi", sa.Text, nullable=False),
        sa.Column("record_key", sa.Text, nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
    )
    op.create_index("syncd_failure_doi", "syncd_failure", ["account", "doi", "at"])
    op.create_table(
        "syncd_write",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("doi", sa.Text, nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("digest_before", sa.Text),
        sa.Column("digest_after", sa.Text),
        sa.Column("state_after", sa.Text),
        sa.Column("status", sa.Integer),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_index("syncd_write_doi", "syncd_write", ["account", "doi", "at"])
    op.create_index("syncd_write_at", "syncd_write", ["account", "at"])
    op.create_table(
        "syncd_run",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("finished_at", Time),
        sa.Column("result", sa.Text),
        sa.Column("watermark", sa.Text),
        sa.Column("counts", sa.Text),
        sa.Column("message", sa.Text),
    )
    op.create_index("syncd_run_account", "syncd_run", ["account", "kind", "started_at"])
    op.create_table(
        "syncd_slot",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("free_at", Time, nullable=False),
    )
    op.create_index("syncd_slot_free_at", "syncd_slot", ["free_at"])
    op.create_table(
        "syncd_pause",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("since", Time, nullable=False),
        sa.Column("until", Time),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("doi", sa.Text),
        sa.Column("several", sa.Boolean, nullable=False),
    )
    op.create_table(
        "syncd_lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", Time, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "syncd_fingerprint",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("bound_at", Time, nullable=False),
        sa.Column("adopted_at", Time),
        sa.Column("hosts", sa.Text),
        sa.Column("mass_per_window", sa.Integer),
        sa.Column("accepted_at", Time),
        sa.Column("accepted_changed", sa.Integer, nullable=False),
        sa.Column("accepted_hidden", sa.Integer, nullable=False),
    )
    op.create_table(
        "syncd_listing",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("finished_at", Time),
        sa.Column("cursor", sa.Text),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
    )
    op.create_table(
        "syncd_remote",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("doi", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("resolves", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("fingerprints", sa.Text, nullable=False),
        sa.Column("matched", sa.Boolean, nullable=False),
    )
    op.create_table(
        "syncd_drift",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("doi", sa.Text, primary_key=True),
        sa.Column("kinds", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("found_at", Time, nullable=False),
    )
    shift = op.create_table(
        "syncd_shift",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("microseconds", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(shift, [{"id": 1, "microseconds": 0, "epoch": 0}])
    op.create_table(
        "syncd_witness",
        sa.Column("boot", sa.Text, primary_key=True),
        sa.Column("monotonic", sa.Double, nullable=False),
        sa.Column("steady", Time, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "witness", "shift", "drift", "remote", "listing", "fingerprint", "lease", "pause", "slot", "run", "write",
        "failure", "doi",
    ):  # fmt: skip
        op.drop_table(f"syncd_{table}")
