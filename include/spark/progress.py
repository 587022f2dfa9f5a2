"""Progress lines of a long stage, from a count that its tasks raise as they finish."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger("spark_job")

EVERY = 10.0  # seconds between two lines
SOONEST = 1.0  # seconds between two looks at the count


class Progress:
    """While it is open, a thread logs how far the count has come whenever it has moved."""

    def __init__(
        self, total: int, count: Callable[[], int], every: float = EVERY, what: str = "images"
    ) -> None:
        self.total, self.count, self.every, self.what = total, count, every, what
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._over.set()
        self._thread.join()
        if kind is None:
            log.info("%s", self._line(self.total, time.monotonic() - self._started))

    def _watch(self) -> None:
        shown, last = 0, self._started
        while not self._over.wait(min(SOONEST, self.every)):
            done, now = min(self.count(), self.total), time.monotonic()
            if shown < done < self.total and now - last >= self.every:
                log.info("%s", self._line(done, now - self._started))
                shown, last = done, now

    def _line(self, done: int, seconds: float) -> str:
        return line(done, self.total, seconds, self.what)


def line(done: int, total: int, seconds: float, what: str = "images") -> str:
    """One line about `done` of `total` images, or what else is counted, after so many seconds."""
    rate = done / max(seconds, 1e-9)
    text = f"{what}: {done:,} / {total:,} ({100 * done // max(total, 1)} %), {rate:,.0f} {what}/s"
    return f"{text}, {span((total - done) / rate)} left" if 0 < done < total else text


def span(seconds: float) -> str:
    """A time as people say it: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
