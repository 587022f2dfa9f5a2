"""EMR Serverless: calls and answers as botocore's model of the service has them; logs from S3."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from millrace.jobs.emr_serverless import FEW, NO_LOGS, EmrServerless, client_token
from millrace.jobs.job import Job, NameTaken, Request, State
from tests.jobs.execution import ENDLESS, FAILING, SHORT, ended, follow, send, stand_in
from tests.lake.s3 import BUCKET, new_root, s3_client, s3_server

APPLICATION = "00fabcdefg012345"
ROLE = "arn:aws:iam::123456789012:role/jobs"
BODY = {
    "executionRoleArn": ROLE,
    "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/job.py", "entryPointArguments": ["a"]}},
    "tags": {"project": "millrace"},
}
NOW = datetime.now(UTC)


def serverless_client(**options: Any) -> Any:
    import boto3

    return boto3.client(
        "emr-serverless", region_name="eu-west-3",
        aws_access_key_id="test", aws_secret_access_key="test", **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def service() -> Iterator[Any]:
    """A backend whose client expects the calls that a test names, in their order."""
    client = serverless_client()
    with Stubber(client) as stub:
        yield SimpleNamespace(
            backend=EmrServerless(client, None), expect=stub.add_response, stub=stub
        )
        stub.assert_no_pending_responses()


@pytest.fixture
def application(endpoint: str) -> Any:
    """A backend over moto, and an application."""
    client = serverless_client(endpoint_url=endpoint)
    answer = client.create_application(releaseLabel="emr-7.5.0", type="SPARK", clientToken="t")
    backend = EmrServerless(client, s3_client(endpoint))
    return SimpleNamespace(backend=backend, id=answer["applicationId"])


def request(home: str = APPLICATION, limit: float = 3600, **body: Any) -> Request:
    return Request("emr_serverless", "millrace-work", {**BODY, **body}, limit, home)


def summary(name: str, id: str, state: str, **facts: Any) -> dict[str, Any]:
    """A run as a listing has it."""
    return {
        "applicationId": APPLICATION, "id": id, "name": name, "arn": "a" * 60,
        "createdBy": "arn:aws:iam::123456789012:user/x", "createdAt": NOW, "updatedAt": NOW,
        "executionRole": ROLE, "state": state, "stateDetails": "d", "releaseLabel": "emr-7.5.0",
        **facts,
    }  # fmt: skip


def run(name: str, id: str, state: str, **facts: Any) -> dict[str, Any]:
    """A run as GetJobRun has it."""
    given = summary(name, id, state, **facts)
    return {"jobRun": {"jobRunId": given.pop("id"), "jobDriver": BODY["jobDriver"], **given}}


def test_a_run_is_found_again_by_its_name(application: Any) -> None:
    backend = application.backend
    assert backend.find("millrace-work", application.id) is None
    first = backend.start(request(application.id), 1)
    second = backend.start(request(application.id), 2)
    backend.start(Request("emr_serverless", "my-millrace-work", BODY, 600, application.id), 3)
    found, _ = backend.find("millrace-work", application.id)
    assert found == second
    assert first.id != second.id
    backend.stop(second)
    assert backend.find("millrace-work", application.id)[1].state is State.STOPPED
    unknown = Job("millrace-work", 3, "00unknown", application.id)
    assert set(backend.poll([first, second, unknown])) == {first, second}
    backend.stop(unknown)


def test_what_is_sent(service: Any) -> None:
    sent = {
        **BODY, "applicationId": APPLICATION, "name": "millrace-work-3",
        "clientToken": client_token("millrace-work-3"), "executionTimeoutMinutes": 61,
    }  # fmt: skip
    answer = {"applicationId": APPLICATION, "jobRunId": "00r", "arn": "a" * 60}
    service.expect("start_job_run", answer, sent)
    job = service.backend.start(request(limit=3601), 3)
    assert job == Job("millrace-work", 3, "00r", APPLICATION)


@pytest.mark.parametrize(("limit", "body", "minutes"), [
    (60, {}, 5), (301, {}, 6), (3600, {"executionTimeoutMinutes": 7}, 7),
])  # fmt: skip
def test_the_services_own_time_limit(
    service: Any, limit: float, body: dict[str, Any], minutes: int
) -> None:
    sent = {
        **BODY, "applicationId": ANY, "name": ANY, "clientToken": ANY,
        "executionTimeoutMinutes": minutes,
    }  # fmt: skip
    answer = {"applicationId": APPLICATION, "jobRunId": "00r", "arn": "a" * 60}
    service.expect("start_job_run", answer, sent)
    service.backend.start(request(limit=limit, **body), 1)


def test_the_token_is_the_same_for_the_same_try_only() -> None:
    assert client_token("a-1") == client_token("a-1")
    assert len({client_token(name) for name in ("a-1", "a-2", "b-1")}) == 3


def test_a_token_used_for_something_else_means_that_there_is_a_run(service: Any) -> None:
    service.stub.add_client_error("start_job_run", "ConflictException", "the token was used")
    with pytest.raises(NameTaken, match=r"millrace-work-1: .*the token was used"):
        service.backend.start(request(), 1)


def test_every_page_is_looked_through_and_no_old_run_is(service: Any) -> None:
    asked = {"applicationId": APPLICATION, "createdAtAfter": ANY, "maxResults": 50}
    nameless = summary("x", "00n", "RUNNING")
    del nameless["name"]
    first = [summary("millrace-work-2", "002", "FAILED"), nameless]
    second = [summary("millrace-work-10", "0010", "RUNNING")]
    service.expect("list_job_runs", {"jobRuns": first, "nextToken": "t"}, asked)
    service.expect("list_job_runs", {"jobRuns": second}, {**asked, "nextToken": "t"})
    begun = datetime.now(UTC) - timedelta(seconds=50)
    service.expect("get_job_run", run("millrace-work-10", "0010", "RUNNING", startedAt=begun))
    job, status = service.backend.find("millrace-work", APPLICATION)
    assert job == Job("millrace-work", 10, "0010", APPLICATION)
    assert 50 <= status.seconds < 80


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        ("SUBMITTED", State.WAITING, ""), ("PENDING", State.WAITING, ""),
        ("SCHEDULED", State.WAITING, ""), ("QUEUED", State.WAITING, ""),
        ("RUNNING", State.RUNNING, ""), ("SUCCESS", State.SUCCEEDED, ""),
        ("FAILED", State.FAILED, "why"), ("CANCELLING", State.STOPPING, ""),
        ("CANCELLED", State.STOPPED, "why"), ("SOMETHING_NEW", State.RUNNING, ""),
    ],
)  # fmt: skip
def test_the_services_words(service: Any, word: str, state: State, reason: str) -> None:
    facts = {"stateDetails": "why", "totalExecutionDurationSeconds": 77}
    asked = {"applicationId": APPLICATION, "jobRunId": "001"}
    service.expect("get_job_run", run("work-1", "001", word, **facts), asked)
    job = Job("work", 1, "001", APPLICATION)
    status = service.backend.poll([job])[job]
    assert (status.state, status.detail, status.reason) == (state, word, reason)
    assert status.seconds == (77 if state.ended else None)


def test_many_runs_are_told_from_one_listing_and_the_ended_ones_are_asked_about(
    service: Any,
) -> None:
    jobs = [Job("work", n, f"00{n}", APPLICATION) for n in range(FEW + 1)]
    going = [summary(f"work-{n}", f"00{n}", "RUNNING") for n in range(1, FEW + 1)]
    asked = {
        "applicationId": APPLICATION, "maxResults": 50,
        "states": ["SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING", "CANCELLING"],
    }  # fmt: skip
    service.expect("list_job_runs", {"jobRuns": going}, asked)
    ended = run("work-0", "000", "SUCCESS", totalExecutionDurationSeconds=5)
    service.expect("get_job_run", ended, {"applicationId": APPLICATION, "jobRunId": "000"})
    found = service.backend.poll(jobs)
    assert list(found) == jobs
    assert [found[job].state for job in jobs] == [State.SUCCEEDED, *[State.RUNNING] * FEW]


def test_stopping_a_run_that_has_ended_does_nothing(service: Any) -> None:
    job = Job("work", 1, "001", APPLICATION)
    for code in ("ValidationException", "ResourceNotFoundException"):
        service.stub.add_client_error("cancel_job_run", code, "it has ended")
        service.backend.stop(job)
    service.stub.add_client_error("cancel_job_run", "AccessDeniedException", "no")
    with pytest.raises(service.backend.client.exceptions.ClientError):
        service.backend.stop(job)


def test_the_link_leads_to_the_console() -> None:
    link = EmrServerless(serverless_client(), None).link(Job("work", 1, "001", APPLICATION))
    assert link == (
        "https://eu-west-3.console.aws.amazon.com/emr/home?region=eu-west-3#/serverless"
    )


class Logs:
    """The logs of one run, read call after call."""

    def __init__(self, service: Any, endpoint: str):
        self.backend, self.uri = service.backend, new_root()
        self.backend.s3 = s3_client(endpoint)
        self.job, self.cursor = Job("work", 1, "001", APPLICATION), {}

    def put(self, path: str, text: str) -> None:
        folder = f"{self.uri.removeprefix(f's3://{BUCKET}/')}/applications/{APPLICATION}/jobs/001"
        body = gzip.compress(text.encode())
        self.backend.s3.put_object(Bucket=BUCKET, Key=f"{folder}/{path}", Body=body)

    def read(self) -> list[str]:
        came = self.backend.logs(self.job, self.cursor)
        self.cursor = json.loads(json.dumps(came.cursor))
        return list(came.lines)


def to_s3(uri: str) -> dict[str, Any]:
    return {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": uri}}}


def test_the_logs_of_driver_and_executors(service: Any, endpoint: str) -> None:
    logs = Logs(service, endpoint)
    configured = run("w-1", "001", "RUNNING", configurationOverrides=to_s3(f"{logs.uri}/"))
    service.expect("get_job_run", configured)
    assert logs.read() == []
    for executor in (10, 2):
        logs.put(f"SPARK_EXECUTOR/{executor}/stderr.gz", "busy\n")
    logs.put("SPARK_DRIVER/stdout.gz", "result 1\nunfin")
    logs.put("SPARK_DRIVER/stderr.gz", "Traceback\n")
    logs.put("sparklogs/eventlog_v2_001/events_1_001.gz", "noise\n")
    service.expect("get_job_run", configured)
    assert logs.read() == [
        "driver stderr | Traceback",
        "driver stdout | result 1",
        "executor-2 stderr | busy",
        "executor-10 stderr | busy",
    ]
    logs.put("SPARK_DRIVER/stdout.gz", "result 1\nunfinished")
    early = datetime(2026, 1, 1, tzinfo=UTC)
    service.expect("get_job_run", run("w-1", "001", "SUCCESS", endedAt=early))
    assert logs.read() == ["driver stdout | unfinished"]


def test_logs_may_be_configured_for_the_whole_application(service: Any, endpoint: str) -> None:
    logs = Logs(service, endpoint)
    logs.put("SPARK_DRIVER/stdout.gz", "line\n")
    application = {
        "applicationId": APPLICATION, "arn": "a" * 60, "releaseLabel": "emr-7.5.0",
        "type": "SPARK", "state": "STARTED", "createdAt": NOW, "updatedAt": NOW,
    }  # fmt: skip
    service.expect("get_job_run", run("w-1", "001", "RUNNING"))
    service.expect("get_application", {"application": {**application, **to_s3(logs.uri)}})
    assert logs.read() == ["driver stdout | line"]

    logs.cursor = {}
    service.expect("get_job_run", run("w-1", "001", "RUNNING"))
    service.expect("get_application", {"application": application})
    assert logs.read() == [NO_LOGS]
    assert logs.read() == []


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A backend over the stand-in that executes what it is given, and an application in it."""
    with stand_in(tmp_path_factory.mktemp("aws")) as aws:
        client = aws.client("emr-serverless")
        answer = client.create_application(releaseLabel="emr-7.1.0", type="SPARK", clientToken="t")
        backend = EmrServerless(client, aws.client("s3"))
        yield SimpleNamespace(backend=backend, home=answer["applicationId"], aws=aws)


