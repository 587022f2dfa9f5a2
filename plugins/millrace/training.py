"""Training and batch transform as jobs: what is sent, where it stands, and what comes back.

SageMaker's layout on the local machine: a source folder, a folder a channel, `model.tar.gz` and
`output.tar.gz` as results.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.datasets import Candidate, ClassCandidate, Decision
from millrace.jobs.local import run_script
from millrace.settings import PROJECT

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SCRIPTS = PROJECT / "include" / "training"
TRANSFORMATION = Path(__file__).with_name("transformation.py")
REQUIREMENTS = SCRIPTS / "requirements.txt"  # what AWS's containers lack
# Threads that wait must sleep: where jobs share the cores, spinning made a fit 100 times slower.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
MODEL, OUTPUT = "model.tar.gz", "output.tar.gz"


def source_files() -> list[Path]:
    """Everything training and inference need: the scripts and the transformation."""
    return [*sorted(SCRIPTS.glob("*.py")), TRANSFORMATION]


@contextmanager
def source_folder() -> Iterator[Path]:
    """The scripts side by side in one folder, as they are sent."""
    with tempfile.TemporaryDirectory(prefix="millrace-source-") as name:
        for path in source_files():
            shutil.copy(path, name)
        yield Path(name)


def source_digest() -> str:
    """Hash of all that is sent, whatever way it is packed."""
    digest = hashlib.sha256()
    for path in [*source_files(), REQUIREMENTS]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def source_archive() -> Iterator[Path]:
    """The scripts and their requirements as one archive; equal sources give equal bytes."""
    with source_folder() as folder, tempfile.TemporaryDirectory(prefix="millrace-sent-") as name:
        shutil.copy(REQUIREMENTS, folder)
        archive = Path(name) / "source.tar.gz"
        pack(folder, archive)
        yield archive


def train_arguments(
    candidate: Candidate | ClassCandidate, decision: Decision | None, seed: int
) -> list[str]:
    """Command-line arguments of train.py for one candidate; without a decision no threshold."""
    rule = decision.model_dump(exclude_none=True) if decision else {}
    cost = {f"cost_{wrong}": value for wrong, value in rule.pop("cost", {}).items()}
    asked = candidate.model_dump(include={"balance", "calibrate"})
    options: dict[str, Any] = {
        "algorithm": candidate.algorithm,
        "seed": seed,
        **rule,
        **cost,
        **{name: choice for name, choice in asked.items() if choice != "none"},
        **candidate.hyperparameters,
    }
    pairs = ((f"--{name}", _argument(value)) for name, value in options.items())
    return [text for pair in pairs for text in pair]


def _argument(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def train_locally(channel: Path, arguments: list[str], target: Path, *, timeout: float) -> float:
    """Run train.py on a channel folder; model.tar.gz and output.tar.gz appear in `target`.

    Returns:
        Seconds the job ran.

    Raises:
        JobFailed: training failed; the message ends with its last lines.
    """
    with source_folder() as source, tempfile.TemporaryDirectory(prefix="millrace-train-") as name:
        model, output = Path(name) / "model", Path(name) / "output"
        model.mkdir()
        output.mkdir()
        environment = {
            "SM_CHANNELS": '["train"]',
            "SM_CHANNEL_TRAIN": str(channel),
            "SM_MODEL_DIR": str(model),
            "SM_OUTPUT_DATA_DIR": str(output),
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
        }
        seconds = run_script(
            source / "train.py", arguments, {**THREADS, **environment}, timeout=timeout
        )
        pack(model, target / MODEL)
        pack(output, target / OUTPUT)
    return seconds


def transform_locally(model: Path, rows: Path, predictions: Path, *, timeout: float) -> float:
    """Run inference.py: a model folder and `id,<inputs>` lines in, `id,probability` lines out.

    Returns:
        Seconds the job ran.

    Raises:
        JobFailed: inference failed; the message ends with its last lines.
    """
    with source_folder() as source:
        arguments = ["--model-dir", str(model), "--input", str(rows), "--output", str(predictions)]
        return run_script(source / "inference.py", arguments, THREADS, timeout=timeout)


def explain_locally(model: Path, rows: Path, target: Path, *, timeout: float) -> float:
    """Run explain.py: a model folder and `id,<inputs>` lines in, contributions (.npz) out.

    Returns:
        Seconds the job ran.

    Raises:
        JobFailed: the model cannot be explained; the message ends with the last lines.
    """
    with source_folder() as source:
        arguments = ["--model-dir", str(model), "--input", str(rows), "--output", str(target)]
        return run_script(source / "explain.py", arguments, THREADS, timeout=timeout)


def pack(folder: Path, archive: Path) -> None:
    """Write a folder's files as .tar.gz; equal content gives equal bytes."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
        member.mode = 0o644
        return member

    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, path.relative_to(folder).as_posix(), filter=plain)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The files of a model archive in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="millrace-model-") as name:
        with tarfile.open(archive) as tar:
            tar.extractall(name, filter="data")
        yield Path(name)


def model_facts(archive: Path) -> dict[str, Any]:
    """model.json of a model archive: algorithm, threshold, features, cross-validation, versions."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile("model.json")
        if member is None:
            raise ValueError(f"{archive} holds no model.json")
        return json.load(member)


def out_of_fold(archive: Path) -> pd.DataFrame | None:
    """The out-of-fold predictions in an output archive: target, probability, uncalibrated.

    None where there were too few rows for folds.
    """
    import pandas as pd

    with tarfile.open(archive) as tar:
        if "cross_validation.csv" not in tar.getnames():
            return None
        return pd.read_csv(tar.extractfile("cross_validation.csv"))
