"""EMR steps: calls and answers as botocore's model of the service has them; logs from S3."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber

from millrace.jobs import s3_logs
from millrace.jobs.emr_step import NO_LOGS, EmrStep
from millrace.jobs.job import Job, NameTaken, Request, State
from tests.jobs.execution import ENDLESS, FAILING, SHORT, ended, follow, send, stand_in
from tests.lake.s3 import BUCKET, new_root, s3_client, s3_server

CLUSTER = "j-2AXXXXXXGAPLF"
BEGUN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STEP = {
    "ActionOnFailure": "CONTINUE",
    "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", "s3://b/job.py"]},
}


def emr_client(**options: Any) -> Any:
    import boto3

    return boto3.client(
        "emr", region_name="eu-west-3", aws_access_key_id="test", aws_secret_access_key="test",
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def emr() -> Iterator[Any]:
    """A backend whose client expects the calls that a test names, in their order."""
    client = emr_client()
    with Stubber(client) as stub:
        expect = stub.add_response
        yield SimpleNamespace(backend=EmrStep(client, None), expect=expect, stub=stub)
        stub.assert_no_pending_responses()


@pytest.fixture
def cluster(endpoint: str) -> Any:
    """A backend over moto, and a cluster that writes its logs to a folder of its own."""
    client, s3 = emr_client(endpoint_url=endpoint), s3_client(endpoint)
    uri = new_root()
    answer = client.run_job_flow(
        Name="test", LogUri=f"{uri.replace('s3:', 's3n:')}/", Instances={"InstanceCount": 1}
    )
    return SimpleNamespace(backend=EmrStep(client, s3), id=answer["JobFlowId"], s3=s3, uri=uri)


def step(name: str, id: str, state: str, **status: Any) -> dict[str, Any]:
    return {"Id": id, "Name": name, "Status": {"State": state, **status}}


def request(home: str, **body: Any) -> Request:
    return Request("emr_step", "millrace-work", {**STEP, **body}, 3600, home)


def alive(emr: Any) -> None:
    """Expect a question about the cluster, which lives."""
    answer = {"Cluster": {"Status": {"State": "RUNNING"}}}
    emr.expect("describe_cluster", answer, {"ClusterId": CLUSTER})


def test_a_step_is_found_again_by_its_name(cluster: Any) -> None:
    backend = cluster.backend
    assert backend.find("millrace-work", cluster.id) is None
    first = backend.start(request(cluster.id), 1)
    assert (str(first), first.home) == ("millrace-work-1", cluster.id)
    with pytest.raises(NameTaken, match="millrace-work-1"):
        backend.start(request(cluster.id), 1)
    second = backend.start(request(cluster.id), 2)
    backend.start(Request("emr_step", "millrace-work-2", STEP, 60, cluster.id), 7)
    found, status = backend.find("millrace-work", cluster.id)
    assert found == second
    assert not status.state.ended
    polled = backend.poll([first, second])
    assert {job: polled[job].detail for job in polled} == {first: "RUNNING", second: "PENDING"}
    assert polled[second].state is State.WAITING


def test_what_is_sent_is_the_step_and_its_name(emr: Any) -> None:
    emr.expect("list_steps", {"Steps": []}, {"ClusterId": CLUSTER})
    sent = {"JobFlowId": CLUSTER, "Steps": [{**STEP, "Name": "millrace-work-3"}]}
    emr.expect("add_job_flow_steps", {"StepIds": ["s-1"], "ResponseMetadata": {}}, sent)
    job = emr.backend.start(request(CLUSTER), 3)
    assert job == Job("millrace-work", 3, "s-1", CLUSTER)


def test_every_page_of_a_long_list_is_looked_through(emr: Any) -> None:
    pages = [
        [step("millrace-work-10", "s-10", "RUNNING"), step("other", "s-9", "PENDING")],
        [step("millrace-work-9", "s-2", "FAILED"), step("my-millrace-work-11", "s-1", "PENDING")],
    ]
    emr.expect("list_steps", {"Steps": pages[0], "Marker": "m"}, {"ClusterId": CLUSTER})
    emr.expect("list_steps", {"Steps": pages[1]}, {"ClusterId": CLUSTER, "Marker": "m"})
    alive(emr)
    job, status = emr.backend.find("millrace-work", CLUSTER)
    assert job == Job("millrace-work", 10, "s-10", CLUSTER)
    assert status.state is State.RUNNING


def test_a_step_that_a_lost_answer_doubled_is_cancelled(emr: Any) -> None:
    """botocore called again after a time-out; the first call had started the step."""
    name = "millrace-work-1"
    emr.expect("list_steps", {"Steps": []}, {"ClusterId": CLUSTER})
    again = {"StepIds": ["s-new"], "ResponseMetadata": {"RetryAttempts": 1}}
    emr.stub.add_response("add_job_flow_steps", again)
    twins = [step(name, "s-new", "PENDING"), step(name, "s-old", "RUNNING")]
    emr.expect("list_steps", {"Steps": twins}, {"ClusterId": CLUSTER})
    cancelled = {"ClusterId": CLUSTER, "StepIds": ["s-new"],
                 "StepCancellationOption": "TERMINATE_PROCESS"}  # fmt: skip
    emr.expect("cancel_steps", {"CancelStepsInfoList": []}, cancelled)
    assert emr.backend.start(request(CLUSTER), 1).id == "s-old"
    twins[0]["Status"]["State"] = "CANCELLED"
    emr.expect("list_steps", {"Steps": twins}, {"ClusterId": CLUSTER})
    alive(emr)
    job, status = emr.backend.find("millrace-work", CLUSTER)
    assert (job.id, status.state) == ("s-old", State.RUNNING)


def test_a_step_whose_start_took_two_calls_is_no_twin_of_itself(emr: Any) -> None:
    emr.expect("list_steps", {"Steps": []}, {"ClusterId": CLUSTER})
    again = {"StepIds": ["s-1"], "ResponseMetadata": {"RetryAttempts": 1}}
    emr.stub.add_response("add_job_flow_steps", again)
    alone = [step("millrace-work-1", "s-1", "PENDING")]
    emr.expect("list_steps", {"Steps": alone}, {"ClusterId": CLUSTER})
    assert emr.backend.start(request(CLUSTER), 1).id == "s-1"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PENDING", State.WAITING), ("RUNNING", State.RUNNING), ("CANCEL_PENDING", State.STOPPING),
        ("COMPLETED", State.SUCCEEDED), ("CANCELLED", State.STOPPED), ("FAILED", State.FAILED),
        ("INTERRUPTED", State.STOPPED), ("SOMETHING_NEW", State.RUNNING),
    ],
)  # fmt: skip
def test_emrs_words(emr: Any, word: str, state: State) -> None:
    job = Job("work", 1, "s-1", CLUSTER)
    steps = {"Steps": [step("work-1", "s-1", word)]}
    emr.expect("list_steps", steps, {"ClusterId": CLUSTER, "StepIds": ["s-1"]})
    if word != "COMPLETED":
        alive(emr)
    status = emr.backend.poll([job])[job]
    assert (status.state, status.detail, status.seconds) == (state, word, None)


def test_a_running_step_says_how_long_it_has_run(emr: Any) -> None:
    """The trigger stops it by this: EMR itself has no time limit."""
    begun = datetime.now(UTC) - timedelta(seconds=100)
    running = step("work-1", "s-1", "RUNNING", Timeline={"StartDateTime": begun})
    emr.expect("list_steps", {"Steps": [running]})
    alive(emr)
    job = Job("work", 1, "s-1", CLUSTER)
    assert 100 <= emr.backend.poll([job])[job].seconds < 130


def test_many_steps_are_asked_about_by_tens(emr: Any) -> None:
    jobs = [Job("work", n, f"s-{n}", CLUSTER) for n in range(23)]
    for ids in (range(10), range(10, 20), range(20, 23)):
        steps = [step(f"work-{n}", f"s-{n}", "COMPLETED") for n in ids]
        emr.expect(
            "list_steps", {"Steps": steps},
            {"ClusterId": CLUSTER, "StepIds": [f"s-{n}" for n in ids]},
        )  # fmt: skip
    found = emr.backend.poll(jobs)
    assert list(found) == jobs
    assert {status.state for status in found.values()} == {State.SUCCEEDED}


def test_a_step_that_emr_does_not_know_is_left_out(emr: Any) -> None:
    """One unknown id makes EMR refuse the whole call."""
    jobs = [Job("work", n, f"s-{n}", CLUSTER) for n in (1, 2)]
    refused = {"service_error_code": "InvalidRequestException",
               "service_message": "Step id 's-1' is not valid."}  # fmt: skip
    for _ in range(2):
        emr.stub.add_client_error("list_steps", **refused)
    known = {"Steps": [step("work-2", "s-2", "COMPLETED")]}
    emr.expect("list_steps", known, {"ClusterId": CLUSTER, "StepIds": ["s-2"]})
    assert list(emr.backend.poll(jobs)) == [jobs[1]]


def test_a_throttled_call_is_no_unknown_step(emr: Any) -> None:
    from botocore.exceptions import ClientError

    emr.stub.add_client_error("list_steps", "ThrottlingException", "Rate exceeded")
    with pytest.raises(ClientError, match="Rate exceeded"):
        emr.backend.poll([Job("work", 1, "s-1", CLUSTER)])


def test_a_failure_says_what_emr_found_and_its_seconds(emr: Any) -> None:
    failure = {
        "Reason": "Main Spark Job execution failed.",
        "Message": "Exception in thread main org.apache.spark.SparkException",
        "LogFile": "s3://b/logs/j-1/steps/s-1/stderr.gz",
    }
    times = {"StartDateTime": BEGUN, "EndDateTime": BEGUN + timedelta(seconds=93)}
    failed = step("work-1", "s-1", "FAILED", FailureDetails=failure, Timeline=times)
    emr.expect("list_steps", {"Steps": [failed]})
    answer = {"Cluster": {"Status": {"State": "TERMINATED_WITH_ERRORS"}}}
    emr.expect("describe_cluster", answer)  # ended by the step's failure, which says more
    job = Job("work", 1, "s-1", CLUSTER)
    status = emr.backend.poll([job])[job]
    assert (status.state, status.seconds) == (State.FAILED, 93)
    assert status.reason == " | ".join(failure.values())


@pytest.mark.parametrize(
    ("word", "cluster", "state"),
    [
        ("PENDING", "TERMINATED_WITH_ERRORS", State.FAILED),
        ("RUNNING", "TERMINATED_WITH_ERRORS", State.FAILED),
        ("CANCELLED", "TERMINATED_WITH_ERRORS", State.FAILED),
        ("FAILED", "TERMINATED", State.FAILED),
        ("INTERRUPTED", "TERMINATED", State.STOPPED),
        ("RUNNING", "TERMINATED", State.STOPPED),
    ],
)
def test_a_step_ends_with_its_cluster(emr: Any, word: str, cluster: str, state: State) -> None:
    why = {"Code": "BOOTSTRAP_FAILURE", "Message": "bootstrap action 1 returned a non-zero code"}
    steps = [step("work-1", "s-1", word, Timeline={"StartDateTime": BEGUN}),
             step("work-2", "s-2", "COMPLETED")]  # fmt: skip
    emr.expect("list_steps", {"Steps": steps})
    answer = {"Cluster": {"Status": {"State": cluster, "StateChangeReason": why}}}
    emr.expect("describe_cluster", answer, {"ClusterId": CLUSTER})
    jobs = [Job("work", n, f"s-{n}", CLUSTER) for n in (1, 2)]
    found = emr.backend.poll(jobs)
    assert found[jobs[0]].state is state
    assert found[jobs[0]].seconds is None  # nobody knows when it ended
    assert found[jobs[0]].reason == (
        f"the cluster {CLUSTER} is {cluster}:"
        " BOOTSTRAP_FAILURE bootstrap action 1 returned a non-zero code"
    )
    assert (found[jobs[1]].state, found[jobs[1]].reason) == (State.SUCCEEDED, "")


def test_stopping_ends_the_process_and_says_where_emr_refuses(emr: Any, caplog: Any) -> None:
    job = Job("work", 1, "s-1", CLUSTER)
    expected = {"ClusterId": CLUSTER, "StepIds": ["s-1"],
                "StepCancellationOption": "TERMINATE_PROCESS"}  # fmt: skip
    for info in (
        {"StepId": "s-1", "Status": "SUBMITTED"},
        {"StepId": "s-1", "Status": "FAILED", "Reason": "not in a cancellable state"},
    ):
        emr.expect("cancel_steps", {"CancelStepsInfoList": [info]}, expected)
        emr.backend.stop(job)
    assert caplog.messages == ["EMR did not cancel s-1: not in a cancellable state"]
    emr.stub.add_client_error("cancel_steps", "InvalidRequestException", "terminated")
    emr.backend.stop(job)
    emr.stub.add_client_error("cancel_steps", "AccessDeniedException", "no")
    with pytest.raises(emr.backend.client.exceptions.ClientError):
        emr.backend.stop(job)


def test_the_link_leads_to_the_clusters_page() -> None:
    link = EmrStep(emr_client(), None).link(Job("work", 1, "s-1", CLUSTER))
    assert link == (
        "https://eu-west-3.console.aws.amazon.com/emr/home?region=eu-west-3"
        f"#/clusterDetails/{CLUSTER}"
    )


class Logs:
    """The logs of one step of a cluster, read call after call."""

    def __init__(self, cluster: Any):
        self.cluster, self.cursor = cluster, {}
        self.job = cluster.backend.start(request(cluster.id), 1)

    def put(self, path: str, text: str) -> None:
        data = gzip.compress(text.encode()) if path.endswith(".gz") else text.encode()
        key = f"{self.cluster.uri.removeprefix(f's3://{BUCKET}/')}/{self.cluster.id}/{path}"
        self.cluster.s3.put_object(Bucket=BUCKET, Key=key, Body=data)

    def read(self) -> list[str]:
        came = self.cluster.backend.logs(self.job, self.cursor)
        self.cursor = json.loads(json.dumps(came.cursor))
        return list(came.lines)


def test_the_logs_of_a_step_and_of_its_containers(cluster: Any) -> None:
    logs = Logs(cluster)
    folder, application = f"steps/{logs.job.id}", "application_1700000000000_0001"
    containers = f"containers/{application}"
    assert logs.read() == []
    logs.put(f"{folder}/stderr", "connecting\n")
    logs.put(f"{folder}/controller", "INFO startExec 'hadoop jar'\n")
    assert logs.read() == ["controller | INFO startExec 'hadoop jar'", "stderr | connecting"]
    logs.put(f"{containers}/container_1700000000000_0001_01_000002/stderr.gz", "executor\n")
    logs.put(f"{containers}/container_1700000000000_0001_01_000001/stdout.gz", "ValueError: no\n")
    logs.put(f"{containers}/container_1700000000000_0001_01_000001/prelaunch.out", "noise\n")
    logs.put(f"{containers}/container_1700000000000_0001_02_000001/stderr.gz", "second try\n")
    assert logs.read() == []  # nothing says yet that these are the step's
    logs.put(f"{folder}/stderr.gz", f"connecting\nSubmitted application {application}\n")
    logs.put(f"{folder}/stdout.gz", "done\n")
    logs.put(f"{folder}/syslog", "noise\n")
    own = "container_1700000000000_0001"
    assert logs.read() == [
        f"stderr | Submitted application {application}",
        "stdout | done",
        f"{own}_01_000001 stdout | ValueError: no",
        f"{own}_02_000001 stderr | second try",
        f"{own}_01_000002 stderr | executor",
    ]
    logs.put(f"{containers}/container_1700000000000_0001_01_000001/stderr", "late\n")
    assert logs.read() == [f"{own}_01_000001 stderr | late"]


@pytest.mark.parametrize(
    ("names", "containers", "whole"),
    [
        (("controller", "stderr"), ("stderr",), True),  # the client in cluster mode prints nothing
        (("controller", "stderr", "stdout"), ("stderr", "stdout"), True),
        (("controller", "stderr"), (), False),  # the driver's log is still to come
        (("controller",), ("stderr",), False),
    ],
)
def test_when_the_logs_of_a_step_are_whole(
    cluster: Any, monkeypatch: Any, names: Any, containers: Any, whole: bool
) -> None:
    logs, application = Logs(cluster), "application_1700000000000_0001"
    for name in names:
        logs.put(f"steps/{logs.job.id}/{name}", f"Submitted application {application}\n")
    for name in containers:
        logs.put(f"containers/{application}/container_1700000000000_0001_01_000001/{name}", "no\n")
    ended = datetime.now(UTC) - timedelta(seconds=1)
    monkeypatch.setattr(cluster.backend, "_ended", lambda _job: ended)
    assert not cluster.backend.logs(logs.job, {}).complete, "this round of uploads may go on"
    monkeypatch.setattr(s3_logs, "ROUND", -1.0)
    assert cluster.backend.logs(logs.job, {}).complete == whole


def test_a_cluster_without_logs_says_so_once(endpoint: str) -> None:
    client = emr_client(endpoint_url=endpoint)
    home = client.run_job_flow(Name="test", Instances={"InstanceCount": 1})["JobFlowId"]
    backend = EmrStep(client, s3_client(endpoint))
    job = backend.start(request(home), 1)
    first = backend.logs(job, {})
    assert list(first.lines) == [NO_LOGS]
    assert list(backend.logs(job, first.cursor).lines) == []


def test_the_last_line_without_end_comes_when_the_step_has_ended(emr: Any, endpoint: str) -> None:
    emr.backend.s3, uri = s3_client(endpoint), new_root()
    key = f"{uri.removeprefix(f's3://{BUCKET}/')}/{CLUSTER}/steps/s-1/stdout"
    emr.backend.s3.put_object(Bucket=BUCKET, Key=key, Body=b"accuracy 0.8")
    emr.expect("describe_cluster", {"Cluster": {"LogUri": uri}})
    job, running = Job("work", 1, "s-1", CLUSTER), {"State": "RUNNING"}
    asked = {"ClusterId": CLUSTER, "StepId": "s-1"}
    emr.expect("describe_step", {"Step": {"Status": running}}, asked)
    first = emr.backend.logs(job, {})
    assert list(first.lines) == []
    ended = {"State": "COMPLETED", "Timeline": {"EndDateTime": datetime(2026, 1, 1, tzinfo=UTC)}}
    emr.expect("describe_step", {"Step": {"Status": ended}}, asked)
    assert list(emr.backend.logs(job, first.cursor).lines) == ["stdout | accuracy 0.8"]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A backend over the stand-in that executes what it is given, and a cluster in it."""
    with stand_in(tmp_path_factory.mktemp("aws")) as aws:
        client = aws.client("emr")
        home = client.run_job_flow(
            Name="test", ReleaseLabel="emr-7.5.0", LogUri="s3n://jobs/logs/",
            ServiceRole=aws.role, JobFlowRole=aws.instance_profile,
            Instances={"InstanceCount": 1, "MasterInstanceType": "m5.xlarge",
                       "KeepJobFlowAliveWhenNoSteps": True},
        )["JobFlowId"]  # fmt: skip
        yield SimpleNamespace(backend=EmrStep(client, aws.client("s3")), home=home, aws=aws)


