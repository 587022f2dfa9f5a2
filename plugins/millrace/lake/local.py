"""The lake in a folder of this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from millrace.lake.store import Conflict, Entry, LakeError, inside

DRAFT = ".tmp-"  # start of the names of files that are not in place yet


class LocalStore:
    """The lake in a folder of this machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = str(folder)

    def uri(self, key: str) -> str:
        return str(self._path(key))

    def list(self, prefix: str) -> list[Entry]:
        return sorted(self.walk(prefix), key=lambda entry: entry.key)

    def walk(self, prefix: str) -> Iterator[Entry]:
        for folder, below, names in os.walk(self._path(prefix)):
            below.sort()
            for name in sorted(name for name in names if not name.startswith(DRAFT)):
                # Another run may remove an abandoned attempt while this one walks through it.
                with suppress(FileNotFoundError):
                    yield self._entry(Path(folder) / name)

    def read(self, key: str) -> tuple[bytes, str] | None:
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        return data, hashlib.sha256(data).hexdigest()

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        path = self._path(key)
        with self._locked():
            present = self.read(key)
            if (present[1] if present else None) != version:
                raise Conflict(f"{path} was changed by another run")
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(path, data)
        return hashlib.sha256(data).hexdigest()

    def local(self, key: str, folder: Path | None = None) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return path

    def workspace(self, prefix: str) -> Path:
        folder = self._path(prefix)
        folder.mkdir(parents=True)
        return folder

    def store(self, workspace: Path, prefix: str) -> None:
        for path in workspace.rglob("*"):
            if path.is_file():
                _sync(path)

    def put(self, path: Path, entry: Entry) -> None:
        target = self._path(entry.key)
        draft = target.with_name(f"{DRAFT}{uuid.uuid4().hex}")
        try:
            shutil.copy(path, draft)
            _sync(draft)
            with self._locked():
                try:
                    unchanged = self._entry(target) == entry
                except FileNotFoundError:
                    unchanged = False
                if not unchanged:
                    raise Conflict(f"{target} was changed by another run")
                draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def delete(self, prefix: str) -> None:
        path = self._path(prefix)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def forget(self, prefix: str) -> int:
        """A folder keeps no old versions, but a writer that was killed leaves its draft."""
        drafts = [path for path in self._path(prefix).rglob(f"{DRAFT}*") if path.is_file()]
        for path in drafts:
            path.unlink(missing_ok=True)
        return len(drafts)

    def _entry(self, path: Path) -> Entry:
        facts = path.stat()
        return Entry(path.relative_to(self.folder).as_posix(), facts.st_size, facts.st_mtime)

    def _path(self, key: str) -> Path:
        return self.folder / inside(key, self.root)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One conditional write at a time; the kernel frees the lock of a dead process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise LakeError(
                f"the lake {self.root} is no folder; set MILLRACE_LAKE to a folder"
            ) from error
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write_durably(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{DRAFT}{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
