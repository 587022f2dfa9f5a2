"""`make demo`: every pipeline once, through the real scheduler, from raw files to a champion.

Starts a stack of its own under `var/demo`, delivers raw files into its lake (from `--data`, or
samples it draws), runs the DAGs side by side, prints a table, and stops everything it started.
The model service must answer with each new champion. Where a spec says `scoring`, the champion
starts a Spark job that scores every row.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from millrace.demo.delivery import deliver
from millrace.demo.outcomes import table
from millrace.demo.runs import run_all
from millrace.demo.scoring import follow, listen, told
from millrace.demo.service import ask
from millrace.errors import MillraceError
from millrace.lake import open_store
from millrace.settings import Settings
from millrace.stack import Stack, terminate_as_exit

OWN = ("MILLRACE_LAKE", "MLFLOW_TRACKING_URI")  # settings the demo has of its own


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
            scored = listen(stack, specs)
            outcomes = run_all(stack, specs, store, partition)
            print(table(outcomes))
            promoted = {
                each.dataset: str(each.facts["version"])
                for each in outcomes
                if each.facts.get("champion")
            }
            print("\nThe model service, which takes a new champion by itself:")
            served = [ask(stack.service_url, *each) for each in promoted.items()]
            print("\n".join(line for _, line in served))
            for name in scored:
                if name in promoted:
                    print(told(name, follow(stack, store, name, partition)))
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"\nReports, models and data stay in {settings.lake}. `make up` starts the stack for use."
    )
    print(f"Demo finished in {time.monotonic() - started:.0f} s.")
    ran = all(outcome.state == "success" for outcome in outcomes)
    return 0 if ran and all(answers for answers, _ in served) else 1


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


if __name__ == "__main__":
    sys.exit(main())
