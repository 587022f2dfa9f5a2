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


def test_a_job_may_do_no_more_than_it_must(ci: dict[str, Any]) -> None:
    of_main = {"publish", "redeploy"}
    assert {*ci} == {"lint", "test", "images", *of_main}
    for name, job in ci.items():
        more = {"id-token": "write"} if name in of_main else {}
        assert job["permissions"] == {"contents": "read", **more}
        assert ("environment" in job) == (name in of_main)
        assert job["timeout-minutes"] <= 90


def test_nothing_is_pushed_before_the_tests_pass_nor_from_a_pull_request(
    ci: dict[str, Any],
) -> None:
    assert ci["publish"]["if"] == "github.event_name == 'push'"
    assert ci["publish"]["needs"] == ["lint", "test"]
    assert ci["redeploy"]["needs"] == "publish"


@pytest.mark.parametrize(("job", "images"), [("images", 1), ("publish", 2)])
def test_what_is_scanned_is_what_was_built(ci: dict[str, Any], job: str, images: int) -> None:
    steps = ci[job]["steps"]
    names = [step.get("run", "") for step in steps]
    build = next(place for place, run in enumerate(names) if run.startswith("make images"))
    scans = steps[build + 1 : build + 1 + images]
    scanned = [step["with"]["image-ref"] for step in scans]
    kinds = ["${{ matrix.image }}"] if images == 1 else ["airflow", "service"]
    assert scanned == [f"millrace-{kind}:{__version__}" for kind in kinds]
    assert all(step["with"]["exit-code"] == "1" for step in scans)
    assert not any(run.startswith("make push") for run in names[: build + 1 + images])


def test_what_is_redeployed_is_what_was_pushed(ci: dict[str, Any]) -> None:
    steps = {step.get("name"): step for step in ci["publish"]["steps"]}
    tag = "${{ steps.tag.outputs.tag }}"
    assert steps["The model service"]["env"]["TAG"] == ci["publish"]["outputs"]["tag"] == tag
    last = ci["redeploy"]["steps"][-1]
    assert last["run"] == 'make redeploy IMAGE="$REPOSITORY:$TAG"'
    assert last["env"]["TAG"] == "${{ needs.publish.outputs.tag }}"
