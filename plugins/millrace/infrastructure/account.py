"""Which account, as whom, and in which region: asked before anything is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.aws.errors import is_of_aws
from millrace.aws.target import EU_REGIONS
from millrace.errors import MillraceError

CREDENTIALS = (
    "log in first (`aws configure`, `aws sso login`), or name a profile with AWS_PROFILE: it must"
    " be one that may make roles, buckets and keys, not the one Airflow uses"
)


class NoAccount(MillraceError):
    """AWS cannot be reached as somebody; the message says what to set."""


@dataclass(frozen=True)
class Account:
    """An account, the caller in it, and CloudFormation there."""

    number: str
    caller: str
    region: str
    cloudformation: Any = field(hash=False)


def open_account(environment: Mapping[str, str] = os.environ) -> Account:
    """Ask AWS who we are.

    Raises:
        NoAccount: there is no region, one outside the EU, or no valid credentials.
    """
    import boto3

    try:
        session = boto3.session.Session()
        region = _allowed(environment.get("MILLRACE_AWS_REGION") or session.region_name)
        identity = session.client("sts", region_name=region).get_caller_identity()
    except Exception as error:
        if not is_of_aws(error):
            raise
        raise NoAccount(f"AWS does not know the caller: {error}; {CREDENTIALS}") from error
    client = session.client("cloudformation", region_name=region)
    return Account(identity["Account"], identity["Arn"], region, client)


def client_of(service: str, region: str) -> Any:
    """boto3's client of a service, by the credentials of the environment."""
    import boto3

    return boto3.client(service, region_name=region)


def _allowed(region: str | None) -> str:
    choice = f"one of {', '.join(sorted(EU_REGIONS))}"
    if not region:
        raise NoAccount(f"no region is set; write MILLRACE_AWS_REGION into .env, {choice}")
    if region not in EU_REGIONS:
        raise NoAccount(
            f"the region is {region!r}, outside the EU, and the template refuses it; set"
            f" MILLRACE_AWS_REGION to {choice}"
        )
    return region
