"""The scoring job on S3, and on Spark 3.5 with Python 3.9 as on EMR 7, with every kind of model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from millrace.lake import LocalStore, S3Store, read_published
from tests.lake.s3 import BUCKET, s3_client
from tests.spark.applicants import Trained, applicants, train, write_features
from tests.spark.conftest import SCRIPT, submitted
from tests.spark.test_scoring import PLACE, Scored

pytestmark = pytest.mark.integration

SCORING = SCRIPT.with_name("credit_scoring.py")
ROWS = 1200
LIGHTGBM = ("lightgbm", "--num_round", 30, "--num_leaves", 7)
XGBOOST = ("xgboost", "--num_round", 30, "--max_depth", 3)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(applicants(ROWS), tmp_path_factory.mktemp("features"), files=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("trained"), *LIGHTGBM)


def scored(store: Path) -> Scored:
    found = read_published(LocalStore(store), PLACE)
    assert found
    return Scored(Path(found.uri))


def test_spark_35_gives_the_same_scores(
    java: list[str], spark_35: list[str], features: Path, trained: Trained, tmp_path: Path
) -> None:
    found = {}
    for name, command in (("new", java), ("old", spark_35)):
        ran = submitted(
            command, "--features", features, "--model", trained.bundle, "--output",
            tmp_path / name / str(PLACE), "--components", 3, script=SCORING,
        )  # fmt: skip
        assert ran.status == 0, ran.log + ran.error
        found[name] = scored(tmp_path / name)
    new, old = found["new"], found["old"]
    assert old.described["facts"]["spark"].startswith("3.5.")
    assert new.described["facts"]["spark"].startswith("4.1.")
    mine, its = new.table("predictions"), old.table("predictions")
    assert mine["_row_id"] == its["_row_id"]
    np.testing.assert_allclose(mine["probability"], its["probability"], rtol=0, atol=1e-12)
    assert mine["decision"] == its["decision"]
    for at in range(1, 6):
        (mine_names, mine_values), (names, values) = (
            table.column(f"reason_{at}").combine_chunks().flatten() for table in (mine, its)
        )
        assert mine_names.null_count == names.null_count
        np.testing.assert_allclose(mine_values.drop_null(), values.drop_null(), atol=1e-6)
        same = np.array(mine_names.to_pylist()) == np.array(names.to_pylist())
        assert same.mean() > 0.999, "only contributions that are equal may change places"
    for kind in ("components", "scaling", "explained_variance"):
        for column in new.pca(kind).column_names:
            if column != "feature":
                np.testing.assert_allclose(
                    new.pca(kind)[column], old.pca(kind)[column], rtol=1e-9, atol=1e-9
                )


def test_an_older_xgboost_that_would_misread_a_model_is_refused(
    java: list[str], spark_35: list[str], features: Path, tmp_path: Path
) -> None:
    """2.1 loads a model of 3.4 without a word, and gives other probabilities."""
    bundle = train(tmp_path / "xgboost", *XGBOOST).bundle
    given = ("--features", features, "--model", bundle, "--output", tmp_path / "out")
    ran = submitted(spark_35, *given, script=SCORING)
    assert ran.status == 1 and "is installed here, which reads it wrongly" in ran.error
    assert not list(tmp_path.glob("out/*"))
    ran = submitted(java, *given, "--components", 2, script=SCORING)
    assert ran.status == 0, ran.log + ran.error


def test_everything_may_be_in_s3(
    bucket: str, java: list[str], features: Path, trained: Trained
) -> None:
    client = s3_client(bucket)
    for path in features.iterdir():
        client.upload_file(str(path), BUCKET, f"features/a b/{path.name}")
    client.upload_file(str(trained.bundle), BUCKET, "jobs/sent/0a/model.tar.gz")
    ran = submitted(
        java, "--features", f"s3://{BUCKET}/features/a b", "--model",
        f"s3://{BUCKET}/jobs/sent/0a/model.tar.gz", "--output", f"s3://{BUCKET}/{PLACE}",
        "--components", 0.8, "--reasons", 1, script=SCORING,
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    published = read_published(S3Store(f"s3://{BUCKET}", client), PLACE)
    assert published is not None
    assert sum(published.facts["explained_variance_ratio"]) >= 0.8
    rows = 0
    for name in published.manifest.files:  # each is checked against its hash
        path = published.path(name)
        rows += pq.read_metadata(path).num_rows if name.startswith("predictions/") else 0
    assert rows == published.facts["rows"] == ROWS
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert not [key for key in keys if "_work" in key]
