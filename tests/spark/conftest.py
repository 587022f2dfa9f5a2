"""A tiny network, drawn images, and the job run in this process or by spark-submit.

One Java process serves all runs in this process; each starts and stops a Spark context of its own.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from millrace.lake import Place
from millrace.settings import PROJECT
from tests.integration.aws.spark import spark_submit
from tests.lake.s3 import s3_server

SCRIPT = PROJECT / "include" / "spark" / "image_features.py"
WIDTH = 12
SIZE = 32


def tiny_network(
    seed: int = 0, *, layout: str = "NHWC", kind: int = TensorProto.FLOAT, batch: Any = "N",
    width: int = WIDTH, metadata: Mapping[str, str] | None = None, scale: float = 1.0,
) -> bytes:  # fmt: skip
    """A convolution and a global average over images of 32 x 32, as an ONNX file."""
    weights = np.random.default_rng(seed).normal(size=(width, 3, 5, 5)).astype(np.float32) * scale
    nodes, value = [], "images"
    if kind == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", [value], ["floats"], to=TensorProto.FLOAT))
        value = "floats"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [value], ["planes"], perm=[0, 3, 1, 2]))
        value = "planes"
    nodes += [
        helper.make_node("Conv", [value, "weights"], ["convolved"], strides=[2, 2]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["features"]),
    ]
    shape = [batch, SIZE, SIZE, 3] if layout == "NHWC" else [batch, 3, SIZE, SIZE]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, width, 1, 1])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    return model.SerializeToString()


DESCRIBED = {
    "millrace.name": "Tiny", "millrace.weights": "random (seed 0)", "millrace.scaling": "-1..1",
}  # fmt: skip


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "tiny.onnx"
    path.write_bytes(tiny_network(metadata=DESCRIBED))
    return path


def drawn(seed: int, width: int = 40, height: int = 40) -> Image.Image:
    """A few coloured rectangles, different for each seed."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(4):
        top, left = random.integers(0, height - 4), random.integers(0, width - 4)
        pixels[top : top + 12, left : left + 12] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


LABELS = ("Apple Red 1", "Pêche dorée", "a=b 100%")


def draw_images(
    folder: Path, labels: Sequence[str] = LABELS, each: int = 20, seed: int = 0
) -> Path:
    """Folders of drawn images by label; every fifth is a PNG."""
    for number, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for index in range(each):
            kind = "PNG" if index % 5 == 0 else "JPEG"
            suffix = "png" if kind == "PNG" else "jpg"
            data = encoded(drawn(seed + 1000 * number + index), kind)
            (folder / label / f"r{index} #%20+é.{suffix}").write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images of three labels, with spaces, accents, `=`, `#` and `%` in their names."""
    return draw_images(tmp_path_factory.mktemp("images") / "a b=c %41é")


@dataclass(frozen=True)
class Output:
    """What a run wrote, checked against its own description."""

    folder: Path
    files: dict[str, dict[str, Any]]
    facts: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Output:
        described = json.loads((folder / "job.json").read_text())
        return cls(folder, described["files"], described["facts"])

    @classmethod
    def published(cls, output: Path) -> Output:
        manifest = json.loads((output / "_MANIFEST.json").read_text())
        return cls.of(output / manifest["attempt"])

    def table(self) -> pa.Table:
        names = sorted(name for name in self.files if name.startswith("features/"))
        return pa.concat_tables([pq.read_table(self.folder / name) for name in names])

    def features(self) -> np.ndarray:
        return np.stack(self.table()["features"].to_numpy(zero_copy_only=False))

    def pca(self) -> np.ndarray:
        return np.stack(self.table()["pca"].to_numpy(zero_copy_only=False))

    def components(self) -> np.ndarray:
        table = pq.read_table(self.folder / "pca" / "components.parquet")
        return np.stack([column.to_numpy() for column in table.columns[1:]], axis=1)

    def quarantine(self) -> list[dict[str, Any]]:
        return pq.read_table(self.folder / "quarantine" / "quarantine.parquet").to_pylist()


@dataclass(frozen=True)
class Ran:
    """A finished run: its status, what it logged, its last line of standard error."""

    status: int
    log: str
    error: str


QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # Java options of short runs


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of spark-submit, which finds a Java and this environment's Spark."""
    command = shlex.split(spark_submit(tmp_path_factory.mktemp("java")))
    return [
        "env", f"PYSPARK_PYTHON={sys.executable}", *command, "--driver-memory", "1g",
        "--driver-java-options", QUICK,
    ]  # fmt: skip


