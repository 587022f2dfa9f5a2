"""The benchmarks: what they print and write, and two of them at a tiny size."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import __main__ as command
from bench import (
    dag_parse,
    deferred_jobs,
    full_size,
    image_features,
    job_overhead,
    pca,
    preprocess,
    service,
    spark_scoring,
    sql_features,
)
from bench.measure import BenchmarkError, Child, Comparison, figure, in_turns, run_script
from bench.process_tree import Tree, run_tree

LINE = re.compile(
    r"(?P<name>[a-z0-9_]+): ours (?P<ours>[\d.]+) (?P<unit>[\w/]+), "
    r"other (?P<other>[\d.]+) (?P=unit), ratio (?P<ratio>[\d.]+)"
)


def test_a_comparison_reads_as_documented() -> None:
    comparison = Comparison("titanic_run", 12.34, 4.0, "s", "a note")

    assert str(comparison) == "titanic_run: ours 12.3 s, other 4 s, ratio 3.08"
    assert comparison.as_dict() == {
        "name": "titanic_run",
        "ours": 12.34,
        "other": 4.0,
        "ratio": 3.085,
        "unit": "s",
        "note": "a note",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123456, "0.0123"), (9.996, "10"), (99.96, "100"), (234_567.8, "234568"), (0.0, "0")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_ways_take_turns() -> None:
    order: list[str] = []
    found = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)

    assert "".join(order) == "abbaab"
    assert {name: len(results) for name, results in found.items()} == {"a": 3, "b": 3}


def test_help_lists_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--help"])

    assert end.value.code == 0
    said = capsys.readouterr().out
    for name, what in command.benchmarks().items():
        assert re.search(rf"^  {name} +{re.escape(what)}$", said, re.MULTILINE)
    assert {
        "dag_parse", "deferred_jobs", "image_features", "job_overhead", "pca", "preprocess",
        "full_size", "service", "spark_scoring", "sql_features", "titanic_run",
    } <= set(command.benchmarks())  # fmt: skip


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.json"

    assert command.main(["preproces", "--results", str(results)]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: no benchmark 'preproces'; there are:\n")
    assert all(name in said.err for name in command.benchmarks())
    assert not results.exists()


def test_a_benchmark_prints_its_lines_and_writes_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = preprocess.run
    monkeypatch.setattr(preprocess, "run", lambda: small(sizes=(500, 1_000), times=1))
    results = tmp_path / "results.json"

    assert command.main(["preprocess", "--results", str(results)]) == 0

    rows = json.loads(results.read_text())
    lines = capsys.readouterr().out.splitlines()
    assert len(rows) == len(lines) == 6
    for line, row in zip(lines, rows, strict=True):
        said = LINE.fullmatch(line)
        assert said, line
        assert said["name"] == row["name"] and said["unit"] == row["unit"]
        assert float(said["ours"]) == pytest.approx(row["ours"], rel=0.01)
        assert float(said["other"]) == pytest.approx(row["other"], rel=0.01)
        assert row["ratio"] == pytest.approx(row["ours"] / row["other"])
        assert set(row) == {"name", "ours", "other", "ratio", "unit", "note"}
        assert "load" in row["note"]


def test_dag_parse_at_its_smallest() -> None:
    results = dag_parse.run(times=1, copies=2)

    specs = len(dag_parse.SPECS)
    assert [result.name for result in results] == [
        f"dag_parse_{specs}_specs",
        f"dag_parse_{2 * specs}_specs",
        "dag_parse_per_spec",
    ]
    few, many, _ = results
    assert 0 < few.other < few.ours < many.ours


@pytest.mark.integration
def test_deferred_jobs_at_its_smallest() -> None:
    results = deferred_jobs.run(count=7, interval=1, steady=2, within=1)

    found = {result.name.removeprefix("deferred_jobs_"): result for result in results}
    assert list(found) == ["start", "cpu", "memory", "calls", "asks", "delay"]
    assert all(LINE.fullmatch(str(result)) for result in results)
    rounds = 60  # a minute, by the interval
    assert 3 * rounds < found["asks"].other == found["calls"].other <= 7 * rounds * 2
    assert found["asks"].ours < found["asks"].other < found["calls"].ours
    assert 0 < found["delay"].other < 5 and 0 < found["delay"].ours < 10


SAID = {
    "ours": "millrace-overhead-20260101-train-1-5e0a9d1c42-1: Downloading",
    "usual": "Training job not done yet: InProgress",
}


@pytest.mark.parametrize("way", SAID)
def test_the_overhead_of_a_job_is_told_from_the_task_and_its_log(way: str) -> None:
    log = "\n".join(
        f"2026-01-01T00:00:{second}Z info {text}"
        for second, text in [
            ("01.0", "Creating a job"), ("03.5", SAID[way]), ("04.5", SAID[way]), ("09.9", "Done.")
        ]
    )  # fmt: skip
    begun = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    task = {"start_date": begun.isoformat(), "end_date": "2026-01-01T00:00:11Z"}
    job = {"title": "job", "created": begun.timestamp() + 2, "ended": begun.timestamp() + 8}

    found = job_overhead.overhead_of(job, task, log)

    assert dataclasses.astuple(found) == pytest.approx((2, 1.5, 3))
    with pytest.raises(BenchmarkError, match="nobody asked about job while it ran"):
        job_overhead.overhead_of({**job, "ended": begun.timestamp() + 3}, task, log)


def test_a_child_s_own_memory_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.SCRIPTS", tmp_path)
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # see run_script
    (tmp_path / "small.py").write_text("print('done')")
    (tmp_path / "large.py").write_text(f"held = b'x' * ({floor + 100} * 2**20)")

    small, large = run_script("small.py"), run_script("large.py")

    assert isinstance(small, Child) and small.output == "done\n" and small.seconds > 0
    assert large.peak_mb > floor + 100 > small.peak_mb


def test_a_failing_script_is_an_error_with_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.SCRIPTS", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit('no such luck')")

    with pytest.raises(BenchmarkError, match=r"broken.py ended with 1:\nno such luck"):
        run_script("broken.py")


FAMILY = r"""
import os, subprocess, sys, time
busy = "import time\nwhile time.process_time() < 1: pass"
held = f"held = b'x' * (150 * 2**20); {busy}"
children = [subprocess.Popen([sys.executable, "-c", held]) for _ in range(2)]
for child in children:
    child.wait()
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(left.pid)
"""


def test_a_whole_tree_of_processes_is_measured_and_ended() -> None:
    tree = run_tree([sys.executable, "-c", FAMILY], {})

    assert tree.seconds > 1
    assert 300 < tree.peak_mb < 450
    assert 1 < tree.cpu < 4  # 2 and the start-up, less what the last sample missed
    left = Path("/proc", tree.output.strip())
    deadline = time.monotonic() + 5
    while left.exists() and "(zombie)" not in (left / "status").read_text():
        assert time.monotonic() < deadline, "a process of the tree is left"
        time.sleep(0.05)


def test_cpu_between_two_moments_lies_on_the_line_between_the_samples() -> None:
    tree = Tree(100.0, 4.0, 0, ((102.0, 4.0), (104.0, 5.0)), "")

    assert tree.cpu_between(100, 104) == tree.cpu_between(90, 200) == 5
    assert tree.cpu_between(101, 103) == pytest.approx(2.5)


def test_a_tree_that_fails_is_an_error_with_its_last_lines() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 1:\nno such luck"):
        run_tree([sys.executable, "-c", "raise SystemExit('no such luck')"], {})


@pytest.mark.integration
def test_pca_at_its_smallest() -> None:
    found = {result.name: result for result in pca.run(rows=2000, width=64, components=5)}

    assert list(found) == ["pca_cpu", "pca_time", "pca_memory", "pca_agreement"]
    assert all(LINE.fullmatch(str(result)) for result in found.values())
    assert found["pca_agreement"].ours > found["pca_agreement"].other
    assert found["pca_cpu"].ours > 0


@pytest.mark.integration
def test_image_features_at_its_smallest(project: Path) -> None:
    made = subprocess.run(
        [project / "scripts" / "setup_keras.sh"], capture_output=True, text=True, timeout=900
    )
    if "registry is unreachable" in made.stderr:
        pytest.skip(f"TensorFlow cannot be installed: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr

    results = list(image_features.run(images=48, growth=(1, 2), partitions=2))

    found = {result.name.removeprefix("image_features_"): result for result in results}
    assert [name for name in found if "bf16" not in name and "running" not in name] == [
        "speed", "cpu", "job", "job_cpu", "memory", "agreement", "of_raw", "of_raw_cpu",
        "int8_speed", "int8_error", "growth_time_2x", "growth_memory_2x",
    ]  # fmt: skip
    assert all(LINE.fullmatch(str(result)) for result in results)
    assert found["agreement"].ours < found["agreement"].other
    assert found["job"].ours < found["job"].other
    assert found["of_raw"].ours < found["of_raw"].other


def test_image_features_without_keras_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_features, "KERAS", tmp_path / "python")

    with pytest.raises(BenchmarkError, match=r"there is no .*; run scripts/setup_keras.sh"):
        next(image_features.run())


def test_sql_features_are_compared_on_the_same_applicants() -> None:
    found = {each.name: each for each in sql_features.run(scale=0.001, alone=0.002)}

    assert list(found) == [
        "sql_features_time", "sql_features_cpu", "sql_features_memory",
        "sql_features_growth_time", "sql_features_growth_cpu", "sql_features_growth_memory",
    ]  # fmt: skip
    assert all(each.ours > 0 and each.other > 0 for each in found.values())
    said = re.search(r"ours (\d+) features, other (\d+)", found["sql_features_time"].note)
    assert said and int(said[1]) >= 200 and int(said[2]) >= 200
    assert "615 applicants" in found["sql_features_growth_time"].note


def test_the_ways_to_score_agree() -> None:
    runs = spark_scoring.run(rows=1_500, width=10, trees=20, growth=(1, 2))
    found = {each.name: each for each in runs}

    assert found["spark_scoring_difference"].ratio < 1
    ours = {"speed", "cpu", "memory", "limit", "reasons", "2x_s", "2x_cpu_s", "2x_mb"}
    assert {f"spark_scoring_{name}" for name in ours} <= set(found)
    assert all(each.ours > 0 for name, each in found.items() if "difference" not in name)


def test_services_answer_with_the_same_model() -> None:
    found = {each.name: each for each in service.run("titanic", seconds=0.5, connections=(2,))}

    told = {"2_rate", "2_median", "2_p99", "2_per_core", "start", "memory"}
    assert {f"service_{way}_{each}" for way in ("mlflow", "fastapi") for each in told} == set(found)
    assert all(each.ours > 0 and each.other > 0 for each in found.values())


def test_every_step_is_measured_with_all_its_processes(tmp_path: Path) -> None:
    found = full_size.one_pass(tmp_path, 0.002)

    assert list(found.steps) == list(full_size.STEPS)
    assert found.rows == 615
    jvm = found.steps["score"].peak_mb
    assert jvm > 2 * found.steps["promote"].peak_mb, "Spark's own processes are counted"
