"""What cfn-lint and checkov say of the template."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.target import EU_REGIONS
from millrace.infrastructure.template import LARGEST, TEMPLATE, Template
from millrace.settings import PROJECT

LOCK = Path(__file__).with_name("checkov.txt")


def cfn_lint(path: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(path), "--regions"]
    done = subprocess.run(
        [*command, *sorted(EU_REGIONS)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_cfn_lint_finds_nothing_in_any_region() -> None:
    assert cfn_lint(TEMPLATE) == ""


def test_what_is_sent_says_the_same_in_less_room(template: Template, tmp_path: Path) -> None:
    body = template.body
    assert len(body.encode()) <= LARGEST
    sent = Template.read(body)
    assert {**sent.sections, "Resources": None} == {**template.sections, "Resources": None}
    assert sent.resources == {
        name: {key: value for key, value in each.items() if key != "Metadata"}
        for name, each in template.resources.items()
    }
    path = tmp_path / "sent.yaml"
    path.write_text(body)
    assert cfn_lint(path) == ""


def test_cfn_lint_would_find_a_slip(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TEMPLATE.read_text().replace("EnableKeyRotation: true", "EnableRotation: true"))
    assert "EnableRotation" in cfn_lint(path)


@pytest.fixture(scope="module")
def checkov(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """checkov in an environment of its own, which uv's cache makes quick; skips without uv."""
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("no uv here to build the environment of checkov with")
    folder = tmp_path_factory.mktemp("checkov") / "environment"
    python = folder / "bin" / "python"
    for arguments in (
        ["venv", "--no-project", "--python", os.path.realpath(sys.executable), str(folder)],
        ["pip", "sync", "--require-hashes", "--python", str(python), str(LOCK)],
    ):
        done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"uv cannot build the environment of checkov: {done.stderr[-500:]}")
    return python.with_name("checkov")


@pytest.fixture(scope="module")
def findings(checkov: Path) -> dict[str, Any]:
    command = [
        str(checkov), "-f", str(TEMPLATE), "--skip-download", "--framework", "cloudformation",
        "--output", "json", "--compact",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.integration
def test_checkov_finds_nothing_that_is_not_argued(
    findings: dict[str, Any], template: Template
) -> None:
    summary, results = findings["summary"], findings["results"]
    assert results["failed_checks"] == []
    assert summary["parsing_errors"] == 0
    assert summary["resource_count"] == len(template.resources)
    assert summary["passed"] > 140


@pytest.mark.integration
def test_every_exception_is_needed_and_has_its_argument(findings: dict[str, Any]) -> None:
    written = re.findall(
        r"- id: (CKV\w+)\n +comment: (.{30,})$", TEMPLATE.read_text(), re.MULTILINE
    )
    used = findings["results"]["skipped_checks"]
    said = [(each["check_id"], each["check_result"]["suppress_comment"]) for each in used]
    assert sorted(said) == sorted(written)
    assert TEMPLATE.read_text().count("id: CKV") == len(written)
