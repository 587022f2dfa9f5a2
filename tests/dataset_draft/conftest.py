"""A draft through the command, loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.dataset_draft.__main__ import main
from millrace.datasets import DatasetSpec, load_spec

Drafter = Callable[..., DatasetSpec]


@pytest.fixture
def drafted(tmp_path: Path) -> Drafter:
    """Draft a spec through the command and load it: `drafted(path, "--target", "y")`."""

    def run(path: Path, *options: str) -> DatasetSpec:
        output = tmp_path / "out" / "drafted.yaml"
        assert main([str(path), "--output", str(output), "--force", *options]) == 0
        return load_spec(output)

    return run
