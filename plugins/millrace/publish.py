"""Publishing a step's output as one atomic step, and reading only what was published.

A step writes into `<place>/attempt=<id>/`; then `<place>/_MANIFEST.json` is put in place, naming
every file with its size and SHA-256. Readers trust nothing else, so a killed step, a full disk or
two copies of one task leave no half-written output behind.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from millrace.settings import PROJECT
from millrace.storage import Conflict, LakeError, Store

log = logging.getLogger(__name__)

MANIFEST = "_MANIFEST.json"
ABANDONED_AFTER = 24 * 3600  # seconds after which an attempt that never published is removed


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
        if found != self.manifest.files[name]["sha256"]:
            what = "is gone" if found == "missing" else "is not the file that was published"
            raise LakeError(
                f"{self.store.uri(key)} {what}; delete"
                f" {self.store.uri(f'{self.place}/{MANIFEST}')} and run the step again"
            )
        return path

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))


@dataclass
class Attempt:
    """One try at a step's output: a folder to write into and figures to leave."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        """Write one text file of the output."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file of the output."""
        self.write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_published(store: Store, place: Place) -> Published | None:
    """What is published at a place, None where nothing is."""
    return _read(store, place)[0]


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


def publish(
    store: Store,
    place: Place,
    *,
    depends_on: Mapping[str, Any],
    build: Callable[[Attempt], None],
    inputs: Mapping[str, str] | None = None,
    again: bool = False,
) -> Published:
    """Make a step's output and publish it, unless what is published already answers.

    Args:
        depends_on: everything besides the code that the output depends on, JSON-serialisable.
        build: writes the files; called only when there is work to do.
        inputs: address and content hash of what was read, for the record.
        again: make the output even where the published one answers.

    Raises:
        Conflict: another run published something else at this place meanwhile.
    """
    present, version = _read(store, place)
    cause = _hash({"depends_on": depends_on, "code": code_fingerprint()})
    if present and present.manifest.cause == cause and not again:
        log.info("Nothing to do: %s was published %s from the same inputs and code.",
                 present.uri, present.manifest.created)  # fmt: skip
        return present
    attempt_name = f"attempt={uuid.uuid4().hex[:12]}"
    prefix = f"{place}/{attempt_name}"
    folder = store.workspace(prefix)
    try:
        attempt = Attempt(folder)
        build(attempt)
        manifest = Manifest(
            attempt_name, cause, _inventory(folder), attempt.facts, dict(inputs or {}),
            code_fingerprint(), git_commit(), datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        store.store(folder, prefix)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _remove(store, prefix)
        raise
    published = _put_in_place(store, place, manifest, version)
    if published.manifest.attempt != attempt_name:
        return published
    log.info("Published %s: %d files, %s bytes.", published.uri, len(manifest.files),
             f"{sum(facts['size'] for facts in manifest.files.values()):,}")  # fmt: skip
    _remove_abandoned(
        store, place, keep={attempt_name, present.manifest.attempt if present else ""}
    )
    return published


def _put_in_place(store: Store, place: Place, manifest: Manifest, version: str | None) -> Published:
    """The atomic step; returns what is published after it."""
    try:
        store.replace(f"{place}/{MANIFEST}", _dump(manifest), version)
    except Exception as error:
        # An error does not say that nothing was written: the answer may have been lost.
        winner = read_published(store, place)
        if winner and winner.manifest.attempt == manifest.attempt:
            return winner
        _remove(store, f"{place}/{manifest.attempt}")
        if not (isinstance(error, Conflict) and winner and winner.manifest.cause == manifest.cause):
            raise
        log.info("Another copy of this task published %s first; its output stands.", winner.uri)
        return winner
    return Published(store, str(place), manifest)


@functools.cache
def code_fingerprint() -> str:
    """SHA-256 over the sources that make the outputs: the core and the scripts that are sent."""
    folders = (Path(__file__).parent, PROJECT / "include")
    sources = sorted(
        path for folder in folders for kind in ("*.py", "*.j2") for path in folder.rglob(kind)
    )
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def git_commit() -> str:
    """The commit of the project, `+changes` where files differ from it, `unknown` outside git."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],  # noqa: S607
            cwd=PROJECT, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(store: Store, place: Place) -> tuple[Published | None, str | None]:
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


def _dump(manifest: Manifest) -> bytes:
    return (json.dumps(asdict(manifest), indent=2) + "\n").encode()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _inventory(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _remove_abandoned(store: Store, place: Place, keep: set[str]) -> None:
    """Remove attempts that were superseded or never published, once nobody can be using them."""
    ages: dict[str, float] = {}
    for entry in store.list(str(place)):
        head = entry.key.removeprefix(f"{place}/").split("/")[0]
        if head.startswith("attempt=") and head not in keep:
            ages[head] = max(ages.get(head, 0.0), entry.modified)
    for head, modified in ages.items():
        if time.time() - modified > ABANDONED_AFTER:
            _remove(store, f"{place}/{head}")


def _remove(store: Store, prefix: str) -> None:
    """Remove an attempt that nobody reads; what cannot be removed now harms nobody."""
    try:
        store.delete(prefix)
    except Exception as error:
        log.warning("%s could not be removed: %s", store.uri(prefix), error)
