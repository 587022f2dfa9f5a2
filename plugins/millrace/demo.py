"""`make demo`: every pipeline once, through the real scheduler, from raw files to a champion.

Starts a stack of its own under `var/demo`, delivers raw files into its lake (from `--data`, or
samples it draws), runs the DAGs side by side, prints a table, and stops everything it started.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from millrace.airflow_api import AirflowApi
from millrace.datasets import AnySpec, load_image_specs, load_specs
from millrace.errors import MillraceError
from millrace.lake import Place, Store, open_store, require_published
from millrace.samples import IMAGE_SAMPLES, SAMPLES, write_images, write_sample
from millrace.settings import Settings
from millrace.stack import Stack, terminate_as_exit

RUN_TIMEOUT = 900  # seconds one pipeline may take
OWN = ("MILLRACE_LAKE", "MLFLOW_TRACKING_URI")  # settings the demo has of its own
SHOWN_METRICS = ("accuracy", "top_3_accuracy", "f1", "roc_auc")
LISTED = 3  # names of delivered files that are told


@dataclass(frozen=True)
class Outcome:
    """How one pipeline ended."""

    dataset: str
    state: str
    seconds: float
    facts: dict[str, Any]
    report: str = ""
    trouble: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 only if every run succeeded."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder with <dataset>/<files>; samples without it"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    terminate_as_exit()
    try:
        settings = fresh_home(Settings.from_environment())
        partition = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
        store = open_store(settings.lake)
        specs = deliver(settings, store, options.data, partition)
        with Stack(settings) as stack:
            outcomes = run_all(stack, specs, store, partition)
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(outcomes))
    print(
        f"\nReports, models and data stay in {settings.lake}. `make up` starts the stack for use."
    )
    print(f"Demo finished in {time.monotonic() - started:.0f} s.")
    return 0 if all(outcome.state == "success" for outcome in outcomes) else 1


def fresh_home(settings: Settings) -> Settings:
    """Settings for an empty home of the demo's own, with the lake and MLflow inside it."""
    home = settings.home / "demo"
    Stack(replace(settings, home=home)).down()  # what an earlier demo may have left
    shutil.rmtree(home, ignore_errors=True)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return Settings.from_environment(
        {
            **{name: value for name, value in os.environ.items() if name not in OWN},
            "MILLRACE_HOME": str(home),
        }
    )


def deliver(
    settings: Settings,
    store: Store,
    data: Path | None,
    partition: str,
    names: Collection[str] | None = None,
) -> dict[str, AnySpec]:
    """Put the raw files of every data set into the lake; returns the specs that have some.

    The marker that a spec waits for comes last.

    Args:
        names: data sets to deliver; by default all.

    Raises:
        MillraceError: a spec is broken, or there is no file for any.
    """
    specs: dict[str, AnySpec] = {}
    for load in (load_specs, load_image_specs):
        found, broken = load(settings.datasets)
        if broken:
            raise MillraceError("\n".join(str(error) for error in broken.values()))
        specs.update(found)
    delivered = {
        name: spec
        for name, spec in specs.items()
        if (names is None or name in names) and _deliver(spec, store, data, partition)
    }
    if not delivered:
        raise MillraceError(
            f"{data} holds no raw files; lay them out as <dataset>/<files>, with a folder for"
            f" one or more of {', '.join(specs)}"
        )
    return delivered


