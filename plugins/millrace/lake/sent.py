"""What is sent to jobs: files kept in the lake by the hash of their content, each once."""

from __future__ import annotations

import shutil
from pathlib import Path

from millrace.lake.store import Store

AREA = "jobs/sent"


def sent_key(content: str, name: str) -> str:
    """Where a file stands whose content is known by the hash `content`."""
    return f"{AREA}/{content[:16]}/{name}"


def send_once(store: Store, path: Path, key: str) -> None:
    """Upload a file to its key, unless it stands there already."""
    folder, _, name = key.rpartition("/")
    if any(entry.key == key for entry in store.list(folder)):
        return
    workspace = store.workspace(folder)
    shutil.copy(path, workspace / name)
    store.store(workspace, folder)
