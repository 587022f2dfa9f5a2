"""Reaching the MLflow server without ever waiting long for it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import requests

from millrace.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

Result = TypeVar("Result")
PROBE_TIMEOUT = 5  # seconds

# MLflow's own defaults make one call to a dead server last four minutes.
CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # what it does is said by us, and not on stderr
}


class Tracked(Protocol):
    """Whatever says where the MLflow server is: the settings, or a part of them."""

    @property
    def mlflow_uri(self) -> str:
        """Address of the server."""


class TrackingUnavailable(RuntimeError):
    """MLflow does not answer, or not in time."""


def connect(settings: Tracked) -> MlflowClient:
    """A client of the configured server.

    Raises:
        TrackingUnavailable: the server does not answer its health check.
    """
    if not is_healthy(settings):
        raise TrackingUnavailable(
            f"MLflow does not answer at {settings.mlflow_uri} (MLFLOW_TRACKING_URI)"
        )
    for name, value in CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    # Says in each run that the environment has no pip; the requirements are written all the same.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    return mlflow.MlflowClient()


def is_healthy(settings: Tracked) -> bool:
    """Whether the server answers."""
    try:
        return requests.get(f"{settings.mlflow_uri}/health", timeout=PROBE_TIMEOUT).ok
    except requests.RequestException:
        return False


def within_budget[Result](
    settings: Settings, work: Callable[[], Result], *, spent: float = 0
) -> Result:
    """Do `work` against MLflow within the configured seconds.

    Args:
        spent: seconds of the budget that earlier work of the same task has taken.

    Raises:
        TrackingUnavailable: the time ran out, or the server did not answer.
        Exception: whatever else `work` raised.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="mlflow", daemon=True)
    thread.start()
    thread.join(max(0.0, settings.mlflow_budget - spent))
    if thread.is_alive():
        raise TrackingUnavailable(
            f"MLflow at {settings.mlflow_uri} took more than {settings.mlflow_budget:g} s"
            " (MILLRACE_MLFLOW_BUDGET)"
        )
    if errors:
        if is_no_answer(errors[0]):
            raise TrackingUnavailable(
                f"MLflow at {settings.mlflow_uri} stopped answering"
            ) from errors[0]
        raise errors[0]
    return results[0]


def is_no_answer(error: BaseException) -> bool:
    """Whether an error comes from a server that did not answer, or that failed itself (5xx)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return bool(cause.response.status_code >= 500)
        if isinstance(cause, requests.RequestException):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
