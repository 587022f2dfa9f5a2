"""A lease: one holder at a time over all machines that share a lake.

Built on the store's conditional `replace`. A holder that dies is overtaken when its lease ends.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.storage import Conflict, LakeError, Store

log = logging.getLogger(__name__)


@contextmanager
def lease(
    store: Store, name: str, *, seconds: float = 300, patience: float = 600
) -> Iterator[None]:
    """Hold the lease `name` for the length of the block.

    Args:
        seconds: how long a holder that died keeps others out; longer than the block takes.
        patience: how long to wait for another holder.

    Raises:
        LakeError: another holder kept it for longer than `patience`.
    """
    key = f"leases/{name}.json"
    version = _acquire(store, key, seconds, time.monotonic() + patience)
    try:
        yield
    finally:
        try:
            store.replace(key, _record("", 0), version)
        except Conflict:
            log.warning(
                "The lease %s ran out after %s s before the work under it ended.", name, seconds
            )


def _acquire(store: Store, key: str, seconds: float, deadline: float) -> str:
    holder = uuid.uuid4().hex
    while True:
        present = store.read(key)
        record = json.loads(present[0]) if present else {"expires": 0}
        if record["expires"] <= time.time():
            try:
                return store.replace(key, _record(holder, seconds), present[1] if present else None)
            except Conflict:
                continue
        if time.monotonic() > deadline:
            raise LakeError(
                f"{store.uri(key)} is held by another run; try again when that run is over"
            )
        time.sleep(0.2)


def _record(holder: str, seconds: float) -> bytes:
    return json.dumps(
        {"holder": holder, "expires": time.time() + seconds if seconds else 0}
    ).encode()
