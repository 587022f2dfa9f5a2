"""The Python environments of SageMaker's framework images, and jobs run in them by AWS's toolkits.

Each environment is built from its lock file, once a session; uv's own cache makes that quick.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from millrace.settings import PROJECT
from millrace.training import source_archive

HERE = Path(__file__).parent
TREES_AND_LINES = ("lightgbm", "logistic_regression", "decision_tree", "random_forest")


@dataclass(frozen=True)
class Image:
    """A framework image: its lock file, its toolkit's `train` command, what it can train."""

    name: str
    version: str
    train: str
    algorithms: tuple[str, ...]

    @property
    def lock(self) -> Path:
        return HERE / f"{self.name}-{self.version}.txt"


IMAGES = (
    Image("xgboost", "3.2-0", "sagemaker_containers.cli.train", ("xgboost", *TREES_AND_LINES)),
    Image("sklearn", "1.9-0", "sagemaker_training.cli.train", TREES_AND_LINES),
)
PYTHON = (3, 12)  # of both images


@dataclass(frozen=True)
class Container:
    """The environment of an image, and the source archive as it is sent."""

    image: Image
    python: Path
    archive: Path

    def run(
        self,
        arguments: Sequence[str | Path],
        variables: Mapping[str, str] | None = None,
        **more: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python, as in the container: with nothing of the project around."""
        return subprocess.run(
            [self.python, *arguments], env={**self.environment(), **variables},
            capture_output=True, text=True, check=False, timeout=300, **more,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {
            **outside, "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "SM_NUM_CPUS": "1", "SAGEMAKER_REGION": "eu-central-1",
        }  # fmt: skip

    def train(
        self, folder: Path, channel: Path, hyperparameters: Mapping[str, Any], **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """A training job under `folder` (for /opt/ml), by the toolkit's `train` command."""
        config = folder / "input" / "config"
        for made in (config, folder / "model", folder / "output"):  # which SageMaker makes
            made.mkdir(parents=True)
        shutil.copytree(channel, folder / "input" / "data" / "train")
        sent = {
            "sagemaker_program": "train.py", "sagemaker_submit_directory": str(self.archive),
            **hyperparameters,
        }  # fmt: skip
        _write(config / "hyperparameters.json", {n: json.dumps(v) for n, v in sent.items()})
        host = {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}
        _write(config / "resourceconfig.json", host)
        _write(config / "inputdataconfig.json", {"train": {"TrainingInputMode": "File"}})
        own = {
            "SAGEMAKER_BASE_DIR": str(folder), "PYTHONPATH": str(HERE),
            "SAGEMAKER_TRAINING_MODULE": f"framework:train_{self.image.name}",
        }  # fmt: skip
        return self.run(["-m", self.image.train], {**own, **variables})

    def answers(
        self, folder: Path, requests: Mapping[str, Sequence[Mapping[str, str]]]
    ) -> dict[str, list[str]]:
        """What serving answers to requests (kind, accept, body), by model folder."""
        variables = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_PROGRAM": "inference.py"}
        done = self.run(
            [HERE / "framework.py", self.image.name, self.archive], variables,
            input=json.dumps(requests),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.rpartition("ANSWERS")[2])


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="session", params=IMAGES, ids=lambda image: image.name)
def container(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Each image's environment, with the source archive to send there."""
    folder = tmp_path_factory.mktemp(request.param.name)
    python = build(request.param, folder / "environment")
    with source_archive() as archive:
        yield Container(request.param, python, archive)


def build(image: Image, folder: Path) -> Path:
    """The interpreter of a fresh environment; skips where Python or the registry is missing."""
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("no uv here to build the images' environments with")
    base = sys.executable if sys.version_info[:2] == PYTHON else ".".join(map(str, PYTHON))
    python = folder / "bin" / "python"
    for arguments in (
        ["venv", "--python", base, str(folder)],
        ["pip", "sync", "--require-hashes", "--python", str(python), str(image.lock)],
    ):
        done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"uv cannot build the {image.name} environment: {done.stderr[-500:]}")
    mend(next(folder.glob("lib/python*/site-packages/sagemaker_containers/_mapping.py")))
    return python


def mend(module: Path) -> None:
    """Fit the old toolkit to Python 3.10 and later, as the images' Dockerfiles do."""
    text = module.read_text(encoding="utf-8")
    module.unlink()  # it may be a link into uv's cache, which stays as it is
    module.write_text(text.replace("collections.Mapping", "collections.abc.Mapping"))
