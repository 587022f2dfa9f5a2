"""Keeping nothing longer than is meant: what has expired, and its removal."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from millrace.lake import LakeError, Store
from millrace.lake.lease import lease
from millrace.lake.manifest import MANIFEST
from millrace.lake.store import Entry

log = logging.getLogger(__name__)

# What explains a champion and lets it be compared stays as long as it is champion.
KEPT_FOR_CHAMPION = frozenset({"processed", "features", "models", "reports"})
NOTED = "jobs/waiting/"  # the ledger of running jobs is no data; it empties itself


@dataclass(frozen=True)
class Expired:
    """One folder or file whose time is over.

    Attributes:
        key: where it stands in the lake.
        kept: why it stays all the same, empty where it goes.
    """

    area: str
    dataset: str
    key: str
    age: int
    files: int
    size: int
    kept: str = ""


def find_expired(
    store: Store,
    retention: Mapping[str, int],
    today: dt.date,
    champions: Mapping[str, str | None],
) -> list[Expired]:
    """What is older than its class of data may be.

    The age of a partition is that of its day; a file of a job is as old as its last change. What
    is no partition of a day is left alone.

    Args:
        retention: days by area; an area that is not named is kept for ever.
        champions: partition of the champion by data set.
    """
    found = list[Expired]()
    for area, days in retention.items():
        if area == "jobs":
            found += _old_files(store, days, today)
            continue
        for (dataset, partition), entries in _partitions(store, area).items():
            age = (today - dt.date.fromisoformat(partition)).days
            if age > days:
                champion = area in KEPT_FOR_CHAMPION and champions.get(dataset) == partition
                found.append(
                    Expired(
                        area, dataset, f"{area}/{dataset}/{partition}", age, len(entries),
                        sum(entry.size for entry in entries),
                        "the champion was trained on it" if champion else "",
                    )
                )  # fmt: skip
    return found


def log_expired(store: Store, expired: list[Expired], retention: Mapping[str, int]) -> None:
    """Say what has expired, before anything is removed."""
    if not retention:
        log.info("MILLRACE_RETENTION sets no days: everything is kept.")
    for each in expired:
        verdict = f"stays: {each.kept}" if each.kept else "expired"
        log.info("%s: %d files, %s bytes, %d days old (of %d): %s", store.uri(each.key), each.files,
                 f"{each.size:,}", each.age, retention[each.area], verdict)  # fmt: skip
    going = [each for each in expired if not each.kept]
    log.info("%d expired, %s bytes.", len(going), f"{sum(each.size for each in going):,}")


def remove_expired(store: Store, expired: list[Expired], now: dt.datetime) -> str:
    """Remove what has expired, and write what was removed; returns the key of that record.

    A manifest goes before its files: nobody reads half of an output. Safe to repeat.
    """
    removed = [each for each in expired if not each.kept]
    remaining = dict[str, str]()
    for each in removed:
        with lease(store, f"privacy/{each.dataset or 'jobs'}", patience=3600):
            for entry in store.list(each.key):
                if entry.key.endswith(f"/{MANIFEST}"):
                    store.delete(entry.key)
            store.delete(each.key)
            try:
                store.forget(each.key)
            except LakeError as error:
                log.warning("Old versions below %s stay: %s", store.uri(each.key), error)
                remaining[each.key] = str(error)
        log.info("Removed %s.", store.uri(each.key))
    record = {
        "time": now.isoformat(timespec="seconds"),
        "removed": [asdict(each) for each in removed],
        "old_versions_not_removed": remaining,
    }
    key = f"privacy/retention/{now.strftime('%Y%m%dT%H%M%S%f')}.json"
    store.replace(key, (json.dumps(record, indent=2) + "\n").encode(), None)
    return key


def _partitions(store: Store, area: str) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in store.walk(area):
        parts = entry.key.split("/")
        if len(parts) > 3 and _is_day(parts[2]):
            found.setdefault((parts[1], parts[2]), []).append(entry)
    return found


def _old_files(store: Store, days: int, today: dt.date) -> list[Expired]:
    found = []
    for entry in store.walk("jobs"):
        age = (today - dt.datetime.fromtimestamp(entry.modified, dt.UTC).date()).days
        if age > days and not entry.key.startswith(NOTED):
            found.append(Expired("jobs", "", entry.key, age, 1, entry.size))
    return found


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
