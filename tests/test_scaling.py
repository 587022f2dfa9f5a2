"""The scaling study: the simulation against closed forms, and the document against the code."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bench.__main__ import benchmarks
from bench.scaling import charts, document
from bench.scaling.__main__ import main
from bench.scaling.alternatives import machine, raised, serverless
from bench.scaling.cluster import Cluster, Stage
from bench.scaling.estimate import aggregation, estimate
from bench.scaling.inputs import BUILT_IN, load
from bench.scaling.plan import BILLION_TASKS, Plan, image_seconds
from bench.scaling.prices import ec2_usd, node_price
from bench.scaling.simulation import Run
from bench.scaling.table import blocks, figure, images, replaced, size
from bench.scaling.theory import (
    lost_share,
    merged_in_groups,
    seconds_with_restarts,
    tree_aggregation,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.aws import prices

INPUTS = load()
TEN = 10**7
BILLION = Plan(10**9, 64, packed=True, apply=True, partitions=BILLION_TASKS)
PAGE = document.PAGE.read_text(encoding="utf-8")
CALM = INPUTS.with_("cluster", interruptions_per_hour=0.0)


def run(work: list[float], cluster: Cluster, capacity: float = math.inf, seed: int = 0) -> Stage:
    """One stage whose tasks share one group of prefixes."""
    tasks = np.array(work)
    groups = np.zeros(len(work), dtype=int)
    return Run(tasks, groups, [capacity], cluster, np.random.default_rng(seed)).result()


def nodes(count: int, cores: int = 1, **more: float | bool) -> Cluster:
    """Spot nodes that are there from the start."""
    return Cluster(cores=cores, arrivals=[0.0] * count, spot=[True] * count, **more)


# The simulation


def test_tasks_without_disturbance_fill_the_cores() -> None:
    found = run([10.0] * 12, nodes(2, cores=3))

    assert found.seconds == pytest.approx(20.0)
    assert found.spot_seconds == pytest.approx(40.0)
    assert (found.attempts, found.lost, found.interruptions) == (12, 0.0, 0)


def test_tasks_wait_for_a_node_that_arrives_later() -> None:
    late = Cluster(cores=1, arrivals=[0.0, 30.0], spot=[False, True])
    found = run([20.0] * 4, late)

    assert found.seconds == pytest.approx(60.0)  # 0-20, 20-40, 40-60 and 30-50
    assert found.on_demand_seconds == pytest.approx(60.0)
    assert found.spot_seconds == pytest.approx(30.0)


@given(
    count=st.integers(1, 40),
    slots=st.integers(1, 20),
    capacity=st.floats(0.5, 30.0),
)
def test_equal_tasks_share_a_request_rate_evenly(count: int, slots: int, capacity: float) -> None:
    """In each wave of n tasks each one gets min(1, capacity / n) of its full speed."""
    full, rest = divmod(count, slots)
    waves = [slots] * full + ([rest] if rest else [])
    expected = sum(10.0 * max(1.0, wave / capacity) for wave in waves)

    assert run([10.0] * count, nodes(slots), capacity).seconds == pytest.approx(expected)


def test_groups_do_not_slow_each_other_down() -> None:
    tasks, groups = np.array([10.0, 10.0, 10.0]), np.array([0, 0, 1])
    rng = np.random.default_rng(0)
    found = Run(tasks, groups, [1.0, 1.0], nodes(3), rng).result()

    assert found.seconds == pytest.approx(20.0)  # two share group 0; the third ended after 10


@pytest.mark.parametrize(("seconds", "rate", "down"), [(100.0, 0.01, 0.0), (60.0, 0.02, 30.0)])
def test_a_task_that_starts_over_takes_what_theory_says(
    seconds: float, rate: float, down: float
) -> None:
    cluster = nodes(1, interruptions=rate, notice=0.0, replacement=down)
    times = [run([seconds], cluster, seed=seed).seconds for seed in range(4_000)]

    error = np.std(times) / math.sqrt(len(times))
    assert np.mean(times) == pytest.approx(
        seconds_with_restarts(seconds, rate, down), abs=4 * error
    )


@pytest.mark.parametrize("notice", [0.0, 120.0, 400.0])
def test_work_lost_to_interruptions_is_what_theory_says(notice: float) -> None:
    """Long tasks are hit as the closed form says; those within the notice never."""
    rate, seconds, tasks = 0.1 / 3600, 300.0, 4_000
    cluster = nodes(20, interruptions=rate, notice=notice, replacement=0.0)
    shares = [run([seconds] * tasks, cluster, seed=s).lost / (seconds * tasks) for s in range(20)]

    error = np.std(shares) / math.sqrt(len(shares))
    expected = lost_share(seconds, rate, notice)
    assert np.mean(shares) == pytest.approx(expected, abs=4 * error + 0.02 * expected)


@settings(deadline=None)
@given(
    work=st.lists(st.floats(0.1, 50.0), min_size=1, max_size=60),
    count=st.integers(1, 6),
    cores=st.integers(1, 4),
    rate=st.floats(0.0, 0.01),
    notice=st.floats(0.0, 30.0),
    capacity=st.floats(0.5, 30.0),
    durable=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_task_is_lost_or_counted_twice(
    work: list[float],
    count: int,
    cores: int,
    rate: float,
    notice: float,
    capacity: float,
    durable: bool,
    seed: int,
) -> None:
    options = {"interruptions": rate, "notice": notice, "replacement": 5.0, "durable": durable}
    first, again = (run(work, nodes(count, cores, **options), capacity, seed) for _ in range(2))

    assert first == again
    assert first.finished == first.tasks == len(work)
    assert first.attempts == first.tasks + first.repeated
    assert first.seconds >= max(work) - 1e-6
    assert first.spot_seconds * cores >= sum(work) - 1e-6
    assert first.spot_seconds <= first.seconds * count + 1e-6
    if not first.interruptions:
        assert first.repeated == 0 and first.lost == 0.0


def test_finished_work_is_lost_with_its_node_unless_it_is_stored() -> None:
    options = {"interruptions": 1 / 400, "notice": 0.0, "replacement": 1.0}
    kept, gone = (run([10.0] * 200, nodes(4, durable=d, **options), seed=1) for d in (True, False))

    assert gone.lost > 3 * kept.lost > 0
    assert gone.seconds > kept.seconds


def test_a_stage_needs_a_node() -> None:
    with pytest.raises(ValueError, match="needs a node"):
        run([1.0], nodes(0))


# The estimates


def test_seeds_decide_everything() -> None:
    plan = Plan(TEN, 16)
    assert estimate(plan, INPUTS, seed=3) == estimate(plan, INPUTS, seed=3)
    assert estimate(plan, INPUTS, seed=3) != estimate(plan, INPUTS, seed=4)


@pytest.mark.parametrize("packed", [True, False])
def test_more_nodes_are_never_slower(packed: bool) -> None:
    hours = [estimate(Plan(TEN, n, packed=packed), INPUTS).hours for n in (1, 2, 4, 8, 16, 32, 64)]

    assert hours == sorted(hours, reverse=True)


def test_s3_sets_a_floor_that_no_cluster_breaks() -> None:
    least = TEN * INPUTS.s3.requests_per_image / INPUTS.s3.get_per_second / INPUTS.s3.prefixes
    found = [estimate(Plan(TEN, n), CALM).phases["features"] for n in (64, 128)]

    assert min(found) >= least
    assert found[1] == pytest.approx(least, rel=0.15)


def test_speed_up_stays_below_amdahl_and_near_it_at_first() -> None:
    one = estimate(Plan(TEN, 1, packed=True), INPUTS)
    for count in (2, 4, 8, 16):
        found = estimate(Plan(TEN, count, packed=True), INPUTS)
        law = found.amdahl(count) / found.amdahl(1)
        assert one.hours / found.hours == pytest.approx(law, rel=0.05)


def test_cost_is_flat_until_start_up_weighs() -> None:
    found = {n: estimate(dataclasses.replace(BILLION, nodes=n), INPUTS, runs=1) for n in (16, 64)}
    many = estimate(dataclasses.replace(BILLION, nodes=512), INPUTS, runs=1)

    assert found[64].compute_eur == pytest.approx(found[16].compute_eur, rel=0.05)
    assert many.compute_eur > 1.2 * found[64].compute_eur


def test_compute_cost_is_nodes_times_time() -> None:
    """On demand, without disturbance: every node from its boot to the end, and the primary."""
    found = estimate(Plan(TEN, 4, packed=True, on_demand=True), INPUTS, runs=1)
    given = INPUTS.cluster
    seconds = found.hours * 3600 - given.start_seconds + given.boot_seconds
    family, _, kind = given.primary.partition(".")
    hourly = 4 * node_price(given.instance, given.size, INPUTS).on_demand
    hourly += node_price(family, kind, INPUTS).on_demand

    assert found.compute_eur == pytest.approx(hourly * seconds / 3600)


def test_waiting_for_s3_is_hidden_by_reads_in_flight() -> None:
    alone = image_seconds(Plan(TEN, 1), INPUTS.with_("s3", in_flight=1))
    together = image_seconds(Plan(TEN, 1), INPUTS)

    assert alone - together == pytest.approx(
        INPUTS.s3.latency_seconds * INPUTS.s3.requests_per_image
    )


def test_the_pca_line_goes_through_what_was_measured() -> None:
    for method, points in INPUTS.measured.pca_cpu_seconds.items():
        fixed, row = INPUTS.measured.pca_line(method)
        for rows, seconds in points.items():
            assert fixed + row * int(rows) == pytest.approx(seconds)


@given(partials=st.integers(1, 200_000), depth=st.integers(2, 4))
def test_a_tree_of_sums_shrinks_towards_the_driver(partials: int, depth: int) -> None:
    found = tree_aggregation(partials, 8, depth)

    assert found.levels[0] == partials
    assert list(found.levels) == sorted(set(found.levels), reverse=True)
    assert found.moved == 8 * sum(found.levels[:-1])
    assert found.to_driver == 8 * found.levels[-1]
    scale = max(math.ceil(partials ** (1 / depth)), 2)
    assert found.levels[-1] <= scale + math.ceil(found.levels[-1] / scale)


@given(partials=st.integers(1, 200_000), group=st.integers(2, 64))
def test_merging_in_groups_ends_with_one_group(partials: int, group: int) -> None:
    found = merged_in_groups(partials, 8, group)

    assert found.levels[0] == partials
    assert found.to_driver <= 8 * group
    for above, below in pairwise(found.levels):
        assert above > group
        assert below == -(-above // group)


def test_the_driver_gets_less_than_spark_allows_but_not_from_spark_ml() -> None:
    limit = 2**30  # the default of spark.driver.maxResultSize
    many = Plan(10**9, 64, partitions=BILLION_TASKS)

    assert aggregation(many, INPUTS).to_driver < limit / 4
    assert aggregation(dataclasses.replace(many, notebook=True), INPUTS).to_driver > limit


def test_prices_come_from_the_price_file_where_it_knows_them() -> None:
    emr = prices.hourly("emr_step", "m7i.4xlarge", INPUTS.cluster.region)
    assert emr is not None
    assert ec2_usd("m7i", "4xlarge", INPUTS) == pytest.approx(emr / 1.25)
    found = node_price("m7i", "4xlarge", INPUTS)
    disk = INPUTS.cluster.ebs_usd_per_node_hour
    assert found.on_demand == pytest.approx((emr + disk) * INPUTS.cluster.usd_to_eur)
    assert found.spot > INPUTS.cluster.spot_price * found.on_demand  # EMR's part stays

    with pytest.raises(ValueError, match="no price of x1"):
        ec2_usd("x1", "4xlarge", INPUTS)


# The conclusions that the document draws in words


def test_packing_saves_more_than_the_computing_costs() -> None:
    files, packed = (estimate(Plan(TEN, 4, packed=packed), INPUTS) for packed in (False, True))

    assert files.s3_eur > 3 * files.compute_eur
    assert packed.s3_eur < 0.05 * packed.compute_eur


def test_the_notebook_takes_several_times_the_hours_and_the_money() -> None:
    ours = estimate(BILLION, INPUTS, runs=1)
    theirs = estimate(raised(Plan(10**9, 64, notebook=True), INPUTS), INPUTS, runs=1)

    assert theirs.hours > 8 * ours.hours
    assert theirs.eur > 10 * ours.eur


def test_m7a_costs_least_of_the_general_purpose_families() -> None:
    cost = {
        family: image_seconds(Plan(TEN, 1, instance=family, packed=True), INPUTS)
        * node_price(family, INPUTS.cluster.size, INPUTS).spot
        for family in INPUTS.instances
    }
    assert min((c for f, c in cost.items() if f.startswith("m")), default=0) == cost["m7a"]
    assert cost["m6i"] == max(cost.values())


def test_serverless_suits_small_jobs_and_one_machine_middling_ones() -> None:
    small, middle = Plan(100_000, 4), Plan(TEN, 4)

    assert serverless(small, INPUTS)[1] < min(
        machine(small, INPUTS)[1], estimate(small, INPUTS).compute_eur
    )
    assert machine(middle, INPUTS)[1] < serverless(middle, INPUTS)[1]
    assert machine(middle, INPUTS)[0] < estimate(middle, INPUTS).hours


def test_few_nodes_are_cheapest_for_10_million() -> None:
    cost = {n: estimate(Plan(TEN, n, packed=True), INPUTS).eur for n in (1, 2, 4, 8, 16)}

    assert min(cost, key=cost.__getitem__) == 4


# The document and the command


def test_the_document_has_every_table() -> None:
    assert set(blocks(PAGE)) == set(document.TABLES)
    assert len(PAGE.splitlines()) <= 320


@pytest.mark.parametrize("name", document.TABLES)
def test_a_table_of_the_document_is_what_the_code_prints(name: str) -> None:
    assert blocks(PAGE)[name] == str(document.TABLES[name](INPUTS, 0)), (
        "run: python -m bench.scaling --write"
    )


def test_the_charts_are_drawn_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the points, so that it is quick."""
    monkeypatch.setattr(charts, "GROWTH", (1, 4))
    monkeypatch.setattr(charts, "GROWTH_BILLION", (256, 512))
    for drawn in charts.write(tmp_path, INPUTS, 0):
        kept = document.IMAGES / drawn.name
        assert drawn.read_bytes()[:4] == kept.read_bytes()[:4] == b"\x89PNG"
        assert kept.stat().st_size < 150_000
        assert f"images/{drawn.name}" in PAGE


