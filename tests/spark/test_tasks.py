"""Tasks in this process: parts, what is known already, retries, and progress."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import feature_task
import listing
import options
import parts
import progress
import tasks
from feature_task import LISTING, FeatureJob, Report, compute
from images import Limits
from listing import list_images
from network import describe
from pca import Moments, fit
from reuse import find_known
from storage import Folder, JobError
from tests.spark.conftest import DESCRIBED, WIDTH, tiny_network

CONTENT = tiny_network(metadata=DESCRIBED)


@pytest.fixture
def job(images: Path, tmp_path: Path) -> FeatureJob:
    """The feature stage over the drawn images, in one piece."""
    found = list_images(Folder.of(str(images)))
    work = Folder.of(str(tmp_path / "work"))
    work.write(LISTING, listing.packed(found, listing.cut(found, 1)))
    network = replace(describe(CONTENT, "tiny.onnx"), precision="fp32")
    return FeatureJob(
        Folder.of(str(images)), work, network, WIDTH, 4, Limits(), "whole"
    )  # fmt: skip


def computed(job: FeatureJob, content: bytes = CONTENT) -> Report:
    return compute(job, lambda: content, None, 0, lambda count: None)


def test_a_task_run_twice_leaves_two_files_with_the_same_rows(job: FeatureJob) -> None:
    one, other = computed(job), computed(job)
    assert one.part["name"] != other.part["name"] and one.moments != other.moments
    assert one.part["sha256"] == other.part["sha256"]
    assert one.part["rows"] == 60 and one.part["size"] == job.work.files()[one.part["name"]]


def test_blocks_smaller_than_a_piece_change_nothing(
    job: FeatureJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = computed(job)
    monkeypatch.setattr(parts, "BLOCK", 7)
    counted: list[int] = []
    pieces = compute(job, lambda: CONTENT, None, 0, counted.append)
    assert counted == [7] * 8 + [4]
    with parts.opened(job.work, pieces.part["name"]) as file:
        assert file.num_row_groups == 9
        np.testing.assert_allclose(
            parts.features_of(file.read()),
            parts.features_of(next(parts.blocks(job.work, whole.part["name"]))), rtol=1e-5,
        )  # fmt: skip
    one = Moments.unpacked(job.work.read(whole.moments))
    other = Moments.unpacked(job.work.read(pieces.moments))
    assert one.rows == other.rows == 60
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-4, atol=1e-7)


def test_features_that_are_no_numbers_are_put_aside(job: FeatureJob) -> None:
    content = tiny_network(scale=float("nan"), metadata=DESCRIBED)
    network = replace(describe(content, "tiny.onnx"), precision="fp32")
    report = computed(replace(job, network=network), content)
    assert report.part == {} and report.moments == "" and report.labels == {}
    assert len(report.bad) == 60
    assert {reason for *_, reason in report.bad} == {"the network gives no finite features"}


def test_files_that_change_after_the_listing(job: FeatureJob, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("gone.jpg", "grown.jpg", "folder.jpg"):
        (folder / name).write_bytes(b"x" * 10)
    found = list_images(Folder.of(str(folder)))
    job.work.write(LISTING, listing.packed(found, listing.cut(found, 1)))
    (folder / "gone.jpg").unlink()
    (folder / "grown.jpg").write_bytes(b"x" * 11)
    (folder / "folder.jpg").unlink()
    (folder / "folder.jpg").mkdir()
    report = computed(replace(job, images=Folder.of(str(folder))))
    reasons = {path: reason for path, _, _, reason in report.bad}
    assert reasons["gone.jpg"] == "gone since the files were listed"
    assert reasons["grown.jpg"] == "grew since the files were listed"
    assert reasons["folder.jpg"].startswith("cannot be read: ")


def test_final_parts_keep_the_features_and_carry_the_network(job: FeatureJob) -> None:
    report = computed(job)
    model = fit(Moments.unpacked(job.work.read(report.moments)), 3, job.network.id)

    class Broadcast:
        value = model

    target = job.work.child("features")
    facts, keys = tasks.project(job.work, target, Broadcast, (0, report.part["name"]))
    with parts.opened(target, facts["name"]) as file:
        table = file.read()
        assert file.metadata.metadata[b"network"].decode() == job.network.id
    assert table.schema.field("features").type.list_size == WIDTH
    assert len(keys) == 8 * 60
    features = parts.features_of(table)
    np.testing.assert_allclose(
        np.stack(table["pca"].to_numpy(zero_copy_only=False)),
        (features - model.mean) @ model.components.T, atol=1e-5,
    )  # fmt: skip


def publish(job: FeatureJob, report: Report, folder: Path, network: str) -> None:
    """A published output as the job makes it, of the parts alone."""
    (folder / "attempt=1" / "features").mkdir(parents=True)
    name = report.part["name"]
    (folder / "attempt=1" / "features" / name).write_bytes(job.work.read(name))
    manifest = {
        "attempt": "attempt=1", "files": {f"features/{name}": {}},
        "facts": {"network": {"id": network}},
    }  # fmt: skip
    (folder / "_MANIFEST.json").write_text(json.dumps(manifest))


def test_known_images_are_found_by_content(
    job: FeatureJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BLOCK", 7)
    report = computed(job)
    publish(job, report, tmp_path / "lake" / "features" / "a=1 é", job.network.id)
    publish(job, report, tmp_path / "lake" / "other", "0" * 16)
    (tmp_path / "lake" / "broken").mkdir()
    (tmp_path / "lake" / "broken" / "_MANIFEST.json").write_text("{}")
    publish(job, report, tmp_path / "lake" / "gone", job.network.id)
    next((tmp_path / "lake" / "gone").rglob("*.parquet")).unlink()
    roots = [Folder.of(str(tmp_path / "lake")), Folder.of(str(tmp_path / "missing"))]
    known = find_known(roots, job.network.id)
    assert known is not None and len(known.files) == 1
    with parts.opened(job.work, report.part["name"]) as file:
        table = file.read()
    for digest, features in zip(table["hash"].to_pylist(), parts.features_of(table), strict=True):
        found = known.find(digest)
        assert found is not None
        np.testing.assert_array_equal(found, features)
    digest = table["hash"][0].as_py()
    assert known.find(digest[:16] + "0" * 48) is None  # the whole hash counts, not its start
    assert known.find("f" * 64) is None
    assert find_known(roots, "1" * 16) is None


def test_published_features_that_are_gone_are_computed_again(
    job: FeatureJob, tmp_path: Path
) -> None:
    report = computed(job)
    publish(job, report, tmp_path / "lake", job.network.id)
    known = find_known([Folder.of(str(tmp_path / "lake"))], job.network.id)
    assert compute(job, lambda: CONTENT, known, 0, lambda count: None).reused == 60
    known = find_known([Folder.of(str(tmp_path / "lake"))], job.network.id)
    next((tmp_path / "lake").rglob("*.parquet")).unlink()
    again = compute(job, lambda: CONTENT, known, 0, lambda count: None)
    assert again.reused == 0 and again.part["sha256"] == report.part["sha256"]


def test_reading_ahead_keeps_the_order_and_little_in_memory(
    job: FeatureJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = listing.piece_of(job.work, LISTING, 0)
    found = list(feature_task.read_ahead(job, piece, Report(0)))
    assert found == [job.images.read(path) for path, _ in piece]
    assert len(found) > feature_task.AHEAD
    most = max(size for _, size in piece)
    monkeypatch.setattr(feature_task, "AHEAD_BYTES", 2 * most)
    reading: list[int] = []

    def read(self: Folder, name: str, limit: int) -> bytes:
        reading.append(limit - 1)
        return b"x"

    monkeypatch.setattr(Folder, "read", read)
    ahead = feature_task.read_ahead(job, piece, Report(0))
    next(ahead)
    assert len(reading) >= 1 and sum(reading) <= 3 * most
    assert len(list(ahead)) == 59


def test_folders_take_other_spellings_of_s3_and_nothing_else() -> None:
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_DEFAULT_REGION": "eu-west-3"}
    folder = Folder.of("s3a://bucket/a b=c/%41", variables)
    assert folder == Folder("s3://bucket/a b=c/%41", "http://127.0.0.1:1", "eu-west-3")
    assert folder.child("x").path == "bucket/a b=c/%41/x"
    with pytest.raises(JobError, match="only local paths and s3:// addresses"):
        Folder.of("https://example.org/images")


def test_options_are_checked() -> None:
    given = ["--images", "a", "--output", "b", "--network", "c"]
    assert options.parse([*given, "--scaling", "-1..1"]).scaling == "-1..1"
    assert options.parse([*given, "--reuse", "x", "y", "--reuse", "z"]).reuse[2].uri.endswith("/z")
    assert options.parse(given).components == 100
    for wrong, message in (
        (["--attempt", "a/b"], "must be a plain name"), (["--partitions", "-1"], "negative"),
        (["--components", "0"], "neither a number of components"), (["--odd"], "unrecognized"),
        (["--tolerance", "2"], "no share between"), (["--precision", "fp8"], "invalid choice"),
    ):  # fmt: skip
        with pytest.raises(JobError, match=message):
            options.parse([*given, *wrong])


def test_parts_say_nothing_where_there_are_no_rows(tmp_path: Path) -> None:
    schema = parts.schema(3, "n")
    part = parts.Part(Folder(str(tmp_path)), "part.parquet", schema)
    part.append(parts.feature_table([], np.empty((0, 3), np.float32), schema))
    assert part.close() == {} and list(tmp_path.iterdir()) == []
    part.append(parts.feature_table([("p", "l", "h")], np.ones((1, 3), np.float32), schema))
    facts = part.close()
    assert facts["rows"] == 1 and pq.read_table(tmp_path / "part.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("done", "seconds", "line"),
    [
        (0, 5, "images: 0 / 2,000 (0 %), 0 images/s"),
        (500, 5, "images: 500 / 2,000 (25 %), 100 images/s, 15 s left"),
        (20, 40, "images: 20 / 2,000 (1 %), 0 images/s, 1 h 6 min left"),
        (2000, 10, "images: 2,000 / 2,000 (100 %), 200 images/s"),
    ],
)
def test_progress_lines(done: int, seconds: float, line: str) -> None:
    assert progress.line(done, 2_000, seconds) == line


def test_spans_of_time() -> None:
    assert [progress.span(s) for s in (0.4, 59.6, 200, 7500)] == [
        "0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min",
    ]  # fmt: skip


def test_progress_speaks_when_the_count_moves(caplog: pytest.LogCaptureFixture) -> None:
    read, counts = threading.Event(), [10, 10, 10, 30, 30]

    def count() -> int:
        if len(counts) > 1:
            return counts.pop(0)
        read.set()
        return counts[0]

    with caplog.at_level("INFO"), progress.Progress(100, count, every=0.02):
        assert read.wait(30)
    lines = [record.getMessage() for record in caplog.records if "images:" in record.getMessage()]
    assert [line.partition(",")[0] for line in lines] == [
        "images: 10 / 100 (10 %)", "images: 30 / 100 (30 %)", "images: 100 / 100 (100 %)",
    ]  # fmt: skip
