"""Publishing a step's output as one atomic step, and reading only what was published.

A step writes into `<place>/attempt=<id>/`; then `<place>/_MANIFEST.json` is put in place, naming
every file with its size and SHA-256. Readers trust nothing else, so a killed step, a full disk or
two copies of one task leave no half-written output behind.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from millrace.lake.account import account_of
from millrace.lake.code import code_fingerprint, git_commit
from millrace.lake.epochs import check_epoch, epoch_of
from millrace.lake.manifest import (
    MANIFEST,
    Manifest,
    Place,
    Published,
    read_published,
    read_version,
    sha256_of,
)
from millrace.lake.store import Conflict, Store

log = logging.getLogger(__name__)

ABANDONED_AFTER = 24 * 3600  # seconds after which an attempt that never published is removed


@dataclass
class Attempt:
    """One try at a step's output: a folder to write into and figures to leave.

    Attributes:
        written: name of a folder beside this one (`attempt=...`) into which a job has written the
            output itself; it is published in place of this one, and nothing is copied.
    """

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    written: str = ""

    def write(self, name: str, text: str) -> None:
        """Write one text file of the output."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file of the output."""
        self.write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")


def publish(
    store: Store,
    place: Place,
    *,
    depends_on: Mapping[str, Any],
    build: Callable[[Attempt], None],
    inputs: Mapping[str, str] | None = None,
    again: bool = False,
) -> Published:
    """Make a step's output and publish it, unless what is published already answers.

    Args:
        depends_on: everything besides the code that the output depends on, JSON-serialisable.
        build: writes the files; called only when there is work to do.
        inputs: address and content hash of what was read, for the record.
        again: make the output even where the published one answers.

    Raises:
        Conflict: another run published something else at this place meanwhile, or somebody was
            erased from the data set, whose data this output may hold.
    """
    present, version = read_version(store, place)
    cause = _cause(depends_on)
    if present and present.manifest.cause == cause and not again:
        log.info("Nothing to do: %s was published %s from the same inputs and code.",
                 present.uri, present.manifest.created)  # fmt: skip
        return present
    for uri in inputs or {}:
        log.info("Reading %s", uri)
    epoch = epoch_of(store, place.dataset)
    attempt_name = f"attempt={uuid.uuid4().hex[:12]}"
    prefix = f"{place}/{attempt_name}"
    folder = store.workspace(prefix)
    try:
        attempt = Attempt(folder)
        build(attempt)
        if attempt.written:
            attempt_name = attempt.written
            files, facts = account_of(store, f"{place}/{attempt_name}")
            shutil.rmtree(folder)
        else:
            files, facts = inventory(folder), {}
        manifest = Manifest(
            attempt_name, cause, files, {**facts, **attempt.facts}, dict(inputs or {}),
            code_fingerprint(), git_commit(), datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        check_epoch(store, place.dataset, epoch)
        if not attempt.written:
            store.store(folder, prefix)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _remove(store, prefix)
        raise
    published = put_in_place(store, place, manifest, version, keep=bool(attempt.written))
    if published.manifest.attempt != attempt_name:
        return published
    size = sum(facts["size"] for facts in manifest.files.values())
    rows = f", rows {manifest.facts['rows']}" if "rows" in manifest.facts else ""
    log.info(
        "Published %s: %d files, %s bytes%s.", published.uri, len(manifest.files), f"{size:,}", rows
    )
    _remove_abandoned(
        store, place, keep={attempt_name, present.manifest.attempt if present else ""}
    )
    return published


def answers(store: Store, place: Place, depends_on: Mapping[str, Any]) -> bool:
    """Whether what is published at `place` was made from this, by this code."""
    present, _ = read_version(store, place)
    return present is not None and present.manifest.cause == _cause(depends_on)


def _cause(depends_on: Mapping[str, Any]) -> str:
    return _hash({"depends_on": depends_on, "code": code_fingerprint()})


def put_in_place(
    store: Store, place: Place, manifest: Manifest, version: str | None, *, keep: bool
) -> Published:
    """The atomic step; returns what is published after it.

    Args:
        keep: leave the files where another try may publish them, as those of a long job.
    """
    try:
        store.replace(f"{place}/{MANIFEST}", _dump(manifest), version)
    except Exception as error:
        # An error does not say that nothing was written: the answer may have been lost.
        winner = read_published(store, place)
        if winner and winner.manifest.attempt == manifest.attempt:
            return winner
        if isinstance(error, Conflict) or not keep:
            _remove(store, f"{place}/{manifest.attempt}")
        if not (isinstance(error, Conflict) and winner and winner.manifest.cause == manifest.cause):
            raise
        log.info("Another copy of this task published %s first; its output stands.", winner.uri)
        return winner
    return Published(store, str(place), manifest)


def _dump(manifest: Manifest) -> bytes:
    return (json.dumps(asdict(manifest), indent=2) + "\n").encode()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def inventory(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and hash of every file below a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _remove_abandoned(store: Store, place: Place, keep: set[str]) -> None:
    """Remove attempts that were superseded or never published, once nobody can be using them."""
    ages: dict[str, float] = {}
    for entry in store.list(str(place)):
        head = entry.key.removeprefix(f"{place}/").split("/")[0]
        if head.startswith("attempt=") and head not in keep:
            ages[head] = max(ages.get(head, 0.0), entry.modified)
    for head, modified in ages.items():
        if time.time() - modified > ABANDONED_AFTER:
            _remove(store, f"{place}/{head}")


def _remove(store: Store, prefix: str) -> None:
    """Remove an attempt that nobody reads; what cannot be removed now harms nobody."""
    try:
        store.delete(prefix)
    except Exception as error:
        log.warning("%s could not be removed: %s", store.uri(prefix), error)