def _deliver(spec: AnySpec, store: Store, data: Path | None, partition: str) -> bool:
    """Put the raw files of one data set into the lake; False where there are none."""
    name = spec.name
    files = sorted((data / name).glob(spec.raw.files)) if data else []
    if not files and (data or name not in {*SAMPLES, *IMAGE_SAMPLES}):
        return False
    place = str(Place("raw", name, partition))
    folder = store.workspace(place)
    for file in files:
        target = folder / file.relative_to(data / name) if data else folder
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if files:
        print(f"{name}: {_listed([file.name for file in files])} from {data}/{name}")
    elif name in SAMPLES:
        path = write_sample(name, folder)
        print(f"{name}: drew {SAMPLES[name].rows:,} sample rows into {path.name}")
    else:
        print(f"{name}: drew {write_images(name, folder):,} sample images")
    store.store(folder, place)
    if spec.raw.ready and not set("*?[") & set(spec.raw.ready):
        marker = f"{place}/{spec.raw.ready}"
        present = store.read(marker)
        store.replace(marker, b"", present[1] if present else None)
    return True


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED:,} more files" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def run_all(
    stack: Stack,
    specs: Iterable[str],
    store: Store,
    partition: str,
    choices: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Run the pipelines side by side and follow them.

    Args:
        choices: values of the run's form, besides the partition.
    """
    stack.api.wait_for_dags(specs)
    begun = time.monotonic()

    def run_one(name: str) -> Outcome:
        client = stack.api
        client.unpause(name)
        run_id = client.trigger(name, {"partition": partition, **(choices or {})})

        def show(task: dict[str, Any]) -> None:
            if task["state"] in ("success", "failed", "upstream_failed", "skipped", "up_for_retry"):
                label = task["task_id"]
                label += f" [{task['rendered_map_index']}]" if task["map_index"] >= 0 else ""
                print(f"{time.monotonic() - begun:6.1f} s  {name:14}  {label:32}  {task['state']}")

        run = client.wait(name, run_id, RUN_TIMEOUT, show)
        return outcome_of(client, store, name, run, partition, time.monotonic() - begun)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(run_one, specs))


def outcome_of(
    api: AirflowApi,
    store: Store,
    name: str,
    run: dict[str, Any],
    partition: str,
    seconds: float,
) -> Outcome:
    """What a finished run achieved, or the end of the log of the task that failed."""
    if run["state"] != "success":
        trouble = failed_log(api, name, run["dag_run_id"])
        return Outcome(name, run["state"], seconds, {}, trouble=trouble)
    place = Place("reports", name, partition, "evaluation")
    published = require_published(store, place, "evaluate")
    promoted = api.xcom(name, run["dag_run_id"], "promote")
    facts = {**published.facts, "champion": promoted["champion"], "reasons": promoted["reasons"]}
    return Outcome(name, "success", seconds, facts, f"{published.uri}/report.html")


def failed_log(api: AirflowApi, name: str, run_id: str) -> str:
    """The last lines of the log of the first task that failed."""
    for task in api.task_instances(name, run_id):
        if task["state"] == "failed":
            text = api.log(name, run_id, task["task_id"], task["try_number"], task["map_index"])
            return f"{name}: {task['task_id']} failed:\n" + "\n".join(text.splitlines()[-25:])
    return f"{name}: the run failed, but no task did"


def table(outcomes: list[Outcome]) -> str:
    """The result of the demo: a line a data set, then the reports and what went wrong."""
    titles = (metric.removesuffix("_accuracy") for metric in SHOWN_METRICS)
    header = ("data set", "winner", *titles, "gates", "champion", "seconds")
    rows = [header, *(_cells(outcome) for outcome in outcomes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(header))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    for outcome in outcomes:
        if outcome.report:
            lines.append(f"report of {outcome.dataset}: {outcome.report}")
        if outcome.trouble:
            lines.append(outcome.trouble)
    return "\n" + "\n".join(line.rstrip() for line in lines)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    if outcome.state != "success":
        return (
            outcome.dataset,
            outcome.state,
            *("-" for _ in SHOWN_METRICS),
            "-",
            "-",
            f"{outcome.seconds:.0f}",
        )
    facts = outcome.facts
    held = sum(gate["holds"] for gate in facts["gates"])
    return (
        outcome.dataset,
        facts["winner"],
        *(_shown(facts["metrics"].get(metric)) for metric in SHOWN_METRICS),
        f"{held} of {len(facts['gates'])} hold",
        "yes" if facts["champion"] else f"no: {facts['reasons']}",
        f"{outcome.seconds:.0f}",
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
