"""From tables to channels: the steps one after the other, and the real public files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from millrace.datasets import ROW_ID, RelationalSpec
from millrace.lake import LakeError
from millrace.steps.load_tables import load_tables
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from tests.relational import bank

Make = Callable[..., Run]


def pipeline(run: Run) -> Run:
    load_tables(run)
    sql_features(run)
    preprocess(run)
    return run


def channel(run: Run) -> pd.DataFrame:
    return pd.read_csv(run.processed().path("train/train.csv"))


def test_features_become_channels(bank_run: Make, spec: RelationalSpec) -> None:
    run = pipeline(bank_run())
    listed = run.features().json("features.json")["features"]
    train = channel(run)
    assert list(train.columns) == [spec.target.column, *(each["name"] for each in listed)]
    assert run.processed().facts["rows"] == {"train": 96, "test": 24}
    assert train["bureau_debt_sum"].isna().any()  # trees learn from what is missing
    columns = run.tables.columns
    assert columns["bureau_debt_sum"].description
    assert columns["occupation_type"].role == "categorical"


def test_a_subject_whose_target_is_not_known_has_features_but_trains_nothing(
    bank_run: Make, spec: RelationalSpec
) -> None:
    made = bank.tables(spec)
    for row in made["application"][:20]:
        row[spec.target.column] = ""
    run = pipeline(bank_run(made))
    assert run.features().facts["rows"] == 120
    assert run.processed().facts["rows"] == {"train": 80, "test": 20}


def test_unseen_categories_are_a_code_of_their_own(bank_run: Make, spec: RelationalSpec) -> None:
    """A label that training never saw is -1, and neither an error nor another label."""
    from millrace import transformation

    run = pipeline(bank_run())
    state = run.processed().json("train/transformation.json")
    frame = pd.read_parquet(run.features().path("features/part-00000.parquet"))
    frame["occupation_type"] = "never seen"
    values = transformation.apply(state, transformation.columns_of(state, frame))
    place = transformation.feature_names(state).index("occupation_type")
    assert set(values[:, place]) == {-1.0}


def test_everything_again_does_nothing(bank_run: Make, caplog: pytest.LogCaptureFixture) -> None:
    run = pipeline(bank_run())
    before = [run.features().manifest, run.processed().manifest]
    with caplog.at_level("INFO"):
        pipeline(run)
    assert [run.features().manifest, run.processed().manifest] == before
    assert caplog.text.count("Nothing to do") == 4


def test_changed_sql_makes_the_features_anew(
    bank_run: Make, spec: RelationalSpec, tmp_path: Path
) -> None:
    import shutil
    from dataclasses import replace

    from millrace.settings import PROJECT

    run = pipeline(bank_run())
    shutil.copytree(PROJECT / "include" / "sql", tmp_path / "other" / "sql")
    path = tmp_path / "other" / "sql" / "home_credit" / "POS_CASH_balance.sql"
    path.write_text(path.read_text(encoding="utf-8").replace("MAX(dpd_max)", "MIN(dpd_max)"))
    changed = replace(run, settings=replace(run.settings, datasets=tmp_path / "other" / "datasets"))
    before = run.features().manifest
    sql_features(changed)
    assert run.features().manifest.content != before.content


def test_the_table_of_one_row_a_subject_is_needed_first(bank_run: Make) -> None:
    with pytest.raises(LakeError, match="run the step load_tables first"):
        sql_features(bank_run())
    with pytest.raises(LakeError, match="run the step sql_features first"):
        preprocess(bank_run())


def test_nothing_private_reaches_pages_or_the_log(
    bank_run: Make, spec: RelationalSpec, caplog: pytest.LogCaptureFixture
) -> None:
    made = bank.tables(spec)
    with caplog.at_level("INFO"):
        run = pipeline(bank_run(made))
    ids = {row["SK_ID_CURR"] for row in made["application"]}
    pages = [run.validation().path(name).read_text() for name in run.validation().manifest.files]
    pages += [run.processed().path(name).read_text() for name in
              ("statistics.html", "statistics.json", "train/transformation.json")]  # fmt: skip
    for text in (*pages, caplog.text):
        assert not ids & set(re.findall(r"(?<![\w.])\d{6}(?![\w.])", text))


def real_tables(folder: Path, spec: RelationalSpec) -> dict[str, str]:
    """The real 1,000 applications: the target renamed back, two columns that are absent empty."""
    files: dict[str, str] = {}
    for table, facts in spec.tables.items():
        [path] = [each for each in folder.glob("*.csv") if each.stem.lower() == table.lower()]
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        renamed = [
            {("TARGET" if name == "DEFAULTED" else name): value for name, value in row.items()}
            for row in rows
        ]
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, bank.columns_of(spec, table))
        writer.writeheader()
        writer.writerows(renamed)
        files[facts.files.replace("*", "")] = "\ufeff" + out.getvalue()
    return files


def test_the_real_relational_files(
    real_data: Path, make_run: Callable[..., Run], spec: RelationalSpec
) -> None:
    files = real_tables(real_data / "home_credit" / "relational_first1000", spec)
    run = pipeline(make_run(spec, files))
    rows = run.published("processed", "tables", "load_tables").facts["rows"]
    assert rows["application"] == 1000 and rows["installments_payments"] == 7347
    frame = pd.read_parquet(run.features().path("features/part-00000.parquet")).set_index(ROW_ID)
    assert len(frame) == 1000 and frame.index.is_unique
    known = {"bureau_credits": "bureau", "inst_instalments": "installments_payments",
             "prev_applications": "previous_application", "pos_loans": "POS_CASH_balance",
             "card_months": "credit_card_balance"}  # fmt: skip
    for feature, table in known.items():
        path = run.published("processed", "tables", "load_tables").path(f"{table}/part-0.parquet")
        history = pd.read_parquet(path)
        with_history = set(history["SK_ID_CURR"].astype(str)) & set(frame.index)
        assert set(frame.index[frame[feature].notna()]) == with_history
        if feature in ("bureau_credits", "prev_applications", "card_months"):
            counts = history["SK_ID_CURR"].astype(str).value_counts()
            assert frame[feature].dropna().to_dict() == counts[list(with_history)].to_dict()
    share = frame["inst_late_share"].dropna()
    assert len(share) > 50 and share.between(0, 1).all()


def test_the_real_application_file(
    real_data: Path, make_run: Callable[..., Run], spec: RelationalSpec, tmp_path: Path
) -> None:
    path = real_data / "home_credit" / "application_train.csv"
    run = pipeline(make_run(spec, {"application_train.csv": path}))
    frame = pd.read_parquet(run.features().path("features/part-00000.parquet"))
    raw = pd.read_csv(path)
    assert len(frame) == len(raw) == 30_115
    assert frame["TARGET"].sum() == raw["TARGET"].sum() == 2383
    ratio = (raw["AMT_CREDIT"] / raw["AMT_ANNUITY"]).to_numpy()
    pd.testing.assert_series_equal(
        frame["credit_to_annuity"], pd.Series(ratio, name="credit_to_annuity"), rtol=1e-15
    )
    assert frame["not_employed"].sum() == (raw["DAYS_EMPLOYED"] == 365243).sum()
    report: Any = run.validation().json("validation.json")
    assert {each["severity"] for each in report["problems"]} == {"note"}
    assert json.dumps(report)  # no value that JSON has not
