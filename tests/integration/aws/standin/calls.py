"""Recognise a call: which service and operation, by whom, with which parameters."""

from __future__ import annotations

import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

from tests.integration.aws.standin.account import INTERNAL, REGION

SERVICES = {"elasticmapreduce": "emr", "monitoring": "cloudwatch"}  # signing names to botocore's
CREDENTIAL = re.compile(r"Credential=([^/\s,]+)/\d+/([^/]*)/([^/]+)/aws4_request")


@dataclass(frozen=True)
class Call:
    """One request to AWS's API.

    `params` are those of the body, the path and the query; `raw` is the body as it came, empty for
    calls to S3 whose body is an object's content.
    """

    service: str
    operation: str
    params: dict[str, Any]
    region: str = REGION
    access_key: str = ""
    token: str | None = None
    protocol: str = "json"
    internal: bool = False
    raw: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def recognise(environ: dict[str, Any]) -> Call | None:
    """The call behind a WSGI request; None where it is not signed or of no known service."""
    given = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    query: dict[str, Any] = {
        name: values if len(values) > 1 else values[0] for name, values in given.items()
    }
    scope = environ.get("HTTP_AUTHORIZATION") or f"Credential={query.get('X-Amz-Credential', '')}"
    found = CREDENTIAL.search(scope)
    if not found:
        return None
    key, region, signing_name = found.groups()
    service = SERVICES.get(signing_name, signing_name)
    try:
        model = get_service_model(service)
    except Exception:  # no service of botocore's is called so
        return None
    raw = b"" if service == "s3" else _body(environ)
    operation, params = _operation(environ, service, raw)
    if raw[:1] == b"{":
        with suppress(ValueError):
            params = {**params, **json.loads(raw)}
    if service == "s3" and operation == "DeleteObjects":
        raw = _body(environ)
    headers = {name[5:].replace("_", "-").lower(): value
               for name, value in environ.items() if name.startswith("HTTP_")}  # fmt: skip
    return Call(
        service, operation, {**query, **params}, region or REGION, key,
        headers.get("x-amz-security-token") or query.get("X-Amz-Security-Token"),
        str(model.protocol), INTERNAL in headers.get("user-agent", ""), raw, headers,
    )  # fmt: skip


def _body(environ: dict[str, Any]) -> bytes:
    """Read the request's body and put it back for whoever answers the call."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _operation(environ: dict[str, Any], service: str, raw: bytes) -> tuple[str, dict[str, Any]]:
    """Name of the operation, and the parameters that the path or a form holds."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], {}
    form = parse_qs(raw.decode("utf-8", "replace")) if b"Action=" in raw else {}
    if "Action" in form:
        return form["Action"][0], {name: values[0] for name, values in form.items()}
    path = environ.get("PATH_INFO", "")
    if "/operation/" in path:  # the CBOR protocol of CloudWatch
        return path.rpartition("/")[2], {}
    copy = {**environ, "wsgi.input": io.BytesIO(raw), "CONTENT_LENGTH": str(len(raw))}
    try:
        operation, params = get_service_router(service).match(Request(copy))
    except (NotFound, NotImplementedError):
        return "", {}
    return operation.name, dict(params)
