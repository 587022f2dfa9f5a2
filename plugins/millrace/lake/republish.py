"""Publishing an output again with some of its files rewritten, as when a person is erased.

The cause stays: it is the same output of the same inputs and code, without some rows.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from millrace.lake.attempts import inventory, put_in_place
from millrace.lake.manifest import MANIFEST, Manifest, Place, Published
from millrace.lake.store import Conflict, Store


@dataclass(frozen=True)
class Staged:
    """An output that stands beside the published one, ready to replace it.

    Attributes:
        version: version of the manifest that is to be replaced.
        manifest: what will be published.
        folder: the files, until they are stored.
    """

    before: Published
    version: str
    manifest: Manifest
    folder: Path

    @property
    def place(self) -> str:
        """Where the output is published."""
        return self.before.place


def stage(
    present: Published, version: str, changed: Mapping[str, Path], facts: Mapping[str, Any]
) -> Staged:
    """Copy a published output into a new attempt, with the `changed` files in place of its own.

    Args:
        changed: local files by name; they are moved.
        facts: the figures of the new attempt.
    """
    name = f"attempt={uuid.uuid4().hex[:12]}"
    folder = present.store.workspace(f"{present.place}/{name}")
    for file in present.manifest.files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if file in changed:
            shutil.move(changed[file], target)
        else:
            shutil.copy(present.path(file), target)
    manifest = replace(
        present.manifest, attempt=name, files=inventory(folder), facts=dict(facts)
    )  # fmt: skip
    return Staged(present, version, manifest, folder)


def publish_staged(staged: Staged, contents: Mapping[str, str]) -> Published:
    """Put a staged output in place of the published one, whose attempt is removed.

    Args:
        contents: for the content hash of an input that was staged too, the hash it has then.

    Raises:
        Conflict: another run published something there meanwhile; nothing was replaced.
    """
    store, before = staged.before.store, staged.before
    inputs = {
        uri: contents.get(content, content) for uri, content in staged.manifest.inputs.items()
    }
    manifest = replace(staged.manifest, inputs=inputs)
    store.store(staged.folder, f"{staged.place}/{manifest.attempt}")
    place = Place(*staged.place.split("/", 3))
    published = put_in_place(store, place, manifest, staged.version, keep=False)
    if published.manifest.attempt != manifest.attempt:
        raise Conflict(f"{published.uri} was published meanwhile; try again")
    store.delete(f"{staged.place}/{before.manifest.attempt}")
    return published


def withdraw(store: Store, place: str) -> None:
    """Remove a published output as a whole: the manifest first, so that nobody reads half of it."""
    store.delete(f"{place}/{MANIFEST}")
    remove_attempts(store, place, keep="")


def remove_attempts(store: Store, place: str, keep: str) -> int:
    """Remove all attempts of a place but one; returns how many there were."""
    heads = {
        entry.key.removeprefix(f"{place}/").split("/")[0] for entry in store.walk(place)
    }  # fmt: skip
    stale = sorted(head for head in heads if head.startswith("attempt=") and head != keep)
    for head in stale:
        store.delete(f"{place}/{head}")
    return len(stale)
