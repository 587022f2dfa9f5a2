"""What to change when AWS refuses: read from the words of its errors and failure reasons."""

from __future__ import annotations

import re

CREDENTIALS = (
    "give the Airflow connection named by MILLRACE_AWS_CONNECTION valid credentials"
    " that have not expired"
)
REGION = (
    "set MILLRACE_AWS_REGION (and the region of the Airflow connection named by"
    " MILLRACE_AWS_CONNECTION) to the region of the bucket in MILLRACE_LAKE"
)
BUCKET = "set MILLRACE_LAKE to a bucket and prefix that exist, in the region MILLRACE_AWS_REGION"
OBJECTS = (
    f"{BUCKET}, and let the role in MILLRACE_SAGEMAKER_ROLE list and read what is in it"
    " (include/iam/sagemaker.json)"
)
ROLE = (
    "set MILLRACE_SAGEMAKER_ROLE to a role that exists and trusts sagemaker.amazonaws.com,"
    " with the rights of include/iam/sagemaker.json"
)
IMAGE = (
    "renew the image list (python -m millrace.aws.images --refresh), or set"
    " MILLRACE_XGBOOST_IMAGE or MILLRACE_SKLEARN_IMAGE to an image of this region that"
    " MILLRACE_SAGEMAKER_ROLE may pull"
)
INSTANCE = "set MILLRACE_TRAINING_INSTANCE or MILLRACE_TRANSFORM_INSTANCE to another instance type"
MEMORY = f"{INSTANCE}, with more memory"

EMR_PROFILE = (
    "set MILLRACE_EMR_INSTANCE_PROFILE to an instance profile that exists, whose role has the"
    " rights of include/iam/emr-instance.json"
)
EMR_SERVICE_ROLE = (
    "set MILLRACE_EMR_SERVICE_ROLE to a role that exists, trusts elasticmapreduce.amazonaws.com and"
    " has AWS's policy AmazonEMRServicePolicy_v2"
)
EMR_QUOTA = (
    "set MILLRACE_EMR_MAX_VCPUS lower, or ask AWS (Service Quotas, EC2) to raise the vCPUs of"
    " standard instances, on demand and spot"
)
EMR_INSTANCES = "set MILLRACE_EMR_INSTANCES to types that this region and this release of EMR have"
SERVERLESS_ROLE = (
    "set MILLRACE_EMR_JOB_ROLE to a role that exists and trusts emr-serverless.amazonaws.com, with"
    " the rights of include/iam/emr-instance.json"
)
ROLES = {  # the setting that names the role which a call hands to its service
    "RunJobFlow": "MILLRACE_EMR_SERVICE_ROLE or of MILLRACE_EMR_INSTANCE_PROFILE",
    "StartJobRun": "MILLRACE_EMR_JOB_ROLE",
}

PYTHONPATH = (
    "set PYTHONPATH in the container's image, or in the environment of the task definition, to the"
    " folder that holds the module"
)
HEALTH_PATH = (
    "let the health check of the target group ask for the path that the service answers, which is /"
)
LET_IN = (
    "let the security group of the service admit the one of the load balancer on the container's"
    " port"
)
NO_MODEL = (
    "promote a version that is in the registry which the container reaches (MLFLOW_TRACKING_URI of"
    " the task definition); the lines of the container tell which one it misses"
)
SPOILT_MODEL = (
    "run the partition that the version was trained on again, and deploy what it promotes: its"
    " files in MLflow's storage are not those that were registered"
)

GIVE_ROLE = "give the role in MILLRACE_SAGEMAKER_ROLE"
OBJECT = "run the step that makes this object again"

