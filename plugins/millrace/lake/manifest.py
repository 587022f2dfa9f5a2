"""What is published at a place of the lake, and reading it.

Readers trust only what a manifest names, and check every file against its hash.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.lake.store import Conflict, LakeError, Store

MANIFEST = "_MANIFEST.json"


@dataclass(frozen=True)
class Place:
    """Where one step's output of one partition stands: `<area>/<dataset>/<partition>[/<name>]`."""

    area: str
    dataset: str
    partition: str
    name: str = ""

    def __str__(self) -> str:
        return "/".join(
            part for part in (self.area, self.dataset, self.partition, self.name) if part
        )


@dataclass(frozen=True)
class Manifest:
    """What one attempt published.

    Attributes:
        attempt: folder of the files, relative to the manifest.
        cause: SHA-256 of everything the output depends on (inputs, spec, parameters, code).
        files: for each file name its size in bytes and sha256.
        facts: a few figures about the output, for the next step and for people.
    """

    attempt: str
    cause: str
    files: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    inputs: dict[str, str]
    code: str
    git_commit: str
    created: str

    @property
    def content(self) -> str:
        """SHA-256 over names and hashes of the files: equal content, equal hash."""
        listing = [(name, facts["sha256"]) for name, facts in sorted(self.files.items())]
        return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


@dataclass
class Published:
    """A published output, open for reading."""

    store: Store
    place: str
    manifest: Manifest

    @property
    def uri(self) -> str:
        """Address of the folder that holds the published files."""
        return self.store.uri(f"{self.place}/{self.manifest.attempt}")

    @property
    def facts(self) -> dict[str, Any]:
        """Figures the step left beside its files."""
        return self.manifest.facts

    def path(self, name: str) -> Path:
        """A local path of one file, checked against size and hash of the manifest.

        Raises:
            LakeError: the manifest does not name the file, or the file is not what was published.
        """
        if name not in self.manifest.files:
            raise LakeError(
                f"{self.uri} has no file {name!r}; it has {sorted(self.manifest.files)}"
            )
        key = f"{self.place}/{self.manifest.attempt}/{name}"
        try:
            path = self.store.local(key)
            found = sha256_of(path)
        except FileNotFoundError:
            found = "missing"
            self._check_still_published()
        if found != self.manifest.files[name]["sha256"]:
            what = "is gone" if found == "missing" else "is not the file that was published"
            raise LakeError(
                f"{self.store.uri(key)} {what}; delete"
                f" {self.store.uri(f'{self.place}/{MANIFEST}')} and run the step again"
            )
        return path

    def _check_still_published(self) -> None:
        """Tell files that were replaced meanwhile from files that are lost.

        Raises:
            Conflict: another attempt is published now; the next try of the task reads that one.
        """
        present = self.store.read(f"{self.place}/{MANIFEST}")
        if present is None or json.loads(present[0])["attempt"] != self.manifest.attempt:
            raise Conflict(f"{self.uri} was replaced while it was read; try again")

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))


def read_published(store: Store, place: Place) -> Published | None:
    """What is published at a place, None where nothing is."""
    return read_version(store, place)[0]


def require_published(store: Store, place: Place, step: str) -> Published:
    """What is published at a place.

    Raises:
        LakeError: nothing is, naming the step that publishes it.
    """
    published = read_published(store, place)
    if published is None:
        raise LakeError(
            f"nothing is published at {store.uri(str(place))}; run the step {step} first"
        )
    return published


def read_version(store: Store, place: Place) -> tuple[Published | None, str | None]:
    """What is published at a place, and the version of its manifest."""
    found = store.read(f"{place}/{MANIFEST}")
    if found is None:
        return None, None
    try:
        manifest = Manifest(**json.loads(found[0]))
        _ = manifest.content  # fails where the files are not described as they should be
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise LakeError(
            f"{store.uri(f'{place}/{MANIFEST}')} is no manifest ({error});"
            " delete it and run the step again"
        ) from error
    return Published(store, str(place), manifest), found[1]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
