"""The step that has Spark compute features: here with a real Spark on this machine."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from millrace.jobs.job import JobFailed
from millrace.lake import LakeError, LocalStore, read_published
from millrace.settings import Settings
from millrace.steps.image_features import NoImages, image_features, list_images, plan
from millrace.steps.run import Run
from tests.steps import photos

PARTITION = "2026-03-01"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos.write_network(tmp_path_factory.mktemp("network") / "small.onnx")


def run_in(folder: Path, network: Path, **drawing: Any) -> Run:
    """A run with the photos delivered."""
    settings = Settings.from_environment({"MILLRACE_HOME": str(folder)})
    store = LocalStore(Path(settings.lake))
    spec = photos.write_spec(folder / "datasets", str(network))
    photos.deliver(store, spec.name, PARTITION, **drawing)
    return Run(spec, PARTITION, store, settings, tuple(spec.candidates))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, network: Path) -> Run:
    """A run whose features are published."""
    run = run_in(tmp_path_factory.mktemp("done"), network)
    image_features(run).do_here()
    return run


def published(run: Run) -> Any:
    found = read_published(run.store, run.place("features"))
    assert found
    return found


def test_the_jobs_files_and_figures_are_published(done: Run) -> None:
    found = published(done)
    names = set(found.manifest.files)
    assert "job.json" not in names
    assert {"pca/components.parquet", "pca/model.json", "quarantine/quarantine.parquet"} <= names
    parts = [found.path(name) for name in names if name.startswith("features/")]
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    assert len(rows) == 36
    assert {row["label"] for row in rows} == set(photos.COLOURS)
    assert all(len(row["features"]) == photos.WIDTH and len(row["pca"]) == 4 for row in rows)
    facts = found.facts
    assert (facts["images"], facts["rows"], facts["quarantined"]) == (37, 36, 1)
    assert facts["network"]["name"] == "Small"
    assert facts["seconds"]["total"] > 0
    assert list(Path(facts["event_log"]).iterdir()), "Spark's history of the run"


def test_what_is_published_answers_a_second_time(
    done: Run, caplog: pytest.LogCaptureFixture
) -> None:
    before = published(done).manifest
    with caplog.at_level(logging.INFO):
        assert image_features(done).is_done
        image_features(done).do_here()
        assert plan(done)["where"] == "nowhere"
    assert published(done).manifest == before
    assert "Nothing to do" in caplog.text


def test_a_plan_says_where_and_how_long(tmp_path: Path, network: Path) -> None:
    run = run_in(tmp_path, network)
    found = plan(run)
    assert found["where"] == "local"
    assert found["seconds"] > 0
    assert found["cost_usd"] == 0
    assert found["listing"]["images"] == 37
    assert image_features(run, found["listing"]).depends_on == image_features(run).depends_on
    json.dumps(found)


def test_new_content_under_an_old_name_is_noticed(tmp_path: Path, network: Path) -> None:
    run = run_in(tmp_path, network)
    before = list_images(run)
    path = Path(run.store.uri(f"raw/{run.spec.name}/{PARTITION}/images/Banana/r0_0_100.jpg"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\0")
    assert list_images(run).digest != before.digest
    path.write_bytes(data)
    assert list_images(run) == before


def test_other_candidates_change_no_features(done: Run) -> None:
    work = image_features(replace(done, engine="local", candidates=()))
    assert work.depends_on == image_features(done).depends_on


@pytest.mark.parametrize(
    ("change", "value"), [("components", 3), ("precision", "bf16"), ("network", "mobilenet_v2")]
)
def test_what_the_spec_says_of_the_features_counts(done: Run, change: str, value: Any) -> None:
    spec = done.images.model_copy(update={change: value})
    assert not image_features(replace(done, spec=spec)).is_done


def test_a_prefix_without_images_is_one_clear_error(tmp_path: Path, network: Path) -> None:
    run = run_in(tmp_path, network)
    run.store.delete(f"raw/{run.spec.name}/{PARTITION}/images")
    with pytest.raises(NoImages, match=r"no image like 'images/\*/\*.jpg' \(found _SUCCESS\)"):
        plan(run)
    run.store.delete(f"raw/{run.spec.name}/{PARTITION}")
    with pytest.raises(NoImages, match="found no file at all"):
        plan(run)


def test_a_job_that_fails_publishes_nothing_and_says_why(tmp_path: Path, network: Path) -> None:
    run = run_in(tmp_path, network, broken=30)
    with pytest.raises(JobFailed, match=r"tolerance"):
        image_features(run).do_here()
    assert read_published(run.store, run.place("features")) is None
    assert run.store.list(str(run.place("features"))) == []


def test_a_time_limit_ends_spark_and_all_it_started(tmp_path: Path, network: Path) -> None:
    run = run_in(tmp_path, network)
    run = replace(run, settings=replace(run.settings, job_timeout=2))
    with pytest.raises(JobFailed, match=r"image_features.py was stopped at its time limit of 2 s"):
        image_features(run).do_here()


def test_images_of_another_day_are_not_computed_again(done: Run) -> None:
    other = replace(done, partition="2026-03-02")
    photos.deliver(other.store, other.spec.name, other.partition)
    image_features(other).do_here()
    assert published(other).facts["reused"] == 36


def test_a_changed_file_is_found_before_it_is_used(tmp_path: Path, done: Run) -> None:
    other = replace(done, partition="2026-03-03")
    photos.deliver(other.store, other.spec.name, other.partition, views=4)
    image_features(other).do_here()
    found = published(other)
    path = Path(f"{found.uri}/pca/model.json")
    path.write_text(path.read_text() + " ")
    with pytest.raises(LakeError, match="is not the file that was published"):
        found.json("pca/model.json")
