"""`make erase DATASET=<name>`: ask for the erasure of one person.

The identifier is read from the standard input, so that it stands in no shell history.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from millrace.datasets import load_any_spec
from millrace.errors import MillraceError
from millrace.lake import open_store
from millrace.privacy.requests import add_request
from millrace.settings import Settings, SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Write one request into a local lake; prints its name."""
    parser = argparse.ArgumentParser(prog="python -m millrace.privacy", description=__doc__)
    parser.add_argument("command", choices=["request"])
    parser.add_argument("dataset", help="name of the data set")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        if settings.lake.startswith("s3://"):
            raise SettingsError(
                f"the lake is {settings.lake}; put a file that holds the identifier to"
                f" {settings.lake}/requests/{options.dataset}/request-<number> with the AWS CLI"
            )
        path = settings.datasets / f"{options.dataset}.yaml"
        if not path.is_file():
            raise SettingsError(f"there is no data set {options.dataset!r} in {settings.datasets}")
        typed = sys.stdin.isatty()
        identifier = getpass.getpass("Identifier: ") if typed else sys.stdin.readline()
        name = add_request(open_store(settings.lake), load_any_spec(path), identifier)
    except MillraceError as error:
        print(error, file=sys.stderr)
        return 1
    print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
