"""`make bake`: write champions as folders that the service's image can hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from millrace.errors import MillraceError
from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking.server import TrackingUnavailable
from serving.model import SelfTestFailed
from serving.sources import NoModel, Registry


def main(arguments: list[str] | None = None) -> int:
    """Bake the champions; 0 if all of them were written."""
    parser = argparse.ArgumentParser(prog="make bake", description=__doc__)
    parser.add_argument("datasets", nargs="*", help="whose champions; all that have one by default")
    parser.add_argument("--into", type=Path, required=True, help="folder that gets the models")
    options = parser.parse_args(arguments)
    try:
        registry = Registry(Stack(Settings.from_environment()).mlflow_url)
        names = options.datasets or registry.names()
        if not names:
            raise NoModel(f"{registry.mlflow_uri} has no champion; run a pipeline first")
        for name in names:
            version = registry.version(name, None)
            folder = registry.bake(version, options.into)
            print(f"{name}: version {version.version} is in {folder}")
    except (MillraceError, TrackingUnavailable, SelfTestFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
