"""Faults that a test switches on.

A fault is `{"fault": kind, "service": ..., "operation": ..., "times": N or null, "seconds": ...}`;
`service` (botocore's name) and `operation` may be left out and then match every one.

Faults of a call: throttling, http500, http503, timeout (no answer for `seconds`, then the
connection ends), lost_answer (the call is carried out, its answer never arrives), quota,
access_denied, expired_token, partial_read (half of an object's content).

Faults of a job, taken by the call that submits it: capacity, internal_error, image (fails before
it starts), never_ends (no process; it stays in its running state until it is stopped),
interruption (a spot instance is taken away `seconds` after the script began).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call

OF_JOBS = {"capacity", "internal_error", "image", "never_ends", "interruption"}
OF_CALLS = {
    "throttling", "http500", "http503", "timeout", "lost_answer", "quota", "access_denied",
    "expired_token", "partial_read",
}  # fmt: skip


@dataclass
class Fault:
    """One fault and how often it is still to happen (None: always)."""

    fault: str
    service: str | None = None
    operation: str | None = None
    times: int | None = None
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.fault not in OF_JOBS | OF_CALLS:
            known = sorted(OF_JOBS | OF_CALLS)
            raise AwsError("ValidationException", f"no fault {self.fault!r}; there are {known}")

    def matches(self, call: Call) -> bool:
        return (
            self.times != 0
            and self.service in (None, call.service)
            and self.operation in (None, call.operation)
            and (self.fault != "partial_read" or call.operation == "GetObject")
        )


class Faults:
    """The faults that are on; safe to use from many threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.cleared = threading.Event()

    def add(self, faults: Iterable[Mapping[str, Any]]) -> None:
        made = [Fault(**fault) for fault in faults]
        with self._lock:
            self._faults += made

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def of_call(self, call: Call) -> Fault | None:
        """The fault that this call meets; calls of the stand-in itself meet none."""
        return None if call.internal else self._take(call, OF_CALLS)

    def of_job(self, call: Call) -> Fault | None:
        """The fault that the job submitted by this call meets."""
        return self._take(call, OF_JOBS)

    def _take(self, call: Call, kinds: set[str]) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.fault in kinds and fault.matches(call):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def error_of(fault: Fault, call: Call) -> AwsError | None:
    """What AWS answers under this fault; None where it answers nothing or carries out the call."""
    storage = call.service == "s3"
    action = f"{'elasticmapreduce' if call.service == 'emr' else call.service}:{call.operation}"
    if fault.fault == "quota":
        return _quota(call)
    errors = {
        "throttling": AwsError("SlowDown", "Please reduce your request rate.", 503)
        if storage else AwsError("ThrottlingException", "Rate exceeded"),
        "http500": AwsError("InternalError", "We encountered an internal error. Please try again.",
                            500),
        "http503": AwsError("ServiceUnavailable", "Service is unable to handle request.", 503),
        "access_denied": AwsError(
            "AccessDenied" if storage else "AccessDeniedException",
            f"User: arn:aws:iam::123456789012:user/standin is not authorized to perform: "
            f"{action} on resource: * because no identity-based policy"
            f" allows the {action} action", 403 if storage else 400),
        "expired_token": AwsError("ExpiredToken", "The provided token has expired.")
        if storage else AwsError("ExpiredTokenException",
                                 "The security token included in the request is expired", 403),
    }  # fmt: skip
    return errors.get(fault.fault)


def _quota(call: Call) -> AwsError:
    if call.service == "sagemaker":
        kind = "transform" if "Transform" in call.operation else "training"
        config = call.params.get("ResourceConfig") or call.params.get("TransformResources") or {}
        return AwsError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{config.get('InstanceType', 'ml.m5.large')} for"
            f" {kind} job usage' is 0 Instances, with current utilization of 0 Instances and a"
            " request delta of 1 Instances. Please use AWS Service Quotas to request an increase"
            " for this quota. If AWS Service Quotas is not available, contact AWS support to"
            " request an increase for this quota.",
        )
    if call.service == "emr-serverless":
        return AwsError("ServiceQuotaExceededException",
                        "The request exceeds the quota of max vCPUs per account.", 402)  # fmt: skip
    return AwsError(
        "ValidationException",
        "The requested number of instances exceeds your EC2"
        " quota. Request an increase in Service Quotas.",
    )
