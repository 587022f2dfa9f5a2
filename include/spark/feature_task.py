"""What one task does: read images, decode them, run the network, gather moments, write a part."""

from __future__ import annotations

import collections
import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import listing
import parts
from images import BadImage, Limits, check_size, decode
from network import Network, built_once
from pca import Moments
from reuse import Known
from storage import Folder

READERS = 16  # files read at a time in S3, where each takes two requests of some 20 ms
AHEAD = 48  # files read before they are needed
AHEAD_BYTES = 64 * 2**20  # of them together, beyond the next one
LISTING = "listing.arrow"


@dataclass(frozen=True)
class FeatureJob:
    """What every task of the feature stage knows.

    Attributes:
        work: folder of what the stages hand on; removed at the end.
        moments: "whole", "thin" or "": what is gathered about the features.
    """

    images: Folder
    work: Folder
    network: Network
    width: int
    batch: int
    limits: Limits
    moments: str


@dataclass
class Report:
    """What a task did.

    Attributes:
        part: name, rows, size and sha256 of its features; {} where no image gave any.
        bad: (path, label, bytes, reason) of the files that gave none.
        seconds: of the task by activity; `cpu` is the process' time on a core.
    """

    number: int
    part: dict[str, Any] = field(default_factory=dict)
    moments: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[str, str, int, str]] = field(default_factory=list)
    reused: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))


def compute(
    job: FeatureJob, content: Callable[[], bytes], known: Known | None, number: int,
    done: Callable[[int], None],
) -> Report:  # fmt: skip
    """The features of one piece of the listing."""
    started, busy = time.perf_counter(), time.process_time()
    report = Report(number)
    rows = listing.piece_of(job.work, LISTING, number)
    run = built_once(content, job.network, job.batch)
    report.seconds["start"] += time.perf_counter() - started
    schema = parts.schema(job.width, job.network.id)
    part = parts.Part(job.work, parts.own_name("features", number), schema, compression="none")
    gathered: Moments | None = None
    block = _Block(job, report, run, known)
    for start in range(0, len(rows), parts.BLOCK):
        piece = rows[start : start + parts.BLOCK]
        kept, features = block.compute(piece)
        done(len(piece))
        if kept:
            with _timed(report, "write"):
                part.append(parts.feature_table(kept, features, schema))
            if job.moments:
                with _timed(report, "moments"):
                    found = Moments.of(features, thin=job.moments == "thin")
                    gathered = gathered.merged(found) if gathered else found
    with _timed(report, "write"):
        report.part = part.close()
        if gathered:
            report.moments = parts.own_name("moments", number, ".npz")
            job.work.write(report.moments, gathered.packed())
    report.seconds["cpu"] = time.process_time() - busy
    report.seconds["task"] = time.perf_counter() - started
    return report


class _Block:
    """Computes up to `parts.BLOCK` images at a time, in batches of the network."""

    def __init__(
        self, job: FeatureJob, report: Report, run: Callable[[np.ndarray], np.ndarray],
        known: Known | None,
    ) -> None:  # fmt: skip
        self.job, self.report, self.run, self.known = job, report, run, known
        size = job.network.size
        self.pixels = np.empty((job.batch, size, size, 3), np.uint8)
        self.waiting: list[int] = []  # rows of `features` that the batch will fill

    def compute(
        self, piece: list[tuple[str, int]]
    ) -> tuple[list[tuple[str, str, str]], np.ndarray]:
        """Rows (path, label, hash) of the images that have features, and those [n, width]."""
        features = np.empty((len(piece), self.job.width), np.float32)
        kept: list[tuple[str, str, str]] = []
        sizes: list[int] = []
        for (path, size), read in zip(piece, read_ahead(self.job, piece, self.report)):
            label = listing.label_of(path, self.job.images.path)
            try:
                if isinstance(read, BadImage):
                    raise read
                digest = hashlib.sha256(read).hexdigest()
                self._add(digest, read, features, len(kept))
            except BadImage as error:
                self.report.bad.append((path, label, size, str(error)))
                continue
            kept.append((path, label, digest))
            sizes.append(size)
        self._infer(features)
        good = np.isfinite(features[: len(kept)]).all(axis=1)
        for (path, label, _), size in itertools.compress(zip(kept, sizes), ~good):
            self.report.bad.append((path, label, size, "the network gives no finite features"))
        kept = list(itertools.compress(kept, good))
        for _, label, _ in kept:
            self.report.labels[label] = self.report.labels.get(label, 0) + 1
        return kept, features[: len(good)][good]

    def _add(self, digest: str, data: bytes, features: np.ndarray, row: int) -> None:
        found = self._known(digest)
        if found is not None:
            features[row] = found
            self.report.reused += 1
            return
        with _timed(self.report, "decode"):
            decode(data, self.pixels[len(self.waiting)], self.job.limits)
        self.waiting.append(row)
        if len(self.waiting) == self.job.batch:
            self._infer(features)

    def _known(self, digest: str) -> np.ndarray | None:
        """Features that were published before; None also where they cannot be read any more."""
        try:
            return self.known.find(digest) if self.known else None
        except (OSError, ValueError):
            self.known = None
            return None

    def _infer(self, features: np.ndarray) -> None:
        if self.waiting:
            with _timed(self.report, "inference"):
                features[self.waiting] = self.run(self.pixels[: len(self.waiting)])
            self.waiting.clear()


def read_ahead(
    job: FeatureJob, piece: Iterable[tuple[str, int]], report: Report
) -> Iterator[bytes | BadImage]:
    """The files' bytes in order; from S3 read by threads while earlier ones are computed."""

    def read(path: str, size: int) -> bytes | BadImage:
        try:
            check_size(size, job.limits)
            data = job.images.read(path, size + 1)
            if len(data) > size:
                return BadImage("grew since the files were listed")
        except BadImage as error:
            return error
        except FileNotFoundError:
            return BadImage("gone since the files were listed")
        except OSError as error:
            return BadImage(f"cannot be read: {' '.join(str(error).split())[:200]}")
        return data

    if job.images.local:  # handing over between threads would take longer than reading
        for path, size in piece:
            with _timed(report, "read"):
                data = read(path, size)
            yield data
        return
    with ThreadPoolExecutor(READERS) as pool:
        coming: collections.deque[tuple[Any, int]] = collections.deque()
        held = 0
        for path, size in [*piece, ("", 0)]:
            while coming and (len(coming) > AHEAD or held + size > AHEAD_BYTES or not path):
                waited_for, its_size = coming.popleft()
                held -= its_size
                with _timed(report, "read"):
                    data = waited_for.result()
                yield data
            if path:
                coming.append((pool.submit(read, path, size), size))
                held += size


class _timed:  # noqa: N801 - reads as a function
    """Adds the time of the block to a report."""

    def __init__(self, report: Report, activity: str) -> None:
        self.report, self.activity = report, activity

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.report.seconds[self.activity] += time.perf_counter() - self.started
