"""What the columns are."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.dataset_draft import draft_spec
from millrace.dataset_draft.__main__ import main
from tests.dataset_draft.conftest import Drafter
from tests.dataset_draft.sample import roles, table, written


def test_missing_markers_stand_with_their_column(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                age=lambda row: "?" if row % 9 == 0 else 20 + row % 40,
                height=lambda row: ["NA", "null", ""][row % 3] if row % 5 == 0 else 150.5 + row,
                job=lambda row: "unknown" if row % 4 == 0 else ["smith", "baker"][row % 2],
                status=lambda row: ["none", "one", "two"][row % 3],
                weight=lambda row: "a lot" if row == 50 else 60 + row % 30,
            ),
        )
    )
    assert spec.columns["age"].missing == ["?"]
    assert spec.columns["height"].missing == ["NA", "null"]
    assert spec.columns["job"].missing == ["unknown"]
    assert spec.columns["job"].impute == "category"
    assert spec.columns["status"].values == ["none", "one", "two"]
    assert spec.columns["weight"].missing == ["a lot"]
    assert set(spec.columns_with("numeric")) == {"income", "age", "height", "weight"}


def test_personal_and_free_text_and_dates(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                fullName=lambda row: f"Doe {row}, Jane",
                contact=lambda row: f"someone{row}@example.org",
                phone_number=lambda row: 4930123400 + row,
                birth_date=lambda row: f"{1950 + row % 40}-01-{row % 28 + 1:02d}",
                signup=lambda row: f"{row % 28 + 1:02d}.03.2024",
                comment=lambda row: f"said this and that, number {row}",
                price=lambda row: f"$1,{100 + row}.50",
                order_id=lambda row: 5000 + row // 2,
                constant=lambda _: "same",
                empty=lambda _: "",
                region_code=lambda row: row % 3 + 1,
                children=lambda row: row % 3,
            ),
        )
    )
    assert roles(spec) == {
        "id": ["customer_id"],
        "numeric": ["income", "children"],
        "categorical": ["region", "region_code"],
        "personal": ["fullName", "contact", "phone_number", "birth_date"],
        "drop": ["signup", "comment", "price", "order_id", "constant", "empty"],
    }


def test_no_value_that_says_who_someone_is_leaves_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, table(full_name=lambda row: f"Secretperson {row}"))
    assert main([str(path), "--output", "-"]) == 0
    shown = capsys.readouterr()
    assert "Secretperson" not in shown.out + shown.err
    assert "C0001" not in shown.out + shown.err


def test_labels_are_listed_only_where_the_sample_shows_all(
    tmp_path: Path, drafted: Drafter
) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                rows=400,
                few=lambda row: "abc"[row % 3],
                rare=lambda row: f"once {row}" if row % 50 == 1 else "abc"[row % 3],
                many=lambda row: f"town {row % 19}" if row % 3 else "abc"[row % 2],
            ),
        )
    )
    assert spec.columns["few"].values == ["a", "b", "c"]
    assert spec.columns["rare"].role == "categorical"
    assert spec.columns["rare"].values is None


def test_a_sentinel_is_told_with_its_spelling(tmp_path: Path) -> None:
    path = written(tmp_path, table(days=lambda row: "365243.0" if row % 5 == 0 else f"{row}.0"))
    draft, _, _ = draft_spec(path, "sample")
    assert any('`missing: ["365243.0"]`' in caution for caution in draft.cautions())


def test_bad_rows_are_tolerated_as_far_as_the_sample_needs_it(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(rows=100)
    for row in rows[1:6]:
        row[-1] = ""
    rows[10] += ["one field too many"]
    spec = drafted(written(tmp_path, [*rows, rows[50]]))
    assert spec.raw.tolerance == 0.06


def test_repeated_rows_do_not_hide_an_id(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    assert drafted(written(tmp_path, [*rows, rows[5], rows[6]])).id_column == "customer_id"
