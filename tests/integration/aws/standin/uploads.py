"""Run a command for each object that is created, in place of a Lambda function."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from moto.s3 import notifications

from tests.integration.aws.standin.account import ACCOUNT

LONGEST = 300.0  # seconds a command may run; Lambda allows 900


class Uploads:
    """Commands by bucket and prefix; each gets AWS's event document on its standard input."""

    def __init__(self) -> None:
        self._hooks: list[dict[str, Any]] = []
        self.invocations: list[dict[str, Any]] = []
        # AWS leaves the slashes of a key as they are; moto encodes them too.
        notifications.quote_plus = partial(quote_plus, safe="/")
        self._send = notifications.send_event
        notifications.send_event = self._on_event

    def add(
        self, name: str, bucket: str, prefix: str, command: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._hooks.append(
            {
                "name": name,
                "bucket": bucket,
                "prefix": prefix,
                "command": list(command),
                "environment": dict(environment),
            }
        )

    def _on_event(self, account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        self._send(account_id, event_name, bucket, key)
        if not str(event_name.value).startswith("s3:ObjectCreated:"):
            return
        for hook in self._hooks:
            if hook["bucket"] == bucket.name and key.name.startswith(hook["prefix"]):
                event = notifications._get_s3_event(event_name, bucket, key, hook["name"])
                threading.Thread(target=self._run, args=(hook, event), daemon=True).start()

    def _run(self, hook: dict[str, Any], event: dict[str, Any]) -> None:
        arn = f"arn:aws:lambda:eu-west-3:{ACCOUNT}:function:{hook['name']}"
        done = subprocess.run(
            hook["command"], input=json.dumps(event), text=True, capture_output=True, check=False,
            timeout=LONGEST, env={**os.environ, "AWS_LAMBDA_FUNCTION_ARN": arn,
                                  "AWS_LAMBDA_FUNCTION_NAME": hook["name"], **hook["environment"]},
        )  # fmt: skip
        self.invocations.append({"name": hook["name"], "event": event, "code": done.returncode,
                                 "stdout": done.stdout, "stderr": done.stderr})  # fmt: skip
