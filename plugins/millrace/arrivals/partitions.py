"""Which partitions of the lake have all their awaited files, and a run's name for their content."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from millrace.arrivals.events import is_day
from millrace.datasets import AnySpec
from millrace.lake import Store, matches
from millrace.lake.store import Entry

ASKED_AT_ONCE = 50  # run ids in one question: they travel in its address


@dataclass(frozen=True)
class Arrival:
    """A partition whose awaited files are there.

    Attributes:
        content: hash over name, size and time of its files: other content, other hash.
        modified: when the newest of its files came, in seconds since 1970.
    """

    dataset: str
    partition: str
    content: str
    files: int
    bytes: int
    modified: float

    @property
    def run_id(self) -> str:
        """The run that this content starts: always the same, so it starts once."""
        return f"arrival__{self.partition}__{self.content}"


def arrivals_in(store: Store, spec: AnySpec) -> list[Arrival]:
    """The complete partitions of a data set, by day."""
    prefix = f"raw/{spec.name}"
    days: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    for entry in store.list(prefix):
        day, _, name = entry.key.removeprefix(f"{prefix}/").partition("/")
        if is_day(day) and name:
            days[day].append((name, entry))
    found = [_arrival(spec, day, files) for day, files in sorted(days.items())]
    return [arrival for arrival in found if arrival]


def arrival_of(store: Store, spec: AnySpec, partition: str) -> Arrival | None:
    """One partition, None while an awaited file is missing."""
    prefix = f"raw/{spec.name}/{partition}"
    files = [(entry.key.removeprefix(f"{prefix}/"), entry) for entry in store.list(prefix)]
    return _arrival(spec, partition, files)


def _arrival(spec: AnySpec, partition: str, files: Sequence[tuple[str, Entry]]) -> Arrival | None:
    """A marker counts as content: written anew, it announces another delivery."""
    awaited = spec.raw.ready or spec.raw.files
    if not any(matches(name, awaited) for name, _ in files):
        return None
    wanted = [
        (name, entry)
        for name, entry in sorted(files, key=lambda file: file[0])
        if matches(name, spec.raw.files) or matches(name, awaited)
    ]
    listing = [(name, entry.size, entry.modified) for name, entry in wanted]
    return Arrival(
        spec.name,
        partition,
        hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:12],
        len(wanted),
        sum(entry.size for _, entry in wanted),
        max(entry.modified for _, entry in wanted),
    )


def without_run(
    arrivals: Iterable[Arrival], count: Callable[[str, list[str]], int]
) -> list[Arrival]:
    """Those whose run does not exist yet, in the same order.

    Args:
        count: how many of these run ids a DAG has; asked once for many that are all known, and
            by halves where some are not.
    """
    by_dataset: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_dataset[arrival.dataset].append(arrival)
    return [
        arrival
        for dataset, group in by_dataset.items()
        for start in range(0, len(group), ASKED_AT_ONCE)
        for arrival in _unknown(dataset, group[start : start + ASKED_AT_ONCE], count)
    ]


def _unknown(
    dataset: str, group: list[Arrival], count: Callable[[str, list[str]], int]
) -> list[Arrival]:
    known = count(dataset, [arrival.run_id for arrival in group])
    if known == len(group):
        return []
    if known == 0:
        return group
    middle = len(group) // 2
    return _unknown(dataset, group[:middle], count) + _unknown(dataset, group[middle:], count)
