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
from millrace.infrastructure.policies import TEMPLATES
from millrace.infrastructure.template import LARGEST, TEMPLATE, Template
from millrace.settings import PROJECT

LOCK = Path(__file__).with_name("checkov.txt")


def cfn_lint(path: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(path), "--regions"]
    done = subprocess.run(
        [*command, *sorted(EU_REGIONS)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


each_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)


@each_template
def test_cfn_lint_finds_nothing_in_any_region(path: Path) -> None:
    assert cfn_lint(path) == ""


@each_template
def test_what_is_sent_says_the_same_in_less_room(path: Path, tmp_path: Path) -> None:
    template = Template.read(path.read_text(encoding="utf-8"))
    body = template.body
    assert len(body.encode()) <= LARGEST
    sent = Template.read(body)
    assert {**sent.sections, "Resources": None} == {**template.sections, "Resources": None}
    assert sent.resources == {
        name: {key: value for key, value in each.items() if key != "Metadata"}
        for name, each in template.resources.items()
    }
    (tmp_path / "sent.yaml").write_text(body)
    assert cfn_lint(tmp_path / "sent.yaml") == ""


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


@pytest.fixture(scope="module", params=TEMPLATES, ids=lambda path: path.stem)
def findings(checkov: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What it finds in a template, whose `path` is added."""
    command = [
        str(checkov), "-f", str(request.param), "--skip-download", "--framework", "cloudformation",
        "--output", "json", "--compact",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "path": request.param}


@pytest.mark.integration
def test_checkov_finds_nothing_that_is_not_argued(findings: dict[str, Any]) -> None:
    template = Template.read(findings["path"].read_text(encoding="utf-8"))
    summary, results = findings["summary"], findings["results"]
    assert results["failed_checks"] == []
    assert summary["parsing_errors"] == 0
    assert summary["resource_count"] == len(template.resources)
    assert summary["passed"] > (140 if findings["path"] == TEMPLATE else 5)


@pytest.mark.integration
def test_every_exception_is_needed_and_has_its_argument(findings: dict[str, Any]) -> None:
    text = findings["path"].read_text()
    written = re.findall(r"- id: (CKV\w+)\n +comment: (.{30,})$", text, re.MULTILINE)
    used = findings["results"]["skipped_checks"]
    said = [(each["check_id"], each["check_result"]["suppress_comment"]) for each in used]
    assert sorted(said) == sorted(written)
    assert text.count("id: CKV") == len(written)
