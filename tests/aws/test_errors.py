"""AWS's errors, in AWS's own words: what is tried again, and what names the thing to change."""

from __future__ import annotations

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore import exceptions
from botocore.exceptions import ClientError

from millrace.aws.errors import AwsBusy, AwsRefused, aws_calls, explain, may_pass
from millrace.aws.remedies import remedy_of
from millrace.errors import MillraceError

USER = "User: arn:aws:sts::123456789012:assumed-role/airflow/worker"
ROLE = "arn:aws:iam::123456789012:role/jobs"
JOB = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/millrace-titanic-1"
LIMIT = (
    "The account-level service limit 'ml.m5.large for training job usage' is {} Instances, with"
    " current utilization of {} Instances and a request delta of 1 Instances. Please contact AWS"
    " support to request an increase for this limit."
)


def answered(code: str, message: str, operation: str, status: int = 400) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)  # type: ignore[arg-type]


REFUSED = {
    "no right": (
        answered(
            "AccessDeniedException",
            f"{USER} is not authorized to perform: sagemaker:CreateTrainingJob on resource: {JOB}"
            " because no identity-based policy allows the sagemaker:CreateTrainingJob action",
            "CreateTrainingJob",
        ),
        f"give the caller the right sagemaker:CreateTrainingJob on {JOB} (see include/iam/)",
    ),
    "denied explicitly": (
        answered(
            "AccessDeniedException",
            f"{USER} is not authorized to perform: sagemaker:AddTags on resource: {JOB} with an"
            " explicit deny in a service control policy",
            "CreateTrainingJob",
        ),
        "a policy denies it explicitly",
    ),
    "role not passed": (
        answered(
            "AccessDeniedException",
            f"{USER} is not authorized to perform: iam:PassRole on resource: {ROLE} because no"
            " identity-based policy allows the iam:PassRole action",
            "CreateTrainingJob",
        ),
        f"the right iam:PassRole on {ROLE} (see include/iam/); the role is the one in"
        " MILLRACE_SAGEMAKER_ROLE",
    ),
    "role of machines not passed": (
        answered(
            "AccessDeniedException",
            f"{USER} is not authorized to perform: iam:PassRole on resource: {ROLE} because no"
            " identity-based policy allows the iam:PassRole action",
            "RunJobFlow",
        ),
        "the role is the one in MILLRACE_EMR_SERVICE_ROLE or of MILLRACE_EMR_INSTANCE_PROFILE",
    ),
    "no such instance profile": (
        answered("ValidationException", "Invalid InstanceProfile: machines.", "RunJobFlow"),
        "set MILLRACE_EMR_INSTANCE_PROFILE to an instance profile that exists",
    ),
    "no such service role": (
        answered("ValidationException", f"ServiceRole {ROLE} is invalid.", "RunJobFlow"),
        "set MILLRACE_EMR_SERVICE_ROLE to a role that exists",
    ),
    "too many machines": (
        answered(
            "ValidationException",
            "The requested number of instances exceeds your EC2 quota. Request an increase in"
            " Service Quotas.",
            "RunJobFlow",
        ),
        "set MILLRACE_EMR_MAX_VCPUS lower",
    ),
    "no such security configuration": (
        answered(
            "ValidationException", "The security configuration 'x' does not exist.", "RunJobFlow"
        ),
        "set MILLRACE_EMR_SECURITY_CONFIGURATION",
    ),
    "role of runs": (
        answered(
            "ValidationException",
            f"Could not assume role {ROLE}. Please ensure that the role exists.",
            "StartJobRun",
        ),
        "set MILLRACE_EMR_JOB_ROLE to a role that exists",
    ),
    "no such application": (
        answered("ResourceNotFoundException", "Application 0a1 does not exist", "StartJobRun", 404),
        "set MILLRACE_EMR_SERVERLESS_APPLICATION",
    ),
    "S3 names the right": (
        answered(
            "AccessDenied",
            f'{USER} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::lake"'
            " because no identity-based policy allows the s3:ListBucket action",
            "ListObjectsV2",
            403,
        ),
        "the right s3:ListBucket on arn:aws:s3:::lake (see include/iam/); the bucket is the one in"
        " MILLRACE_LAKE",
    ),
    "S3 names nothing": (
        answered("AccessDenied", "Access Denied", "PutObject", 403),
        "give the right s3:PutObject",
    ),
    "forbidden without a body": (
        answered("403", "Forbidden", "HeadObject", 403),
        "give the right s3:GetObject",
    ),
    "expired": (
        answered(
            "ExpiredToken",
            "The security token included in the request is expired",
            "DescribeTrainingJob",
        ),
        "MILLRACE_AWS_CONNECTION valid credentials",
    ),
    "expired at SageMaker": (
        answered(
            "ExpiredTokenException", "The security token included in the request is expired", "X"
        ),
        "MILLRACE_AWS_CONNECTION",
    ),
    "unknown key": (
        answered(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "ListTrainingJobs",
        ),
        "MILLRACE_AWS_CONNECTION",
    ),
    "unknown key at S3": (
        answered(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            "PutObject",
            403,
        ),
        "MILLRACE_AWS_CONNECTION",
    ),
    "no role": (
        answered(
            "ValidationException",
            f"Could not assume role {ROLE}. Please ensure that the role exists and allows principal"
            " 'sagemaker.amazonaws.com' to assume the role.",
            "CreateTransformJob",
        ),
        "set MILLRACE_SAGEMAKER_ROLE",
    ),
    "no bucket": (
        answered("NoSuchBucket", "The specified bucket does not exist", "ListObjectsV2", 404),
        "set MILLRACE_LAKE",
    ),
    "no data": (
        answered(
            "ValidationException",
            'No S3 objects found under S3 URL "s3://lake/processed/" given in input data source.'
            " Please ensure that the bucket exists in the selected region (eu-west-1), that objects"
            f' exist under that S3 prefix, and that the role "{ROLE}" has "s3:ListBucket"'
            ' permissions on bucket "lake".',
            "CreateTrainingJob",
        ),
        "set MILLRACE_LAKE",
    ),
    "other region": (
        answered(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified"
            " endpoint. Please send all future requests to this endpoint.",
            "PutObject",
            301,
        ),
        "set MILLRACE_AWS_REGION",
    ),
    "other region without a body": (
        answered("301", "Moved Permanently", "HeadBucket", 301),
        "set MILLRACE_AWS_REGION",
    ),
    "signed for another region": (
        answered(
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting"
            " 'eu-central-1'",
            "ListObjectsV2",
        ),
        "set MILLRACE_AWS_REGION",
    ),
    "no such location": (
        answered(
            "IllegalLocationConstraintException",
            "The unspecified location constraint is incompatible for the region specific endpoint"
            " this request was sent to.",
            "CreateBucket",
        ),
        "set MILLRACE_AWS_REGION",
    ),
    "quota of none": (
        answered("ResourceLimitExceeded", LIMIT.format(0, 0), "CreateTrainingJob"),
        "ask AWS (Service Quotas, SageMaker) to raise 'ml.m5.large for training job usage' from 0"
        " to at least 1, or set MILLRACE_TRAINING_INSTANCE",
    ),
    "no such instance here": (
        answered(
            "ResourceLimitExceeded",
            "The requested resource training-job/ml.p2.xlarge is not available in this region",
            "CreateTrainingJob",
        ),
        "set MILLRACE_TRAINING_INSTANCE",
    ),
    "no image": (
        answered(
            "ValidationException",
            "Cannot find the requested image: 1.dkr.ecr.eu-west-1.amazonaws.com/x:1",
            "CreateTrainingJob",
        ),
        "MILLRACE_XGBOOST_IMAGE",
    ),
    "wrong field": (
        answered(
            "ValidationException",
            "1 validation error detected: Value '0' at 'resourceConfig.volumeSizeInGB' failed to"
            " satisfy constraint: Member must have value greater than or equal to 1",
            "CreateTrainingJob",
        ),
        "mend the field it names",
    ),
    "no such instance": (
        answered(
            "ValidationException",
            "1 validation error detected: Value 'ml.x9.huge' at 'resourceConfig.instanceType'"
            " failed to satisfy constraint: Member must satisfy enum value set",
            "CreateTrainingJob",
        ),
        "set MILLRACE_TRAINING_INSTANCE",
    ),
    "no object": (
        answered("404", "Not Found", "HeadObject", 404),
        "run the step that makes this object again",
    ),
    "no credentials": (exceptions.NoCredentialsError(), "MILLRACE_AWS_CONNECTION"),
    "half credentials": (
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        "MILLRACE_AWS_CONNECTION",
    ),
    "no region": (exceptions.NoRegionError(), "set MILLRACE_AWS_REGION"),
    "wrong on this side": (
        exceptions.ParamValidationError(report="Unknown parameter in input: 'Nmae'"),
        "mend the named field",
    ),
    "upload": (
        S3UploadFailedError(
            "Failed to upload a.csv to lake/a.csv: An error occurred (NoSuchBucket) when calling"
            " the PutObject operation: The specified bucket does not exist"
        ),
        "set MILLRACE_LAKE",
    ),
}

