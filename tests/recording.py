"""Predictions recorded as the model service records them: by its own model and its recorder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millrace.tracking import registry
from serving.model import ServedModel, Source
from serving.recording import Recorder


def served(version: Any) -> ServedModel:
    """A registered version as the service loads it."""
    source = Source(version.version, version.tags[registry.CONTENT], "registry")
    with registry.verified_bundle(version) as bundle:
        return ServedModel.load(bundle, registry.read_card(version), source)


def record(lake: str, model: ServedModel, records: Sequence[Mapping[str, Any]], day: str) -> Path:
    """Let a model answer, and record it in a local lake for a day; returns the file."""
    folder = Path(lake) / "recorded" / model.card["dataset"] / day
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        recorder = Recorder(scratch)
        recorder.add(model, records, model.answer(records))
        recorder.write()
        [file] = Path(scratch).rglob("*.parquet")
        return Path(shutil.move(file, folder))
