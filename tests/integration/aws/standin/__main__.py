"""`python -m tests.integration.aws.standin --port 0 --state <folder>`."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from tests.integration.aws.standin.server import serve


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--state", type=Path, required=True, help="folder of jobs and log")
    parser.add_argument("--setup", type=Path, help="JSON file with policies, roles and pace")
    options = parser.parse_args()
    setup = json.loads(options.setup.read_text()) if options.setup else {}
    options.state.mkdir(parents=True, exist_ok=True)
    serve(options.state.resolve(), options.port, setup)


if __name__ == "__main__":
    main()
