"""SageMaker's jobs, as the pipelines ask for them, on the stand-in of AWS that executes them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from millrace.aws.prices import cost
from millrace.aws.requests import model_request, transform_request
from millrace.jobs.causes import Tail
from millrace.jobs.job import Job, JobFailed, JobStopped, NameTaken, Request, State, Status
from millrace.jobs.outcome import require_success
from millrace.jobs.sagemaker import FEW, SageMakerJobs, SageMakerTraining, SageMakerTransform
from millrace.jobs.work import obtain
from millrace.settings import AwsSettings
from millrace.steps.run import Run
from tests.aws.service_model import problems_of
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import role_arn
from tests.integration.aws.standin.tryout import INFERENCE, archive, wait
from tests.jobs.execution import FAILING, ended, follow
from tests.steps.club import club_run, make_bucket, prepare, training_of

BUCKET = "jobs"
LAKE = f"s3://{BUCKET}/lake"
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(30)\n"
ROUNDS = """
import os, pathlib, time
kept = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "rounds")
done = int(kept.read_text()) if kept.exists() else 0
print("rounds done before:", done, flush=True)
while done < 30:
    time.sleep(0.1)
    done += 1
    kept.with_suffix(".part").write_text(str(done))
    kept.with_suffix(".part").replace(kept)  # else an interruption may leave an empty file
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    pace = {"state": 0.05, "grace": 0.2, "checkpoints": 0.1}
    with StandIn(tmp_path_factory.mktemp("aws"), pace=pace) as started:
        make_bucket(started, BUCKET)
        yield started


@pytest.fixture(autouse=True)
def quiet_cloud(aws: StandIn) -> Iterator[None]:
    """Leaves no fault and no slow state to the next test."""
    yield
    aws.clear_faults()
    aws.pace(state=0.05, logs=0.0)


@pytest.fixture(scope="module")
def run(aws: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return prepare(club_run(aws, tmp_path_factory.mktemp("club"), LAKE))


@pytest.fixture(scope="module")
def training(aws: StandIn) -> SageMakerTraining:
    return SageMakerTraining(aws.client("sagemaker"), aws.client("logs"))


@pytest.fixture(scope="module")
def transform(aws: StandIn) -> SageMakerTransform:
    return SageMakerTransform(aws.client("sagemaker"), aws.client("logs"))


@pytest.fixture(scope="module")
def train(aws: StandIn, run: Run) -> Callable[..., Request]:
    """The request of the pipeline's training under another name, with another script."""
    remote = training_of(run)
    remote.send()

    def make(name: str, code: str = "", base: Request = remote.request, **body: Any) -> Request:
        given = {**base.body, **body}
        if code:
            key = f"sent/{name}.tar.gz"
            packed = archive({"train.py": code})
            aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=packed)
            source = {"sagemaker_submit_directory": json.dumps(f"s3://{BUCKET}/{key}")}
            given["HyperParameters"] = {**given["HyperParameters"], **source}
        return replace(base, name=f"millrace-{name}", body=given)

    return make


@pytest.fixture(scope="module")
def predict(aws: StandIn) -> Callable[..., Request]:
    """The request of a transform job of a small model."""
    s3 = aws.client("s3")
    packed = {"source": archive({"inference.py": INFERENCE}), "model": archive({"facts.json": "0"})}
    for key, body in packed.items():
        s3.put_object(Bucket=BUCKET, Key=f"sent/{key}.tar.gz", Body=body)

    def make(name: str, rows: str = '["a"]', role: str = aws.role) -> Request:
        target, uri = AwsSettings(region=aws.region, sagemaker_role=role), f"s3://{BUCKET}/sent"
        key = f"sent/{name}.jsonl"
        s3.put_object(Bucket=BUCKET, Key=key, Body=f'{{"id": "7", "inputs": {rows}}}\n'.encode())
        body = {
            "model": model_request(
                target, image="1.dkr.ecr.eu-west-3.amazonaws.com/x:1",
                source=f"{uri}/source.tar.gz", model=f"{uri}/model.tar.gz", tags=[],
            ),
            "transform": transform_request(
                target, rows=f"s3://{BUCKET}/{key}", output=f"{uri}/{name}", tags=[]
            ),
        }  # fmt: skip
        return Request("sagemaker_transform", f"millrace-{name}", body, 60)

    return make


