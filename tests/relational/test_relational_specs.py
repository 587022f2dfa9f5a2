"""Specs of several tables: what they must say, and the spec of the features' own table."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.datasets import RelationalSpec, SpecError, load_any_spec, load_relational_spec
from millrace.datasets.folder import load_specs
from millrace.features_sql import Feature
from millrace.settings import PROJECT

GYM = """
kind: relational
description: Which members leave.
owner: gym
target: {column: left, positive: "1", negative: "0"}
entity: member
sql: gym
tables:
  member:
    files: "members*.csv"
    key: [member_id]
    personal: [born]
    columns: {integer: [member_id, born], amount: [fee], text: [city]}
  visit:
    files: visits.csv
    key: [visit_id]
    references: {member_id: member}
    optional: true
    columns: {integer: [visit_id, member_id]}
  drink:
    files: drinks.csv
    key: [visit_id, line]
    references: {visit_id: visit}
    columns: {integer: [visit_id, line], amount: [price]}
candidates:
  trees: {algorithm: lightgbm}
"""


def load(tmp_path: Path, old: str = "", new: str = "") -> RelationalSpec:
    assert old in GYM
    path = tmp_path / "gym.yaml"
    path.write_text(GYM.replace(old, new, 1) if old else GYM, encoding="utf-8")
    return load_relational_spec(path)


def test_what_is_private_and_how_rows_lead_to_a_subject(tmp_path: Path) -> None:
    spec = load(tmp_path)
    assert spec.id_column == "member_id" and spec.target_column == "left"
    assert spec.private_columns() == ["member_id", "born", "visit_id"]
    assert spec.path_to_entity("drink") == ["drink", "visit", "member"]
    assert spec.path_to_entity("member") == ["member"]
    assert spec.file_patterns() == ["drinks.csv", "members*.csv", "visits.csv"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("entity: member", "entity: members", "did you mean 'member'"),
        ("key: [member_id]", "key: [fee, born]", "the one column that names a subject"),
        ("personal: [born]", "personal: [borne]", "did you mean 'born'"),
        ("personal: [born]", "optional: true", "without its table there are no subjects"),
        ("text: [city]", "text: [city, CITY]", "list each column once"),
        ("text: [city]", "text: [city, left]", "a model must not see what it predicts"),
        ("text: [city]", "text: [city, _row_id]", "Millrace's own"),
        ("references: {member_id: member}", "references: {}", "leads to no 'member'"),
        ("references: {member_id: member}", "references: {visit_id: member}",
         "a table whose key is 'visit_id' alone"),
        ("references: {member_id: member}", "references: {member_id: membr}",
         "did you mean 'member'"),
        ("sql: gym", "sql: ../gym", "a folder below include/sql"),
        ("files: visits.csv", "files: /visits.csv", "inside the partition"),
        ("  visit:", '  "visit; drop":', "letters, digits and _"),
        ("owner: gym", "owner: gym\nraw: {encoding: cp1252}", "'utf-8', 'latin-1' or 'utf-16'"),
        ("owner: gym", "owner: gym\nraw: {quote: \",\"}", "quote and delimiter must differ"),
        ("owner: gym", "owner: gym\nmetric: acuracy", "did you mean 'accuracy'"),
        ("owner: gym", "owner: gym\nchecks: {columns: {a: {mean: {geq_to: 0}}}}", "null_check"),
        ("owner: gym", "owner: gym\nchecks: {table: {a b: {statement: x, figure: y}}}",
         "letters, digits and _"),
    ],
)  # fmt: skip
def test_a_slip_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load(tmp_path, old, new)
    assert "gym.yaml:" in str(caught.value)


FEATURES = [
    Feature("visits", "double", "visit", "Visits"),
    Feature("city", "string", "member", "City"),
]


def test_the_features_are_one_table(tmp_path: Path) -> None:
    spec = load(tmp_path).tabular(FEATURES)
    assert spec.feature_names() == ["visits", "city"]
    assert spec.columns["visits"].impute == "keep" and spec.columns["visits"].description
    assert (spec.columns["city"].impute, spec.columns["city"].encoding) == ("category", "label")
    assert spec.name == "gym" and spec.target.column == "left"


def test_missing_features_are_filled_where_a_candidate_cannot_keep_them(tmp_path: Path) -> None:
    spec = load(tmp_path, "candidates:", "candidates:\n  line: {algorithm: logistic_regression}")
    assert spec.tabular(FEATURES).columns["visits"].impute == "median"


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    load(tmp_path)
    assert isinstance(load_any_spec(tmp_path / "gym.yaml"), RelationalSpec)
    assert load_specs(tmp_path) == ({}, {})


def test_home_credit_declares_all_columns_of_the_public_files(
    real_data: Path, spec: RelationalSpec
) -> None:
    import csv

    folder = real_data / "home_credit" / "random_rows_1000"
    for name, table in spec.tables.items():
        [path] = folder.glob(table.files)
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))[1:]  # the rows were drawn with their index
        declared = {*table.columns.types(), *([spec.target.column] if name == spec.entity else ())}
        assert declared == set(header), name


def test_the_sql_of_home_credit_stands_where_its_spec_says() -> None:
    spec = load_any_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")
    assert isinstance(spec, RelationalSpec)
    assert {path.stem for path in (PROJECT / "include" / "sql" / spec.sql).glob("*.sql")} < {
        *spec.tables
    }
