"""Raw rows to train and test files at up to a million rows: rows/s, peak memory, growth.

Ours are the steps validate_raw and preprocess, each in a process of its own, as tasks are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Child, Comparison, in_turns, load, median, run_script

SIZES = (250_000, 500_000, 1_000_000)
PARTITION = "2026-01-01"
LACKING = (
    "the other is one script with pandas and scikit-learn (read_csv, the same features,"
    " SimpleImputer, OneHotEncoder, train_test_split, to_csv); ours also checks and types every"
    " value, looks for repeated rows, sets bad rows aside with reasons, describes raw and processed"
    " columns, writes two HTML reports, hashes every file and publishes atomically;"
    " start-up of two processes against one is included"
)


def run(sizes: Sequence[int] = SIZES, times: int = 3) -> list[Comparison]:
    """Compare at every size, and the largest with the smallest."""
    speed: dict[int, tuple[float, float]] = {}
    memory: dict[int, tuple[float, float]] = {}
    busy = load()
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
            folder = Path(name)
            ours, other = _measure(folder, rows, times)
        speed[rows] = rows / ours[0], rows / other[0]
        memory[rows] = ours[1], other[1]
    how = f"median of {times} runs; {busy}"
    results = []
    for rows in sizes:
        results += [
            Comparison(
                f"preprocess_speed_{rows}", *speed[rows], "rows/s", f"{how}; {LACKING}"
            ),
            Comparison(
                f"preprocess_memory_{rows}", *memory[rows], "MB",
                f"peak resident memory of a process (ours: the larger of the two); {how}",
            ),
        ]  # fmt: skip
    return [*results, *_growth(speed, memory, how)]


def _measure(
    folder: Path, rows: int, times: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds and peak MB, ours and other."""
    raw = folder / "lake" / "raw" / "titanic" / PARTITION
    run_script("write_sample.py", "titanic", raw, rows)
    source = next(raw.iterdir())
    lake = {"MILLRACE_LAKE": str(folder / "lake"), "MILLRACE_HOME": str(folder)}

    def ours() -> list[Child]:
        steps = ("validate_raw", "preprocess")
        return [
            run_script("run_steps.py", "titanic", PARTITION, step, environment=lake)
            for step in steps
        ]

    def other() -> list[Child]:
        return [run_script("usual_preprocess.py", source, folder / "other")]

    found = in_turns({"ours": ours, "other": other}, times)
    return _median(found["ours"]), _median(found["other"])


def _median(runs: Sequence[list[Child]]) -> tuple[float, float]:
    seconds = median([sum(child.seconds for child in children) for children in runs])
    return seconds, median([max(child.peak_mb for child in children) for children in runs])


def _growth(
    speed: dict[int, tuple[float, float]], memory: dict[int, tuple[float, float]], how: str
) -> list[Comparison]:
    """How much more time and memory a row takes at the largest size than at the smallest."""
    small, large = min(speed), max(speed)
    if small == large:
        return []
    time_ours, time_other = (speed[small][way] / speed[large][way] for way in (0, 1))
    share = small / large  # of the rows
    memory_ours, memory_other = (memory[large][way] / memory[small][way] * share for way in (0, 1))
    note = f"per row, {large:,} rows over {small:,}: at most 1 is linear or better; {how}"
    return [
        Comparison("preprocess_growth_time", time_ours, time_other, "times", note),
        Comparison("preprocess_growth_memory", memory_ours, memory_other, "times", note),
    ]
