"""The name of a job: a function of what is to be run, so that a retry finds what it started."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "millrace-"  # the IAM policies allow jobs of these names and no others
LONGEST = 58  # SageMaker allows 63 characters; a try adds `-` and its number


def job_name(dataset: str, partition: str, task: str, item: str, what: Mapping[str, Any]) -> str:
    """Name the work of one task: readable in front, unique by a hash of all of it at the end.

    Args:
        item: which of a mapped task's items this is, such as the candidate; empty where it has one.
        what: everything that decides the result, JSON-serialisable.

    Returns:
        At most 58 letters, digits and hyphens, as in
        `millrace-titanic-20260301-train-xgboost-5e0a9d1c42`.
    """
    text = json.dumps([dataset, partition, task, item, what], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    readable = "-".join(part for part in (dataset, partition.replace("-", ""), task, item) if part)
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", readable).strip("-")
    room = LONGEST - len(PREFIX) - len(digest) - 1
    return f"{PREFIX}{readable[:room].rstrip('-')}-{digest}"
