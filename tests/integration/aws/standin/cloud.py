"""What all services of the stand-in share."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.integration.aws.standin.account import INTERNAL
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.faults import Faults
from tests.integration.aws.standin.iam import Iam
from tests.integration.aws.standin.jobs import Job
from tests.integration.aws.standin.logs import Later, LogStream, role_may_log
from tests.integration.aws.standin.pace import Pace
from tests.integration.aws.standin.processes import Guard
from tests.integration.aws.standin.storage import Store


class Cloud:
    """Jobs, faults, pace, rights and storage.

    Args:
        endpoint: the stand-in's own URL, where jobs reach S3.
        setup: `policies`, `roles` and `pace` as `StandIn` takes them.
    """

    def __init__(self, folder: Path, endpoint: str, setup: Mapping[str, Any]):
        self.folder, self.endpoint = folder, endpoint
        self.iam = Iam(setup.get("policies"), setup.get("roles") or {})
        self.pace = Pace(setup.get("pace") or {})
        self.faults, self.guard, self.later = Faults(), Guard(), Later()
        self.listed: list[Job] = []
        self.images: dict[str, dict[str, str]] = {}  # the variables that container images set
        self.calls: Counter[str] = Counter()
        self.lock = threading.RLock()  # held while a control plane answers
        self._session, self._session_lock = boto3.session.Session(), threading.Lock()

    def count(self, call: Call) -> None:
        if not call.internal:
            with self.lock:
                self.calls[f"{call.service}.{call.operation}"] += 1

    def credentials(self, role: str, region: str) -> dict[str, str]:
        """Environment variables that give a job its role's rights."""
        return {
            **self.iam.assume(role, region), "AWS_DEFAULT_REGION": region, "AWS_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def store(self, role: str, region: str) -> Store:
        """S3 with a role's rights."""
        return self._store(self.iam.assume(role, region), region)

    def store_of(self, call: Call) -> Store:
        """S3 with the rights of whoever made a call; nobody checks the signature."""
        keys = {"AWS_ACCESS_KEY_ID": call.access_key, "AWS_SECRET_ACCESS_KEY": "unchecked"}
        if call.token:
            keys["AWS_SESSION_TOKEN"] = call.token
        return self._store(keys, call.region)

    def _store(self, credentials: Mapping[str, str], region: str) -> Store:
        keys = {name.lower(): value for name, value in credentials.items()}
        config = Config(user_agent_extra=INTERNAL, proxies={})
        with self._session_lock:
            client = self._session.client(
                "s3", region_name=region, endpoint_url=self.endpoint, config=config, **keys
            )
        return Store(client)

    def log_stream(self, role: str, region: str, group: str, stream: str) -> LogStream:
        """A CloudWatch stream that a job writes with its role's rights."""
        allowed = role_may_log(self.iam.role_may, role, region, group)
        return LogStream(self.later, region, group, stream, lambda: self.pace["logs"], allowed)
