"""Scores of a model on Spark: broadcast against a UDF that loads it in each batch, and no Spark.

All three read the same Parquet and write probabilities; the figures leave out the start of Spark.
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

from bench.measure import PROJECT, SCRIPTS, Comparison, load, run_script
from bench.process_tree import Tree, run_tree
from millrace.spark import FOLDER, java, spark_submit
from millrace.training import MODEL

SCRIPT = "credit_scoring.py"
ALLOWED = 1e-12  # difference of two probabilities
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: the least CPU time that the system tells of


@dataclass(frozen=True)
class Scored:
    """One run of one way.

    Attributes:
        seconds: from the first read to the last write.
        cpu: CPU seconds of all processes in it.
        output: Parquet with the scores.
    """

    rows: int
    tree: Tree
    seconds: float
    cpu: float
    output: Path

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    @property
    def cpu_rate(self) -> float:
        return self.rows / max(self.cpu, TICK)


def run(
    rows: int = 50_000, width: int = 250, trees: int = 500, growth: Sequence[int] = (1, 2, 4)
) -> Iterator[Comparison]:
    """Compare the three ways, what reasons and components add, and growth with the rows.

    Args:
        growth: how many times as many rows the job runs on; the first is 1.
    """
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        run_script("write_scoring.py", folder, rows, width, trees, *growth)
        ways = _Ways(folder, rows)
        usual, ours, plain = ways.usual(), ways.ours(1), ways.plain()
        how = (
            f"{rows:,} rows of {width} features, LightGBM of up to {trees} trees of 31 leaves,"
            f" {os.cpu_count()} cores; one run each; {busy} before"
        )
        difference = run_script("compare_scores.py", ours.output, usual.output, plain.output)
        yield from _against(ours, usual, plain, how)
        yield Comparison(
            "spark_scoring_difference", json.loads(difference.output) / ALLOWED, 1, "1e-12",
            f"largest difference of a probability in the three ways; {how}",
        )  # fmt: skip
        whole = ways.ours(1, reasons=5, components=min(50, width))
        yield Comparison(
            "spark_scoring_reasons", whole.cpu, ours.cpu, "cpu_s",
            "ours with 5 reasons a row by exact contributions and 50 components (or one a feature)"
            f" against ours with probabilities alone; {how}",
        )  # fmt: skip
        explained, limit = ways.ours(1, reasons=5), ways.plain("contributions")
        yield Comparison(
            "spark_scoring_reasons_limit", explained.cpu_rate, limit.cpu_rate, "rows/cpu_s",
            "ours with 5 reasons a row; other: one process with LightGBM's predictions and exact"
            f" contributions on one core, no Spark, no reasons written; {how}",
        )  # fmt: skip
        for times in growth[1:]:
            more = ways.ours(times)
            for unit, large, small in (
                ("s", more.seconds, ours.seconds), ("cpu_s", more.cpu, ours.cpu),
                ("MB", more.tree.peak_mb, ours.tree.peak_mb),
            ):  # fmt: skip
                yield Comparison(
                    f"spark_scoring_{times}x_{unit.lower()}", large, small, unit,
                    f"ours on {times} times the rows against ours; {how}",
                )  # fmt: skip


def _against(ours: Scored, usual: Scored, plain: Scored, how: str) -> Iterator[Comparison]:
    udf = f"other: a pandas UDF that loads the model in each Arrow batch; {how}"
    limit = f"other: one process with LightGBM on one core, no Spark; {how}"
    yield Comparison("spark_scoring_speed", ours.rate, usual.rate, "rows/s", udf)
    yield Comparison("spark_scoring_cpu", ours.cpu_rate, usual.cpu_rate, "rows/cpu_s", udf)
    yield Comparison("spark_scoring_memory", ours.tree.peak_mb, usual.tree.peak_mb, "MB", udf)
    yield Comparison("spark_scoring_limit", ours.cpu_rate, plain.cpu_rate, "rows/cpu_s", limit)


@dataclass(frozen=True)
class _Ways:
    """The ways to score, on what `write_scoring.py` wrote."""

    folder: Path
    rows: int

    def ours(self, times: int, *, reasons: int = 0, components: int = 0) -> Scored:
        """The job as it runs in a task; by default with probabilities alone."""
        target = self.folder / f"ours-{times}-{reasons}-{components}"
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            tree = run_tree(
                [*spark_submit(Path(scratch)), "--conf", "spark.ui.showConsoleProgress=false",
                 FOLDER / SCRIPT, "--features", self._features(times), "--model",
                 self.folder / MODEL, "--output", target, "--reasons", reasons, "--components",
                 components],
                self._variables({"OMP_NUM_THREADS": "1"}),
            )  # fmt: skip
        facts = json.loads((target / "_MANIFEST.json").read_text(encoding="utf-8"))["facts"]
        seconds = facts["seconds"]["scores"] + facts["seconds"]["pca"]
        ended = tree.started + facts["seconds"]["total"]
        [output] = target.glob("*/predictions")
        return Scored(
            times * self.rows, tree, seconds, tree.cpu_between(ended - seconds, ended), output
        )

    def usual(self) -> Scored:
        """A UDF that loads the model in each batch."""
        target = self.folder / "usual"
        words = [sys.executable, SCRIPTS / "usual_scoring.py", self._features(1), self._model()]
        return self._timed(run_tree([*words, target], self._variables({})), target)

    def plain(self, *more: str) -> Scored:
        """One process without Spark; `contributions` has it compute these too."""
        target = self.folder / f"{'-'.join(['plain', *more])}.parquet"
        words = [sys.executable, SCRIPTS / "plain_scoring.py", self._features(1), self._model()]
        return self._timed(run_tree([*words, target, *more], self._variables({})), target)

    def _timed(self, tree: Tree, target: Path) -> Scored:
        began, ended = json.loads(tree.output.splitlines()[-1])
        return Scored(self.rows, tree, ended - began, tree.cpu_between(began, ended), target)

    def _features(self, times: int) -> Path:
        return self.folder / f"features-{times}"

    def _model(self) -> Path:
        [path] = self.folder.glob("model/**/model.txt")
        return path

    def _variables(self, more: Mapping[str, Any]) -> dict[str, str]:
        return {
            "PYTHONPATH": str(PROJECT / "plugins"), "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable, **java(self.folder), **more,
        }  # fmt: skip
