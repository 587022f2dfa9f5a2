"""Which column is the target, which class the positive one, and what is known only afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset_draft.conftest import Drafter
from tests.dataset_draft.sample import table, written


def test_spellings_that_differ_in_case_and_blanks(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(plan=lambda row: ["Fibre  Optic", "fibre optic", "DSL", "dsl", "DSL "][row % 5])
    for place, row in enumerate(rows[1:]):
        row[-1] = ["yes", " yes", "YES", "no", "No", "no"][place % 6]
    spec = drafted(written(tmp_path, rows))
    assert (spec.target.positive, spec.target.negative) == ("yes", "no")
    assert spec.target.spellings == {"yes": ["YES"], "no": ["No"]}
    assert spec.columns["plan"].values == ["DSL", "Fibre  Optic"]
    assert spec.columns["plan"].spellings == {"Fibre  Optic": ["fibre optic"], "DSL": ["dsl"]}


def test_yes_and_no_in_several_words_are_two_classes(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    for place, row in enumerate(rows[1:]):
        row[-1] = ["yes", "Y", "1", "true", "no", "n", "0", "no"][place % 8]
    spec = drafted(written(tmp_path, rows))
    assert spec.target.negative == "no"
    assert {spec.target.positive, *spec.target.spellings[spec.target.positive]} == {
        "yes", "Y", "1", "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("no", "yes"), "yes"),
        (("0", "1"), "1"),
        (("1.0", "0.0"), "1.0"),
        (("TRUE", "FALSE"), "TRUE"),
        (("good", "bad"), "bad"),
        (("stayed", "left"), "left"),  # the rarer one
        (("Not churned", "Left us"), "Left us"),
    ],
)
def test_the_positive_class(
    labels: tuple[str, str], positive: str, tmp_path: Path, drafted: Drafter
) -> None:
    rows = table()
    for place, row in enumerate(rows[1:]):
        row[-1] = labels[place % 3 == 0]
    spec = drafted(written(tmp_path, rows))
    assert spec.target.positive == positive


def test_the_target_can_be_named(tmp_path: Path, drafted: Drafter) -> None:
    path = written(tmp_path, table(insured=lambda row: ["J", "N"][row % 4 > 0]))
    spec = drafted(path, "--target", "insured")
    assert (spec.target.column, spec.target.positive) == ("insured", "J")
    assert "churn" in spec.columns


def test_without_a_hint_the_last_column_with_two_values_is_the_target(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(insured=lambda row: ["J", "N"][row % 4 > 0])
    spec = drafted(written(tmp_path, [row[:-1] for row in rows]))
    assert spec.target.column == "insured"


def test_what_is_known_only_afterwards_is_an_outcome(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(
        rows=120,
        balance_after=lambda row: row * 1.5 % 7,
        churn_reason=lambda row: ["price", "service"][row % 2],
        closed_on=lambda row: f"day {row % 3}",
        state=lambda row: "?",
        final_bill=lambda row: "?",
        score=lambda row: "?",
    )
    for place, row in enumerate(rows[1:]):
        left = row[-1] == "yes"
        row[-4:-1] = ["gone" if left else "here", "12.5" if left else "", str(place + 500 * left)]
    spec = drafted(written(tmp_path, rows))
    assert spec.columns_with("outcome") == [
        "balance_after", "churn_reason", "closed_on", "state", "final_bill", "score",
    ]  # fmt: skip


def test_a_target_without_a_word_makes_nothing_an_outcome(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    rows[0][-1] = "2024"
    assert drafted(written(tmp_path, rows)).columns_with("outcome") == []


def test_a_perfect_prediction_in_a_few_rows_proves_nothing(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(rows=12, score=lambda row: row)
    for place, row in enumerate(rows[1:]):
        row[-1] = "yes" if place > 8 else "no"
    assert drafted(written(tmp_path, rows)).columns["score"].role == "numeric"
