"""Which account, region and role the stand-in starts with."""

from __future__ import annotations

ACCOUNT = "123456789012"  # moto's default
REGION = "eu-west-3"
ROLE = "standin-jobs"  # every service may assume it, and it may do everything
INSTANCE_PROFILE = "standin-instances"  # holds a role of its name, which may do everything too
ROOT_KEY = "AKIASTANDINROOT00000"  # 20 characters, or moto does not see a key in it
ROOT_SECRET = "standin-root-secret"
INTERNAL = "standin-internal"  # in the user agent of the stand-in's own calls


def role_arn(name: str = ROLE) -> str:
    """The ARN of a role of the account."""
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"
