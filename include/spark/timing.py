"""Seconds by activity."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager


@contextmanager
def timed(seconds: MutableMapping[str, float], activity: str) -> Iterator[None]:
    """Adds the time of the block."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[activity] = seconds.get(activity, 0.0) + time.perf_counter() - started
