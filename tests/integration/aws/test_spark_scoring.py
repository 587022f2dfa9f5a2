"""Scores on EMR and on EMR Serverless, by the backends, under the shipped policies."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millrace.datasets import load_relational_spec
from millrace.jobs.job import JobFailed
from millrace.jobs.work import Work
from millrace.lake import Attempt, Place, Store, open_store, publish, read_published
from millrace.lake.sent import send_once, sent_key
from millrace.settings import PROJECT, Settings
from millrace.steps.champion import Champion
from millrace.steps.run import Run
from millrace.steps.scoring import score
from millrace.tracking.registry import content_hash
from millrace.training import MODEL
from tests.integration.aws import test_spark_features as features
from tests.integration.aws.spark import pack_this_environment, spark_submit
from tests.integration.aws.stack import BUCKET, EMR_JOB_ROLE, LAKE
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import INSTANCE_PROFILE, role_arn
from tests.integration.aws.standin.tryout import wait
from tests.spark.applicants import NUMBERS, Trained, applicants, train
from tests.steps.club import make_bucket

pytestmark = pytest.mark.integration

PARTITION, ROWS = "2026-03-01", 900


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("aws")
    with StandIn(
        folder / "aws", pace={"state": 0.05, "s3_logs": 0.2},
        policies={"worker": features.WORKER},
        roles={INSTANCE_PROFILE: features.MACHINES, EMR_JOB_ROLE: features.MACHINES},
        environment={"STANDIN_SPARK_SUBMIT": spark_submit(folder)},
    ) as started:  # fmt: skip
        make_bucket(started, BUCKET)
        archive = pack_this_environment(folder / "environment.tar.gz")
        started.client("s3").upload_file(str(archive), BUCKET, "lake/environments/own.tar.gz")
        yield started


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(
        tmp_path_factory.mktemp("trained"), "lightgbm", "--num_round", 20, "--num_leaves", 7
    )


def publish_features(store: Store, name: str, broken: bool = False) -> None:
    """Publish features of applicants for a data set; `broken`: without a column of the model."""
    frame = applicants(ROWS)
    table = pa.Table.from_pandas(
        frame.drop(columns=["debt"] if broken else []), preserve_index=False
    )

    def build(attempt: Attempt) -> None:
        (attempt.folder / "features").mkdir()
        pq.write_table(table, attempt.folder / "features" / "part-00000.parquet")
        attempt.facts["rows"] = ROWS

    place = Place("features", name, PARTITION)
    publish(store, place, depends_on={"rows": ROWS}, inputs={}, build=build)


@functools.cache
def _spec() -> Any:
    found = load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")
    return found.model_copy(update={"scoring": found.scoring.model_copy(update={"components": 3})})


def run_in(store: Store, name: str, **options: Any) -> Run:
    spec = _spec().model_copy(update={"name": name})
    settings = options.pop("settings", Settings.from_environment({}))
    return Run(spec, PARTITION, store, settings, (), **options)


def make_run(aws: StandIn, folder: Path, name: str, broken: bool = False, **variables: str) -> Run:
    """A run of a data set of its own, by the worker under its shipped policies."""
    store = open_store(LAKE, aws.client("s3", "worker"))
    publish_features(store, name, broken)
    return run_in(
        store, name, settings=features.settings_with(folder, aws, **variables), engine="aws",
        run_id="manual__1", client=lambda service: aws.client(service, "worker"),
    )  # fmt: skip


def work_of(run: Run, trained: Trained) -> Work:
    """The scoring with a champion that is in the lake."""
    content = content_hash(trained.folder)
    key = sent_key(content, MODEL)
    send_once(run.store, trained.bundle, key)
    return score(run, asdict(Champion("1", content, key)))


def scores(run: Run, kind: str = "predictions") -> pa.Table:
    found = read_published(run.store, run.place("predictions", "scores"))
    assert found
    names = sorted(name for name in found.manifest.files if name.startswith(f"{kind}/part-"))
    return pa.concat_tables([pq.read_table(found.path(name)) for name in names])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Run:
    """The same scores by the local engine."""
    settings = Settings.from_environment({"MILLRACE_HOME": str(tmp_path_factory.mktemp("here"))})
    store = open_store(settings.lake)
    publish_features(store, "home_credit")
    run = run_in(store, "home_credit", settings=settings)
    work_of(run, trained).do_here()
    return run


def same_scores(run: Run, other: Run) -> None:
    assert scores(run).num_rows == ROWS
    assert scores(run).equals(scores(other))
    mine, its = scores(run, "components"), scores(other, "components")
    assert mine["_row_id"] == its["_row_id"]
    np.testing.assert_allclose(
        np.stack(mine["pca"].to_numpy(zero_copy_only=False)),
        np.stack(its["pca"].to_numpy(zero_copy_only=False)), atol=1e-5,
    )  # fmt: skip


def test_a_transient_cluster_gives_the_scores_of_the_local_engine(
    aws: StandIn, tmp_path: Path, trained: Trained, here: Run
) -> None:
    run = make_run(aws, tmp_path, "cluster")
    work = work_of(run, trained)
    job, lines = features.publish(run, work)
    same_scores(run, here)
    found = read_published(run.store, run.place("predictions", "scores"))
    assert found and found.facts["job"] == str(job) and found.facts["width"] == len(NUMBERS)
    assert any("rows: 900 / 900" in line for line in lines), "the driver's log"
    assert not any(one in line for line in lines for one in ("100000", "100899")), "an identifier"
    wait(lambda: features.cluster_state(aws, job.home) == "TERMINATED")
    (cluster,) = aws.jobs(name=job.home)
    assert {"project": "millrace", "dataset": "cluster", "partition": PARTITION}.items() <= (
        cluster["tags"].items()
    )
    assert work_of(run, trained).is_done


def test_serverless_gives_them_too(
    aws: StandIn, tmp_path: Path, trained: Trained, here: Run
) -> None:
    application = aws.client("emr-serverless").create_application(
        releaseLabel="emr-7.13.0", type="SPARK", clientToken="t", tags={"project": "millrace"}
    )["applicationId"]
    run = make_run(
        aws, tmp_path, "serverless", MILLRACE_EMR_SERVERLESS_APPLICATION=application,
        MILLRACE_EMR_JOB_ROLE=role_arn(EMR_JOB_ROLE),
    )  # fmt: skip
    job, _ = features.publish(run, work_of(run, trained))
    same_scores(run, here)
    assert job.home == application


def test_a_step_that_fails_says_why_and_publishes_nothing(
    aws: StandIn, tmp_path: Path, trained: Trained
) -> None:
    run = make_run(aws, tmp_path, "lacking", broken=True)
    cause = "lack 1 of the 8 columns that the model reads: debt"
    with pytest.raises(JobFailed, match=cause):
        features.publish(run, work_of(run, trained), said=cause)
    assert read_published(run.store, run.place("predictions", "scores")) is None
    assert run.store.list(str(run.place("predictions", "scores"))) == []
