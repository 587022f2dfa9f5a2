"""`make rollback DATASET=<name>`: put the previous champion back into service, in one step."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from millrace.errors import MillraceError
from millrace.lake.lease import lease
from millrace.runs import open_lake
from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking.registry import roll_back
from millrace.tracking.server import TrackingUnavailable, connect, within_budget


def main(arguments: list[str] | None = None) -> int:
    """Move the alias back; 0 if it moved."""
    parser = argparse.ArgumentParser(prog="make rollback", description=__doc__)
    parser.add_argument("dataset", help="name of the data set whose champion is to go")
    dataset = parser.parse_args(arguments).dataset
    try:
        settings = Settings.from_environment()
        settings = replace(settings, mlflow_uri=Stack(settings).mlflow_url)
        with lease(open_lake(settings), f"champion/{dataset}"):
            left, restored = within_budget(settings, lambda: roll_back(connect(settings), dataset))
    except (MillraceError, TrackingUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"{dataset}: version {restored.version} is the champion again, in place of {left.version}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
