"""What is set or given wrongly on AWS: one clear error that names what to change, and no retry.

Every case runs through the operator of the DAGs, its Airflow connection and the stand-in of AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from millrace.aws.errors import AwsBusy
from millrace.errors import MillraceError
from millrace.jobs.job import JobStopped
from millrace.jobs.sagemaker import SageMakerTraining
from millrace.lake import LakeError
from millrace.runs import engine_of
from millrace.settings import Settings, SettingsError
from millrace.steps.run import Run
from millrace.steps.validate_raw import validate_raw
from tests.integration.aws.in_task import deferral_of, training_task
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import role_arn
from tests.integration.aws.standin.tryout import wait
from tests.steps.club import make_bucket, prepare

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("connection")]
EXPIRED = "valid credentials that have not expired"
AT_ITS_QUOTA = {
    "Error": {
        "Code": "ResourceLimitExceeded",
        "Message": "The account-level service limit 'ml.m5.large for training job usage' is 4"
        " Instances, with current utilization of 4 Instances and a request delta of 1 Instances.",
    },
    "ResponseMetadata": {"HTTPStatusCode": 400},
}


def allowed(*actions: str, effect: str = "Allow") -> list[dict[str, Any]]:
    """The policy documents that allow so much, anywhere."""
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    return [{"Version": "2012-10-17", "Statement": [statement]}]


def denied(*actions: str) -> list[dict[str, Any]]:
    return allowed(*actions, effect="Deny")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    policies = {
        "passes-no-role": allowed("s3:*", "sagemaker:*", "logs:*"),
        "starts-nothing": allowed("*") + denied("sagemaker:CreateTrainingJob"),
        "only-reads": allowed("s3:Get*", "s3:List*"),
        "reads-nothing": allowed("sagemaker:*"),
    }
    with StandIn(
        tmp_path_factory.mktemp("aws"), pace={"state": 0.05}, policies=policies,
        roles={"sees-nothing": []},
    ) as started:  # fmt: skip
        make_bucket(started, "club")
        statement = {
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }  # fmt: skip
        trust = {"Version": "2012-10-17", "Statement": [statement]}
        started.client("iam").create_role(
            RoleName="for-lambda", AssumeRolePolicyDocument=json.dumps(trust)
        )
        yield started


def carried_out(aws: StandIn, run: Run) -> Any:
    """Train as the task of a DAG does: start, wait, and take what comes."""
    operator, context = training_task(run)
    waiting = deferral_of(operator, context)
    wait(lambda: aws.jobs(name=waiting["job"]["id"])[0]["ended"])
    return operator.complete(context, {}, **waiting)


def refusal(aws: StandIn, run: Run) -> str:
    """The one error that training ends with; another try would be in vain."""
    with pytest.raises(MillraceError) as raised:
        carried_out(aws, run)
    return str(raised.value)


def started(aws: StandIn, run: Run) -> list[str]:
    return [each["name"] for each in aws.jobs() if each["tags"].get("run") == run.run_id]


def test_good_input_is_trained_on(aws: StandIn, run_with: Callable[..., Run]) -> None:
    run = run_with()
    assert carried_out(aws, run) == "good"
    assert len(started(aws, run)) == 1


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MILLRACE_SAGEMAKER_ROLE": role_arn("nobody")},
         "set MILLRACE_SAGEMAKER_ROLE to a role that exists and trusts sagemaker"),
        ({"MILLRACE_SAGEMAKER_ROLE": role_arn("for-lambda")},
         "set MILLRACE_SAGEMAKER_ROLE to a role that exists and trusts sagemaker"),
        ({"MILLRACE_SAGEMAKER_ROLE": role_arn("sees-nothing")}, "MILLRACE_SAGEMAKER_ROLE"),
        ({"MILLRACE_AWS_REGION": "eu-west-1"},
         "set MILLRACE_LAKE to a bucket and prefix that exist, in the region MILLRACE_AWS_REGION"),
        ({"MILLRACE_TRAINING_INSTANCE": "ml.x9.large"},
         "set MILLRACE_TRAINING_INSTANCE or MILLRACE_TRANSFORM_INSTANCE to another"),
    ],
    ids=["no role", "not assumable", "role sees nothing", "other region", "no such instance"],
)  # fmt: skip
def test_a_setting_that_sagemaker_refuses(
    aws: StandIn, run_with: Callable[..., Run], variables: dict[str, str], words: str
) -> None:
    run = run_with(**variables)
    assert words in refusal(aws, run)
    assert not started(aws, run)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "quota", "operation": "CreateTrainingJob"},
         "ask AWS (Service Quotas, SageMaker) to raise 'ml.m5.large for training job usage' from 0"
         " to at least 1, or set MILLRACE_TRAINING_INSTANCE"),
        ({"fault": "expired_token", "service": "sagemaker"}, EXPIRED),
        ({"fault": "expired_token", "service": "s3"}, EXPIRED),
        ({"fault": "access_denied", "operation": "CreateTrainingJob"},
         "give the caller the right sagemaker:CreateTrainingJob"),
        ({"fault": "access_denied", "operation": "DescribeTrainingJob"},
         "give the caller the right sagemaker:DescribeTrainingJob"),
        ({"fault": "access_denied", "operation": "ListObjectsV2"},
         "the bucket is the one in MILLRACE_LAKE"),
        ({"fault": "image", "operation": "CreateTrainingJob"},
         "set MILLRACE_XGBOOST_IMAGE or MILLRACE_SKLEARN_IMAGE"),
    ],
    ids=["quota", "expired", "expired at S3", "may not start", "may not ask", "may not list",
         "no image"],
)  # fmt: skip
def test_what_the_account_refuses(
    aws: StandIn, run_with: Callable[..., Run], fault: dict[str, str], words: str
) -> None:
    run = run_with()
    aws.fault(fault)
    said = refusal(aws, run)
    assert words in said
    if words != EXPIRED:
        assert said.count(words) == 1


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("passes-no-role", "the right iam:PassRole on arn:aws:iam::123456789012:role/standin-jobs"),
        ("passes-no-role", "the role is the one in MILLRACE_SAGEMAKER_ROLE"),
        ("starts-nothing", "a policy denies it explicitly"),
        ("only-reads", "the right s3:PutObject on arn:aws:s3:::club/lake/jobs/sent/"),
        ("reads-nothing", "the right s3:GetObject on arn:aws:s3:::club/lake/"),
        ("reads-nothing", "the bucket is the one in MILLRACE_LAKE"),
        ("reads-nothing", "the Airflow connection in MILLRACE_AWS_CONNECTION"),
    ],
)  # fmt: skip
def test_a_right_that_is_missing_is_named(
    aws: StandIn, lake: Run, run_with: Callable[..., Run], monkeypatch: pytest.MonkeyPatch,
    user: str, words: str,
) -> None:  # fmt: skip
    for entry in lake.store.list("jobs/sent"):
        lake.store.delete(entry.key)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection(user))
    run = run_with()
    assert words in refusal(aws, run)
    assert not started(aws, run)


@pytest.mark.parametrize("key", ["AKIAUNKNOWNUNKNOWN00", ""])
def test_keys_that_are_not_valid(
    aws: StandIn, run_with: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    given = {**json.loads(aws.connection()), "login": key, "password": key and "x"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(given))
    said = refusal(aws, run_with())
    assert "the Airflow connection named by MILLRACE_AWS_CONNECTION" in said and EXPIRED in said


def test_a_bucket_that_is_not_there(aws: StandIn, run_with: Callable[..., Run]) -> None:
    run = run_with("s3://no-such-bucket/lake")
    assert "set MILLRACE_LAKE to a bucket and prefix that exist" in refusal(aws, run)
    with pytest.raises(LakeError, match=r"NoSuchBucket.*; set MILLRACE_LAKE"):
        validate_raw(run)


def test_rows_that_are_gone(aws: StandIn, run_with: Callable[..., Run]) -> None:
    """The manifest is there, the channel is not: nothing is started."""
    run = prepare(run_with("s3://club/emptied"))
    channel = run.published("processed", "", "preprocess").manifest.attempt
    run.store.delete(f"{run.place('processed')}/{channel}/train")
    said = refusal(aws, run)
    assert "No S3 objects found" in said and "MILLRACE_LAKE" in said
    assert not started(aws, run)


def test_trouble_that_passes_is_tried_again(aws: StandIn, run_with: Callable[..., Run]) -> None:
    run = run_with()
    aws.fault({"fault": "capacity", "operation": "CreateTrainingJob", "times": 1})
    with pytest.raises(JobStopped) as raised:
        carried_out(aws, run)
    assert not isinstance(raised.value, MillraceError)
    assert carried_out(aws, run) == "good"
    assert [name[-2:] for name in started(aws, run)] == ["-1", "-2"]


def test_a_quota_that_others_have_used_up_is_a_matter_of_waiting(
    aws: StandIn, run_with: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise ClientError(AT_ITS_QUOTA, "CreateTrainingJob")  # type: ignore[arg-type]

    monkeypatch.setattr(SageMakerTraining, "_create", full)
    with pytest.raises(AwsBusy, match="may succeed in another try: ResourceLimitExceeded"):
        carried_out(aws, run_with())
    assert not issubclass(AwsBusy, MillraceError)


class TestBeforeTheFirstCall:
    """What can be told without AWS is told by the first task, and by no other."""

    def settings(self, **changes: str) -> Settings:
        given = {
            "MILLRACE_LAKE": "s3://club/lake", "MILLRACE_AWS_REGION": "eu-west-3",
            "MILLRACE_SAGEMAKER_ROLE": role_arn(), **changes,
        }  # fmt: skip
        return Settings.from_environment({name: value for name, value in given.items() if value})

    def test_everything_is_set(self) -> None:
        assert engine_of("aws", self.settings()) == engine_of("auto", self.settings()) == "aws"

    @pytest.mark.parametrize(
        "name", ["MILLRACE_LAKE", "MILLRACE_AWS_REGION", "MILLRACE_SAGEMAKER_ROLE"]
    )
    def test_what_is_missing_is_named(self, name: str) -> None:
        settings = self.settings(**{name: ""})
        with pytest.raises(SettingsError, match=f"engine aws needs more settings: {name} is"):
            engine_of("aws", settings)
        assert engine_of("auto", settings) == "local"

    def test_all_that_is_missing_is_named_at_once(self) -> None:
        with pytest.raises(SettingsError) as raised:
            engine_of("aws", Settings.from_environment({}))
        for name in ("MILLRACE_LAKE", "MILLRACE_AWS_REGION", "MILLRACE_SAGEMAKER_ROLE"):
            assert name in str(raised.value)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"MILLRACE_AWS_REGION": "us-east-1"}, "set MILLRACE_ALLOW_REGION_OUTSIDE_EU=yes"),
            ({"MILLRACE_AWS_REGION": "eu-west-2"}, "outside the EU, though under an adequacy"),
            ({"MILLRACE_AWS_REGION": "eu-moon-1"}, "no known region"),
            ({"MILLRACE_SAGEMAKER_ROLE": "millrace-jobs"}, "MILLRACE_SAGEMAKER_ROLE is"),
            ({"MILLRACE_TRAINING_INSTANCE": "m5.large"}, "MILLRACE_TRAINING_INSTANCE is"),
            ({"MILLRACE_LAKE": "s3:/club/lake"}, "MILLRACE_LAKE is"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, change: dict[str, str], words: str) -> None:
        with pytest.raises(SettingsError, match=words):
            self.settings(**change)

    def test_a_region_outside_the_eu_may_be_allowed(self) -> None:
        allowed = {"MILLRACE_AWS_REGION": "us-east-1", "MILLRACE_ALLOW_REGION_OUTSIDE_EU": "yes"}
        assert engine_of("aws", self.settings(**allowed)) == "aws"
