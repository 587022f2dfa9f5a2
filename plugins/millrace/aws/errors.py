"""Errors of AWS, told apart: those that a retry cannot cure, and those that may pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from millrace.aws import remedies
from millrace.errors import MillraceError


class AwsRefused(MillraceError):
    """AWS refuses a call, and would again; the message says what to change."""


class AwsBusy(RuntimeError):
    """AWS cannot answer a call now; another try may succeed."""


LONGEST = 600  # characters of AWS's words; it may name every instance type there is


@dataclass(frozen=True)
class Answer:
    """What AWS answered instead of a result.

    Attributes:
        code: AWS's own name of the error, such as `ThrottlingException`.
        operation: the call, such as `CreateTrainingJob`.
        status: HTTP status, 0 where it is not known.
    """

    code: str
    message: str
    operation: str
    status: int = 0

    def __str__(self) -> str:
        call = f" ({self.operation})" if self.operation else ""
        rest = "..." if len(self.message) > LONGEST else ""
        return f"{self.code}{call}: {self.message[:LONGEST]}{rest}"


ACCESS = {
    "403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError",
    "Forbidden", "NotAuthorized", "UnauthorizedOperation",
}  # fmt: skip
CREDENTIALS = {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
    "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotSignedUp",
    "OptInRequired", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch",
    "TokenRefreshRequired", "UnrecognizedClientException",
}  # fmt: skip
REGION = {
    "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
    "IncorrectEndpoint", "PermanentRedirect",
}  # fmt: skip
BUCKET = {"InvalidBucketName", "NoSuchBucket"}
QUOTA = {"LimitExceededException", "ResourceLimitExceeded", "ServiceQuotaExceededException"}
PASSING = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|BandwidthLimitExceeded"
    r"|PriorRequestNotComplete|ThroughputExceeded|RequestTimeout|Timeout|Internal"
    r"|ServiceUnavailable|ServerException|Conflict|ResourceInUse|OperationAborted|Capacity"
)
HOPELESS = {  # botocore's errors on this side of the network
    "NoCredentialsError": remedies.CREDENTIALS,
    "PartialCredentialsError": remedies.CREDENTIALS,
    "ProfileNotFound": remedies.CREDENTIALS,
    "UnauthorizedSSOTokenError": remedies.CREDENTIALS,
    "NoRegionError": remedies.REGION,
    "InvalidRegionError": remedies.REGION,
    "UnknownEndpointError": remedies.REGION,
    "ParamValidationError": "mend the named field of the request; its values come from the"
    " settings (.env.example) and the data set's spec",
}
REASON_MAY_PASS = re.compile(
    r"CapacityError|Internal ?(Server)? ?(Error|Failure)|internal (service )?error"
    r"|insufficient (\w+ )?capacity|InsufficientInstanceCapacity|spot (\w+ )*(interrupt|reclaim)"
    r"|Throttl|Rate exceeded|SlowDown|Service ?Unavailable|retired|hardware failure"
    r"|instance (\w+ )?(failure|terminated|was lost)|lost (node|instance)|MaxWaitTimeExceeded",
    re.IGNORECASE,
)


def may_pass(reason: str) -> bool:
    """Whether a job that failed for this reason, in the service's words, may succeed next time."""
    if re.match(r"\s*AlgorithmError", reason):  # the script itself, whatever its text says
        return False
    return bool(REASON_MAY_PASS.search(reason))


def explain(error: BaseException) -> str | None:
    """Why another try of this call is in vain and what to change; None where one may succeed.

    Errors that are not AWS's may pass as far as this function can tell.
    """
    answer = answer_of(error)
    if answer is not None:
        return remedy_for(answer)
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("boto")]
    return next((HOPELESS[name] for name in names if name in HOPELESS), None)


def answer_of(error: BaseException) -> Answer | None:
    """What AWS answered: from botocore's ClientError, or from the text of an error around one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        facts = response["Error"]
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        operation = getattr(error, "operation_name", "")
        return Answer(str(facts.get("Code", "")), facts.get("Message", ""), operation, status)
    found = re.search(
        r"An error occurred \((\w+)\) when calling the (\w+) operation[^:]*: (.*)", str(error), re.S
    )
    return Answer(found[1], found[3].strip(), found[2]) if found else None


def is_of_aws(error: BaseException) -> bool:
    """Whether an error comes from AWS or from its library."""
    kinds = (kind.__module__.split(".")[0] for kind in type(error).__mro__)
    return answer_of(error) is not None or bool({"botocore", "boto3", "s3transfer"} & set(kinds))


@contextmanager
def aws_calls(what: str) -> Iterator[None]:
    """Turn AWS's errors into one that says what to change, or one that is tried again.

    Args:
        what: what is being done, as the beginning of a message: `starting millrace-titanic-...`.

    Raises:
        AwsRefused: a retry cannot cure it.
        AwsBusy: it may pass.
    """
    try:
        yield
    except (MillraceError, AwsBusy):
        raise
    except Exception as error:
        if not is_of_aws(error):
            raise
        said = str(answer_of(error) or f"{type(error).__name__}: {error}")
        remedy = explain(error)
        if remedy is None:
            raise AwsBusy(f"{what} failed, and may succeed in another try: {said}") from error
        raise AwsRefused(f"{what} failed: {said}; {remedy}") from error


def remedy_for(answer: Answer) -> str | None:
    """What to change; None where the same call may succeed later."""
    code = answer.code.rpartition(".")[2]
    if code in CREDENTIALS:
        return remedies.CREDENTIALS
    if code in REGION:
        return remedies.REGION
    if code in BUCKET:
        return remedies.BUCKET
    if code in QUOTA:
        return remedies.beyond_quota(answer.message) or None
    if code in ACCESS:
        return _refused(answer)
    if re.search(r"job flow that is shutting down", answer.message):  # another cluster will do
        return None
    if answer.status >= 500 or answer.status == 429 or PASSING.search(code):
        return None
    if answer.status < 400 and not code.startswith(("Validation", "Invalid", "Malformed")):
        return None
    remedy = remedies.remedy_of(answer.message)
    if remedy == remedies.ROLE and answer.operation == "StartJobRun":
        return remedies.SERVERLESS_ROLE
    return remedy or (
        "mend the field it names; its value comes from the settings (.env.example) or from the"
        " data set's spec"
    )


def _refused(answer: Answer) -> str:
    if re.search(r"token .*(expired|invalid)", answer.message):
        return remedies.CREDENTIALS
    remedy = remedies.missing_right(answer.message, answer.operation)
    if "iam:PassRole" in remedy:
        setting = remedies.ROLES.get(answer.operation, "MILLRACE_SAGEMAKER_ROLE")
        remedy += f"; the role is the one in {setting}"
    elif answer.operation in remedies.OBJECT_RIGHTS:
        remedy += "; the bucket is the one in MILLRACE_LAKE"
    if not remedy.startswith(remedies.GIVE_ROLE):
        remedy += "; the caller is whoever the Airflow connection in MILLRACE_AWS_CONNECTION is"
    return remedy
