"""What was sent to jobs and came back from them: test rows and predictions with identifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from millrace.lake import Store
from millrace.lake.sent import AREA
from millrace.privacy.subject import Subject, canonical

Note = Callable[..., None]
KINDS = (".jsonl", ".jsonl.out")


def erase_from_jobs(store: Store, dataset: str, subject: Subject, note: Note) -> None:
    """Remove the files of batch transform that name the subject.

    They are copies of published outputs, which hold what is still needed; what is sent is sent
    again where a job needs it.
    """
    for prefix in (AREA, f"jobs/{dataset}"):
        for entry in store.list(prefix):
            if entry.key.endswith(KINDS) and _names(store.local(entry.key), subject):
                note(entry.key, 0, removed_as="a copy for a job")
                store.delete(entry.key)


def _names(path: Path, subject: Subject) -> bool:
    """Whether a line's `id` is the subject's; a line that is no JSON is looked at as text."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                found = canonical(str(json.loads(line)["id"]))
            except (ValueError, KeyError, TypeError):
                found = subject.identifier if subject.identifier in line else ""
            if found == subject.identifier:
                return True
    return False
