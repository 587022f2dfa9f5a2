"""Features that earlier runs published, found by the content of an image."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

import parts
from storage import Folder

log = logging.getLogger("spark_job")

MANIFEST = "_MANIFEST.json"


@dataclass
class Known:
    """Where the features of known images stand.

    `keys` is sorted; `places` has the file, its row group and the row therein of each key.

    A key is the first 8 bytes of the content's hash; the whole hash is compared when it is read.
    """

    files: list[tuple[Folder, str]]
    keys: np.ndarray
    places: np.ndarray
    _open: dict[tuple[int, int], tuple[list[str], np.ndarray]] = field(default_factory=dict)

    def find(self, digest: str) -> np.ndarray | None:
        """Features [width] of the image with this sha256, None where they are not known."""
        at = int(np.searchsorted(self.keys, key_of(digest)))
        if at == len(self.keys) or self.keys[at] != key_of(digest):
            return None
        file, group, row = (int(value) for value in self.places[at])
        hashes, features = self._group(file, group)
        return features[row] if hashes[row] == digest else None

    def _group(self, file: int, group: int) -> tuple[list[str], np.ndarray]:
        if (file, group) not in self._open:
            while len(self._open) >= 4:  # neighbours in a listing are neighbours in a part
                del self._open[next(iter(self._open))]
            folder, name = self.files[file]
            with parts.opened(folder, name) as part:
                table = part.read_row_group(group, ["hash", "features"])
            hashes = table.column("hash").to_pylist()
            self._open[(file, group)] = (hashes, parts.features_of(table))
        return self._open[(file, group)]


def key_of(digest: str) -> np.uint64:
    return np.uint64(int(digest[:16], 16))


def keys_of(digests: Iterable[str]) -> np.ndarray:
    return np.array([int(digest[:16], 16) for digest in digests], np.uint64)


def find_known(roots: Iterable[Folder], network: str) -> Known | None:
    """All images with features of a network in the outputs published below some folders."""
    files: list[tuple[Folder, str]] = []
    keys: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for folder, names in _published(roots, network):
        for name in names:
            try:
                found = _groups(folder, name)
            except (OSError, ValueError, KeyError) as error:
                log.info("Not reused: %s cannot be read: %s", folder.child(name).uri, error)
                continue
            for group, group_keys in enumerate(found):
                where = np.empty((len(group_keys), 3), np.int32)
                where[:] = len(files), group, 0
                where[:, 2] = np.arange(len(group_keys))
                keys.append(group_keys)
                places.append(where)
            files.append((folder, name))
    if not keys:
        return None
    all_keys, first = np.unique(np.concatenate(keys), return_index=True)
    return Known(files, all_keys, np.concatenate(places)[first])


def _groups(folder: Folder, name: str) -> list[np.ndarray]:
    """The keys of a part's rows, by row group."""
    with parts.opened(folder, name) as part:
        tables = (part.read_row_group(n, ["hash"]) for n in range(part.num_row_groups))
        return [keys_of(table.column("hash").to_pylist()) for table in tables]


def _published(roots: Iterable[Folder], network: str) -> Iterable[tuple[Folder, list[str]]]:
    for root in roots:
        for name in sorted(root.files()):
            if name.rpartition("/")[2] != MANIFEST:
                continue
            try:
                manifest = json.loads(root.read(name))
                if manifest["facts"]["network"]["id"] != network:
                    continue
                names = sorted(n for n in manifest["files"] if n.startswith("features/"))
                place = name.rpartition("/")[0]
                yield root.child(f"{place}/{manifest['attempt']}".strip("/")), names
            except (ValueError, KeyError, TypeError):
                log.info("Not reused: %s is no manifest of features.", root.child(name).uri)
