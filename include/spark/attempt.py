"""The folder of an output's attempt, its description, and the manifest that makes it count."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cluster
from reuse import MANIFEST
from storage import Folder, JobError

JOB = "job.json"
WORK = "_work"  # folder of what the stages hand on; removed at the end


def new_attempt(output: Folder, name: str) -> Folder:
    """The attempt's folder, empty. What an earlier try under the same name left is removed.

    Raises:
        JobError: it holds something else.
    """
    folder = output.child(name or f"attempt={uuid.uuid4().hex[:12]}")
    there = folder.files()
    if there and JOB not in there and not any(each.startswith(f"{WORK}/") for each in there):
        raise JobError(f"{folder.uri} holds files of another kind; choose another --attempt")
    if there:
        folder.delete()
    return folder


def publish(
    output: Folder, attempt: Folder, outcome: dict[str, Any], manifest: dict[str, Any] | None
) -> None:
    """Describe the output in job.json, and put the manifest in place unless the caller will.

    Args:
        outcome: `files` and `facts`.
        manifest: `cause` and `inputs`; None where the caller publishes.
    """
    outcome["facts"]["output"] = attempt.uri
    attempt.write(JOB, json.dumps(outcome, indent=2).encode())
    if manifest is None:
        return
    whole = {
        "attempt": attempt.uri.rpartition("/")[2], "cause": manifest["cause"],
        **outcome, "inputs": manifest["inputs"], "code": code(), "git_commit": "",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }  # fmt: skip
    output.replace(MANIFEST, json.dumps(whole, indent=2).encode())


def code() -> str:
    """Hash of the job's modules."""
    digest = hashlib.sha256()
    archive = Path(cluster.__file__).parent  # where the modules came by --py-files
    for path in cluster.siblings() or [archive]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
