"""Parse time of dags/tabular.py against an empty DAG file, with 3 and with 30 specs.

Each parse is a fresh process that does what the child of Airflow's DAG processor does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measure import PROJECT, Comparison, in_turns, load, median, run_script
from millrace.datasets import load_specs

TABULAR = PROJECT / "dags" / "tabular.py"
DATASETS = PROJECT / "include" / "datasets"
SPECS = [DATASETS / f"{name}.yaml" for name in load_specs(DATASETS)[0]]
EMPTY = """
from airflow.sdk import dag, task

def define(number):
    @dag(dag_id=f"empty_{number}", schedule=None)
    def pipeline():
        @task
        def nothing():
            pass

        nothing()

    pipeline()

for number in range(%d):
    define(number)
"""


def run(times: int = 5, copies: int = 10) -> list[Comparison]:
    """Compare parse times, in milliseconds; `copies` of every spec make the larger case."""
    few, many = len(SPECS), len(SPECS) * copies
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        home = {"AIRFLOW_HOME": name, "MILLRACE_HOME": name}
        found = in_turns(
            {
                "empty": _parse(_empty(folder, 1), 1, home),
                "empties": _parse(_empty(folder, many), many, home),
                "few": _parse(TABULAR, few, {**home, **_specs(folder, 1)}),
                "many": _parse(TABULAR, many, {**home, **_specs(folder, copies)}),
            },
            times,
        )
    took = {name: 1000 * median(values) for name, values in found.items()}
    how = f"median of {times} fresh processes; {load()}"
    step = many - few
    return [
        Comparison(
            f"dag_parse_{few}_specs", took["few"], took["empty"], "ms",
            f"dags/tabular.py with {few} specs (8 tasks each) against a file with one DAG of one"
            f" empty task; {how}",
        ),
        Comparison(
            f"dag_parse_{many}_specs", took["many"], took["empties"], "ms",
            f"{many} specs against a file with {many} such empty DAGs; {how}",
        ),
        Comparison(
            "dag_parse_per_spec", (took["many"] - took["few"]) / step,
            (took["empties"] - took["empty"]) / (many - 1), "ms",
            f"what one more spec adds (8 tasks, form and docs) against one more empty DAG; {how}",
        ),
    ]  # fmt: skip


def _parse(file: Path, dags: int, environment: dict[str, str]) -> Callable[[], float]:
    def parse() -> float:
        child = run_script("parse_file.py", file, dags, environment=environment)
        return float(child.output.split()[-1])

    return parse


def _empty(folder: Path, dags: int) -> Path:
    path = folder / f"empty_{dags}.py"
    path.write_text(EMPTY % dags)
    return path


def _specs(folder: Path, copies: int) -> dict[str, str]:
    """The environment with `copies` of each of the project's specs."""
    target = folder / f"specs_{copies}"
    target.mkdir()
    for spec in SPECS:
        for number in range(copies):
            shutil.copyfile(spec, target / f"{spec.stem}_{number}.yaml")
    return {"MILLRACE_DATASETS": str(target)}