def test_the_study_is_no_benchmark() -> None:
    assert "scaling" not in benchmarks()


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--images", "1000000", "--nodes", "1", "2", "--packed", "--runs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) == 4
    assert re.match(r"\| 1 \| 250 \| ", lines[2])


def test_the_command_renews_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "scaling.md"
    page.write_text("a\n<!-- table: storage -->\nold\n<!-- end -->\nb\n", encoding="utf-8")
    monkeypatch.setattr(document, "PAGE", page)
    assert main(["--table", "storage", "--write"]) == 0

    expected = str(document.TABLES["storage"](INPUTS, 0))
    assert page.read_text(encoding="utf-8") == (
        f"a\n<!-- table: storage -->\n{expected}<!-- end -->\nb\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--images", "10", "--instance", "x1"], "--instance is one of m6i"),
        (["--inputs", "/nowhere.json"], "/nowhere.json cannot be used"),
    ],
)
def test_the_command_refuses_what_it_cannot_use(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


def test_inputs_with_an_unknown_figure_are_refused(tmp_path: Path) -> None:
    data = json.loads(BUILT_IN.read_text(encoding="utf-8"))
    data["s3"]["colour"] = "blue"
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(ValueError, match="colour"):
        load(path)


def test_a_document_with_an_unknown_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table weather"):
        replaced("<!-- table: weather -->\n<!-- end -->", {"growth": ""})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.0004, "< 0.001"), (0.0123, "0.012"), (4.567, "4.57"), (1240.4, "1,240")],
)
def test_figures(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_amounts() -> None:
    assert (images(TEN), images(10**9), images(1_234)) == ("10 million", "1 billion", "1,234")
    assert (size(999), size(13_107_200), size(5e12)) == ("999 B", "13.1 MB", "5.00 TB")