def run(real: Any, name: str, code: str) -> Job:
    """Start a script as a step."""
    words = ["spark-submit", "--deploy-mode", "client", send(real.aws, code)]
    jar = {"Jar": "command-runner.jar", "Args": words}
    body = {"ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    job: Job = real.backend.start(Request("emr_step", name, body, 60, real.home), 1)
    return job


@pytest.mark.integration
def test_a_failing_script_run_for_real(real: Any) -> None:
    job = run(real, "failing", FAILING)
    status, lines = follow(
        real.backend, job, lambda status, lines: status.state.ended and "cause" in str(lines)
    )
    assert status.state is State.FAILED
    assert 1 < status.seconds < 60
    said = [line for line in lines if line.startswith("stdout | ")]
    assert said == [f"stdout | line {n}" for n in range(40)]
    assert lines.count("stderr | ValueError: the cause") == 1
    assert real.backend.find("failing", real.home)[0] == job


@pytest.mark.integration
def test_a_step_stopped_for_real(real: Any) -> None:
    job = run(real, "endless", ENDLESS)
    follow(real.backend, job, lambda _, lines: "stdout | begun" in lines)
    real.backend.stop(job)
    status, _ = follow(real.backend, job, ended)
    assert status.state is State.STOPPED
    real.backend.stop(job)


@pytest.mark.integration
def test_a_lost_answer_leaves_one_running_step(real: Any) -> None:
    real.aws.fault({"fault": "lost_answer", "operation": "AddJobFlowSteps", "times": 1})
    job = run(real, "doubled", SHORT)
    status, _ = follow(real.backend, job, ended)
    assert status.state is State.SUCCEEDED
    listed = real.backend.client.list_steps(ClusterId=real.home)["Steps"]
    twins = [step for step in listed if step["Name"] == "doubled-1"]
    assert [step["Status"]["State"] for step in twins] == ["CANCELLED", "COMPLETED"]
    assert real.backend.find("doubled", real.home)[0] == job
