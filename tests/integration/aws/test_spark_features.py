"""Image features on EMR and on EMR Serverless, by the backends, under the shipped policies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from millrace.aws.policies import policy
from millrace.jobs.emr_cluster import EmrCluster
from millrace.jobs.emr_serverless import EmrServerless
from millrace.jobs.emr_step import EmrStep
from millrace.jobs.job import Job, JobFailed, State, Status
from millrace.jobs.outcome import require_success
from millrace.jobs.work import Work, obtain
from millrace.lake import LocalStore, Published, open_store, read_published
from millrace.runs import aws_variables
from millrace.settings import Settings, SettingsError
from millrace.steps.image_features import image_features, plan
from millrace.steps.run import Run
from millrace.steps.spark_on_aws import NoEnvironment
from tests.integration.aws.spark import pack_this_environment, spark_submit
from tests.integration.aws.stack import BUCKET, EMR_JOB_ROLE, LAKE, VALUES
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import INSTANCE_PROFILE, role_arn
from tests.integration.aws.standin.tryout import wait
from tests.jobs.execution import follow
from tests.steps import photos
from tests.steps.club import make_bucket

pytestmark = pytest.mark.integration

PARTITION = "2026-03-01"
LAST = "output: "  # in the last line of a job that succeeded
WORKER = [policy(name, VALUES) for name in ("worker", "worker-emr")]
MACHINES = [policy("emr-instance", VALUES)]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("aws")
    with StandIn(
        folder / "aws", pace={"state": 0.05, "s3_logs": 0.2}, policies={"worker": WORKER},
        roles={INSTANCE_PROFILE: MACHINES, EMR_JOB_ROLE: MACHINES},
        environment={"STANDIN_SPARK_SUBMIT": spark_submit(folder)},
    ) as started:  # fmt: skip
        make_bucket(started, BUCKET)
        archive = pack_this_environment(folder / "environment.tar.gz")
        started.client("s3").upload_file(str(archive), BUCKET, "lake/environments/own.tar.gz")
        yield started


@pytest.fixture(autouse=True)
def no_fault(aws: StandIn) -> Iterator[None]:
    yield
    aws.clear_faults()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos.write_network(tmp_path_factory.mktemp("network") / "small.onnx")


def settings_with(folder: Path, aws: StandIn, **variables: str) -> Settings:
    return Settings.from_environment({
        "MILLRACE_HOME": str(folder), "MILLRACE_LAKE": LAKE, "MILLRACE_AWS_REGION": aws.region,
        "MILLRACE_SAGEMAKER_ROLE": aws.role, "MILLRACE_EMR_SERVICE_ROLE": aws.role,
        "MILLRACE_EMR_INSTANCE_PROFILE": INSTANCE_PROFILE,
        "MILLRACE_SPARK_ARCHIVE": f"{LAKE}/environments/own.tar.gz", **variables,
    })  # fmt: skip


def make_run(
    aws: StandIn, folder: Path, network: Path, name: str, drawing: Any = None, **variables: str
) -> Run:
    """A run of a data set of its own, by the worker under its shipped policies."""
    settings = settings_with(folder, aws, **variables)
    store = open_store(LAKE, aws.client("s3", "worker"))
    spec = photos.write_spec(folder / "datasets", str(network), name)
    photos.deliver(store, name, PARTITION, **(drawing or {}))
    return Run(
        spec, PARTITION, store, settings, ("multinomial",), engine="aws", run_id="manual__1",
        client=lambda service: aws.client(service, "worker"),
    )  # fmt: skip


def backend_of(run: Run, work: Work) -> Any:
    assert run.client and work.remote
    kind = {"emr_step": EmrStep, "emr_serverless": EmrServerless}[work.remote.request.kind]
    service = {"emr_step": "emr", "emr_serverless": "emr-serverless"}[work.remote.request.kind]
    return kind(run.client(service), run.client("s3"))


def carried_out(run: Run, work: Work, said: str = LAST) -> tuple[Job, Status, list[str]]:
    """The job after its end and after its log has come with these words: a log comes late."""
    assert work.remote
    backend = backend_of(run, work)
    work.remote.send()
    job = obtain(backend, run.store, work.remote.placed()).job

    def told(status: Status, lines: list[str]) -> bool:
        return status.state.ended and any(said in line for line in lines)

    status, lines = follow(backend, job, told, seconds=120)
    return job, status, lines


def publish(run: Run, work: Work, said: str = LAST) -> tuple[Job, list[str]]:
    """Do the work as a job and publish what it wrote."""
    assert work.remote
    job, status, lines = carried_out(run, work, said)
    require_success(job, status, work.remote.request.limit, lines, expired=False)
    work.publish(partial(work.remote.bring, job, status))
    return job, lines


def published(run: Run) -> Published:
    found = read_published(run.store, run.place("features"))
    assert found
    return found


def rows_of(found: Published) -> dict[str, dict[str, Any]]:
    parts = [found.path(name) for name in found.manifest.files if name.startswith("features/")]
    return {row["path"]: row for part in parts for row in pq.read_table(part).to_pylist()}


def cluster_state(aws: StandIn, cluster: str) -> str:
    (found,) = aws.jobs(name=cluster)
    return str(found["state"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, network: Path) -> dict[str, dict[str, Any]]:
    """The features of the same photos by the local engine."""
    folder = tmp_path_factory.mktemp("here")
    settings = Settings.from_environment({"MILLRACE_HOME": str(folder)})
    store = LocalStore(Path(settings.lake))
    spec = photos.write_spec(folder / "datasets", str(network))
    photos.deliver(store, spec.name, PARTITION)
    run = Run(spec, PARTITION, store, settings, ("multinomial",))
    image_features(run).do_here()
    return rows_of(published(run))


def same_features(some: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> None:
    assert set(some) == set(other) and len(some) == 36
    for path, row in some.items():
        assert row["hash"] == other[path]["hash"]
        np.testing.assert_array_equal(row["features"], other[path]["features"])
        np.testing.assert_allclose(row["pca"], other[path]["pca"], atol=1e-5)


def test_a_transient_cluster_gives_the_features_of_the_local_engine(
    aws: StandIn, tmp_path: Path, network: Path, here: dict[str, dict[str, Any]]
) -> None:
    run = make_run(aws, tmp_path, network, "basket")
    found = plan(run)
    assert found["where"] == "emr" and found["cost_usd"] > 0
    job, lines = publish(run, image_features(run, found["listing"]))
    made = published(run)
    same_features(rows_of(made), here)
    assert made.facts["job"] == str(job)
    assert made.manifest.attempt == f"attempt={job.name.rpartition('-')[2]}-1"
    assert made.facts["seconds"]["total"] > 0 and made.facts["job_seconds"] > 0
    assert any("images" in line and "container" in line for line in lines), "the driver's log"
    wait(lambda: cluster_state(aws, job.home) == "TERMINATED")
    (cluster,) = aws.jobs(name=job.home)
    assert {"project": "millrace", "dataset": "basket", "partition": PARTITION,
            "run": "manual__1"}.items() <= cluster["tags"].items()  # fmt: skip
    assert plan(run)["where"] == "nowhere"


def test_serverless_gives_them_too(
    aws: StandIn, tmp_path: Path, network: Path, here: dict[str, dict[str, Any]]
) -> None:
    application = aws.client("emr-serverless").create_application(
        releaseLabel="emr-7.13.0", type="SPARK", clientToken="t", tags={"project": "millrace"}
    )["applicationId"]
    run = make_run(
        aws, tmp_path, network, "hamper", MILLRACE_EMR_SERVERLESS_APPLICATION=application,
        MILLRACE_EMR_JOB_ROLE=role_arn(EMR_JOB_ROLE),
    )  # fmt: skip
    assert plan(run)["where"] == "emr_serverless"
    clusters = len(aws.jobs(service="emr-cluster"))
    job, _ = publish(run, image_features(run))
    same_features(rows_of(published(run)), here)
    assert job.home == application
    assert len(aws.jobs(service="emr-cluster")) == clusters


def test_a_local_engine_reads_and_writes_a_lake_on_s3(
    aws: StandIn, tmp_path: Path, network: Path, here: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = make_run(aws, tmp_path, network, "crate")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection("worker"))
    run = replace(run, engine="local", keys=partial(aws_variables, run.settings))
    image_features(run).do_here()
    same_features(rows_of(published(run)), here)


def test_a_step_that_fails_says_why_and_the_cluster_ends(
    aws: StandIn, tmp_path: Path, network: Path
) -> None:
    run = make_run(aws, tmp_path, network, "rotten", {"broken": 30})
    work = image_features(run)
    cause = "images cannot be used, more than --tolerance 0.1"
    with pytest.raises(JobFailed, match=cause):
        publish(run, work, said=cause)
    assert read_published(run.store, run.place("features")) is None
    assert run.store.list(str(run.place("features"))) == []
    (step,) = [job for job in aws.jobs(service="emr-step") if "rotten" in job["title"]]
    assert step["state"] == "FAILED"
    clusters = [
        job for job in aws.jobs(service="emr-cluster") if job["tags"]["dataset"] == "rotten"
    ]
    wait(lambda: cluster_state(aws, clusters[0]["name"]) == "TERMINATED_WITH_ERRORS")


class TestClusters:
    """Which cluster a job is done on."""

    @pytest.fixture
    def run(self, aws: StandIn, tmp_path: Path, network: Path, request: Any) -> Run:
        name = re.sub(r"\W", "_", request.node.name).removeprefix("test_")[:30].strip("_")
        return make_run(aws, tmp_path, network, name, {"views": 1, "broken": 0})

    def clusters(self, aws: StandIn, run: Run) -> list[dict[str, Any]]:
        return [job for job in aws.jobs(service="emr-cluster")
                if job["tags"]["dataset"] == run.spec.name]  # fmt: skip

    def placed(self, run: Run) -> Any:
        work = image_features(run)
        assert work.remote
        work.remote.send()
        return work, work.remote.placed()

    def test_one_that_lives_is_taken_again(self, aws: StandIn, run: Run) -> None:
        aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
        _, first = self.placed(run)
        _, second = self.placed(run)
        assert first.home == second.home
        assert len(self.clusters(aws, run)) == 1

    def test_the_step_of_the_cluster_is_the_job(self, aws: StandIn, run: Run) -> None:
        aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
        work, request = self.placed(run)
        obtained = obtain(backend_of(run, work), run.store, request)
        assert obtained.found and str(obtained.job) == f"{request.name}-1"
        assert aws.calls().get("emr.AddJobFlowSteps", 0) == 0

    def test_another_is_made_where_the_first_was_lost(self, aws: StandIn, run: Run) -> None:
        aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
        work, request = self.placed(run)
        aws.client("emr").terminate_job_flows(JobFlowIds=[request.home])
        wait(lambda: cluster_state(aws, request.home) == "TERMINATED")
        aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
        _, again = self.placed(run)
        assert again.home != request.home
        job = obtain(backend_of(run, work), run.store, again).job
        assert str(job) == f"{request.name}-2"

    def test_a_lost_answer_leaves_one(self, aws: StandIn, run: Run) -> None:
        aws.fault(
            {"fault": "lost_answer", "operation": "RunJobFlow", "times": 1},
            {"fault": "never_ends", "operation": "RunJobFlow", "times": 2},
        )
        _, request = self.placed(run)
        states = {job["name"]: job["state"] for job in self.clusters(aws, run)}
        assert len(states) == 2
        assert [name for name, state in states.items() if "TERMINAT" not in state] == [request.home]

    def test_one_that_has_done_the_work_is_asked_for_it(self, aws: StandIn, run: Run) -> None:
        work = image_features(replace(run, spec=run.images.model_copy(update={"components": 1})))
        job, status, _ = carried_out(run, work)
        assert status.state is State.SUCCEEDED
        wait(lambda: cluster_state(aws, job.home) == "TERMINATED")
        assert work.remote and work.remote.placed().home == job.home
        assert len(self.clusters(aws, run)) == 1

    def test_stopping_it_ends_its_step(self, aws: StandIn, run: Run) -> None:
        aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
        work, request = self.placed(run)
        assert run.client and work.remote and work.remote.around
        clusters = EmrCluster(run.client("emr"))
        found = clusters.find(work.remote.around.name)
        assert found and found[1].state in (State.WAITING, State.RUNNING)
        clusters.stop(found[0])
        wait(lambda: cluster_state(aws, request.home) == "TERMINATED")
        assert clusters.poll([found[0]])[found[0]].state is State.STOPPED


def test_what_is_asked_of_emr_is_what_the_settings_say(
    aws: StandIn, tmp_path: Path, network: Path
) -> None:
    run = make_run(aws, tmp_path, network, "asked", {"views": 1, "broken": 0},
                   MILLRACE_EMR_MAX_VCPUS="32", MILLRACE_EMR_INSTANCES="c7i.2xlarge,m7i.2xlarge",
                   MILLRACE_EMR_SECURITY_CONFIGURATION="encrypted")  # fmt: skip
    aws.fault({"fault": "never_ends", "operation": "RunJobFlow", "times": 1})
    work = image_features(run)
    assert work.remote
    work.remote.send()
    home, emr = work.remote.placed().home, aws.client("emr")
    cluster = emr.describe_cluster(ClusterId=home)["Cluster"]
    assert cluster["AutoTerminate"] and cluster["SecurityConfiguration"] == "encrypted"
    assert cluster["InstanceCollectionType"] == "INSTANCE_FLEET"
    assert cluster["LogUri"] == f"{LAKE}/jobs/logs/"
    fleets = emr.list_instance_fleets(ClusterId=home)["InstanceFleets"]
    assert {each["InstanceFleetType"] for each in fleets} == {"MASTER", "CORE"}
    limits = emr.get_managed_scaling_policy(ClusterId=home)["ManagedScalingPolicy"]["ComputeLimits"]
    assert limits["MaximumCapacityUnits"] == 32
    idle = emr.get_auto_termination_policy(ClusterId=home)["AutoTerminationPolicy"]
    assert idle["IdleTimeout"] == 900


def test_without_the_packed_environment_nothing_is_started(
    aws: StandIn, tmp_path: Path, network: Path
) -> None:
    run = make_run(
        aws, tmp_path, network, "bare", {"views": 1, "broken": 0}, MILLRACE_SPARK_ARCHIVE=""
    )
    before = aws.calls().get("emr.RunJobFlow", 0)
    with pytest.raises(NoEnvironment, match="make spark-environment"):
        plan(run)
    assert aws.calls().get("emr.RunJobFlow", 0) == before


def test_settings_that_are_missing_are_named(aws: StandIn, tmp_path: Path, network: Path) -> None:
    run = make_run(aws, tmp_path, network, "unset", {"views": 1, "broken": 0},
                   MILLRACE_EMR_SERVICE_ROLE="", MILLRACE_EMR_INSTANCE_PROFILE="")  # fmt: skip
    with pytest.raises(
        SettingsError, match=r"MILLRACE_EMR_SERVICE_ROLE.*MILLRACE_EMR_INSTANCE_PROFILE"
    ):
        plan(run)
