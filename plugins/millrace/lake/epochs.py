"""The epoch of a data set: it moves whenever somebody is erased from it.

A step that began in one epoch may have read data of a person who is gone in the next. It must not
publish what it made of them; its next try reads what is there then.
"""

from __future__ import annotations

import json

from millrace.lake.store import Conflict, Store


def epoch_of(store: Store, dataset: str) -> int:
    """How often the data set's data were swept; 0 where nobody was ever erased."""
    return _read(store, dataset)[0]


def check_epoch(store: Store, dataset: str, begun: int) -> None:
    """Make sure that nobody was erased since a step began.

    Raises:
        Conflict: somebody was.
    """
    if epoch_of(store, dataset) != begun:
        raise Conflict(
            f"somebody was erased from {dataset} while this step worked; what it made is not"
            " published, because it may hold that person's data; the next try makes it anew"
        )


def next_epoch(store: Store, dataset: str) -> int:
    """Begin another epoch: from now on no step publishes what it began before."""
    epoch, version = _read(store, dataset)
    store.replace(_key(dataset), json.dumps({"epoch": epoch + 1}).encode(), version)
    return epoch + 1


def _read(store: Store, dataset: str) -> tuple[int, str | None]:
    found = store.read(_key(dataset))
    return (int(json.loads(found[0])["epoch"]), found[1]) if found else (0, None)


def _key(dataset: str) -> str:
    return f"privacy/{dataset}/epoch.json"