def begin(real: Any, name: str, code: str, number: int = 1) -> Job:
    """Start a script as a job run."""
    body = {
        "executionRoleArn": real.aws.role,
        "jobDriver": {"sparkSubmit": {"entryPoint": send(real.aws, code)}},
        "configurationOverrides": to_s3("s3://jobs/serverless/"),
    }
    job: Job = real.backend.start(Request("emr_serverless", name, body, 60, real.home), number)
    return job


@pytest.mark.integration
def test_a_failing_script_run_for_real(real: Any) -> None:
    job = begin(real, "failing", FAILING)
    status, lines = follow(
        real.backend, job, lambda status, lines: status.state.ended and "cause" in str(lines)
    )
    assert status.state is State.FAILED
    assert 1 <= status.seconds < 60
    said = [line for line in lines if line.startswith("driver stdout | ")]
    assert said == [f"driver stdout | line {n}" for n in range(40)]
    assert lines.count("driver stderr | ValueError: the cause") == 1


@pytest.mark.integration
def test_a_run_stopped_for_real(real: Any) -> None:
    job = begin(real, "endless", ENDLESS)
    follow(real.backend, job, lambda status, _: status.state is State.RUNNING)
    real.backend.stop(job)
    status, _ = follow(real.backend, job, ended)
    assert status.state is State.STOPPED
    real.backend.stop(job)


@pytest.mark.integration
def test_two_submits_and_a_lost_answer_make_one_run(real: Any) -> None:
    real.aws.fault({"fault": "lost_answer", "operation": "StartJobRun", "times": 1})
    first, again = begin(real, "doubled", SHORT), begin(real, "doubled", SHORT)
    assert first == again
    status, _ = follow(real.backend, first, ended)
    assert status.state is State.SUCCEEDED
    listed = real.backend.client.list_job_runs(applicationId=real.home)["jobRuns"]
    assert [run["name"] for run in listed].count("doubled-1") == 1
    second = begin(real, "doubled", SHORT, number=2)
    assert second.id != first.id
    follow(real.backend, second, ended)
