"""`make spark-history`: Spark's own pages of the jobs that ran on this machine.

Every local Spark job leaves its events in the home folder; the task that ran it links to its page
here. Runs until it is interrupted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from millrace.settings import Settings
from millrace.spark import EVENTS, HISTORY_PORT, java

SERVER = "org.apache.spark.deploy.history.HistoryServer"


def main(arguments: list[str] | None = None) -> int:
    """Run Spark's history server on this machine's jobs, for this machine only."""
    parser = argparse.ArgumentParser(prog="make spark-history", description=__doc__)
    parser.add_argument("--port", type=int, default=HISTORY_PORT)
    options = parser.parse_args(arguments)
    events = Settings.from_environment().home / EVENTS
    events.mkdir(parents=True, exist_ok=True)
    spark_class = Path(sys.executable).with_name("spark-class")
    with tempfile.TemporaryDirectory(prefix="millrace-history-") as folder:
        print(f"http://127.0.0.1:{options.port} shows the jobs of {events}; end with Ctrl-C")
        try:
            return subprocess.call([str(spark_class), SERVER], env=_environment(
                events, options.port, Path(folder)
            ))  # fmt: skip
        except KeyboardInterrupt:
            return 0


def _environment(events: Path, port: int, folder: Path) -> dict[str, str]:
    """What the server is told; it takes its settings from variables only."""
    settings = {
        "spark.history.fs.logDirectory": events.as_uri(),
        "spark.history.ui.port": str(port),
        "spark.history.fs.update.interval": "5s",
    }
    binaries = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": binaries + os.pathsep + os.environ.get("PATH", os.defpath),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HISTORY_OPTS": " ".join(f"-D{name}={value}" for name, value in settings.items()),
        **java(folder),
    }


if __name__ == "__main__":
    sys.exit(main())
