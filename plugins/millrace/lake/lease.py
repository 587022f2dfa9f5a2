"""A lease: one holder at a time over all machines that share a lake.

Built on the store's conditional `replace`. A holder renews its lease for as long as it works; one
that died is overtaken when its lease ends.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.lake.store import Conflict, LakeError, Store

log = logging.getLogger(__name__)


@contextmanager
def lease(store: Store, name: str, *, seconds: float = 60, patience: float = 600) -> Iterator[None]:
    """Hold the lease `name` for the length of the block.

    Args:
        seconds: how long a holder that died keeps others out.
        patience: how long to wait for another holder.

    Raises:
        LakeError: another holder kept it for longer than `patience`.
    """
    held = _Held(store, f"leases/{name}.json", seconds)
    held.acquire(time.monotonic() + patience)
    over = threading.Event()
    keeper = threading.Thread(target=held.keep, args=(over,), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        held.release()


class _Held:
    """One holder's side of a lease; used by one thread at a time."""

    def __init__(self, store: Store, key: str, seconds: float):
        self.store, self.key, self.seconds = store, key, seconds
        self.holder = uuid.uuid4().hex
        self.version: str | None = None

    def acquire(self, deadline: float) -> None:
        while True:
            present = self.store.read(self.key)
            if present is None or json.loads(present[0])["expires"] <= time.time():
                try:
                    self._write(present[1] if present else None, self.seconds)
                except Conflict:
                    continue
                return
            if time.monotonic() > deadline:
                raise LakeError(
                    f"{self.store.uri(self.key)} is held by another run;"
                    " try again when that run is over"
                )
            time.sleep(0.2)

    def keep(self, over: threading.Event) -> None:
        """Renew the lease until `over` is set, or another holder has it."""
        while not over.wait(self.seconds / 3):
            try:
                self._write(self.version, self.seconds)
            except Conflict:
                return
            except Exception as error:
                log.warning("%s could not be renewed: %s", self.store.uri(self.key), error)

    def release(self) -> None:
        try:
            self._write(self.version, 0)
        except Conflict:
            log.warning(
                "%s was overtaken before the work under it ended.", self.store.uri(self.key)
            )

    def _write(self, version: str | None, seconds: float) -> None:
        record = {"holder": self.holder, "expires": time.time() + seconds if seconds else 0}
        self.version = self.store.replace(self.key, json.dumps(record).encode(), version)
