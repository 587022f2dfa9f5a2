"""The scoring job on this machine's Spark: scores, reasons, components, and what it refuses."""

from __future__ import annotations

import json
import logging
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import contributions
import inference
from millrace import transformation
from millrace.lake import LocalStore, Place, read_published
from tests.spark.applicants import NUMBERS, STATE, Trained, applicants, train, write_features
from tests.spark.conftest import Ran

PLACE = Place("predictions", "home_credit", "2026-03-01", "scores")
ROWS = 3000
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    return train(folder, "lightgbm", "--num_round", 30, "--num_leaves", 7, "--threshold", 0.3)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return applicants(ROWS)


@pytest.fixture(scope="module")
def features(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(frame, tmp_path_factory.mktemp("features") / "a b=c %41é", files=3)


@pytest.fixture
def score(spark_here: None, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the job in this process with some arguments."""
    import credit_scoring

    def runs(*arguments: object) -> Ran:
        capfd.readouterr()
        status = credit_scoring.main([str(argument) for argument in arguments])
        seen = capfd.readouterr()
        log = logging.getLogger("spark_job")  # as it was before
        log.propagate, log.handlers[:] = True, []
        return Ran(status, seen.out, seen.err.strip().rpartition("\n")[2])

    return runs


@dataclass(frozen=True)
class Scored:
    """What a run wrote."""

    folder: Path

    @property
    def described(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "job.json").read_text()))

    def table(self, kind: str) -> pa.Table:
        names = sorted(n for n in self.described["files"] if n.startswith(f"{kind}/part-"))
        return pa.concat_tables([pq.read_table(self.folder / name) for name in names])

    def pca(self, name: str) -> pa.Table:
        return pq.read_table(self.folder / "pca" / f"{name}.parquet")


def test_scores_are_the_models_and_reasons_its_contributions(
    score: Run, trained: Trained, frame: pd.DataFrame, features: Path, tmp_path: Path
) -> None:
    output = tmp_path / str(PLACE)
    ran = score(
        "--features", features, "--model", trained.bundle, "--output", output, "--partitions", 7,
        "--batch-size", 333, "--reasons", 3, "--components", 4, "--model-version", "home_credit 3",
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    assert "rows: 3,000 / 3,000 (100 %)" in ran.log
    published = read_published(LocalStore(tmp_path), PLACE)
    assert published is not None
    for name in published.manifest.files:  # each is checked against its hash
        published.path(name)
    scored = Scored(output / published.manifest.attempt)
    found = scored.table("predictions")
    assert found["_row_id"].to_pylist() == frame["_row_id"].tolist()

    model = inference.model_fn(str(trained.folder))
    probability = model.probability(frame)
    assert found["probability"].to_numpy().tolist() == probability.tolist()
    assert found["decision"].to_pylist() == (probability >= 0.3).astype(int).tolist()
    assert 0 < published.facts["positive"] == int((probability >= 0.3).sum()) < ROWS
    metadata = pq.read_schema(
        scored.folder / next(n for n in published.manifest.files if n.startswith("predictions/"))
    ).metadata
    assert metadata[b"model_version"] == b"home_credit 3" and metadata[b"threshold"] == b"0.3"

    matrix = transformation.apply(STATE, transformation.columns_of(STATE, frame))
    each = contributions.contributions("lightgbm", model.estimator, matrix).values
    whole = np.column_stack([each[:, : len(NUMBERS)], each[:, len(NUMBERS) :].sum(axis=1)])
    names = [*NUMBERS, "kind"]
    for row, told in enumerate(found.select(["reason_1", "reason_2", "reason_3"]).to_pylist()):
        order = sorted(range(len(names)), key=lambda at: (-whole[row, at], at))[:3]
        expected = [
            {"feature": names[at], "contribution": whole[row, at]} if whole[row, at] > 0 else None
            for at in order
        ]
        assert list(told.values()) == expected
    assert found["reason_3"].null_count < ROWS


def test_components_are_those_of_the_standardised_numbers(
    score: Run, trained: Trained, frame: pd.DataFrame, features: Path, tmp_path: Path
) -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    ran = score(
        "--features", features, "--model", trained.bundle, "--output", tmp_path, "--reasons", 0,
        "--components", 3, "--batch-size", 100, "--attempt", "mine",
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    assert not (tmp_path / "_MANIFEST.json").exists()
    scored = Scored(tmp_path / "mine")
    values = frame[list(NUMBERS)].to_numpy()
    seen = [name for name in NUMBERS if name != "never"]  # sklearn has no mean of no values
    scaler = StandardScaler().fit(frame[seen].to_numpy())
    scaling = scored.pca("scaling").to_pandas().set_index("feature")
    assert list(scaling.index) == list(NUMBERS)
    np.testing.assert_allclose(scaling.loc[seen, "mean"], scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(scaling.loc[seen, "scale"], scaler.scale_, rtol=1e-12)
    assert scaling.loc["never"].tolist() == [0, 1, 0]
    assert scaling["present"].tolist() == np.isfinite(values).sum(axis=0).tolist()

    standard = np.nan_to_num((values - scaling["mean"].to_numpy()) / scaling["scale"].to_numpy())
    theirs = PCA(3, svd_solver="full").fit(standard)
    components = scored.pca("components")
    assert components.column_names == ["component", *NUMBERS]
    ours = np.stack([column.to_numpy() for column in components.columns[1:]], axis=1)
    signs = np.sign((ours * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours, theirs.components_ * signs[:, None], atol=1e-9)
    ratio = scored.pca("explained_variance")["ratio"].to_numpy()
    np.testing.assert_allclose(ratio, theirs.explained_variance_ratio_, rtol=1e-9)
    table = scored.table("components")
    assert table["_row_id"].to_pylist() == frame["_row_id"].tolist()
    projected = np.stack(table["pca"].to_numpy(zero_copy_only=False))
    np.testing.assert_allclose(projected, theirs.transform(standard) * signs, atol=1e-4)
    as_text = pd.read_csv(scored.folder / "pca" / "components.csv")
    np.testing.assert_allclose(as_text.iloc[:, 1:].to_numpy(), ours, rtol=1e-12)
    assert not [name for name in scored.described["files"] if "_work" in name]
    assert not (scored.folder / "_work").exists()


def _without(features: Path, target: Path, name: str) -> Path:
    table = pq.read_table(next(features.glob("*.parquet"))).drop_columns([name])
    target.mkdir()
    pq.write_table(table, target / "part-0.parquet")
    return target


def test_what_cannot_be_scored_is_told_in_one_line(
    score: Run, trained: Trained, features: Path, tmp_path: Path
) -> None:
    def ends(features: Path, model: Path, *more: object) -> str:
        ran = score("--features", features, "--model", model, "--output", tmp_path / "out", *more)
        assert ran.status == 1 and not list((tmp_path / "out").glob("*/predictions"))
        assert "Traceback" not in ran.log
        return ran.error

    bundle = trained.bundle
    lacking = _without(features, tmp_path / "lacking", "debt")
    assert "lack 1 of the 8 columns that the model reads: debt" in ends(lacking, bundle)
    nameless = _without(features, tmp_path / "nameless", "_row_id")
    assert "have no column _row_id" in ends(nameless, bundle)
    text = tmp_path / "text"
    text.mkdir()
    table = pq.read_table(next(features.glob("*.parquet")))
    wrong = table.set_column(table.column_names.index("age"), "age", [["old"] * len(table)])
    pq.write_table(wrong, text / "part-0.parquet")
    assert "the model reads age as number, and the features have it as string" in ends(text, bundle)
    pq.write_table(table, text / "part-1.parquet")
    assert "part-1.parquet has other columns than part-0.parquet" in ends(text, bundle)
    (tmp_path / "empty").mkdir()
    assert "there are no Parquet files in" in ends(tmp_path / "empty", bundle)
    pq.write_table(table.slice(0, 0), tmp_path / "empty" / "part-0.parquet")
    assert "have no rows" in ends(tmp_path / "empty", bundle)
    assert "cannot be read" in ends(features, tmp_path / "gone.tar.gz")
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(bundle.read_bytes()[:1000])
    assert "is no bundle of a model" in ends(features, broken)
    sly = tmp_path / "sly.tar.gz"
    with tarfile.open(sly, "w:gz") as archive:
        archive.add(trained.folder / "model.json", "../model.json")
    assert "holds '../model.json', and only plain files belong there" in ends(features, sly)
    error = ends(features, bundle, "--components", 50)
    assert "--components 50 is more than 3,000 rows of 7 features have" in error
    error = ends(features, bundle, "--components", "x")
    assert "--components x is neither a number of components" in error
