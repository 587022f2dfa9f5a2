"""The front door: every request is recognised, counted, checked, and given to who answers it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from moto.emrserverless.models import emrserverless_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import Answer, AwsError, failure, plain, result
from tests.integration.aws.standin.calls import Call, recognise
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.faults import error_of
from tests.integration.aws.standin.uploads import Uploads
from tests.integration.aws.standin.validation import check_answer, validate

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ControlPlane(Protocol):
    """A service that the stand-in answers itself."""

    operations: dict[str, Callable[[Call], dict[str, Any]]]


class Gate:
    """The WSGI application.

    Args:
        planes: botocore's name of a service to who answers (some of) its operations.
        moto: who answers everything else.
        balancers: gives the address of the load balancer of each service.
    """

    def __init__(
        self, cloud: Cloud, planes: dict[str, ControlPlane], uploads: Uploads, moto: Wsgi,
        balancers: Callable[[], dict[str, str]],
    ):  # fmt: skip
        self._cloud, self._planes, self._uploads, self._moto = cloud, planes, uploads, moto
        self._balancers = balancers
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/standin/"):
            return self._own_page(environ)(environ, start)
        call = recognise(environ)
        if call is None:
            return self._moto(environ, start)
        self._cloud.count(call)
        fault = self._cloud.faults.of_call(call)
        if fault and fault.fault == "timeout":
            time.sleep(fault.seconds)
            return _hang_up(environ)
        if fault and (error := error_of(fault, call)):
            return failure(call, error)(environ, start)
        if fault and fault.fault == "partial_read":
            return self._half(call, environ, start)
        answer = self._answer(call, environ, start)
        if fault and fault.fault == "lost_answer":
            return _hang_up(environ)
        return answer

    def _answer(
        self, call: Call, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        """What an account without faults answers."""
        plane = self._planes.get(call.service)
        try:
            self._cloud.iam.check(call, lambda: self._context(call))
            if plane and call.operation in plane.operations:
                validate(call, _given(call))
                with self._cloud.lock:
                    value = plane.operations[call.operation](call)
                check_answer(call, value)
                return result(call, value)(environ, start)
        except AwsError as error:
            return failure(call, error)(environ, start)
        if call.service == "s3" and call.operation in ("GetObject", "HeadObject"):
            return self._object(call, environ, start)
        if call.service == "s3" and environ["REQUEST_METHOD"] != "GET":
            with self._writing:  # moto looks at a condition and writes in two steps
                return self._moto(environ, start)
        return self._moto(environ, start)

    def _context(self, call: Call) -> dict[str, Any]:
        """Condition keys that hold for every call; the endpoint stands for AWS's, with TLS."""
        tags: dict[str, str] = {}
        names = {
            call.params.get(key)
            for key in ("TrainingJobName", "TransformJobName", "ClusterId", "JobFlowId", "jobRunId")
        }
        names |= set(call.params.get("JobFlowIds", ()))
        applications = emrserverless_backends[ACCOUNT][call.region].applications
        if application := applications.get(call.params.get("applicationId", "")):
            tags = application.tags
        for job in self._cloud.listed:
            if job.name in names:
                tags = job.tags
        return {
            "aws:SecureTransport": "true", "aws:RequestedRegion": call.region,
            "aws:PrincipalAccount": ACCOUNT,
            **{f"aws:ResourceTag/{key}": value for key, value in tags.items()},
            **{f"elasticmapreduce:ResourceTag/{key}": value for key, value in tags.items()},
        }  # fmt: skip

    def _object(
        self, call: Call, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Without the right to list, S3 does not tell a missing key from a forbidden one."""
        told: list[Any] = []
        body = self._moto(environ, lambda *given: told.extend(given))
        bucket = call.params.get("Bucket", "")
        if told[0].startswith("404") and not self._cloud.iam.may(
            call, "s3:ListBucket", f"arn:aws:s3:::{bucket}"
        ):
            return failure(call, AwsError("AccessDenied", "Access Denied", 403))(environ, start)
        start(*told)
        return body

    def _half(self, call: Call, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        """The beginning of an object's content under the length of the whole."""
        told: list[Any] = []
        body = b"".join(self._answer(call, environ, lambda *given: told.extend(given)))
        write = start(*told)
        write(body[: len(body) // 2])
        return list(_hang_up(environ))

    def _own_page(self, environ: dict[str, Any]) -> Answer:
        """The stand-in's own pages: jobs, calls, faults, pace, lambda, load balancers, images."""
        page = (environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/standin/"))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body: Any = json.loads(environ["wsgi.input"].read(length)) if length else None
        pages: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "jobs"): lambda: [job.entry() for job in list(self._cloud.listed)],
            ("GET", "calls"): lambda: dict(self._cloud.calls),
            ("POST", "faults"): lambda: self._cloud.faults.add(body),
            ("DELETE", "faults"): self._cloud.faults.clear,
            ("POST", "pace"): lambda: self._cloud.pace.change(body),
            ("POST", "lambda"): lambda: self._uploads.add(**body),
            ("GET", "lambda"): lambda: self._uploads.invocations,
            ("GET", "balancers"): self._balancers,
            ("POST", "images"): lambda: self._cloud.images.update(body),
        }
        if page not in pages:
            return plain({"error": f"no page {page}; there are {sorted(pages)}"}, 404)
        try:
            return plain(pages[page]())
        except (AwsError, TypeError, ValueError) as error:
            return plain({"error": str(error)}, 400)


def _given(call: Call) -> dict[str, Any]:
    """What the caller sent: the body, and for REST services the path."""
    if call.protocol == "json":
        try:
            body: dict[str, Any] = json.loads(call.raw or b"{}")
        except ValueError as error:
            raise AwsError("SerializationException", f"the body is no JSON: {error}") from None
        return body
    return {name: unquote(value) if isinstance(value, str) else value
            for name, value in call.params.items()}  # fmt: skip


def _hang_up(environ: dict[str, Any]) -> list[bytes]:
    """End the connection without another byte."""
    connection: socket.socket = environ["werkzeug.socket"]
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    return []
