"""The CI workflow: no known weakness, actions pinned, every step a make target that is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from millrace import __version__
from millrace.settings import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(
    re.findall(
        r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
)


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


@pytest.fixture(scope="module")
def ci() -> dict[str, Any]:
    return jobs(PROJECT / ".github" / "workflows" / "ci.yml")


def test_zizmor_finds_nothing() -> None:
    tool = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [tool, "--offline", "--no-progress", *WORKFLOWS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings" in done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit_and_name_its_release(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+(\.\d+)+", comment)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_steps_call_make_targets_that_are_there(path: Path) -> None:
    for job in jobs(path).values():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                target = re.match(r"make ([a-z-]+)", line)
                assert (target and target[1] in TARGETS) or line.startswith("echo "), line


def test_no_job_may_do_more_than_read(ci: dict[str, Any]) -> None:
    assert {*ci} == {"lint", "test", "images"}
    for job in ci.values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 90


def test_what_is_scanned_is_what_was_built(ci: dict[str, Any]) -> None:
    build, scan = ci["images"]["steps"][-2:]
    assert build["run"] == 'make images ONLY="$IMAGE"'
    assert build["env"] == {"IMAGE": "${{ matrix.image }}"}
    assert scan["with"]["image-ref"] == "millrace-${{ matrix.image }}:" + __version__
