"""Erasing one person from everything that a data set has in the lake.

A sweep goes through every partition: first what was made last, the raw files at the end, so that
at any moment what is still there can be found from what it was made of. Sweeps follow each other
until one finds nothing. Before each the data set's epoch moves, and a step that began earlier does
not publish.
"""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.datasets import AnySpec
from millrace.lake import LakeError, Store
from millrace.lake.epochs import next_epoch
from millrace.lake.lease import lease
from millrace.privacy import records
from millrace.privacy.jobs import erase_from_jobs
from millrace.privacy.outputs import sweep_outputs
from millrace.privacy.proof import Record
from millrace.privacy.rows import Rows, places_of
from millrace.privacy.subject import ErasureError, Subject

log = logging.getLogger(__name__)

SWEEPS = 5  # a data set in which runs publish faster than it is swept is not to be swept for ever
FORGOTTEN = ("raw", "processed", "features", "predictions", "reports", "jobs")  # of rows of people


@dataclass
class Erasure:
    """What one sweep after the other needs."""

    store: Store
    spec: AnySpec
    subject: Subject
    record: Record
    removed: int = 0
    changes: int = 0

    def note(self, place: str, rows: int, **change: Any) -> None:
        """Note a change before it is made."""
        self.record.note(place=place, rows=rows, **change)
        self.removed += rows
        self.changes += 1


def erase(store: Store, spec: AnySpec, identifier: str, key: bytes) -> str:
    """Erase one person from every partition; returns the proof's key in the lake.

    Safe to repeat: whoever is gone already gets a proof of that. One that died is completed by the
    next.

    Args:
        identifier: value of the spec's id column.
        key: the installation's key, under which the proof names the person.

    Raises:
        ErasureError: the data set names nobody, or runs kept publishing the person's data.
        millrace.lake.Conflict: another run changed something meanwhile; nothing is lost, try again.
    """
    subject, started = Subject.of(spec, identifier, key), time.monotonic()
    with lease(store, f"privacy/{spec.name}", patience=3600):
        erasure = Erasure(store, spec, subject, Record.open(store, subject))
        for sweeps in range(1, SWEEPS + 1):
            log.info("Sweep %d through %s.", sweeps, spec.name)
            next_epoch(store, spec.name)
            before, partitions = erasure.changes, _sweep(erasure)
            if erasure.changes == before:
                break
        else:
            raise ErasureError(
                f"runs of {spec.name} still publish rows of {subject!r} after {SWEEPS} sweeps;"
                " pause its DAG and start the erasure again"
            )
        old = _forget(store, spec.name)
        proof = erasure.record.close(partitions=partitions, sweeps=sweeps, old_versions=old)
    log.info("Erased %s: %d rows in %d partitions, %.1f s. Proof: %s", subject, erasure.removed,
             partitions, time.monotonic() - started, store.uri(proof))  # fmt: skip
    return proof


def _sweep(erasure: Erasure) -> int:
    """Go through all partitions once; returns how many there are."""
    places = places_of(erasure.store, erasure.spec.name)
    for done, (partition, found) in enumerate(places.items(), start=1):
        rows = Rows.of(erasure.store, erasure.spec, partition, erasure.subject)
        with tempfile.TemporaryDirectory(prefix="millrace-erase-") as scratch:
            sweep_outputs(erasure.note, rows, found, Path(scratch))
            _sweep_raw(erasure, rows, Path(scratch))
        log.info("Swept partition %s (%d of %d): %d rows removed so far.", partition, done,
                 len(places), erasure.removed)  # fmt: skip
    erase_from_jobs(erasure.store, erasure.spec.name, erasure.subject, erasure.note)
    return len(places)


def _sweep_raw(erasure: Erasure, rows: Rows, scratch: Path) -> None:
    """Rewrite the raw files that name the subject, each in one atomic step."""
    store, prefix = erasure.store, f"raw/{erasure.spec.name}/{rows.partition}"
    entries = {entry.key.removeprefix(f"{prefix}/"): entry for entry in store.list(prefix)}
    order = list(rows.tables)
    known = [name for name in entries if rows.raw_doom(name) is not None]
    known.sort(key=lambda name: order.index(str(rows.table_of(name))) if order else 0)
    for name in known:
        doom, raw = rows.raw_doom(name), rows.spec.raw
        source, target = store.local(entries[name].key), scratch / "raw.csv"
        if not records.may_hold(source, doom or {}, raw.encoding, raw.quote):
            continue
        removed = records.drop_records(
            source, target, records.by_header(doom or {}), encoding=raw.encoding,
            delimiter=raw.delimiter, quote=raw.quote,
        )  # fmt: skip
        if removed:
            erasure.note(entries[name].key, removed, bytes_after=target.stat().st_size)
            store.put(target, entries[name])


def _forget(store: Store, dataset: str) -> dict[str, Any]:
    """Remove old versions of what was rewritten; says where they could not be removed."""
    removed, failed = 0, dict[str, str]()
    for area in FORGOTTEN:
        prefix = "jobs/sent" if area == "jobs" else f"{area}/{dataset}"
        for each in (prefix, *([f"jobs/{dataset}"] if area == "jobs" else [])):
            try:
                removed += store.forget(each)
            except LakeError as error:
                log.warning("Old versions below %s stay: %s", store.uri(each), error)
                failed[each] = str(error)
    return {"removed": removed, "complete": not failed, "not_removed": failed}
