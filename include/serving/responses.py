"""Responses in JSON: what is known, and what is wrong with a request."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving.forms import Refused
from serving.model import OutOfRange


def explain_errors(app: FastAPI) -> None:
    """Answer errors of an application with what was wrong and the id of the request."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Refused, _unprocessable)
    app.add_exception_handler(OutOfRange, _out_of_range)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)


def as_json(content: Any, status: int = 200) -> Response:
    """A response."""
    return Response(json.dumps(content), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    said = {"detail": error.detail, "request_id": request.scope["state"]["request_id"]}
    answer = as_json(said, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _wrong_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = [{"loc": list(each["loc"]), "message": each["msg"]} for each in error.errors()]
    return await _unprocessable(request, Refused(problems))


async def _out_of_range(request: Request, error: Exception) -> Response:
    return await _unprocessable(request, Refused([{"loc": ["body"], "message": str(error)}]))


async def _unprocessable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    said = {"detail": error.problems, "request_id": request.scope["state"]["request_id"]}
    return as_json(said, 422)
