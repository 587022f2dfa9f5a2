"""What a manifest says of the code: the commit, and the fingerprint of what may change a result."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from millrace.lake import code
from millrace.lake.code import code_fingerprint, git_commit


@pytest.mark.parametrize(
    ("told", "known"), [(None, "unknown"), ("", "unknown"), ("abc+changes", "abc+changes")]
)
def test_outside_git_the_commit_is_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, known: str
) -> None:
    monkeypatch.setattr(code, "PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("MILLRACE_REVISION", raising=False)
    if told is not None:
        monkeypatch.setenv("MILLRACE_REVISION", told)
    assert git_commit.__wrapped__() == known
    monkeypatch.setenv("PATH", "")
    assert git_commit.__wrapped__() == known


def test_in_git_the_commit_is_that_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit",
                   "-q", "--allow-empty", "-m", "one"]):  # fmt: skip
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    monkeypatch.setattr(code, "PROJECT", tmp_path)
    monkeypatch.setenv("MILLRACE_REVISION", "another")
    assert re.fullmatch("[0-9a-f]{40}", git_commit.__wrapped__())


def test_the_code_fingerprint_follows_scripts_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include").mkdir()
    monkeypatch.setattr(code, "PROJECT", tmp_path)
    seen = {code_fingerprint.__wrapped__()}
    for name in ("train.py", "page.html.j2"):
        for text in ("one", "two"):
            (tmp_path / "include" / name).write_text(text)
            seen.add(code_fingerprint.__wrapped__())
    assert len(seen) == 5
    (tmp_path / "include" / "spec.yaml").write_text("x: 1")
    (tmp_path / "plugins" / "millrace" / "stack").mkdir(parents=True)
    (tmp_path / "plugins" / "millrace" / "stack" / "ports.py").write_text("x = 1")
    assert code_fingerprint.__wrapped__() in seen
