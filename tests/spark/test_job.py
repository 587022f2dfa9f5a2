"""The job from end to end: what it writes, what it refuses, what it computes only once."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import cluster
import gathering
from command import reason
from millrace.lake import LocalStore, read_published
from pca import Moments
from storage import Folder
from tests.spark.conftest import (
    DESCRIBED,
    LABELS,
    PLACE,
    WIDTH,
    Output,
    Ran,
    draw_images,
    drawn,
    encoded,
    submitted,
    tiny_network,
)

pytestmark = pytest.mark.integration

Run = Callable[..., Ran]


def test_the_lake_reads_what_is_published(output: Output, lake: Path) -> None:
    published = read_published(LocalStore(lake), PLACE)
    assert published is not None
    assert published.facts == output.facts
    for name in published.manifest.files:
        assert published.path(name).stat().st_size == output.files[name]["size"]
    on_disk = {p.relative_to(output.folder).as_posix() for p in output.folder.rglob("*.*")}
    assert on_disk == {*output.files, "job.json"}  # nothing else is left, such as _work


def test_rows_name_their_images(output: Output, images: Path) -> None:
    table = output.table()
    assert table.schema.metadata[b"network"].decode() == output.facts["network"]["id"]
    assert table.column_names == ["path", "label", "hash", "features", "pca"]
    rows = table.select(["path", "label", "hash"]).to_pylist()
    assert [row["path"] for row in rows] == sorted(
        path.relative_to(images).as_posix() for path in images.rglob("*.*")
    )
    for row in rows:
        assert row["label"] == row["path"].partition("/")[0]
        assert row["hash"] == hashlib.sha256((images / row["path"]).read_bytes()).hexdigest()


def test_the_facts_add_up(output: Output) -> None:
    facts = output.facts
    assert facts["labels"] == dict.fromkeys(sorted(LABELS), 20)
    assert facts["rows"] == facts["images"] == facts["distinct"] == 60
    assert facts["quarantined"] == facts["reused"] == 0
    assert facts["width"] == WIDTH and facts["components"] == 5 and facts["partitions"] == 4
    assert facts["network"]["name"] == "Tiny"
    assert facts["network"]["weights"] == "random (seed 0)"
    assert facts["network"]["runtime"].startswith("ONNX Runtime ")
    seconds = facts["seconds"]
    assert seconds["total"] >= seconds["start"] + seconds["features"] + seconds["pca"]
    assert {"list", "read", "decode", "inference", "write"} <= seconds.keys()


def test_components_are_those_of_the_features(output: Output) -> None:
    features = output.features().astype(np.float64)
    centred = features - features.mean(axis=0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    found = output.components()
    signs = np.sign((found * vectors[:5]).sum(axis=1))
    np.testing.assert_allclose(found, vectors[:5] * signs[:, None], atol=1e-6)
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)
    assert (largest > 0).all()
    np.testing.assert_allclose(output.pca(), centred @ found.T, atol=1e-4)
    ratio = (values**2 / (values**2).sum())[:5]
    np.testing.assert_allclose(output.facts["explained_variance_ratio"], ratio, rtol=1e-6)


def test_csv_says_what_parquet_says(output: Output) -> None:
    for name in ("components", "mean", "explained_variance"):
        table = pq.read_table(output.folder / "pca" / f"{name}.parquet")
        header, *lines = (output.folder / "pca" / f"{name}.csv").read_text().splitlines()
        assert [cell.strip('"') for cell in header.split(",")] == table.column_names
        assert len(lines) == table.num_rows
        last = table.column(table.num_columns - 1).to_pylist()
        np.testing.assert_allclose([float(line.rpartition(",")[2]) for line in lines], last)


def test_the_log_tells_progress_and_where_the_time_went(first: Ran) -> None:
    assert "images: 60 / 60 (100 %)" in first.log
    assert "network: Tiny, weights: random (seed 0), fp32 in ONNX Runtime" in first.log
    assert "The network has random weights" in first.log
    for word in ("start", "features", "PCA", "write", "read", "decode", "inference"):
        assert f"{word} " in first.log
    assert "output: " in first.log


def test_errors_are_the_last_line_of_standard_error(
    java: list[str], tmp_path: Path, network: Path
) -> None:
    empty = tmp_path / "none"
    empty.mkdir()
    ran = submitted(java, "--images", empty, "--network", network, "--output", tmp_path / "out")
    assert ran.status == 1
    assert ran.error.startswith("image_features: error: there are no files below")
    assert not (tmp_path / "out").exists()


def test_known_images_are_not_computed_again(
    run: Run, output: Output, lake: Path, images: Path, network: Path, tmp_path: Path
) -> None:
    more = tmp_path / "images"
    shutil.copytree(images / LABELS[0], more / "Renamed")
    draw_images(tmp_path / "new", ("New",), each=7, seed=9000)
    shutil.copytree(tmp_path / "new" / "New", more / "New")
    ran = run(
        "--images", more, "--network", network, "--output", tmp_path / "out", "--reuse", lake,
        "--precision", "fp32", "--attempt", "mine",
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    again = Output.of(tmp_path / "out" / "mine")
    assert not (tmp_path / "out" / "_MANIFEST.json").exists()  # the caller publishes
    assert again.facts["reused"] == 20 and again.facts["rows"] == 27
    first = dict(zip(output.table()["hash"].to_pylist(), output.features(), strict=True))
    table = again.table()
    for label, digest, features in zip(
        table["label"].to_pylist(), table["hash"].to_pylist(), again.features(), strict=True
    ):
        assert (digest in first) == (label == "Renamed")
        if label == "Renamed":
            np.testing.assert_array_equal(features, first[digest])

    other = tmp_path / "other.onnx"
    other.write_bytes(tiny_network(seed=5, metadata=DESCRIBED))
    ran = run(
        "--images", more, "--network", other, "--output", tmp_path / "out", "--reuse", lake,
        "--precision", "fp32", "--attempt", "other",
    )  # fmt: skip
    assert Output.of(tmp_path / "out" / "other").facts["reused"] == 0


def test_a_stored_model_projects_new_images_and_one_alone(
    run: Run, output: Output, images: Path, network: Path, tmp_path: Path
) -> None:
    (tmp_path / "one" / "Alone").mkdir(parents=True)
    known = sorted((images / LABELS[0]).iterdir())[0]
    shutil.copy(known, tmp_path / "one" / "Alone" / known.name)
    given = ("--images", tmp_path / "one", "--network", network, "--output", tmp_path / "out")
    model = output.folder / "pca"
    ran = run(*given, "--apply", model, "--precision", "fp32")
    assert ran.status == 0, ran.log + ran.error
    applied = Output.published(tmp_path / "out")
    row = output.table()["path"].to_pylist().index(f"{LABELS[0]}/{known.name}")
    np.testing.assert_allclose(applied.pca()[0], output.pca()[row], atol=1e-5)
    assert (applied.folder / "pca" / "components.csv").read_bytes() == (
        model / "components.csv"
    ).read_bytes()
    ran = run(*given, "--apply", model, "--precision", "fp32", "--scaling", "0..1")
    assert ran.status == 1 and "was fitted on features of network" in ran.error
    ran = run(*given, "--precision", "fp32")
    assert ran.status == 1 and "components need at least two images, and 1 has" in ran.error


def test_both_methods_agree(
    run: Run, output: Output, images: Path, network: Path, tmp_path: Path
) -> None:
    ran = run(
        "--images", images, "--network", network, "--output", tmp_path, "--pca", "spark-ml",
        "--components", 5, "--precision", "fp32", "--batch-size", 7,
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    other = Output.published(tmp_path)
    np.testing.assert_allclose(other.components(), output.components(), atol=1e-6)
    np.testing.assert_allclose(
        other.facts["explained_variance_ratio"], output.facts["explained_variance_ratio"],
        atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(other.pca(), output.pca(), atol=1e-4)


def test_bad_files_are_put_aside_up_to_the_tolerance(
    run: Run, images: Path, network: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "images"
    shutil.copytree(images, mixed)
    good = encoded(drawn(1, 200, 200))
    bad = {
        "empty.jpg": b"", "cut.jpg": good[:-100], "gif.jpg": encoded(drawn(2), "GIF"),
        "text.png": b"not found", "big.jpg": encoded(drawn(3, 900, 900)),
        "heavy.jpg": good + b"\0" * 60_000,
    }  # fmt: skip
    (mixed / "Bad").mkdir()
    for name, data in bad.items():
        (mixed / "Bad" / name).write_bytes(data)
    given = (
        "--images", mixed, "--network", network, "--output", tmp_path / "out",
        "--max-pixels", 500_000, "--max-bytes", 50_000,
    )  # fmt: skip
    ran = run(*given)
    assert ran.status == 1
    assert "6 of 66 images cannot be used, more than --tolerance 0.01 allows" in ran.error
    assert "Bad/big.jpg: too many pixels" in ran.error
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    ran = run(*given, "--tolerance", 0.1)
    assert ran.status == 0, ran.log + ran.error
    output = Output.published(tmp_path / "out")
    assert output.facts["rows"] == 60 and output.facts["quarantined"] == 6
    reasons = {row["path"]: row["reason"] for row in output.quarantine()}
    assert reasons == {
        "Bad/empty.jpg": "empty file",
        "Bad/cut.jpg": reasons["Bad/cut.jpg"],
        "Bad/gif.jpg": "not a JPEG or PNG image: GIF",
        "Bad/text.png": "not a JPEG or PNG image: text",
        "Bad/big.jpg": "too many pixels: 900 x 900, more than --max-pixels 500,000",
        "Bad/heavy.jpg": reasons["Bad/heavy.jpg"],
    }
    assert reasons["Bad/cut.jpg"].startswith("broken JPEG file: image file is truncated")
    assert reasons["Bad/heavy.jpg"].startswith("too many bytes: 6")
    sizes = {row["path"]: row["bytes"] for row in output.quarantine()}
    assert sizes == {f"Bad/{name}": len(data) for name, data in bad.items()}


def test_too_many_components_are_an_error_and_leave_nothing(
    run: Run, images: Path, network: Path, tmp_path: Path
) -> None:
    ran = run(
        "--images", images, "--network", network, "--output", tmp_path / "out", "--components", 13
    )
    assert ran.status == 1
    assert "--components 13 is more than 60 images of 12 features have" in ran.error
    assert "at most 12" in ran.error
    assert not list((tmp_path / "out").glob("*"))


def test_a_share_keeps_enough_components_and_moments_are_merged_as_a_tree(
    run: Run, images: Path, network: Path, tmp_path: Path
) -> None:
    ran = run(
        "--images", images, "--network", network, "--output", tmp_path, "--components", 0.9,
        "--partitions", 20,
    )  # fmt: skip
    assert ran.status == 0, ran.log + ran.error
    facts = Output.published(tmp_path).facts
    ratio = facts["explained_variance_ratio"]
    assert sum(ratio) >= 0.9 > sum(ratio[:-1])
    assert facts["partitions"] == 20 and facts["pca_rows"] == 60


def test_parts_that_no_task_reported_do_not_count(
    run: Run, images: Path, network: Path, tmp_path: Path
) -> None:
    """What a killed attempt left in its folder is gone when another goes by its name."""
    left = tmp_path / "mine"
    (left / "_work").mkdir(parents=True)
    (left / "features").mkdir()
    (left / "_work" / "features-00000-dead.parquet").write_bytes(b"half")
    (left / "features" / "part-00000-dead.parquet").write_bytes(b"half")
    given = ("--images", images, "--network", network, "--output", tmp_path, "--attempt", "mine")
    assert run(*given).status == 0
    output = Output.of(left)
    assert Counter(output.table()["label"].to_pylist()) == dict.fromkeys(LABELS, 20)
    assert {p.relative_to(left).as_posix() for p in left.rglob("*.*")} == {
        *output.files, "job.json",
    }  # fmt: skip
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    ran = run(*given[:-1], "other")
    assert ran.status == 1 and "holds files of another kind" in ran.error
    assert json.loads((left / "job.json").read_text())["files"] == output.files


def test_a_failed_task_is_told_in_one_line(spark_here: None, tmp_path: Path) -> None:
    with cluster.spark() as context, pytest.raises(Exception, match="Traceback") as caught:
        task = functools.partial(gathering.merge, Folder(str(tmp_path / "a b")), Moments)
        cluster.run(context, task, [["missing.npz"]], "merging")
    told = reason(caught.value)
    assert "\n" not in told
    assert told.startswith("FileNotFoundError: ") and "a b/missing.npz" in told
