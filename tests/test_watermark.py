from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from syncd.platforms.watermark import from_json, newest, rewound, to_json

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (datetime(2026, 5, 1, 10, tzinfo=UTC), datetime(2026, 5, 1, 9, 50, tzinfo=UTC)),
        (datetime(2026, 5, 1, 10, tzinfo=EAST), datetime(2026, 5, 1, 9, 50, tzinfo=EAST)),
        (datetime(2026, 5, 1, 10), datetime(2026, 5, 1, 9, 50)),  # noqa: DTZ001
        (date(2026, 5, 1), date(2026, 4, 30)),
        ("2026-05-01 10:00:00", "2026-05-01 09:50:00"),
        ("2026-05-01T10:00:00", "2026-05-01T09:50:00"),
        ("2026-05-01T10:00:00Z", "2026-05-01T09:50:00Z"),
        ("2026-05-01T10:00:00+02:00", "2026-05-01T09:50:00+02:00"),
        ("2026-05-01 10:00:00.123", "2026-05-01 09:50:00.12"),
        ("2026-05-01", "2026-04-30"),
        (1_770_000_000, 1_769_999_400),
        (1_770_000_000_000, 1_769_999_400_000),
        (Decimal("1770000000.5"), Decimal("1769999400.5")),
    ],
)
def test_a_mark_goes_back_by_the_overlap_in_its_own_form(mark: Any, expected: Any) -> None:
    result = rewound(mark, 600, NOW)

    if isinstance(mark, str) and "." in mark:
        assert result.startswith(expected)
    else:
        assert (result, type(result)) == (expected, type(mark))


@pytest.mark.parametrize(
    "mark",
    [datetime(2999, 1, 1, tzinfo=UTC), datetime(2999, 1, 1), "2999-01-01 00:00:00", "2999-01-01T00:00:00Z", 4e11],  # noqa: DTZ001
)  # fmt: skip
def test_a_mark_from_the_future_counts_as_now(mark: Any) -> None:
    result = rewound(mark, 600, NOW)

    assert str(result) < "2026-11-24" if not isinstance(mark, float) else result <= NOW.timestamp() * 1000


def test_the_newest_of_several_marks_leaves_out_missing_ones() -> None:
    assert newest([None, "2026-01-02", "2026-01-01"]) == "2026-01-02"
    assert newest([None]) is None


@pytest.mark.parametrize("mark", [NOW, date(2026, 5, 1), "2026", 5, Decimal("1.5"), None])
def test_a_mark_survives_the_runs_row(mark: Any) -> None:
    assert from_json(to_json(mark)) == mark
