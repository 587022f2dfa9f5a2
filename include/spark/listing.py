"""Which images there are, and how they are cut into partitions."""

from __future__ import annotations

import fnmatch
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from storage import Folder, JobError

SUFFIXES = (".jpg", ".jpeg", ".png")
PER_CORE = 4  # partitions: the last ones to finish leave cores idle for a short time only
FEWEST = 16  # images in a partition, before a second one pays
MOST_IMAGES = 4_000  # in a partition: about half a minute of one core
MOST_BYTES = 512 * 2**20  # in a partition
MOST_PARTITIONS = 20_000  # the driver keeps a few facts about each
DECODED = 250_000  # bytes of an image whose decoding takes about as long as the network does


@dataclass(frozen=True)
class Listing:
    """Names relative to the images' folder, in order, and their sizes in bytes."""

    paths: list[str]
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def bytes(self) -> int:
        return int(self.sizes.sum())


def list_images(images: Folder, pattern: str = "") -> Listing:
    """All images below a folder.

    Raises:
        JobError: there is nothing there, or no image.
    """
    files = images.files()
    if not files:
        raise JobError(f"there are no files below {images.uri}; --images names their folder")
    chosen = sorted(name for name in files if matches(name, pattern))
    if not chosen:
        what = f"matches --pattern {pattern!r}" if pattern else f"ends in {', '.join(SUFFIXES)}"
        some = ", ".join(sorted(files)[:3])
        raise JobError(f"none of the {len(files):,} files below {images.uri} {what}: {some} ...")
    return Listing(chosen, np.array([files[name] for name in chosen], np.int64))


def matches(name: str, pattern: str = "") -> bool:
    """Whether a relative name fits the pattern, folder by folder; without one: by its suffix."""
    parts = name.split("/")
    if not pattern:
        return parts[-1].lower().endswith(SUFFIXES) and not parts[-1].startswith(".")
    wanted = pattern.strip("/").split("/")
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(parts, wanted)
    )


def label_of(path: str, root: str) -> str:
    """The name of the folder that holds an image; the images' own folder where none is between."""
    folder = path.rpartition("/")[0] or root.rstrip("/")
    return folder.rpartition("/")[2]


def partition_count(listing: Listing, cores: int) -> int:
    """How many partitions: a few a core on small jobs, bounded pieces of work on big ones."""
    small = min(PER_CORE * cores, math.ceil(len(listing) / FEWEST))
    big = max(math.ceil(len(listing) / MOST_IMAGES), math.ceil(listing.bytes / MOST_BYTES))
    return min(max(small, big, 1), MOST_PARTITIONS, len(listing))


def cut(listing: Listing, count: int) -> list[slice]:
    """Neighbouring images in `count` pieces of about equal work, each with at least one image."""
    work = np.cumsum(1 + listing.sizes / DECODED)
    ends = np.searchsorted(work, work[-1] * np.arange(1, count) / count).tolist()
    edges = [0]
    for left, end in zip(range(count - 1, 0, -1), ends):
        edges.append(min(max(end, edges[-1] + 1), len(listing) - left))
    edges.append(len(listing))
    return [slice(start, end) for start, end in zip(edges, edges[1:])]  # noqa: RUF007 - new in 3.10


def packed(listing: Listing, pieces: Iterable[slice]) -> bytes:
    """The pieces as an Arrow file with one record batch each."""
    sink = io.BytesIO()
    schema = pa.schema([("path", pa.string()), ("size", pa.int64())])
    with pa.ipc.new_file(sink, schema) as writer:
        for piece in pieces:
            columns = [
                pa.array(listing.paths[piece], pa.string()),
                pa.array(listing.sizes[piece], pa.int64()),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return sink.getvalue()


def piece_of(folder: Folder, name: str, number: int) -> list[tuple[str, int]]:
    """Paths and sizes of one piece of a packed listing."""
    with folder.open(name) as file:
        piece = pa.ipc.open_file(file).get_batch(number)
        return list(zip(piece.column(0).to_pylist(), piece.column(1).to_pylist()))


def sample(listing: Listing, count: int) -> list[str]:
    """`count` images, evenly spread over the listing."""
    places = np.unique(np.linspace(0, len(listing) - 1, min(count, len(listing))).round())
    return [listing.paths[int(place)] for place in places]


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, summed."""
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return dict(sorted(total.items()))
