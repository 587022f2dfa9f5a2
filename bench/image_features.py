"""Features and components of images on Spark: the job against the usual Keras notebook's way.

Both run on all cores of this machine, with the same random weights on the same images.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import PROJECT, SCRIPTS, BenchmarkError, Comparison, load, run_script
from bench.process_tree import Tree, run_tree
from millrace.spark import FOLDER, SCRIPT, class_archive, java, keep_class_archive, spark_submit

KERAS = PROJECT / ".venv-keras" / "bin" / "python"
REAL = Path(os.environ.get("MILLRACE_REAL_DATA") or PROJECT.parent / "shared" / "data")
COMPONENTS = 100
PARTITIONS = 20  # of the usual way
ALLOWED = 1000.0  # millionths that a cosine to single precision may be off 1: 0.999
BATCH = 4  # of the raw inference; the job's own default


@dataclass(frozen=True)
class Measured:
    """One run of either way.

    Attributes:
        stage: seconds of the feature stage: reading, decoding, inference, writing.
        stage_cpu: CPU seconds of all processes in it.
    """

    images: int
    tree: Tree
    stage: float
    stage_cpu: float
    facts: Mapping[str, Any]

    @property
    def rate(self) -> float:
        return self.images / self.stage

    @property
    def cpu_rate(self) -> float:
        return self.images / self.stage_cpu


def run(
    images: int = 3000, growth: Sequence[int] = (1, 2, 4), partitions: int = PARTITIONS
) -> Iterator[Comparison]:
    """Compare the two ways, the job with raw inference, the precisions, and the job's growth.

    Args:
        growth: how many times as many images the job alone runs on; the first is 1.
    """
    if not KERAS.exists():
        raise BenchmarkError(f"there is no {KERAS}; run scripts/setup_keras.sh")
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        ways = _Ways(Path(name), min(COMPONENTS, images // 2))
        drawn = ways.draw({times: times * images for times in growth})
        how = f"{images:,} {drawn} of 100 x 100 pixels, one run each; {busy} before"
        ways.warm()
        usual, ours = ways.usual(partitions), ways.ours(1)
        yield from _against_usual(ours, usual, ways.agreement(), how)
        raw = ways.raw()
        yield from _against_raw(ours, raw, how)
        yield from _precisions(raw, how)
        for times in growth[1:]:
            more = ways.ours(times)
            yield from _growth(times, ours, more, how)
        if growth[1:]:
            yield from _running(ours, more, raw, how)


def _against_usual(
    ours: Measured, usual: Measured, near: Mapping[str, float], how: str
) -> Iterator[Comparison]:
    what = (
        f"{ours.facts['network']['precision']} in {ours.facts['network']['runtime']} and one-pass"
        " PCA against binaryFile, PIL, Keras' model.predict in a pandas UDF with the model built"
        f" in each of 20 tasks, and Spark ML PCA, all in single precision; {how}"
    )
    yield Comparison(
        "image_features_speed", ours.rate, usual.rate, "images/s", f"feature stage; {what}"
    )
    yield Comparison(
        "image_features_cpu", ours.cpu_rate, usual.cpu_rate, "images/cpu_s",
        f"feature stage, CPU of all processes; {what}",
    )  # fmt: skip
    yield Comparison(
        "image_features_job", ours.tree.seconds, usual.tree.seconds, "s",
        f"whole job: start, features, {COMPONENTS} components, writing; {what}",
    )  # fmt: skip
    yield Comparison(
        "image_features_job_cpu", ours.tree.cpu, usual.tree.cpu, "cpu_s",
        f"whole job, CPU of all processes; {what}",
    )  # fmt: skip
    yield Comparison(
        "image_features_memory", ours.tree.peak_mb, usual.tree.peak_mb, "MB",
        f"largest sum of the proportional set sizes of all processes; {what}",
    )  # fmt: skip
    yield Comparison(
        "image_features_agreement", _ppm(near), ALLOWED, "ppm",
        f"1 - the least cosine of an image's features in ours to those of the usual way, which"
        f" differ by precision and by how images are enlarged, against what is allowed; cosine"
        f" {_said(near)}; {how}",
    )  # fmt: skip


def _against_raw(
    ours: Measured, raw: Mapping[str, Mapping[str, float]], how: str
) -> Iterator[Comparison]:
    """What is left of the bare network's speed in the feature stage."""
    cores, alone = os.cpu_count() or 1, raw[ours.facts["network"]["precision"]]
    yield Comparison(
        "image_features_of_raw", ours.rate, alone["rate"] * cores, "images/s",
        f"feature stage against bare inference on one thread, {alone['rate']:.0f} images/s, times"
        f" {cores} cores; {how}",
    )  # fmt: skip
    yield Comparison(
        "image_features_of_raw_cpu", ours.cpu_rate, alone["cpu_rate"], "images/cpu_s",
        "feature stage, CPU of all processes with the JVM's and the driver's, against bare"
        f" inference on one thread; {how}",
    )  # fmt: skip


