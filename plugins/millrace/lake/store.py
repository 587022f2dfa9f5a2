"""The data lake's store: the same few verbs over a local folder or an S3 prefix.

Keys are relative to the lake's root and use `/`. `replace` is the one primitive that everything
safe is built on: it puts an object in place atomically, and only if the object is still the one
the caller saw (S3: conditional PUT; local: `os.replace` under a file lock).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from millrace.errors import MillraceError


class Conflict(RuntimeError):
    """The object changed since it was read; nothing was written."""


class LakeError(MillraceError):
    """The lake cannot be used as asked; the message says what was found and what to do."""


@dataclass(frozen=True)
class Entry:
    """One stored file.

    Attributes:
        size: bytes.
        modified: when it changed, in seconds since 1970.
        tag: differs whenever the content does; empty where the store has none (a folder).
    """

    key: str
    size: int
    modified: float
    tag: str = ""


class Store(Protocol):
    """What the rest of Millrace knows about the place where data lies."""

    root: str

    def uri(self, key: str) -> str:
        """The address of a key, for people and logs."""

    def list(self, prefix: str) -> list[Entry]:
        """All files below `prefix`, by key."""

    def walk(self, prefix: str) -> Iterator[Entry]:
        """The same one after the other, in an order that depends on the keys only.

        For millions of files, which need not all be held in memory.
        """

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Content and version of a small file, None where there is none."""

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        """Put `data` in place if the present version is `version` (None: if there is none).

        Returns the new version. Raises Conflict, and writes nothing, where it is another.
        """

    def local(self, key: str, folder: Path | None = None) -> Path:
        """A readable local path of a file: itself where it is local, else a copy.

        The copy stands in `folder`, or in one that lasts as long as this object.
        Raises FileNotFoundError where there is no such file.
        """

    def workspace(self, prefix: str) -> Path:
        """An empty local folder to write the files of `prefix` into; `store` makes them last."""

    def store(self, workspace: Path, prefix: str) -> None:
        """Make the files of a workspace durable below `prefix`."""

    def put(self, path: Path, entry: Entry) -> None:
        """Put a local file in place of the file `entry`, in one atomic step, whatever its size.

        Raises Conflict, and writes nothing, where that file is gone or has changed.
        """

    def delete(self, prefix: str) -> None:
        """Remove everything below `prefix`."""

    def forget(self, prefix: str) -> int:
        """Remove what the store still keeps of files below `prefix` that were replaced or deleted.

        Returns how many old versions were removed; a store that keeps none has none.
        Raises LakeError where they may not be removed.
        """


def inside(key: str, root: str) -> str:
    """The key without slashes at its end.

    Raises:
        LakeError: it is empty, or leads out of the lake.
    """
    parts = key.rstrip("/").split("/")
    if {"", ".", ".."} & set(parts):
        raise LakeError(f"the key {key!r} leads out of the lake {root}; write a path inside it")
    return "/".join(parts)


def matches(name: str, pattern: str) -> bool:
    """As `glob.glob`, which sensors use: no `*` takes a `/` or the dot of a hidden file."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatch.fnmatchcase(part, wanted) and (wanted.startswith(".") or not part.startswith("."))
        for part, wanted in zip(parts, patterns, strict=True)
    )
