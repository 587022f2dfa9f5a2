"""Which partition a run works on."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from millrace.errors import MillraceError
from millrace.runs import partition_of

MORNING = datetime(2026, 3, 4, 6, tzinfo=UTC)


def dag_run(**given: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{"partition_key": None, "logical_date": None, "run_after": MORNING, **given}
    )


@pytest.mark.parametrize(
    ("run", "params", "partition"),
    [
        (dag_run(), {"partition": "2026-01-01"}, "2026-01-01"),
        (dag_run(partition_key="2026-02-02"), {"partition": "2026-01-01"}, "2026-01-01"),
        (dag_run(partition_key="2026-02-02"), {"partition": None}, "2026-02-02"),
        (dag_run(logical_date=datetime(2026, 2, 3, tzinfo=UTC)), {}, "2026-02-03"),
        (dag_run(), {}, "2026-03-04"),
        (dag_run(run_after=datetime.fromisoformat("2026-03-05T00:30+02:00")), {}, "2026-03-04"),
    ],
)
def test_the_form_wins_then_the_schedule_then_the_day(
    run: SimpleNamespace, params: dict[str, Any], partition: str
) -> None:
    assert partition_of(run, params) == partition


@pytest.mark.parametrize("wrong", ["2026-02-30", "20260101", "../../etc", "2026-01-01T00:00:00"])
def test_what_is_no_day_is_refused(wrong: str) -> None:
    with pytest.raises(MillraceError, match="write a day as YYYY-MM-DD"):
        partition_of(dag_run(partition_key=wrong), {})
