"""scripts/setup.sh: one clear error for each thing that can be missing, and cheap to call again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.settings import PROJECT

TOOLS = "bash sh dirname df awk cksum cut tr tee grep rm mkdir mktemp flock".split()
NOWHERE = "http://127.0.0.1:1/simple"
PACKAGE = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"


class Project:
    """A folder with the script and an empty lock, and a PATH of which everything is known."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder / "project", folder / "bin"
        (self.folder / "scripts").mkdir(parents=True)
        self.path.mkdir()
        shutil.copy(PROJECT / "scripts" / "setup.sh", self.folder / "scripts")
        (self.folder / "requirements.txt").write_text("# nothing\n")
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.path / tool).symlink_to(found)

    def add_python(self) -> None:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (self.path / version).symlink_to(Path(sys.base_prefix).resolve() / "bin" / version)

    def add_uv(self) -> None:
        found = shutil.which("uv") or PROJECT / ".venv-uv" / "bin" / "uv"
        (self.path / "uv").symlink_to(found)

    def add_script(self, name: str, text: str) -> None:
        (self.path / name).unlink(missing_ok=True)
        (self.path / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.path / name).chmod(0o755)

    def setup(self, **variables: str) -> subprocess.CompletedProcess[str]:
        home = self.folder.parent
        environment = {
            "PATH": str(self.path),
            "HOME": str(home),
            "PYENV_ROOT": str(home / "pyenv"),
            "UV_CACHE_DIR": str(home / "uv"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_HTTP_RETRIES": "0",
            **variables,
        }
        return subprocess.run(
            [self.folder / "scripts" / "setup.sh"],
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def error(outcome: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in outcome.stderr.splitlines() if line.startswith("setup: ")]
    assert outcome.returncode == 1
    assert len(lines) == 1
    return lines[0]


def test_a_missing_python_is_said_with_how_to_install_it(project: Project) -> None:
    project.add_script("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    said = error(project.setup())
    assert "Python 3.12 (or 3.13) is needed" in said
    assert "apt-get install python3.12 python3.12-venv" in said


def test_a_full_disk_is_said_with_what_is_free_and_needed(project: Project) -> None:
    project.add_python()
    project.add_script("df", "echo head; echo '/dev/x 9999 9899 100 99% /'")
    assert "100 MB are free" in (said := error(project.setup()))
    assert "3584 MB are needed" in said


def test_an_unreachable_registry_is_said_when_uv_cannot_be_fetched(project: Project) -> None:
    project.add_python()
    outcome = project.setup(
        PIP_INDEX_URL=NOWHERE, PIP_RETRIES="0", PIP_NO_CACHE_DIR="1", PIP_CONFIG_FILE=os.devnull
    )
    assert "uv cannot be installed: the package registry is unreachable" in error(outcome)


def test_an_unreachable_registry_is_said_when_packages_cannot_be_fetched(project: Project) -> None:
    project.add_python()
    project.add_uv()
    (project.folder / "requirements.txt").write_text(PACKAGE)
    said = error(project.setup(UV_DEFAULT_INDEX=NOWHERE, UV_NO_CONFIG="1"))
    assert "the package registry is unreachable. Check the network, HTTPS_PROXY" in said
    assert not (project.folder / ".venv" / ".millrace-stamp").exists()


def test_half_an_environment_is_repaired_and_a_whole_one_left_alone(project: Project) -> None:
    project.add_python()
    project.add_uv()
    half = project.folder / ".venv" / "bin"
    half.mkdir(parents=True)
    (half / "python").write_text("broken")
    first = project.setup()
    assert first.returncode == 0, first.stderr
    assert "[3/3] .venv is ready" in first.stdout
    assert subprocess.run([half / "python", "-c", ""], check=False).returncode == 0
    made = half.stat().st_mtime_ns
    second = project.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert half.stat().st_mtime_ns == made


def test_a_changed_lock_is_installed(project: Project) -> None:
    project.add_python()
    project.add_uv()
    assert project.setup().returncode == 0
    (project.folder / "requirements.txt").write_text("# still nothing, said differently\n")
    assert "[3/3]" in project.setup().stdout