def _running(
    small: Measured, large: Measured, raw: Mapping[str, Mapping[str, float]], how: str
) -> Iterator[Comparison]:
    """The same without what starting costs: only the images that the larger run has more."""
    cores, alone = os.cpu_count() or 1, raw[small.facts["network"]["precision"]]
    more = large.images - small.images
    what = (
        f"the last {more:,} of {large.images:,} images, so without the start of workers and"
        " networks, against bare inference on one thread"
    )
    seconds, cpu = large.stage - small.stage, large.stage_cpu - small.stage_cpu
    if min(seconds, cpu) <= 0:
        return  # too few images to tell them from the noise
    yield Comparison(
        "image_features_of_raw_running", more / seconds, alone["rate"] * cores, "images/s",
        f"{what}, {alone['rate']:.0f} images/s, times {cores} cores; {how}",
    )  # fmt: skip
    yield Comparison(
        "image_features_of_raw_running_cpu", more / cpu, alone["cpu_rate"], "images/cpu_s",
        f"{what}, CPU of all processes with the JVM's and the driver's; {how}",
    )  # fmt: skip


def _precisions(raw: Mapping[str, Mapping[str, float]], how: str) -> Iterator[Comparison]:
    single = raw["fp32"]
    for name in sorted(raw.keys() - {"fp32"}):
        found = raw[name]
        yield Comparison(
            f"image_features_{name}_speed", found["cpu_rate"], single["cpu_rate"], "images/cpu_s",
            f"bare inference on one thread, {BATCH} images at once, against fp32 in ONNX Runtime;"
            f" {how}",
        )  # fmt: skip
        yield Comparison(
            f"image_features_{name}_error", _ppm(found), ALLOWED, "ppm",
            "1 - the least cosine to the features in fp32 over 128 images, against what a"
            f" precision chosen by default may have; cosine {_said(found)}; {how}",
        )  # fmt: skip


def _ppm(cosines: Mapping[str, float]) -> float:
    """Distance of the least cosine from 1, in millionths."""
    return (1 - cosines["minimum"]) * 1e6


def _said(cosines: Mapping[str, float]) -> str:
    return f"{cosines['minimum']:.6f} at least, {cosines['mean']:.6f} on average"


def _growth(times: int, small: Measured, large: Measured, how: str) -> Iterator[Comparison]:
    """Time and memory of more images against as many times those of the fewest."""
    yield Comparison(
        f"image_features_growth_time_{times}x", large.stage, small.stage * times, "s",
        f"feature stage of {times} times the images against {times} times that of once: at"
        f" most 1 is linear or better; {how}",
    )  # fmt: skip
    yield Comparison(
        f"image_features_growth_memory_{times}x", large.tree.peak_mb, small.tree.peak_mb, "MB",
        f"memory with {times} times the images against that with once: 1 is flat; {how}",
    )  # fmt: skip


class _Ways:
    """Both ways and the bare network, over the same images and weights in one folder."""

    def __init__(self, folder: Path, components: int) -> None:
        self.folder, self.components = folder, components
        self.network = folder / "random.onnx"
        self.environment = {
            "PYTHONPATH": str(PROJECT / "plugins"), "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable, **java(folder)
        }  # fmt: skip
        run_script("write_network.py", self.network)

    def draw(self, counts: Mapping[int, int]) -> str:
        """Lay out the images of every size; says what they are."""
        photos = REAL / "fruits" / "images"
        source = [photos] if photos.is_dir() else []
        for times, count in counts.items():
            run_script("write_images.py", self._images(times), count, *source)
        return "real photos" if source else "drawn images"

    def usual(self, partitions: int) -> Measured:
        """The notebook's way."""
        tree = run_tree(
            [KERAS, SCRIPTS / "usual_image_features.py", self._images(1), self.folder / "usual",
             partitions, self.components],
            {**self.environment, "PYSPARK_PYTHON": str(KERAS)},
        )  # fmt: skip
        started, ended = json.loads(tree.output.splitlines()[-1])["features"]
        return self._measured(1, tree, started, ended, {})

    def warm(self) -> None:
        """Have the JVM's classes ready, as they are from the second job on a machine on."""
        if not class_archive().exists():
            self._job(1, self.folder / "first", leave_classes=True)
            keep_class_archive(self.folder)

    def ours(self, times: int) -> Measured:
        """The project's job, as a local run starts it."""
        output = self.folder / f"ours-{times}"
        tree = self._job(times, output)
        facts = json.loads((output / "_MANIFEST.json").read_text())["facts"]
        seconds = facts["seconds"]
        ended = tree.started + seconds["total"] - seconds["write"] - seconds["pca"]
        return self._measured(times, tree, ended - seconds["features"], ended, facts)

    def _job(self, times: int, output: Path, *, leave_classes: bool = False) -> Tree:
        return run_tree(
            [*spark_submit(self.folder, leave_classes=leave_classes), FOLDER / SCRIPT,
             "--images", self._images(times), "--output", output, "--network", self.network,
             "--components", self.components],
            self.environment,
        )  # fmt: skip

    def raw(self) -> dict[str, dict[str, float]]:
        """The bare network, by precision."""
        done = run_script("raw_inference.py", self.network, self._images(1), BATCH)
        found: dict[str, dict[str, float]] = json.loads(done.output.splitlines()[-1])
        return found

    def agreement(self) -> dict[str, float]:
        """How near the features of both ways are."""
        (ours,) = (self.folder / "ours-1").glob("attempt=*/features")
        done = run_script("compare_features.py", ours, self.folder / "usual" / "result")
        found: dict[str, float] = json.loads(done.output)
        return found

    def _images(self, times: int) -> Path:
        return self.folder / f"images-{times}"

    def _measured(
        self, times: int, tree: Tree, started: float, ended: float, facts: Mapping[str, Any]
    ) -> Measured:
        count = sum(len(names) for *_, names in os.walk(self._images(times)))
        return Measured(count, tree, ended - started, tree.cpu_between(started, ended), facts)
