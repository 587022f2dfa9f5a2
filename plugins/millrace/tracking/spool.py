"""Results that could not be logged yet, kept in the lake until MLflow answers.

An entry only names the partition and what the run asked for: the results themselves are published
in the lake already.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from millrace.lake import Conflict, Store

if TYPE_CHECKING:
    from millrace.steps.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """One partition that waits to be logged and promoted."""

    dataset: str
    partition: str
    engine: str
    promote: Literal["auto", "yes", "no"]
    backfill: bool
    reason: str

    @classmethod
    def of(cls, run: Run, reason: str) -> Pending:
        """The entry for a run."""
        return cls(run.spec.name, run.partition, run.engine, run.promote, run.backfill, reason)

    @property
    def key(self) -> str:
        """Where the entry stands in the lake."""
        return f"spool/mlflow/{self.dataset}/{self.partition}.json"

    def text(self) -> bytes:
        """The entry as it is kept."""
        return json.dumps(asdict(self)).encode()


def add(store: Store, pending: Pending) -> None:
    """Keep an entry; a later one of the same partition replaces it, but not a wish to promote."""
    while True:
        present = store.read(pending.key)
        if present and pending.promote == "auto" and json.loads(present[0])["promote"] == "yes":
            pending = replace(pending, promote="yes")
        try:
            store.replace(pending.key, pending.text(), present[1] if present else None)
            break
        except Conflict:  # another copy of this task added it just now
            continue
    log.warning(
        "%s; the result waits in %s and is logged later.", pending.reason, store.uri(pending.key)
    )


def entries(store: Store) -> Iterator[Pending]:
    """All entries, by data set and partition."""
    for entry in store.list("spool/mlflow"):
        found = store.read(entry.key)
        if found is None:
            continue
        try:
            yield Pending(**json.loads(found[0]))
        except (ValueError, TypeError) as error:
            log.error("%s is no entry of the spool (%s); delete it.", store.uri(entry.key), error)


def remove(store: Store, pending: Pending) -> None:
    """Take an entry out, its result is logged; one that replaced it meanwhile stays."""
    present = store.read(pending.key)
    if present and present[0] == pending.text():
        store.delete(pending.key)
