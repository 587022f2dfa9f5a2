"""`make rehearse`: the pipelines with `engine=aws`, against the executing stand-in of AWS.

Starts the stand-in and the stack, delivers raw files into an S3 lake, runs the DAGs on `aws` and
then on `local`, prints the table of the demo, and holds the metrics of the two against each other.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import time
from pathlib import Path

from millrace.demo.delivery import deliver
from millrace.demo.outcomes import Outcome, table
from millrace.demo.runs import run_all
from millrace.demo.scoring import follow, listen, told
from millrace.errors import MillraceError
from millrace.lake import Place, Store, require_published
from millrace.settings import PROJECT, Settings
from millrace.stack import terminate_as_exit
from tests.integration.aws.stack import Rehearsal, rehearsal

DATASETS = ("titanic", "loan_default", "fruits", "home_credit")
TOLERANCE = 1e-6  # how far a metric of `aws` may lie from the one of `local`
HOME = PROJECT / "var" / "rehearsal"

Metrics = dict[str, dict[str, float]]


def main(arguments: list[str] | None = None) -> int:
    """Rehearse; 0 only if every run succeeded and the metrics are equal."""
    parser = argparse.ArgumentParser(prog="make rehearse", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder with <dataset>/<files>; samples without it"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    terminate_as_exit()
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        with rehearsal(HOME) as running:
            good = rehearse(running, options.data)
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("The stand-in is gone, and its lake with the reports.")
    print(f"Rehearsed in {time.monotonic() - started:.0f} s.")
    return 0 if good else 1


def rehearse(running: Rehearsal, data: Path | None) -> bool:
    """Run the data sets on both engines; whether all of it is as it should be."""
    partition = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    specs = deliver(Settings.from_environment(), running.store, data, partition, DATASETS)
    names, scored = list(specs), listen(running.stack, specs)
    print("\nengine aws")
    remote = run_all(running.stack, names, running.store, partition, {"engine": "aws"})
    print(table(remote))
    if not _succeeded(remote):
        return False
    for name in scored:
        print(told(name, follow(running.stack, running.store, name, partition)))
    there = metrics_of(running.store, names, partition)
    _print_jobs(running)
    print("\nengine local, on the same files")
    choices = {"engine": "local", "promote": "no"}
    here = run_all(running.stack, names, running.store, partition, choices)
    if not _succeeded(here):
        print(table(here))
        return False
    apart = largest_difference(there, metrics_of(running.store, names, partition))
    print(f"\nThe metrics of aws and local differ by {apart:.2g} at most ({TOLERANCE:g} allowed).")
    return apart <= TOLERANCE


def metrics_of(store: Store, names: list[str], partition: str) -> Metrics:
    """The metrics of every candidate, from the published evaluations."""
    found = {}
    for name in names:
        place = Place("reports", name, partition, "evaluation")
        summary = require_published(store, place, "evaluate").json("summary.json")
        for candidate in summary["candidates"]:
            found[f"{name} {candidate['candidate']}"] = candidate["metrics"]
    return found


def largest_difference(some: Metrics, other: Metrics) -> float:
    """How far two sets of metrics lie apart; infinite where they are not of the same candidates."""
    if {name: set(each) for name, each in some.items()} != {
        name: set(each) for name, each in other.items()
    }:
        return float("inf")
    pairs = (
        (value, other[name][metric])
        for name, each in some.items()
        for metric, value in each.items()
    )
    return max(abs(one - another) for one, another in pairs)


def _print_jobs(running: Rehearsal) -> None:
    print("\nJobs that ran:")
    for job in running.aws.jobs():
        print(f"  {job['service']:20}  {job['title']:60}  {job['state']}")


def _succeeded(outcomes: list[Outcome]) -> bool:
    return all(outcome.state == "success" for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
