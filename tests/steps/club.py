"""A small data set in a lake on the stand-in of AWS, ready to be trained there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from millrace.jobs.job import Job
from millrace.jobs.outcome import require_success
from millrace.jobs.sagemaker import SageMakerJobs, SageMakerTraining, SageMakerTransform
from millrace.jobs.work import Remote, Work, obtain
from millrace.lake import open_store
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sagemaker import remote_training, remote_transform
from millrace.steps.validate_raw import validate_raw
from millrace.training import train_arguments
from tests.integration.aws.standin import StandIn
from tests.jobs.execution import ended, follow
from tests.tracking import made_up

PARTITION = "2026-03-01"


def make_bucket(aws: StandIn, name: str) -> None:
    """A bucket in the stand-in's region."""
    aws.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region}
    )


def club_run(
    aws: StandIn, folder: Path, lake: str, user: str | None = None, **variables: str
) -> Run:
    """A run on AWS; `user`: whose rights its lake and clients have."""
    settings = made_up.settings(
        folder, "http://127.0.0.1:9",
        **{"MILLRACE_LAKE": lake, "MILLRACE_AWS_REGION": aws.region,
           "MILLRACE_SAGEMAKER_ROLE": aws.role, **variables},
    )  # fmt: skip
    return Run(
        made_up.write_spec(folder / "datasets"), PARTITION,
        open_store(settings.lake, aws.client("s3", user)), settings, ("good",),
        engine="aws", run_id="manual__1", client=lambda service: aws.client(service, user),
    )  # fmt: skip


def prepare(run: Run) -> Run:
    """Everything up to training, on this machine."""
    made_up.deliver(run.store, run.partition, made_up.rows())
    validate_raw(run)
    preprocess(run)
    return run


def training_of(run: Run, **hyperparameters: Any) -> Remote:
    """How SageMaker trains the run's first candidate."""
    name = run.candidates[0]
    candidate = run.spec.candidates[name]
    if hyperparameters:
        changed = {**candidate.hyperparameters, **hyperparameters}
        candidate = candidate.model_copy(update={"hyperparameters": changed})
    arguments = train_arguments(candidate, run.spec.decision, run.spec.split.seed)
    return remote_training(run, name, run.published("processed", "", "preprocess"), arguments)


def transform_of(run: Run) -> Remote:
    """How SageMaker lets that candidate predict."""
    name = run.candidates[0]
    processed = run.published("processed", "", "preprocess")
    return remote_transform(run, name, processed, run.published("models", name, "train"))


def backend_of(run: Run, remote: Remote) -> SageMakerJobs:
    """The backend of a job, with the rights of the run's clients."""
    assert run.client
    kinds = {"sagemaker_training": SageMakerTraining, "sagemaker_transform": SageMakerTransform}
    return kinds[remote.request.kind](run.client("sagemaker"), run.client("logs"))


def carried_out(run: Run, remote: Remote) -> Job:
    """The job, after it was started and has ended well."""
    backend = backend_of(run, remote)
    remote.send()
    job = obtain(backend, run.store, remote.request).job
    status, lines = follow(backend, job, ended)
    require_success(job, status, remote.request.limit, lines, expired=False)
    return job


def publish(run: Run, work: Work) -> Job:
    """Do a step's work as a job of SageMaker, and publish its output as the step does."""
    assert work.remote
    job = carried_out(run, work.remote)
    backend = backend_of(run, work.remote)
    backend.tidy(job)
    work.publish(partial(work.remote.bring, job, backend.poll([job])[job]))
    return job
