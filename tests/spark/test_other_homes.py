"""The job on S3, and on Spark 3.5 with Python 3.9 as on EMR 7."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from millrace.lake import S3Store, read_published
from tests.lake.s3 import BUCKET, s3_client
from tests.spark.conftest import LABELS, PLACE, Output, Ran, submitted

pytestmark = pytest.mark.integration


def test_spark_35_gives_the_same_features(
    spark_35: list[str], output: Output, images: Path, network: Path, tmp_path: Path
) -> None:
    ran = submitted(
        spark_35, "--images", images, "--network", network, "--output", tmp_path,
        "--components", 5, "--pca", "spark-ml", "--precision", "fp32",
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    old = Output.published(tmp_path)
    assert old.facts["spark"].startswith("3.5.") and output.facts["spark"].startswith("4.1.")
    assert old.facts["network"]["id"] == output.facts["network"]["id"]
    columns = ["path", "label", "hash"]
    assert old.table().select(columns) == output.table().select(columns)
    np.testing.assert_allclose(old.features(), output.features(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(old.components(), output.components(), atol=1e-4)
    np.testing.assert_allclose(old.pca(), output.pca(), atol=1e-3)


def test_spark_35_ends_with_the_reason(spark_35: list[str], network: Path, tmp_path: Path) -> None:
    ran = submitted(
        spark_35, "--images", tmp_path, "--network", network, "--output", tmp_path,
        "--tolerance", 3,
    )  # fmt: skip
    assert ran.status == 1
    assert ran.error == "image_features: error: --tolerance 3 is no share between 0 and 1"


def test_everything_may_be_in_s3(
    bucket: str, java: list[str], run: Callable[..., Ran], images: Path, network: Path
) -> None:
    client = s3_client(bucket)
    for path in images.rglob("*.*"):
        key = f"raw/a b=c/{path.relative_to(images).as_posix()}"
        client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    client.put_object(Bucket=BUCKET, Key="raw/a b=c/Apple Red 1/cut.jpg", Body=b"\xff\xd8\xff")
    client.put_object(Bucket=BUCKET, Key="networks/tiny.onnx", Body=network.read_bytes())
    given = (
        "--images", f"s3://{BUCKET}/raw/a b=c", "--network", f"s3://{BUCKET}/networks/tiny.onnx",
        "--output", f"s3://{BUCKET}/{PLACE}", "--precision", "fp32", "--tolerance", 0.1,
        "--components", 3, "--reuse", f"s3://{BUCKET}/features",
    )  # fmt: skip
    ran = submitted(java, *given)
    assert ran.status == 0, ran.log + ran.error
    published = read_published(S3Store(f"s3://{BUCKET}", client), PLACE)
    assert published is not None
    assert published.facts["rows"] == 60 and published.facts["quarantined"] == 1
    assert published.facts["labels"] == dict.fromkeys(sorted(LABELS), 20)
    rows = 0
    for name in published.manifest.files:  # each is checked against its hash
        path = published.path(name)
        rows += pq.read_metadata(path).num_rows if name.startswith("features/") else 0
    assert rows == 60
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert not [key for key in keys if "_work" in key]

    ran = submitted(java, *given, "--attempt", "again")
    assert ran.status == 0, ran.log + ran.error
    again = client.get_object(Bucket=BUCKET, Key=f"{PLACE}/again/job.json")["Body"].read()
    assert json.loads(again)["facts"]["reused"] == 60
    ran = run(*given[:1], f"s3://{BUCKET}/nothing", *given[2:])
    assert ran.status == 1
    assert ran.error == (
        "image_features: error: there are no files below"
        f" s3://{BUCKET}/nothing; --images names their folder"
    )
