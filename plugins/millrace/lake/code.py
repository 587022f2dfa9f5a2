"""Which code made an output."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess

from millrace.settings import PROJECT

# Parts of the package that no output depends on.
NO_MAKERS = frozenset(
    "privacy stack samples dataset_draft tracking jobs arrivals aws lambda sensors"
    " demo.py airflow_api.py public_data.py rollback.py runs.py promotion.py settings.py"
    " variables.py spark.py spark_environment.py spark_history.py name_image.py"
    " model_tasks.py spark_tasks.py assets.py quality.py hooks".split()
)


@functools.cache
def code_fingerprint() -> str:
    """SHA-256 over the sources that make the outputs: the core and the scripts that are sent."""
    folders = (PROJECT / "plugins" / "millrace", PROJECT / "include")
    sources = sorted(
        path
        for folder in folders
        for kind in ("*.py", "*.j2")
        for path in folder.rglob(kind)
        if path.relative_to(folder).parts[0] not in NO_MAKERS
    )
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def git_commit() -> str:
    """The commit of the project, `+changes` where files differ from it.

    Outside git, as in an image, MILLRACE_REVISION says it; `unknown` where it is not set.
    """
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],  # noqa: S607
            cwd=PROJECT, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("MILLRACE_REVISION") or "unknown"
    return answer.stdout.strip()
