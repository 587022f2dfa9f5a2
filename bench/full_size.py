"""Home Credit end to end at its public size: seconds and memory of each step, and how they grow.

Every step is a process of its own, as a task is, with all its children: from seven CSV files to a
registered champion and scores with reasons. Ours alone: at one scale against a tenth of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PROJECT, SCRIPTS, Comparison, load, run_script
from bench.process_tree import Tree, run_tree
from bench.servers import tracking_server

STEPS = (
    "load_tables", "sql_features", "preprocess", "train", "transform", "evaluate", "explain",
    "log_to_mlflow", "promote", "score",
)  # fmt: skip
DATASET, PARTITION = "home_credit", "2026-01-01"


def run(scale: float = 1.0, small: float = 0.1) -> Iterator[Comparison]:
    """Compare every step at one scale with the same step at a smaller one."""
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        before = one_pass(Path(name) / "small", small)
        after = one_pass(Path(name) / "large", scale)
        how = (
            f"scale {scale:g} ({_said(after)}) against {small:g} ({_said(before)});"
            f" {os.cpu_count()} cores, one run each; {busy} before"
        )
        for step in STEPS:
            large, little = after.steps[step], before.steps[step]
            what = f"the step {step} with all its processes; {how}"
            yield Comparison(f"full_size_{step}", large.seconds, little.seconds, "s", what)
            yield Comparison(
                f"full_size_{step}_memory", large.peak_mb, little.peak_mb, "MB", what
            )  # fmt: skip


@dataclass(frozen=True)
class Pass:
    """One pass of the pipeline: what each step took, and how good the model is."""

    steps: Mapping[str, Tree]
    metrics: Mapping[str, float]
    rows: int


def _said(found: Pass) -> str:
    auc = found.metrics["roc_auc"]
    return f"{found.rows:,} applicants, holdout AUC {auc:.3f}"


def one_pass(folder: Path, scale: float) -> Pass:
    """Run every step at one scale."""
    tables, home = folder / "tables", folder / "home"
    run_script("write_home_credit.py", tables, scale)
    raw = home / "lake" / "raw" / DATASET / PARTITION
    raw.parent.mkdir(parents=True)
    shutil.move(tables, raw)
    steps = {}
    with tracking_server(folder / "mlflow") as uri:
        variables = {
            "PYTHONPATH": str(PROJECT / "plugins"), "MILLRACE_HOME": str(home),
            "MLFLOW_TRACKING_URI": uri, "MILLRACE_MLFLOW_BUDGET": "300",
        }  # fmt: skip
        for step in STEPS:
            command = [sys.executable, SCRIPTS / "run_steps.py", DATASET, PARTITION, step]
            steps[step] = run_tree(command, variables)
            print(f"  scale {scale:g}, {step}: {steps[step].seconds:.1f} s,"
                  f" {steps[step].peak_mb:,.0f} MB", file=sys.stderr, flush=True)  # fmt: skip
    reports = home / "lake" / "reports" / DATASET / PARTITION
    [found] = reports.glob("evaluation/**/summary.json")
    said = json.loads(found.read_text(encoding="utf-8"))
    [winner] = [each for each in said["candidates"] if each["candidate"] == said["winner"]]
    return Pass(steps, winner["metrics"], sum(said["rows"].values()))
