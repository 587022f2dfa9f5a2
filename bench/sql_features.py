"""Features of the seven tables of Home Credit: SQL in DuckDB against pandas group by.

Both start from the CSV files and end with the features in Parquet. Ours also checks every key and
value, and keeps the typed tables; the sets of features differ, and the notes say how many each has.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Child, Comparison, in_turns, load, median, run_script

SCALE = 0.1


def run(scale: float = SCALE, times: int = 1, alone: float | None = 1.0) -> Iterator[Comparison]:
    """Compare time and memory at one scale, then ours with itself at another.

    Args:
        alone: the greater scale that ours runs at without the usual way; None leaves it out.
    """
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        tables = folder / "tables"
        run_script("write_home_credit.py", tables, scale)
        ours, other = _both(folder, tables, times)
        said, theirs = json.loads(ours[0].output), json.loads(other[0].output)
        how = (
            f"scale {scale:g}, {said['rows']:,} applicants; ours {said['columns']} features, other"
            f" {theirs['columns']}; median of {times}; {busy} before"
        )
        yield Comparison(
            "sql_features_time", _seconds(ours), _seconds(other), "s",
            f"whole process from CSV to features; ours: load_tables {said['load']:.1f} s,"
            f" sql_features {said['features']:.1f} s in the first run; {how}",
        )  # fmt: skip
        yield Comparison(
            "sql_features_cpu", _cpu(ours), _cpu(other), "cpu_s", f"whole process; {how}"
        )
        yield Comparison(
            "sql_features_memory", _peak(ours), _peak(other), "MB", f"largest resident set; {how}"
        )
        if alone is not None:
            yield from _growth(folder, scale, alone, ours)


def _both(folder: Path, tables: Path, times: int) -> tuple[list[Child], list[Child]]:
    def ours() -> Child:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            return run_script("our_sql_features.py", tables, home)

    def other() -> Child:
        return run_script("usual_sql_features.py", tables, folder / "usual.parquet")

    found = in_turns({"ours": ours, "other": other}, times)
    return found["ours"], found["other"]


def _growth(folder: Path, small: float, large: float, before: list[Child]) -> Iterator[Comparison]:
    busy = load()
    run_script("write_home_credit.py", folder / "large", large)
    child = run_script("our_sql_features.py", folder / "large", folder / "lake")
    said = json.loads(child.output)
    how = (
        f"ours at scale {large:g} ({said['rows']:,} applicants) against ours at {small:g};"
        f" load_tables {said['load']:.1f} s, sql_features {said['features']:.1f} s;"
        f" one run; {busy} before"
    )
    yield Comparison("sql_features_growth_time", child.seconds, _seconds(before), "s", how)
    yield Comparison("sql_features_growth_cpu", child.cpu, _cpu(before), "cpu_s", how)
    yield Comparison("sql_features_growth_memory", child.peak_mb, _peak(before), "MB", how)


def _seconds(children: list[Child]) -> float:
    return median([child.seconds for child in children])


def _peak(children: list[Child]) -> float:
    return median([child.peak_mb for child in children])


def _cpu(children: list[Child]) -> float:
    return median([child.cpu for child in children])
