"""The record of an erasure: what was removed where, and nothing about the person.

While an erasure works, its record is open; every change is noted before it is made. One that died
half way is taken up by the next, which notes the same change only once, and closes the record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from millrace.lake import Store
from millrace.lake.code import git_commit
from millrace.privacy.subject import Subject


@dataclass
class Record:
    """The open record of one subject's erasure, kept in the lake after every note."""

    store: Store
    subject: Subject
    content: dict[str, Any]
    version: str | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, store: Store, subject: Subject) -> Record:
        """Begin a record, or take up the one that an erasure left that did not end."""
        found = store.read(_open_key(subject))
        content: dict[str, Any] = {"started": _now(), "changes": []}
        if found:
            content = json.loads(found[0])
        return cls(store, subject, content, found[1] if found else None, content["changes"])

    def note(self, **change: Any) -> None:
        """Note a change that is about to be made; the same change is noted once."""
        if change not in self.changes:
            self.changes.append(change)
            self._save()

    def close(self, *, partitions: int, sweeps: int, old_versions: dict[str, Any]) -> str:
        """Write the proof and remove the open record; returns the proof's key."""
        proof = {
            "dataset": self.subject.dataset,
            "subject": f"hmac-sha256:{self.subject.pseudonym}",
            "started": self.content["started"],
            "finished": _now(),
            "code": git_commit(),
            "partitions": partitions,
            "sweeps": sweeps,
            "removed": sum(change.get("rows", 0) for change in self.changes),
            "changes": self.changes,
            "old_versions": old_versions,
        }
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        key = f"privacy/{self.subject.dataset}/proofs/{self.subject.pseudonym[:16]}-{moment}.json"
        self.store.replace(key, _dump(proof), None)
        self.store.delete(_open_key(self.subject))
        return key

    def _save(self) -> None:
        self.version = self.store.replace(
            _open_key(self.subject), _dump(self.content), self.version
        )  # fmt: skip


def _open_key(subject: Subject) -> str:
    return f"privacy/{subject.dataset}/open/{subject.pseudonym[:16]}.json"


def _dump(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
