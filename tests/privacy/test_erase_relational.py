"""Erasing a subject whose history stands in other tables, some of them known by other keys."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millrace.datasets import ROW_ID, load_relational_spec
from millrace.lake import publish
from millrace.privacy import outputs
from millrace.privacy.erase import erase
from millrace.settings import PROJECT, Settings
from millrace.steps.load_tables import load_tables
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from tests.privacy.loans import KEY, put
from tests.relational import bank

DAY = "2026-03-01"


@pytest.fixture(scope="module")
def spec():
    return load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")


@pytest.fixture
def made(spec):
    return bank.tables(spec)


@pytest.fixture
def run(spec, store, made, tmp_path):
    """A bank in the lake, with its features, its channels and scores for all subjects."""
    settings = Settings.from_environment({"MILLRACE_HOME": str(tmp_path / "home")})
    run = Run(spec, DAY, store, settings, tuple(spec.candidates))
    for name, text in bank.texts(spec, made, bom=True).items():
        put(store, f"raw/home_credit/{DAY}/{name}", list(csv.reader(io.StringIO(text))))
    load_tables(run)
    sql_features(run)
    preprocess(run)
    features = run.features()

    def build(attempt):
        ids = rows_of(features, "features/")[ROW_ID].to_list()
        table = pa.table({ROW_ID: ids, "probability": [0.5] * len(ids)})
        table = table.replace_schema_metadata({"millrace.model": "7"})
        for name in ("predictions", "components"):
            (attempt.folder / name).mkdir()
            pq.write_table(table, attempt.folder / name / "part-00000.parquet")
        attempt.facts["rows"] = table.num_rows

    publish(
        store, run.place("predictions", "scores"), depends_on={}, build=build,
        inputs={features.uri: features.manifest.content},
    )  # fmt: skip
    return run


def rows_of(published, prefix):
    names = sorted(
        name
        for name in published.manifest.files
        if name.startswith(prefix) and name.endswith(".parquet")
    )
    return pd.concat([pd.read_parquet(published.path(name)) for name in names])


def raw_rows(run, table):
    name = run.relational.tables[table].files.replace("*", "")
    text = run.store.read(f"raw/home_credit/{DAY}/{name}")[0].decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def expected(made, subject):
    """The rows of every table without the subject's, found the plain way."""
    credits = {row["SK_ID_BUREAU"] for row in made["bureau"] if row["SK_ID_CURR"] == subject}
    return {
        table: [
            row
            for row in rows
            if row.get("SK_ID_CURR") != subject and row.get("SK_ID_BUREAU") not in credits
        ]
        for table, rows in made.items()
    }


def with_history(made):
    """A subject with rows in every table that has subjects, and in bureau_balance."""
    balanced = {row["SK_ID_BUREAU"] for row in made["bureau_balance"]}
    return next(row["SK_ID_CURR"] for row in made["bureau"] if row["SK_ID_BUREAU"] in balanced)


def check(run, made, subject):
    left = expected(made, subject)
    tables = run.published("processed", "tables", "")
    for table, rows in left.items():
        assert raw_rows(run, table) == rows
        assert tables.facts["rows"][table] == len(rows)
        assert len(pd.read_parquet(tables.path(f"{table}/part-0.parquet"))) == len(rows)
    known = {row["SK_ID_CURR"] for row in left["application"]}
    features, scores = run.features(), run.published("predictions", "scores", "")
    assert set(rows_of(features, "features/")[ROW_ID]) == known
    assert set(rows_of(scores, "predictions/")[ROW_ID]) == known
    assert set(rows_of(scores, "components/")[ROW_ID]) == known
    assert scores.facts["rows"] == features.facts["rows"] == len(known)
    processed = run.processed()
    test = pd.read_csv(processed.path("test/labels.csv"), dtype={ROW_ID: str})[ROW_ID]
    train = pd.read_csv(processed.path("train/train.csv"))
    assert subject not in set(test)
    assert len(train) + len(test) == len(known) == 119
    metadata = pq.read_schema(scores.path("predictions/part-00000.parquet")).metadata
    assert metadata[b"millrace.model"] == b"7"


def test_rows_of_all_tables_go_and_no_others(run, made, store):
    subject = with_history(made)
    assert len(expected(made, subject)["bureau_balance"]) < len(made["bureau_balance"])
    train = run.processed().path("train/train.csv").read_text().splitlines()
    erase(store, run.spec, f"0{subject}", KEY)
    check(run, made, subject)
    left = run.processed().path("train/train.csv").read_text().splitlines()
    assert set(left) <= set(train)
    # The steps go on from what is left.
    load_tables(run)
    sql_features(run)
    preprocess(run)
    assert run.features().facts["rows"] == 119


@pytest.mark.parametrize("dies_at", [1, 2, 4, 5, 6, 8])
def test_keys_of_other_tables_are_not_lost_half_way(run, made, store, monkeypatch, dies_at):
    """bureau_balance names nobody: once the rows of bureau are gone, it cannot be searched."""
    subject = with_history(made)
    writes = 0

    def dying(call):
        def write(*given, **named):
            nonlocal writes
            writes += 1
            if writes == dies_at:
                raise KeyboardInterrupt
            return call(*given, **named)

        return write

    with monkeypatch.context() as patched:
        patched.setattr(outputs, "publish_staged", dying(outputs.publish_staged))
        patched.setattr(type(store), "put", dying(type(store).put))
        with pytest.raises(KeyboardInterrupt):
            erase(store, run.spec, subject, KEY)
    erase(store, run.spec, subject, KEY)
    check(run, made, subject)
