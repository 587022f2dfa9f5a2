"""The charts of the document: hours and EUR against nodes, this job beside the usual way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.ticker

matplotlib.use("Agg")

from matplotlib import pyplot

from bench.scaling.alternatives import raised
from bench.scaling.estimate import Outcome, estimate
from bench.scaling.inputs import Inputs
from bench.scaling.plan import BILLION_TASKS, Plan
from bench.scaling.runs import GROWTH, GROWTH_BILLION

Ways = Mapping[str, Mapping[int, Outcome]]


def write(folder: Path, inputs: Inputs, seed: int) -> list[Path]:
    """Draw both charts; returns their files."""
    charts = {
        "scaling-10-million.png": ("10 million images", ten_million(inputs, seed)),
        "scaling-1-billion.png": ("1 billion images", billion(inputs, seed)),
    }
    return [draw(folder / name, title, ways) for name, (title, ways) in charts.items()]


def ten_million(inputs: Inputs, seed: int) -> Ways:
    """The copied notebook's few long tasks: its line is drawn without interruptions."""
    calm = inputs.with_("cluster", interruptions_per_hour=0.0)
    notebook = Plan(10**7, 1, notebook=True)
    more = _raised(notebook, GROWTH, inputs)
    files, packed = Plan(10**7, 1), Plan(10**7, 1, packed=True)
    return {
        "notebook, 20 partitions": _grown([notebook] * len(GROWTH), GROWTH, calm, seed),
        "notebook, partitions raised": _grown(more, GROWTH, inputs, seed),
        "this job, a file each": _grown([files] * len(GROWTH), GROWTH, inputs, seed),
        "this job, packed": _grown([packed] * len(GROWTH), GROWTH, inputs, seed),
    }


def billion(inputs: Inputs, seed: int) -> Ways:
    nodes = GROWTH_BILLION
    notebook = _raised(Plan(10**9, 1, notebook=True), nodes, inputs)
    packed = Plan(10**9, 1, packed=True, apply=True, partitions=BILLION_TASKS)
    return {
        "notebook, partitions raised": _grown(notebook, nodes, inputs, seed, 1),
        "this job, packed, stored PCA": _grown([packed] * len(nodes), nodes, inputs, seed, 1),
    }


def _raised(plan: Plan, nodes: Sequence[int], inputs: Inputs) -> list[Plan]:
    return [raised(replace(plan, nodes=count), inputs) for count in nodes]


def _grown(
    plans: Sequence[Plan], nodes: Sequence[int], inputs: Inputs, seed: int, runs: int = 3
) -> dict[int, Outcome]:
    return {
        count: estimate(replace(plan, nodes=count), inputs, seed=seed, runs=runs)
        for plan, count in zip(plans, nodes, strict=True)
    }


def draw(path: Path, title: str, ways: Ways) -> Path:
    """Two panels with logarithmic axes: hours, and EUR with the requests to S3."""
    chart, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, found in ways.items():
        style = "--" if name.startswith("notebook") else "-"
        for axes, value in ((left, "hours"), (right, "eur")):
            heights = [getattr(outcome, value) for outcome in found.values()]
            axes.plot(list(found), heights, style, marker="o", markersize=4, label=name)
    nodes = list(next(iter(ways.values())))
    for axes, label in ((left, "hours"), (right, "EUR, S3 requests included")):
        axes.set(xscale="log", yscale="log", xlabel="nodes of 16 vCPUs", title=label)
        axes.set_xticks(nodes, [str(count) for count in nodes])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda y, _: f"{y:g}"))
        axes.set_ylim(bottom=axes.get_ylim()[0] / 1.2)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    chart.suptitle(title)
    chart.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(chart)
    return path