@pytest.fixture(scope="package")
def spark_here(java: list[str]) -> Iterator[None]:
    """Let this process start Spark, as `python image_features.py` does, and stop it in the end."""
    from pyspark import SparkContext

    with pytest.MonkeyPatch.context() as patch:
        for word in java:
            if word.startswith("JAVA_HOME="):
                patch.setenv("JAVA_HOME", word.partition("=")[2])
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv(
            "PYSPARK_SUBMIT_ARGS",
            "--master local[2] --driver-memory 1g --conf spark.ui.enabled=false"
            f" --driver-java-options '{QUICK}' pyspark-shell",
        )
        yield
    if SparkContext._gateway:
        SparkContext._gateway.shutdown()
        SparkContext._gateway.proc.stdin.close()  # the Java process ends with its input
        SparkContext._gateway.proc.wait(30)
        SparkContext._gateway = SparkContext._jvm = None


@pytest.fixture
def run(spark_here: None, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the job in this process with some arguments; --components 3 unless they say."""
    import image_features

    def runs(*arguments: object) -> Ran:
        given = [str(argument) for argument in arguments]
        if "--components" not in given:
            given += ["--components", "3"]
        capfd.readouterr()
        status = image_features.main(given)
        seen = capfd.readouterr()
        log = logging.getLogger("spark_job")  # as it was before
        log.propagate, log.handlers[:] = True, []
        return Ran(status, seen.out, seen.err.strip().rpartition("\n")[2])

    return runs


def submitted(
    java: Sequence[str], *arguments: object, script: Path = SCRIPT, **variables: str
) -> Ran:
    """Run a job by spark-submit."""
    done = subprocess.run(
        [*java, str(script), *map(str, arguments)], capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, **variables},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2])


PLACE = Place("features", "fruits", "2026-03-01")


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="session")
def first(java: list[str], lake: Path, images: Path, network: Path) -> Ran:
    """A run by spark-submit that publishes in the lake."""
    return submitted(
        java, "--images", images, "--network", network, "--output", lake / str(PLACE),
        "--components", 5, "--partitions", 4, "--precision", "fp32",
    )  # fmt: skip


@pytest.fixture(scope="session")
def output(first: Ran, lake: Path) -> Output:
    assert first.status == 0, first.log + first.error
    return Output.published(lake / str(PLACE))


LOCK = Path(__file__).with_name("spark-3.5.txt")
PYTHON = "3.9"


@pytest.fixture(scope="package")
def spark_35(java: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """spark-submit of Spark 3.5 in an environment of its own; skips where it cannot be built."""
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("no uv here to build the environment of Spark 3.5 with")
    folder = tmp_path_factory.mktemp("spark-3.5") / "environment"
    python = folder / "bin" / "python"
    for arguments in (
        ["venv", "--no-project", "--python", _python(), str(folder)],
        ["pip", "sync", "--require-hashes", "--python", str(python), str(LOCK)],
    ):
        done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"uv cannot build the environment of Spark 3.5: {done.stderr[-500:]}")
    mine = [word for word in java if not word.startswith("PYSPARK_PYTHON=")]
    at = next(n for n, word in enumerate(mine) if word.endswith("spark-submit"))
    mine[at] = str(python.with_name("spark-submit"))
    return [mine[0], f"PYSPARK_PYTHON={python}", *mine[1:]]


def _python() -> str:
    """A Python 3.9 of this machine, or its version for uv to find one."""
    found = shutil.which("python3.9")
    installed = sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python3.9"))
    return str(installed[-1]) if installed else found or PYTHON


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 stand-in, which the job finds by its environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with s3_server() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield endpoint
