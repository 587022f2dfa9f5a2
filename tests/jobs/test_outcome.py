"""How a job's end is taken: success, another try, or an error that says what to change."""

from __future__ import annotations

import pytest

from millrace.errors import MillraceError
from millrace.jobs.job import Job, JobFailed, JobStopped, State, Status
from millrace.jobs.outcome import require_success

JOB = Job("millrace-a", 1, "millrace-a-1")
NO_IMAGE = (
    "ClientError: Cannot find repository: sagemaker-xgboost in registry ID: 659782779980 Please"
    " check if your ECR repository exists and role arn:aws:iam::123456789012:role/jobs has proper"
    " pull permissions for SageMaker: ecr:BatchCheckLayerAvailability, ecr:BatchGetImage"
)
SCRIPT = "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage ValueError: no rows"
TRACEBACK = ["Traceback (most recent call last):", '  File "train.py"', "ValueError: no rows"]


def judge(status: Status | None, lines: list[str] | None = None, expired: bool = False) -> Status:
    return require_success(JOB, status, 90, lines or [], expired=expired)


def test_success_is_handed_back() -> None:
    status = Status(State.SUCCEEDED, seconds=3.0)
    assert judge(status) is status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "the service does not know millrace-a-1 any more"),
        (Status(State.RUNNING), "still running"),
        (Status(State.STOPPED), "millrace-a-1 was stopped from outside"),
        (Status(State.STOPPED, reason="MaxWaitTimeExceeded"), "MILLRACE_SPOT=no"),
        (Status(State.FAILED, reason="CapacityError: Unable to provision"), "CapacityError"),
        (Status(State.FAILED, reason="InternalServerError: We encountered"), "InternalServerError"),
    ],
)
def test_what_may_pass_is_tried_again(status: Status | None, words: str) -> None:
    with pytest.raises(JobStopped, match=words) as raised:
        judge(status)
    assert not isinstance(raised.value, MillraceError)


@pytest.mark.parametrize(
    "status",
    [Status(State.STOPPED, "MaxRuntimeExceeded", "MaxRuntimeExceeded"), Status(State.STOPPED)],
)
def test_a_time_limit_names_its_setting(status: Status) -> None:
    with pytest.raises(JobFailed, match=r"time limit of 90 s; .* set MILLRACE_JOB_TIMEOUT higher"):
        judge(status, expired=not status.reason)


def test_the_cause_comes_first_and_the_last_lines_last() -> None:
    with pytest.raises(JobFailed) as raised:
        judge(Status(State.FAILED, reason=SCRIPT), TRACEBACK)
    said = str(raised.value).splitlines()
    assert said[0] == "millrace-a-1 failed: ValueError: no rows"
    assert said[1].startswith("The service says: AlgorithmError: ExecuteUserScriptError: ExitCode")
    assert said[-1] == "  ValueError: no rows"


@pytest.mark.parametrize("label", ["data-log", "i-0af1c2-1700000000", "algo-1-1700000000"])
def test_the_cause_is_found_in_one_of_several_streams(label: str) -> None:
    with pytest.raises(JobFailed, match=r"^millrace-a-1 failed: ValueError: no rows\n"):
        judge(Status(State.FAILED, reason=SCRIPT), [f"{label} | {line}" for line in TRACEBACK])


def test_a_script_may_say_what_it_likes() -> None:
    """Its own words are no sign of trouble in the service."""
    reason = "AlgorithmError: ExecuteUserScriptError: ErrorMessage Rate exceeded, CapacityError"
    with pytest.raises(JobFailed):
        judge(Status(State.FAILED, reason=reason))


@pytest.mark.parametrize(
    ("reason", "setting"),
    [
        (NO_IMAGE, "MILLRACE_XGBOOST_IMAGE or MILLRACE_SKLEARN_IMAGE"),
        ("ClientError: Artifact upload failed:The specified bucket does not exist",
         "set MILLRACE_LAKE"),
        ("AlgorithmError: OutOfMemory. exit code: 137", "set MILLRACE_TRAINING_INSTANCE"),
    ],
)  # fmt: skip
def test_a_reason_that_a_setting_cures_names_it(reason: str, setting: str) -> None:
    with pytest.raises(JobFailed, match=rf"\nWhat to do: .*{setting}"):
        judge(Status(State.FAILED, reason=reason))
