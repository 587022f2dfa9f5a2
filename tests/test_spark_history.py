"""The history of local Spark jobs: the page a task links to is really served."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from millrace.settings import PROJECT
from millrace.spark import EVENTS, history_page
from millrace.stack.ports import is_free
from millrace.steps.image_features import image_features
from millrace.steps.run import Run
from tests.steps.test_image_features import done, network, published

__all__ = ["done", "network"]

PORT = 18081


def test_a_job_on_a_cluster_has_no_page_here() -> None:
    assert history_page("application_1764000000000_0001") == ""


@pytest.mark.integration
def test_the_page_of_a_local_job_is_served(done: Run) -> None:
    page = image_features(done).published_page()
    application = published(done).facts["application_id"]
    assert page == f"http://127.0.0.1:18080/history/{application}/"
    with history(done.settings.home) as server:
        assert (done.settings.home / EVENTS).is_dir()
        answer = until_served(f"{server}/api/v1/applications/{application}")
        assert answer["name"] == "image features"
        assert requests.get(f"{server}/history/{application}/jobs/", timeout=30).ok


@contextlib.contextmanager
def history(home: Path):
    """The history server, as `make spark-history` runs it, on a port of its own."""
    assert is_free(PORT)
    process = subprocess.Popen(
        [sys.executable, "-m", "millrace.spark_history", "--port", str(PORT)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "plugins"), "MILLRACE_HOME": str(home)},
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{PORT}"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0


def until_served(url: str) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            if (answer := requests.get(url, timeout=30)).ok:
                found: dict[str, object] = answer.json()
                return found
        time.sleep(0.5)
    raise AssertionError(f"{url} was not served")
