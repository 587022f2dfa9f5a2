"""What a delivery can have wrong: a documented default, or one clear error before long work."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace.datasets import RelationalSpec
from millrace.lake import read_published
from millrace.steps.load_tables import load_tables
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import RawDataError
from tests.relational import bank

Make = Callable[..., Run]


def report_of(run: Run) -> Any:
    return run.validation().json("validation.json")


def refused(run: Run) -> str:
    """The error of a delivery that must be refused; nothing is published downstream."""
    with pytest.raises(RawDataError) as caught:
        load_tables(run)
    assert read_published(run.store, run.place("processed", "tables")) is None
    assert not report_of(run)["passed"]
    return str(caught.value)


def test_good_tables_are_loaded_with_their_counts(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    run = bank_run(made, bom=True)
    load_tables(run)
    found = run.published("processed", "tables", "load_tables")
    assert found.facts["rows"] == {name: len(made[name]) for name in spec.tables}
    assert report_of(run)["problems"] == []


def test_a_missing_secondary_table_is_no_history(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    del made["bureau"], made["bureau_balance"]
    run = bank_run(made)
    load_tables(run)
    sql_features(run)
    [note] = [each for each in report_of(run)["problems"] if each["file"] == "bureau.csv"]
    assert note["severity"] == "note" and "bureau: its features are missing" in note["remedy"]
    frame = features_of(run)
    theirs = [name for name in frame if name.startswith("bureau_")]
    assert len(frame) == len(made["application"]) and len(theirs) > 40
    assert frame[theirs].isna().all().all()


def test_a_missing_table_that_is_not_optional(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    del made["application"]
    assert "no file like 'application_train*.csv'" in refused(bank_run(made))


def test_a_renamed_column_is_told_before_any_row_is_read(
    bank_run: Make, spec: RelationalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bank.tables(spec)
    made["bureau"] = [
        {name.replace("DAYS_CREDIT_UPDATE", "DAYS_CREDIT_UPDATED"): value
         for name, value in row.items()}
        for row in made["bureau"]
    ]  # fmt: skip
    import duckdb

    monkeypatch.delattr(duckdb, "connect")  # whoever reads rows now fails
    message = refused(bank_run(made))
    assert "missing column" in message and "did you mean 'DAYS_CREDIT_UPDATED'" in message


def test_a_file_without_a_header_is_told_without_its_first_row(
    bank_run: Make, spec: RelationalSpec
) -> None:
    run = bank_run()
    path = Path(run.store.uri(f"{run.place('raw')}/application_train.csv"))
    header, first, *_ = path.read_text(encoding="utf-8").splitlines()
    path.write_text(path.read_text(encoding="utf-8").removeprefix(f"{header}\n"), encoding="utf-8")
    message = refused(run)
    assert "a first row that names no column of the table" in message
    assert first.startswith("100001,") and "100001" not in message + json.dumps(report_of(run))


def test_duplicated_keys(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    made["previous_application"] += made["previous_application"][:2]
    message = refused(bank_run(made))
    assert "unique key" in message and "4 rows share 2 keys" in message


def test_a_table_of_zero_rows(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    assert "0 rows" in refused(bank_run({**made, "application": []}))


def test_an_optional_table_of_zero_rows_is_no_history(bank_run: Make, spec: RelationalSpec) -> None:
    run = bank_run({**bank.tables(spec), "credit_card_balance": []})
    load_tables(run)
    sql_features(run)
    assert features_of(run)["card_months"].isna().all()


def test_an_applicant_with_no_history_has_missing_features(
    bank_run: Make, spec: RelationalSpec
) -> None:
    run = bank_run()
    load_tables(run)
    sql_features(run)
    frame = features_of(run).iloc[: bank.WITHOUT_HISTORY]
    history = [name for name in frame if name.startswith(("bureau_", "prev_", "pos_", "inst_"))]
    assert frame[history].isna().all().all()
    assert frame["amt_credit"].notna().all()


def test_whoever_has_no_history_or_an_unseen_category_is_predicted_all_the_same(
    bank_run: Make, spec: RelationalSpec
) -> None:
    [(name, candidate)] = spec.candidates.items()
    small = candidate.model_copy(update={"hyperparameters": {"num_round": 20, "num_leaves": 4}})
    quick = spec.model_copy(update={"candidates": {name: small}})
    made = bank.tables(spec)

    def tested(run: Run) -> list[str]:
        load_tables(run)
        sql_features(run)
        preprocess(run)
        lines = run.processed().path("test/labels.csv").read_text(encoding="utf-8").splitlines()
        return [line.split(",")[0].strip('"') for line in lines[1:]]

    first, second, *_ = tested(bank_run(made, spec=quick))
    for table, rows in made.items():
        if table == spec.entity:
            unseen = next(row for row in rows if row["SK_ID_CURR"] == second)
            unseen["OCCUPATION_TYPE"] = "Astronaut"
        elif "SK_ID_CURR" in rows[0]:
            made[table] = [row for row in rows if row["SK_ID_CURR"] != first]
    run = bank_run(made, spec=quick)
    assert tested(run)[:2] == [first, second]
    train(run, name).do_here()
    transform(run, name).do_here()
    predicted = run.published("predictions", name, "transform").path("predictions.csv")
    lines = [line.split(",") for line in predicted.read_text(encoding="utf-8").splitlines()]
    found = {line[0].strip('"'): float(line[1]) for line in lines}
    assert 0 < found[first] < 1 and 0 < found[second] < 1


def test_texts_that_are_no_numbers_are_set_aside(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    made["bureau"][3]["AMT_CREDIT_SUM"] = "a lot"
    made["bureau"][5]["DAYS_CREDIT"] = "-12.5"
    made["bureau"][7]["SK_ID_CURR"] = ""
    tolerant = spec.model_copy(update={"raw": spec.raw.model_copy(update={"tolerance": 0.02})})
    assert "3 bad rows of 360" in refused(bank_run(made))
    run = bank_run(made, spec=tolerant)
    load_tables(run)
    tables = run.published("processed", "tables", "load_tables")
    assert tables.facts["rows"]["bureau"] == 357
    lines = list(csv.DictReader(tables.path("quarantine/bureau.csv").open(encoding="utf-8")))
    assert [(line["row"], line["reasons"]) for line in lines] == [
        ("5", "AMT_CREDIT_SUM: number: 'a lot'"),
        ("7", "DAYS_CREDIT: whole number: '-12.5'"),
        ("9", "SK_ID_CURR: whole number, required: (hidden)"),
    ]
    assert json.loads(lines[0]["record"])["AMT_CREDIT_SUM"] == "a lot"


def test_lines_that_are_no_rows_are_set_aside(bank_run: Make, spec: RelationalSpec) -> None:
    run = bank_run()
    path = Path(run.store.uri(f"{run.place('raw')}/bureau_balance.csv"))
    rows = path.read_text(encoding="utf-8").count("\n") - 1
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write("1,2\r\n1,2,C,4\r\n")
    message = refused(run)
    assert f"2 bad rows of {rows + 2:,}" in message and "too many columns" in message


def test_a_label_that_is_none(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    made["application"][0][spec.target.column] = "yes"
    assert "write '0' or '1'" in refused(bank_run(made))


def test_one_class_only(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    for row in made["application"]:
        row[spec.target.column] = "0"
    assert "0 rows with '1'" in refused(bank_run(made))


def test_rows_that_belong_to_nobody_are_noted(bank_run: Make, spec: RelationalSpec) -> None:
    made = bank.tables(spec)
    made["bureau"][0]["SK_ID_CURR"] = "999999"
    run = bank_run(made)
    load_tables(run)
    [note] = report_of(run)["problems"]
    assert note["found"] == "1 of 360 rows are of no application"


def test_no_file_of_any_table(bank_run: Make) -> None:
    with pytest.raises(RawDataError, match="no file of any table"):
        load_tables(bank_run({}))


def features_of(run: Run) -> Any:
    """The published features in their order."""
    import pandas as pd

    found = run.features()
    names = sorted(name for name in found.manifest.files if name.endswith(".parquet"))
    return pd.concat([pd.read_parquet(found.path(name)) for name in names], ignore_index=True)
