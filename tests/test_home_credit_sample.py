"""The sample of seven tables: counts, keys, distributions, and what a model can learn from it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from millrace.datasets import load_relational_spec
from millrace.samples import __main__ as command
from millrace.samples import home_credit
from millrace.samples.home_credit.rows import apportion, header, profile, within

SCALE = 0.03
PROJECT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("MILLRACE_REAL_DATA") or PROJECT.parent / "shared" / "data")
CHILDREN = [table for table in home_credit.ROWS if table != "application"]

Tables = dict[str, pd.DataFrame]


def read(folder: Path) -> Tables:
    """All tables of a folder."""
    files = {table: home_credit.FILES.get(table, f"{table}.csv") for table in home_credit.ROWS}
    return {table: pd.read_csv(folder / file) for table, file in files.items()}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("home_credit")
    home_credit.write(folder, scale=SCALE)
    return read(folder)


def test_every_table_has_its_share_of_the_public_rows(tables: Tables) -> None:
    wanted = {table: round(SCALE * rows) for table, rows in home_credit.ROWS.items()}

    assert {table: len(rows) for table, rows in tables.items()} == wanted


def test_the_spec_declares_the_same_columns(tables: Tables) -> None:
    spec = load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")

    for table, rows in tables.items():
        declared = set(spec.tables[table].columns.types())
        assert declared | ({"TARGET"} if table == "application" else set()) == set(rows)


@pytest.mark.parametrize("table", home_credit.ROWS)
def test_the_header_is_the_public_one(table: str) -> None:
    if not (REAL / "home_credit").is_dir():
        pytest.skip("the real files are not there; set MILLRACE_REAL_DATA")
    real = pd.read_csv(
        REAL / "home_credit" / "random_rows_1000" / home_credit.FILES.get(table, f"{table}.csv"),
        index_col=0, nrows=1,
    )  # fmt: skip

    assert header(table) == list(real)


def test_keys_are_unique_and_lead_to_a_row(tables: Tables) -> None:
    keys = {
        "application": ["SK_ID_CURR"], "bureau": ["SK_ID_BUREAU"],
        "bureau_balance": ["SK_ID_BUREAU", "MONTHS_BALANCE"],
        "previous_application": ["SK_ID_PREV"],
        "POS_CASH_balance": ["SK_ID_PREV", "MONTHS_BALANCE"],
        "credit_card_balance": ["SK_ID_PREV", "MONTHS_BALANCE"],
    }  # fmt: skip
    for table, key in keys.items():
        assert not tables[table].duplicated(key).any(), table
    people = set(tables["application"]["SK_ID_CURR"])
    owners = tables["previous_application"].set_index("SK_ID_PREV")["SK_ID_CURR"]
    for table in CHILDREN:
        rows = tables[table]
        if "SK_ID_CURR" in rows:
            assert set(rows["SK_ID_CURR"]) <= people, table
        if "SK_ID_PREV" in rows:
            assert (owners.loc[rows["SK_ID_PREV"]].to_numpy() == rows["SK_ID_CURR"]).all(), table
    credits = set(tables["bureau"]["SK_ID_BUREAU"])
    assert set(tables["bureau_balance"]["SK_ID_BUREAU"]) <= credits


@pytest.mark.parametrize(
    ("table", "share"), [("bureau", 0.86), ("previous_application", 0.95)]
)  # fmt: skip
def test_some_applicants_have_no_history(tables: Tables, table: str, share: float) -> None:
    with_history = tables["application"]["SK_ID_CURR"].isin(tables[table]["SK_ID_CURR"])

    assert with_history.mean() == pytest.approx(share, abs=0.03)


def test_the_application_is_like_the_public_one(tables: Tables) -> None:
    rows, found = tables["application"], profile()["tables"]["application"]

    assert rows["TARGET"].mean() == pytest.approx(0.0807, abs=1e-3)
    assert rows["OCCUPATION_TYPE"].isna().mean() == pytest.approx(0.313, abs=0.02)
    for name in ("EXT_SOURCE_1", "EXT_SOURCE_3", "COMMONAREA_AVG", "AMT_REQ_CREDIT_BUREAU_DAY"):
        assert rows[name].isna().mean() == pytest.approx(found[name]["missing"], abs=0.02), name
    for name in ("AMT_CREDIT", "AMT_INCOME_TOTAL", "DAYS_BIRTH", "EXT_SOURCE_2"):
        wanted = found[name]["quantiles"][profile()["probabilities"].index(0.5)]
        assert rows[name].median() == pytest.approx(wanted, rel=0.05), name
    assert (rows["OWN_CAR_AGE"].isna() == (rows["FLAG_OWN_CAR"] == "N")).all()
    idle = rows["DAYS_EMPLOYED"] == 365_243
    assert (idle == (rows["ORGANIZATION_TYPE"] == "XNA")).all()
    assert 0.15 < idle.mean() < 0.21


def test_days_and_amounts_are_in_line(tables: Tables) -> None:
    bureau, paid = tables["bureau"], tables["installments_payments"]
    closed = bureau["CREDIT_ACTIVE"] == "Closed"

    assert (bureau["DAYS_ENDDATE_FACT"].notna() == closed).all()
    assert (bureau["DAYS_ENDDATE_FACT"] >= bureau["DAYS_CREDIT"])[closed].all()
    assert (bureau["AMT_CREDIT_SUM_DEBT"].fillna(0)[closed] == 0).all()
    assert (paid["DAYS_INSTALMENT"] < 0).all()
    assert (paid["AMT_PAYMENT"].fillna(0) <= paid["AMT_INSTALMENT"]).all()
    assert tables["bureau_balance"]["MONTHS_BALANCE"].between(-96, 0).all()
    assert tables["POS_CASH_balance"]["MONTHS_BALANCE"].between(-96, -1).all()


def test_the_history_tells_more_than_the_application(tables: Tables) -> None:
    rows = tables["application"].set_index("SK_ID_CURR")
    paid = tables["installments_payments"]
    late = (paid["DAYS_ENTRY_PAYMENT"] > paid["DAYS_INSTALMENT"]).groupby(paid["SK_ID_CURR"])
    credits = tables["bureau"].groupby("SK_ID_CURR")
    more = (
        rows.drop(columns="TARGET")
        .copy()
        .assign(late=late.mean(), owed=credits["AMT_CREDIT_SUM_DEBT"].sum(), credits=credits.size())
    )
    more = more.select_dtypes("number")

    alone = _auc(more.drop(columns=["late", "owed", "credits"]), rows["TARGET"])

    assert 0.66 < alone < 0.8
    assert _auc(more, rows["TARGET"]) > alone + 0.01


def _auc(features: pd.DataFrame, target: pd.Series) -> float:
    """On every third row, of a model of the others."""
    test = np.arange(len(features)) % 3 == 0
    model = lightgbm.LGBMClassifier(
        n_estimators=120, learning_rate=0.04, num_leaves=15, colsample_bytree=0.3,
        n_jobs=2, verbose=-1, random_state=0,
    )  # fmt: skip
    model.fit(features[~test], target[~test])
    return float(roc_auc_score(target[test], model.predict_proba(features[test])[:, 1]))


def test_equal_seeds_give_equal_bytes_over_several_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_credit, "CHUNK", 100)

    def digests(name: str, seed: int) -> dict[str, str]:
        home_credit.write(tmp_path / name, scale=0.001, seed=seed)
        files = sorted((tmp_path / name).iterdir())
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    first = digests("a", 1)
    assert digests("b", 1) == first
    assert set(first.values()).isdisjoint(digests("c", 2).values())
    assert len(first) == 7
    tables = read(tmp_path / "a")
    assert {name: len(rows) for name, rows in tables.items()} == {
        name: round(rows * 0.001) for name, rows in home_credit.ROWS.items()
    }
    assert tables["bureau"]["SK_ID_BUREAU"].is_unique


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["home_credit", str(tmp_path), "--scale", "0.0002"]) == 0

    said = capsys.readouterr().out
    assert "62 rows of application" in said
    assert len(pd.read_csv(tmp_path / "application_train.csv")) == 62


@pytest.mark.parametrize("scale", ["0", "-1", "0.000001"])
def test_a_scale_without_applicants_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: str
) -> None:
    assert command.main(["home_credit", str(tmp_path), f"--scale={scale}"]) == 2

    assert "give a scale that makes at least one applicant" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    (tmp_path / "bureau.csv").write_text("of before\n")
    monkeypatch.setattr(home_credit.payments, "draw_cards", full)

    with pytest.raises(OSError, match="disk full"):
        home_credit.write(tmp_path, scale=0.0002)
    assert [path.name for path in tmp_path.iterdir()] == ["bureau.csv"]
    assert (tmp_path / "bureau.csv").read_text() == "of before\n"


@pytest.mark.parametrize("cap", [None, 7, 5])
def test_parts_add_up_and_stay_below_the_cap(cap: int | None) -> None:
    weights = np.array([0.0, 1, 2, 100, 0, 3])

    parts = apportion(weights, 20, cap)

    assert parts.sum() == 20
    assert (parts[weights == 0] == 0).all()
    assert cap is None or parts.max() <= cap
    assert apportion(weights, 100, 5).tolist() == [0, 5, 5, 5, 0, 5]
    assert within(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


def test_the_profile_holds_no_row() -> None:
    for table, columns in profile()["tables"].items():
        for name, found in columns.items():
            assert name.startswith("SK_ID_") == (found["kind"] == "key"), (table, name)
            assert len(json.dumps(found)) < 1_500
