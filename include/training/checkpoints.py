"""What an interrupted training had finished, found again by the next attempt.

Managed spot training copies a folder to S3 while the job runs, and back before it starts again.
Each piece of finished work is a file there, put in place by one rename and checked when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SAGEMAKER_FOLDER = Path("/opt/ml/checkpoints")  # there only where the job has a CheckpointConfig
CODE = (
    "algorithms.py", "balance.py", "boosting.py", "checkpoints.py", "classes.py",
    "cross_validation.py", "early_stopping.py", "train.py",
)  # fmt: skip
DIGEST = hashlib.sha256().digest_size


class Checkpoints:
    """Finished pieces of one training, by name. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """What was written under a name; None where nothing, or nothing whole, was."""
        if self.folder is None or not (self.folder / name).is_file():
            return None
        kept = (self.folder / name).read_bytes()
        digest, content = kept[:DIGEST], kept[DIGEST:]
        return content if hashlib.sha256(content).digest() == digest else None

    def write(self, name: str, content: bytes) -> None:
        """Keep a piece; whoever looks finds the old one or the new one, whole."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{name}.part"
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(self.folder / name)


def default_folder() -> str | None:
    """`SM_CHECKPOINT_DIR`, else SageMaker's own folder where the job has one."""
    given = os.environ.get("SM_CHECKPOINT_DIR")
    return given or (str(SAGEMAKER_FOLDER) if SAGEMAKER_FOLDER.is_dir() else None)


def checkpoints_of(folder: str | None, rows: Path, settings: Mapping[str, Any]) -> Checkpoints:
    """The checkpoints of training with these rows and settings, and this code; of no other."""
    if not folder:
        return Checkpoints()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode("utf-8"))
    for path in (rows, *(Path(__file__).with_name(name) for name in CODE)):
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return Checkpoints(Path(folder) / digest.hexdigest()[:32])
