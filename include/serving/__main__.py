"""Run the service: `python -m serving [--host 127.0.0.1] [--port 8000]`."""

from __future__ import annotations

import argparse
import logging
import os
import sys

GRACE = 20  # seconds for requests that are being answered when the service is told to stop


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 2 where a setting cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    # A request is one row or a few: threads would only wait for each other. Libraries read these
    # as they are imported.
    for name in ("OMP_NUM_THREADS", "SM_NUM_CPUS"):
        os.environ.setdefault(name, "1")
    import uvicorn

    from millrace.variables import SettingsError
    from serving.app import create_app
    from serving.guard import JsonLines
    from serving.settings import ServiceSettings

    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        app = create_app(ServiceSettings.from_environment())
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    uvicorn.run(
        app, host=options.host, port=options.port, access_log=False, log_config=None,
        timeout_graceful_shutdown=GRACE, server_header=False,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