def never_end(aws: StandIn, times: int) -> None:
    """The next jobs stay in progress until they are stopped."""
    for operation in ("CreateTrainingJob", "CreateTransformJob"):
        aws.fault({"fault": "never_ends", "operation": operation, "times": times})


def calls_during(aws: StandIn, act: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """What `act` gives, and how often it called what of SageMaker."""
    before = Counter(aws.calls())
    result = act()
    return result, {
        name.removeprefix("sagemaker."): count
        for name, count in (Counter(aws.calls()) - before).items()
        if name.startswith("sagemaker.")
    }


def states_of(backend: SageMakerJobs, job: Job) -> list[tuple[State, str]]:
    """The states that a job passes, until it has ended."""
    seen: list[tuple[State, str]] = []

    def until(status: Status, _lines: list[str]) -> bool:
        if (status.state, status.detail) not in seen:
            seen.append((status.state, status.detail))
        return status.state.ended

    follow(backend, job, until)
    return seen


class TestNames:
    def test_a_job_is_found_again_by_its_name(
        self, aws: StandIn, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        never_end(aws, 3)
        assert training.find("millrace-named") is None
        first = training.start(train("named"), 1)
        assert first == Job("millrace-named", 1, "millrace-named-1")
        with pytest.raises(NameTaken, match="millrace-named-1"):
            training.start(train("named"), 1)
        second = training.start(train("named"), 2)
        found = training.find("millrace-named")
        assert found and found[0] == second and not found[1].state.ended
        assert len(aws.jobs(service="sagemaker-training", name="millrace-named-1")) == 1
        assert training.find("millrace-name") is None

    def test_a_lost_answer_starts_no_second_job(
        self, aws: StandIn, run: Run, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        """botocore calls again, and meets its own job."""
        aws.fault({"fault": "lost_answer", "operation": "CreateTrainingJob", "times": 1})
        never_end(aws, 1)
        got = obtain(training, run.store, train("lost"))
        assert str(got.job) == "millrace-lost-1"
        names = [job["name"] for job in aws.jobs() if job["name"].startswith("millrace-lost")]
        assert names == ["millrace-lost-1"]

    def test_after_a_stop_comes_another_try(
        self, aws: StandIn, run: Run, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        never_end(aws, 2)
        first = obtain(training, run.store, train("tried")).job
        training.stop(first)
        wait(lambda: training.poll([first])[first].state is State.STOPPED)
        assert str(obtain(training, run.store, train("tried")).job) == "millrace-tried-2"

    def test_a_page_in_the_console(
        self, training: SageMakerTraining, transform: SageMakerTransform
    ) -> None:
        job = Job("millrace-a", 1, "millrace-a-1")
        home = "https://eu-west-3.console.aws.amazon.com/sagemaker/home?region=eu-west-3#"
        assert training.link(job) == f"{home}/jobs/millrace-a-1"
        assert transform.link(job) == f"{home}/transform-jobs/millrace-a-1"


class TestAsking:
    @pytest.mark.parametrize("kind", ["Training", "Transform"])
    def test_few_are_described_and_many_are_listed(
        self, aws: StandIn, kind: str, request: pytest.FixtureRequest
    ) -> None:
        backend: SageMakerJobs = request.getfixturevalue(kind.lower())
        make = request.getfixturevalue({"Training": "train", "Transform": "predict"}[kind])
        never_end(aws, FEW + 2)
        jobs = [backend.start(make(f"asked-{number}"), 1) for number in range(FEW + 2)]
        describe, several = f"Describe{kind}Job", f"List{kind}Jobs"
        wait(lambda: all(s.state is State.RUNNING for s in backend.poll(jobs[:FEW]).values()))

        few, calls = calls_during(aws, lambda: backend.poll(jobs[:FEW]))
        assert calls == {describe: FEW} and list(few) == jobs[:FEW]

        many, calls = calls_during(aws, lambda: backend.poll(jobs))
        assert calls == {several: 1}
        assert {status.state for status in many.values()} == {State.RUNNING}

        backend.stop(jobs[0])
        wait(lambda: backend.poll(jobs[:1])[jobs[0]].state is State.STOPPED)
        unknown = Job("millrace-nobody", 1, "millrace-nobody-1")
        many, calls = calls_during(aws, lambda: backend.poll([*jobs, unknown]))
        assert calls == {several: 1, describe: 2}
        assert many[jobs[0]].state is State.STOPPED
        assert set(many) == set(jobs)
        assert backend.poll([unknown]) == {}
        for job in jobs:
            backend.stop(job)

    def test_many_that_end_at_once_are_told_from_a_second_listing(
        self, aws: StandIn, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        never_end(aws, FEW + 1)
        jobs = [training.start(train(f"ending-{number}"), 1) for number in range(FEW + 1)]
        wait(lambda: all(s.state is State.RUNNING for s in training.poll(jobs).values()))
        for job in jobs:
            training.stop(job)
        wait(lambda: all(s.state is State.STOPPED for s in training.poll(jobs).values()))
        told, calls = calls_during(aws, lambda: training.poll(jobs))
        assert calls == {"ListTrainingJobs": 2}
        assert {status.state for status in told.values()} == {State.STOPPED}
        assert set(told) == set(jobs)

    def test_every_page_of_the_listing_counts(
        self, training: SageMakerTraining, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        summary = {
            "TrainingJobArn": "arn:aws:sagemaker:eu-west-3:123456789012:training-job/x",
            "CreationTime": 0, "TrainingJobStatus": "InProgress",
        }  # fmt: skip
        jobs = [Job("millrace-p", number, f"millrace-p-{number}") for number in range(1, FEW + 3)]
        with Stubber(training.client) as stub:
            for page, token in ((jobs[:3], {"NextToken": "more"}), (jobs[3:], {})):
                listed = [{**summary, "TrainingJobName": job.id} for job in page]
                stub.add_response("list_training_jobs", {"TrainingJobSummaries": listed, **token})
            assert set(training.poll(jobs)) == set(jobs)

    def test_the_states_of_a_training_job(
        self, aws: StandIn, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        aws.pace(state=0.5)
        job = training.start(train("stages", "print('done')"), 1)
        seen = states_of(training, job)
        assert seen == [
            (State.WAITING, "Starting"), (State.WAITING, "Downloading"),
            (State.RUNNING, "Training"), (State.RUNNING, "Uploading"),
            (State.SUCCEEDED, "Completed"),
        ]  # fmt: skip
        assert training.poll([job])[job].seconds == 1

    def test_the_states_of_a_transform_job(
        self, aws: StandIn, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        aws.pace(state=0.5)
        job = transform.start(predict("stages"), 1)
        seen = states_of(transform, job)
        assert seen == [
            (State.WAITING, "InProgress"), (State.RUNNING, "InProgress"),
            (State.SUCCEEDED, "Completed"),
        ]  # fmt: skip
        seconds = transform.poll([job])[job].seconds
        assert seconds is not None and 0 < seconds < 60
        out = aws.client("s3").get_object(Bucket=BUCKET, Key="sent/stages/stages.jsonl.out")
        assert json.loads(out["Body"].read()) == {
            "id": "7", "SageMakerOutput": {"probability": 0.1}
        }  # fmt: skip

    def test_a_running_transform_job_says_how_long(
        self, aws: StandIn, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        """SageMaker has no limit for it: whoever waits stops it by these seconds."""
        never_end(aws, FEW + 1)
        jobs = [transform.start(predict(f"timed-{number}"), 1) for number in range(FEW + 1)]
        wait(lambda: transform.poll(jobs[:1])[jobs[0]].seconds)
        time.sleep(0.3)
        for asked in (jobs[:1], jobs):
            seconds = transform.poll(asked)[jobs[0]].seconds
            assert seconds is not None and 0.3 <= seconds < 60
        for job in jobs:
            transform.stop(job)


class TestStopping:
    @pytest.mark.parametrize("kind", ["training", "transform"])
    def test_a_stop_reaches_the_job_and_may_come_again(
        self, aws: StandIn, kind: str, request: pytest.FixtureRequest
    ) -> None:
        backend: SageMakerJobs = request.getfixturevalue(kind)
        make = request.getfixturevalue({"training": "train", "transform": "predict"}[kind])
        never_end(aws, 1)
        job = backend.start(make(f"halted-{kind}"), 1)
        backend.stop(job)
        assert backend.poll([job])[job].state in (State.STOPPING, State.STOPPED)
        backend.stop(job)
        status, _ = follow(backend, job, ended)
        assert status.state is State.STOPPED and not status.reason
        backend.stop(job)
        backend.stop(Job("millrace-nobody", 1, "millrace-nobody-1"))

    def test_a_stop_that_is_refused_is_an_error(
        self, aws: StandIn, training: SageMakerTraining
    ) -> None:
        aws.fault({"fault": "access_denied", "operation": "StopTrainingJob", "times": 1})
        with pytest.raises(ClientError, match="AccessDenied"):
            training.stop(Job("millrace-nobody", 1, "millrace-nobody-1"))

    def test_the_jobs_own_limit(
        self, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        limit = {"MaxRuntimeInSeconds": 1}
        job = training.start(train("limited", SLOW, StoppingCondition=limit), 1)
        status, lines = follow(training, job, ended)
        assert (status.state, status.reason) == (State.STOPPED, "MaxRuntimeExceeded")
        with pytest.raises(JobFailed, match=r"time limit of 1 s; .* set MILLRACE_JOB_TIMEOUT"):
            require_success(job, status, 1, lines, expired=False)


class TestModels:
    def models(self, transform: SageMakerTransform) -> dict[str, str]:
        names = [item["ModelName"] for item in transform.client.list_models()["Models"]]
        return {n: transform.client.describe_model(ModelName=n)["ExecutionRoleArn"] for n in names}

    def test_a_model_lives_until_the_job_is_tidied_up(
        self, aws: StandIn, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        never_end(aws, 1)
        job = transform.start(predict("model"), 1)
        assert job.id in self.models(transform)
        transform.stop(job)
        follow(transform, job, ended)
        for _ in range(2):
            transform.tidy(job)
            assert job.id not in self.models(transform)

    def test_a_model_of_a_try_that_was_refused(
        self, aws: StandIn, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        """The same model is used, one that the settings have changed is made anew."""
        never_end(aws, 1)
        aws.fault({"fault": "quota", "operation": "CreateTransformJob", "times": 2})
        for _ in range(2):
            with pytest.raises(ClientError, match="ResourceLimitExceeded"):
                transform.start(predict("refused"), 1)
        other = role_arn("standin-instances")
        _, calls = calls_during(aws, lambda: transform.start(predict("refused", role=other), 1))
        assert self.models(transform)["millrace-refused-1"] == other
        assert calls["DeleteModel"] == 1
        with pytest.raises(NameTaken):
            transform.start(predict("refused", role=other), 1)
        assert aws.calls()["sagemaker.DeleteModel"] >= 1

    def test_a_copy_that_comes_second_leaves_the_model_alone(
        self, aws: StandIn, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        never_end(aws, 1)
        transform.start(predict("copied"), 1)

        def again() -> None:
            with pytest.raises(NameTaken, match="millrace-copied-1"):
                transform.start(predict("copied"), 1)

        _, calls = calls_during(aws, again)
        assert "DeleteModel" not in calls


class TestLogs:
    def test_a_failing_script_is_read_as_it_runs_and_named(
        self, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        job = training.start(train("failing", FAILING), 1)
        assert training.logs(job, {}).lines == []
        status, lines = follow(training, job, lambda status, lines: "line 3" in lines)
        assert status.state is State.RUNNING
        status, lines = follow(training, job, lambda s, lines: "ValueError: the cause" in lines)
        assert [line for line in lines if line.startswith("line ")] == [
            f"line {number}" for number in range(40)
        ]
        status, _ = follow(training, job, ended)
        with pytest.raises(JobFailed) as raised:
            require_success(job, status, 60, Tail(lines).lines(), expired=False)
        assert str(raised.value).startswith("millrace-failing-1 failed: ValueError: the cause\n")
        assert 'raise ValueError("the cause")' in str(raised.value)

    def test_lines_that_come_after_the_end(
        self, aws: StandIn, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        aws.pace(logs=2.0)
        job = training.start(train("tardy", "print('said late')"), 1)
        status, lines = follow(training, job, ended)
        assert status.state is State.SUCCEEDED and "said late" not in lines
        aws.pace(logs=0.0)
        follow(training, job, lambda _, lines: "said late" in lines)

    def test_a_failing_model_is_named_from_its_data_log(
        self, transform: SageMakerTransform, predict: Callable[..., Request]
    ) -> None:
        job = transform.start(predict("boom", '"boom"'), 1)
        wanted = "ValueError: no model for that"
        _, lines = follow(transform, job, lambda _, lines: any(wanted in line for line in lines))
        status, _ = follow(transform, job, ended)
        with pytest.raises(JobFailed) as raised:
            require_success(job, status, 60, Tail(lines).lines(), expired=False)
        assert str(raised.value).splitlines()[0] == f"millrace-boom-1 failed: {wanted}"


class TestSpot:
    def test_an_interrupted_job_goes_on_and_costs_less(
        self, aws: StandIn, run: Run, training: SageMakerTraining, train: Callable[..., Request]
    ) -> None:
        settings = replace(run.settings, aws=replace(run.settings.aws_target(), spot=True))
        spot = training_of(replace(run, settings=settings)).request
        assert problems(spot, "spot-1") == []
        assert spot.body["CheckpointConfig"]["S3Uri"].endswith(f"{spot.name}/checkpoints")
        aws.fault({"fault": "interruption", "operation": "CreateTrainingJob", "times": 1,
                   "seconds": 2})  # fmt: skip
        job = training.start(train("spot", ROUNDS, base=spot), 1)
        status, lines = follow(training, job, ended)
        assert status.state is State.SUCCEEDED
        assert aws.jobs(name=job.id)[0]["starts"] == 2
        done = [int(line.split()[-1]) for line in lines if "rounds done" in line]
        assert done[0] == 0 < done[1]
        described = training.client.describe_training_job(TrainingJobName=job.id)
        assert status.seconds == described["BillableTimeInSeconds"]
        assert spot.hourly is not None and cost(spot.hourly, status.seconds or 0) > 0

    def test_a_job_on_demand_has_none_of_it(self, run: Run) -> None:
        body = training_of(run).request.body
        assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & set(body)
        assert "MaxWaitTimeInSeconds" not in body["StoppingCondition"]


def problems(request: Request, name: str) -> list[str]:
    """What AWS would refuse in a training request."""
    body: Mapping[str, Any] = {"TrainingJobName": name, **request.body}
    return problems_of("sagemaker", "CreateTrainingJob", dict(body))


@pytest.mark.parametrize("fault", ["capacity", "internal_error"])
def test_trouble_of_the_service_is_tried_again(
    aws: StandIn, training: SageMakerTraining, train: Callable[..., Request], fault: str
) -> None:
    aws.fault({"fault": fault, "operation": "CreateTrainingJob", "times": 1})
    job = training.start(train(f"trouble-{fault}".replace("_", "-")), 1)
    status, _ = follow(training, job, ended)
    assert status.state is State.FAILED
    with pytest.raises(JobStopped, match="millrace-trouble"):
        require_success(job, status, 60, [], expired=False)
