"""Airflow's database of the local stack: SQLite, made once and copied after that."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from millrace.errors import MillraceError

# SQLite has one writer at a time; the others wait for 5 s, unless told otherwise. Airflow 3.3's API
# server can lock itself out: it writes its audit log in its event loop, which keeps the request
# that holds the lock from its commit until that write gives up. So the API server waits a short
# time and its clients ask again, and the other components wait for longer than it can hold the
# lock. supervisord.conf names these; Airflow adds to them, so each engine has its own.
API_SERVER, API_SERVER_ASYNC = {"timeout": 2}, {"timeout": 2}  # seconds
OTHERS, OTHERS_ASYNC = {"timeout": 60}, {"timeout": 60}


class MigrationError(MillraceError):
    """Airflow could not make or update its database; the message ends with what it said."""


def migrate(home: Path, environment: Mapping[str, str]) -> None:
    """Bring the database of a home to the installed Airflow.

    A new one costs 3 s the first time and is kept in the Python environment as a template; the
    next home gets a copy. A migrated one is not looked at again until Airflow changes.

    Raises:
        MigrationError: `airflow db migrate` failed.
    """
    current = version("apache-airflow-core")
    database, done = home / "airflow" / "airflow.db", home / "airflow" / "migrated"
    template = Path(sys.prefix) / "share" / "millrace" / f"airflow-{current}.db"
    if database.exists():
        if not done.exists() or done.read_text() != current:
            _run_migration(environment)
    elif template.exists():
        _copy(template, database)
    else:
        _run_migration(environment)
        with contextlib.suppress(OSError):  # an environment this user may not write to
            template.parent.mkdir(parents=True, exist_ok=True)
            _copy(database, template)
    done.write_text(current)


def _run_migration(environment: Mapping[str, str]) -> None:
    command = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    outcome = subprocess.run(
        command, env=dict(environment), text=True, capture_output=True, check=False
    )
    if outcome.returncode:
        said = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-15:])
        raise MigrationError(f"`airflow db migrate` failed with code {outcome.returncode}:\n{said}")


def _copy(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.draft")
    shutil.copyfile(source, draft)
    draft.replace(target)