PASSING = {
    "throttled": answered("ThrottlingException", "Rate exceeded", "CreateTrainingJob"),
    "throttled at S3": answered("SlowDown", "Please reduce your request rate.", "PutObject", 503),
    "too many": answered("TooManyRequestsException", "Too Many Requests", "StartJobRun", 429),
    "internal": answered("InternalFailure", "An internal error", "DescribeTrainingJob", 500),
    "internal at EMR": answered("InternalServerException", "", "AddJobFlowSteps", 400),
    "unknown 5xx": answered("503", "Service Unavailable", "HeadObject", 503),
    "conflict": answered("ConflictException", "being updated", "StartJobRun", 409),
    "in use": answered("ResourceInUse", "Job name must be unique", "CreateTrainingJob"),
    "capacity": answered("InsufficientCapacityException", "no capacity", "CreateTrainingJob"),
    "quota in use": answered("ResourceLimitExceeded", LIMIT.format(2, 2), "CreateTrainingJob"),
    "quota of one in use": answered(
        "ResourceLimitExceeded", LIMIT.format(1, 1), "CreateTrainingJob"
    ),
    "quota over-used": answered("ResourceLimitExceeded", LIMIT.format(2, 3), "CreateTrainingJob"),
    "quota untold": answered("LimitExceededException", "too many at once", "PutLogEvents"),
    "connect": exceptions.ConnectTimeoutError(endpoint_url="https://sagemaker"),
    "read": exceptions.ReadTimeoutError(endpoint_url="https://sagemaker"),
    "closed": exceptions.ConnectionClosedError(endpoint_url="https://sagemaker"),
    "name not resolved": exceptions.EndpointConnectionError(endpoint_url="https://sagemaker"),
    "cut off": exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "flipped bit": exceptions.FlexibleChecksumError(error_msg="Expected checksum x did not match"),
    "metadata": exceptions.CredentialRetrievalError(provider="assume-role", error_msg="timed out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_retry_cures_names_what_to_change(case: str) -> None:
    error, remedy = REFUSED[case]
    with pytest.raises(AwsRefused) as found, aws_calls("starting millrace-titanic-1"):
        raise error
    assert isinstance(found.value, MillraceError)
    assert str(found.value).startswith("starting millrace-titanic-1 failed: ")
    assert remedy in str(found.value)
    assert found.value.__cause__ is error


@pytest.mark.parametrize("case", PASSING)
def test_what_may_pass_is_tried_again(case: str) -> None:
    with pytest.raises(AwsBusy, match="may succeed in another try") as found, aws_calls("asking"):
        raise PASSING[case]
    assert not isinstance(found.value, MillraceError)
    assert explain(PASSING[case]) is None


def test_the_answer_stands_in_the_message() -> None:
    words = r"NoSuchBucket \(ListObjectsV2\): The specified bucket does not exist; set"
    with pytest.raises(AwsRefused, match=words), aws_calls("reading"):
        raise REFUSED["no bucket"][0]


@pytest.mark.parametrize("error", [KeyError("x"), MillraceError("y"), FileNotFoundError("z")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as found, aws_calls("reading"):
        raise error
    assert found.value is error


@pytest.mark.parametrize(
    "reason",
    [
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a"
        " different ML instance type.",
        "InternalServerError: We encountered an internal error. Please try again.",
        "ClientError: An error occurred (SlowDown) when calling the GetObject operation",
        "MaxWaitTimeExceeded",
        "Instance failure",
        "The Spot instances were interrupted",
    ],
)
def test_a_job_that_failed_for_want_of_a_machine_may_succeed_next_time(reason: str) -> None:
    assert may_pass(reason)


FATAL = {
    "AlgorithmError: framework error: \nTraceback ... internal error": "",
    'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: x"': "",
    "AlgorithmError: , exit code: 137": "with more memory",
    "ClientError: Cannot pull algorithm container. Either the image does not exist or its"
    " permissions are incorrect.": "MILLRACE_XGBOOST_IMAGE",
    "ClientError: API error (404): manifest for 1.dkr.ecr.eu-west-1.amazonaws.com/x:1 not found:"
    " manifest unknown: Requested image not found": "MILLRACE_XGBOOST_IMAGE",
    "ClientError: SageMaker was unable to assume the role 'arn:aws:iam::123456789012:role/jobs'": (
        "MILLRACE_SAGEMAKER_ROLE"
    ),
    "ClientError: TrainingHostAgent Initialization failed:InvalidInputException: SageMaker is"
    " unable to perform: sts:AssumeRole on the role.": "MILLRACE_SAGEMAKER_ROLE",
    "ClientError: Artifact upload failed:Unable to upload file (BucketRegionError: bucket must be"
    " in the same region as the job)": "MILLRACE_AWS_REGION",
    "Unknown Error.": "",
    "": "",
}


@pytest.mark.parametrize("reason", FATAL)
def test_a_job_that_failed_by_itself_fails_again(reason: str) -> None:
    assert not may_pass(reason)
    assert FATAL[reason] in remedy_of(reason)
    assert bool(remedy_of(reason)) == bool(FATAL[reason])