BY_TEXT = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (r"No module named|Could not import module", PYTHONPATH),
        (r"the artifact of version \d+ .* (is not|cannot)", SPOILT_MODEL),
        (r"has no version \d+|codes: \[503\]", NO_MODEL),
        (r"Health checks failed with these codes: \[404\]", HEALTH_PATH),
        (r"is unhealthy in .*Request timed out", LET_IN),
        (r"invalid instanceprofile", EMR_PROFILE),
        (
            r"servicerole .* is invalid|EMR_DefaultRole|service role .* insufficient",
            EMR_SERVICE_ROLE,
        ),
        (r"exceeds? your EC2 quota|VcpuLimitExceeded|max vCPUs per account", EMR_QUOTA),
        (r"instance type .* not supported.*(EMR|release)|invalid instance type", EMR_INSTANCES),
        (r"release label .* (invalid|not supported)|releaseLabel", "set MILLRACE_EMR_RELEASE"),
        (
            r"security configuration .* (not exist|not found)",
            "set MILLRACE_EMR_SECURITY_CONFIGURATION to the name of one that exists",
        ),
        (
            r"^application \w+ (does not exist|is not)",
            "set MILLRACE_EMR_SERVERLESS_APPLICATION to an application of this region that is"
            " tagged project=millrace",
        ),
        (r"cannot find the requested image|requested image not found|manifest unknown", IMAGE),
        (r"cannot pull algorithm container|image does not exist|\becr:\w+|images? .* exist", IMAGE),
        (r"(could not|unable to) assume (the )?role|sts:AssumeRole", ROLE),
        (r"same region as|is in this region|addressed using the specified endpoint", REGION),
        (r"the region '.*' is wrong|location constraint .* region|located in the region", REGION),
        (r"no s3 objects found", OBJECTS),
        (r"NoSuchBucket|bucket does not exist|bucket exists", BUCKET),
        (r"instanceType' failed to satisfy", INSTANCE),
        (r"not available in this region|instance type .* (not supported|invalid)", INSTANCE),
        (r"specified key does not exist|^not found$", OBJECT),
        (r"exit code:? 137|OutOfMemory|out of memory", MEMORY),
        (r"security token .* (invalid|expired)|token has expired", CREDENTIALS),
    )
)
REFUSAL = re.compile(
    r"not authorized to perform:? (?P<action>[\w-]+:\w+)"
    r"(?: on (?:the )?resource:? [\"']?(?P<resource>[^\s\"',]+))?"
)
QUOTA = re.compile(
    r"service limit '(?P<quota>[^']+)' is (?P<limit>[\d,.]+) .*?utilization of (?P<used>[\d,.]+) "
    r".*?request delta of (?P<delta>[\d,.]+)"
)
OBJECT_RIGHTS = {  # S3's older refusals name no right
    "ListObjectsV2": "s3:ListBucket", "ListObjects": "s3:ListBucket", "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject", "GetObject": "s3:GetObject", "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject", "DeleteObjects": "s3:DeleteObject",
}  # fmt: skip


def remedy_of(text: str) -> str:
    """What to change, read from AWS's words; empty where they tell nothing."""
    return next((remedy for pattern, remedy in BY_TEXT if pattern.search(text)), "")


def missing_right(text: str, operation: str = "") -> str:
    """Which right is missing, and where to give it."""
    found = REFUSAL.search(text)
    if found is None:
        right = OBJECT_RIGHTS.get(operation, operation)
        return f"give the right {right} to whoever makes this call (see include/iam/)"
    action, resource = found["action"], found["resource"] or "the resource"
    give = GIVE_ROLE if action.startswith("ecr:") else "give the caller"
    remedy = f"{give} the right {action} on {resource.rstrip('.')} (see include/iam/)"
    if "explicit deny" in text:
        remedy += "; a policy denies it explicitly, which no other policy can outweigh"
    return remedy


def beyond_quota(text: str) -> str:
    """Which quota can never hold this request; empty where it may once others have ended."""
    found = QUOTA.search(text)
    if found is None:
        return remedy_of(text)
    limit, delta = (float(found[name].replace(",", "")) for name in ("limit", "delta"))
    if delta <= limit:
        return ""
    return (
        f"ask AWS (Service Quotas, SageMaker) to raise '{found['quota']}' from {limit:g} to at"
        f" least {delta:g}, or {INSTANCE}"
    )
