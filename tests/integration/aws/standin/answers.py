"""Answers and errors in the form that each protocol of AWS gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from tests.integration.aws.standin.calls import Call


class AwsError(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = {"Content-Length": str(len(self.body))}
        start(f"{self.status} {'OK' if self.status < 400 else 'Error'}",
              list({**self.headers, **length}.items()))  # fmt: skip
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


def result(call: Call, value: Any) -> Answer:
    """The answer of a JSON service; datetimes are epoch seconds there."""
    kind = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    return Answer(200, {"Content-Type": kind, **_request_id()}, json.dumps(value).encode())


def plain(value: Any, status: int = 200) -> Answer:
    """JSON of the stand-in's own pages."""
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def failure(call: Call, error: AwsError) -> Answer:
    """An error in the call's protocol."""
    if call.protocol == "rest-xml":
        return _xml(error, "<Error>{}</Error>")
    if call.protocol in ("query", "ec2"):
        return _xml(error, "<ErrorResponse><Error><Type>Sender</Type>{}</Error></ErrorResponse>")
    headers = {"x-amzn-ErrorType": error.code, **_request_id()}
    if call.service == "sqs":
        headers["x-amzn-query-error"] = f"{error.code};Sender"
    kind = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    return Answer(error.status, {"Content-Type": kind, **headers}, json.dumps(body).encode())


def _xml(error: AwsError, frame: str) -> Answer:
    inner = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{frame.format(inner)}'
    return Answer(error.status, {"Content-Type": "application/xml", **_request_id()}, body.encode())


def _request_id() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid4())}
