"""Fixtures that many tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace import transformation
from millrace.datasets import DatasetSpec
from millrace.lake import LocalStore
from millrace.settings import PROJECT, Settings
from millrace.steps.run import Run

PARTITION = "2026-03-01"

# The scripts find the transformation beside them, under its plain name.
sys.modules.setdefault("transformation", transformation)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def real_data(project: Path) -> Path:
    """The folder of the real public files; skips where it is absent."""
    folder = Path(
        os.environ.get("MILLRACE_REAL_DATA") or project.parent / "shared" / "data"
    ).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MILLRACE_REAL_DATA to the folder that has it")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Make a run of a spec over a local lake, with raw files by name: text, bytes or a path."""

    def make(spec: DatasetSpec, raw: dict[str, str | bytes | Path], **options: Any) -> Run:
        settings = Settings.from_environment({"MILLRACE_HOME": str(tmp_path)})
        store = LocalStore(Path(settings.lake))
        run = Run(
            spec, options.pop("partition", PARTITION), store, settings,
            tuple(options.pop("candidates", spec.candidates)), **options,
        )  # fmt: skip
        folder = Path(store.uri(str(run.place("raw"))))
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in raw.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return run

    return make
