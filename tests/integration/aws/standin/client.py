"""Start the stand-in as a process of its own, and reach it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.aws.standin.account import (
    INSTANCE_PROFILE,
    REGION,
    ROOT_KEY,
    ROOT_SECRET,
    role_arn,
)

PROJECT = Path(__file__).resolve().parents[4]
STARTING = 60.0  # seconds; importing moto takes two
Documents = Mapping[str, Sequence[Mapping[str, Any]]]


class StandIn:
    """A running stand-in; leaving the context ends it and every job.

    Args:
        folder: receives the jobs' folders, the log and `standin.json`.
        policies: user name to policy documents. Given, IAM is enforced for every call.
        roles: role name to policy documents, for roles that jobs take on.
        pace: see `POST /standin/pace`.
        environment: variables on top of this process's, such as STANDIN_SPARK_SUBMIT.
    """

    region = REGION
    role = role_arn()
    instance_profile = INSTANCE_PROFILE

    def __init__(
        self,
        folder: Path | str,
        *,
        policies: Documents | None = None,
        roles: Documents | None = None,
        pace: Mapping[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
        port: int = 0,
    ):
        self.folder, self.port = Path(folder), port
        self._setup = {"policies": policies, "roles": roles or {}, "pace": pace or {}}
        self._environment = dict(environment or {})
        self._keys: dict[str, list[str]] = {}
        self.endpoint = ""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            RuntimeError: it ended or did not answer in time; the message ends with its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        facts, log = self.folder / "standin.json", self.folder / "standin.log"
        facts.unlink(missing_ok=True)
        setup = self.folder / "setup.json"
        setup.write_text(json.dumps(self._setup))
        command = [sys.executable, "-m", "tests.integration.aws.standin", "--port", str(self.port)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--state", str(self.folder), "--setup", str(setup)],
                cwd=PROJECT, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                env={**os.environ, **self._environment}, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + STARTING
        while not facts.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the stand-in did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        found = json.loads(facts.read_text())
        self.endpoint, self._keys = found["endpoint"], found["keys"]

    def stop(self) -> None:
        """End the stand-in and every process of its jobs."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process = None

    def keys(self, user: str | None = None) -> tuple[str, str]:
        """Access key and secret of a user named in `policies`; without a name, of the root."""
        if user is None:
            return ROOT_KEY, ROOT_SECRET
        key, secret = self._keys[user]
        return key, secret

    def environment(self, user: str | None = None, region: str = REGION) -> dict[str, str]:
        """Variables with which boto3 and the AWS command line reach the stand-in."""
        key, secret = self.keys(user)
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": region, "AWS_REGION": region,
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def connection(self, user: str | None = None, **extra: Any) -> str:
        """JSON text for AIRFLOW_CONN_AWS_DEFAULT."""
        key, secret = self.keys(user)
        described = {"endpoint_url": self.endpoint, "region_name": REGION, **extra}
        return json.dumps(
            {"conn_type": "aws", "login": key, "password": secret, "extra": described}
        )

    def client(self, service: str, user: str | None = None, **options: Any) -> Any:
        """A boto3 client."""
        import boto3

        key, secret = self.keys(user)
        options = {"region_name": REGION, "endpoint_url": self.endpoint, **options}
        session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key=secret)
        return session.client(service, **options)

    def jobs(self, **filters: Any) -> list[dict[str, Any]]:
        """Everything that was ever submitted, oldest first, where each filter's key is equal."""
        found: list[dict[str, Any]] = self._ask("GET", "jobs")
        return [job for job in found if all(job[key] == filters[key] for key in filters)]

    def calls(self) -> dict[str, int]:
        """How often each operation was called, as `service.Operation`, from outside."""
        answer: dict[str, int] = self._ask("GET", "calls")
        return answer

    def fault(self, *faults: Mapping[str, Any]) -> None:
        """Switch faults on, beside those that are on."""
        self._ask("POST", "faults", list(faults))

    def clear_faults(self) -> None:
        """Switch every fault off, also for jobs that a fault holds for ever."""
        self._ask("DELETE", "faults")

    def pace(self, **seconds: float) -> None:
        """Change seconds of the pace: see `pace.py` for the names."""
        self._ask("POST", "pace", seconds)

    def on_upload(self, name: str, bucket: str, prefix: str, command: Sequence[str],
                  environment: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """Run `command` with the event on its standard input for each object that is created."""
        body = {"name": name, "bucket": bucket, "prefix": prefix, "command": list(command),
                "environment": dict(environment or {})}  # fmt: skip
        self._ask("POST", "lambda", body)

    def invocations(self) -> list[dict[str, Any]]:
        """What `on_upload` ran: name, event, code, stdout, stderr."""
        found: list[dict[str, Any]] = self._ask("GET", "lambda")
        return found

    def image(self, name: str, **variables: str) -> None:
        """Say which variables a container image sets; tasks that run already keep theirs."""
        self._ask("POST", "images", {name: variables})

    def balancer(self, service: str) -> str:
        """Where the load balancer of a service of ECS listens on this machine."""
        found: dict[str, str] = self._ask("GET", "balancers")
        return found[service]

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint}/standin/{what}", data, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
