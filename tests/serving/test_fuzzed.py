"""The service against requests that its OpenAPI allows, and others, made by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.test_process import is_ready, running
from tests.serving.waiting import until

pytestmark = pytest.mark.integration


def test_every_answer_is_as_documented(baked: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("schemathesis")
    # A list of too many records is to be refused as that, and not for its bytes.
    with running(baked / "good", tmp_path / "log", MILLRACE_SERVICE_BODY="33554432") as (_, url):
        until(lambda: is_ready(url))
        done = subprocess.run(
            [tool, "run", f"{url}/openapi.json", "--max-examples", "50", "--seed", "1"],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
