"""Principal components of many features: the job's one pass against Spark ML's PCA."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PROJECT, SCRIPTS, Comparison, load, run_script
from bench.process_tree import Tree, run_tree
from millrace.spark import java, spark_submit

WANTED = 6  # decimals that every number of every component must agree in, up to sign


@dataclass(frozen=True)
class Fit:
    """One fit: the whole process, and the part from reading the features to the components."""

    tree: Tree
    seconds: float
    cpu: float


def run(rows: int = 100_000, width: int = 1280, components: int = 100) -> Iterator[Comparison]:
    """Compare the fit by CPU, time and memory, and the components themselves."""
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        run_script("write_features.py", folder / "features", rows, width)
        ours = _fit(folder, spark_submit(folder), "one_pass_pca.py", components)
        other = _fit(folder, [sys.executable], "usual_pca.py", components)
        results = [folder / f"{each}.npz" for each in ("one_pass_pca.py", "usual_pca.py")]
        near = json.loads(run_script("compare_components.py", *results).output)
    how = (
        f"{rows:,} rows of {width:,} features in Parquet, {components} components; other is"
        f" pyspark.ml's PCA with its defaults on the same Spark; one run each; {busy} before"
    )
    yield Comparison(
        "pca_cpu", ours.cpu, other.cpu, "cpu_s",
        f"CPU of all processes from reading to the components; {how}",
    )  # fmt: skip
    yield Comparison(
        "pca_time", ours.seconds, other.seconds, "s", f"from reading to the components; {how}"
    )
    yield Comparison(
        "pca_memory", ours.tree.peak_mb, other.tree.peak_mb, "MB",
        f"largest sum of the proportional set sizes of all processes; {how}",
    )  # fmt: skip
    yield Comparison(
        "pca_agreement", _decimals(near["components"]), WANTED, "decimals",
        "in which every number of every component agrees, up to sign, against what is asked for;"
        f" the shares of the variance agree in {_decimals(near['ratio']):.1f}; {how}",
    )  # fmt: skip


def _fit(folder: Path, command: list[str], script: str, components: int) -> Fit:
    environment = {
        "PYTHONPATH": str(PROJECT / "plugins"), "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable, **java(folder),
    }  # fmt: skip
    tree = run_tree(
        [*command, SCRIPTS / script, folder / "features", components,
         folder / f"{script}.npz"],
        environment,
    )  # fmt: skip
    began, ended = json.loads(tree.output.splitlines()[-1])
    return Fit(tree, ended - began, tree.cpu_between(began, ended))


def _decimals(difference: float) -> float:
    return -math.log10(max(difference, 1e-16))
