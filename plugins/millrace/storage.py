"""The data lake's store: the same few verbs over a local folder or an S3 prefix.

Keys are relative to the lake's root and use `/`. `replace` is the one primitive that everything
safe is built on: it puts an object in place atomically, and only if the object is still the one
the caller saw (S3: conditional PUT; local: `os.replace` under a file lock).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from millrace.errors import MillraceError


class Conflict(RuntimeError):
    """The object changed since it was read; nothing was written."""


class LakeError(MillraceError):
    """The lake cannot be used as asked; the message says what was found and what to do."""


@dataclass(frozen=True)
class Entry:
    """One stored file: its key, its size in bytes, and when it changed (seconds since 1970)."""

    key: str
    size: int
    modified: float


class Store(Protocol):
    """What the rest of Millrace knows about the place where data lies."""

    root: str

    def uri(self, key: str) -> str:
        """The address of a key, for people and logs."""

    def list(self, prefix: str) -> list[Entry]:
        """All files below `prefix`, by key."""

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Content and version of a small file, None where there is none."""

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        """Put `data` in place if the present version is `version` (None: if there is none).

        Returns the new version. Raises Conflict, and writes nothing, where it is another.
        """

    def local(self, key: str, folder: Path) -> Path:
        """A readable local path of a file: itself where it is local, else a copy in `folder`."""

    def workspace(self, prefix: str) -> Path:
        """An empty local folder to write the files of `prefix` into; `store` makes them last."""

    def store(self, workspace: Path, prefix: str) -> None:
        """Make the files of a workspace durable below `prefix`."""

    def delete(self, prefix: str) -> None:
        """Remove everything below `prefix`."""


def open_store(root: str, s3_client: Any = None) -> Store:
    """The store at `root`: a local folder, or `s3://bucket/prefix` with a boto3 S3 client."""
    return S3Store(root, s3_client) if root.startswith("s3://") else LocalStore(Path(root))


class LocalStore:
    """The lake in a folder of this machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = str(folder)

    def uri(self, key: str) -> str:
        return str(self._path(key))

    def list(self, prefix: str) -> list[Entry]:
        base = self._path(prefix)
        files = (
            path for path in base.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")
        )
        return sorted((self._entry(path) for path in files), key=lambda entry: entry.key)

    def read(self, key: str) -> tuple[bytes, str] | None:
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        return data, hashlib.sha256(data).hexdigest()

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            present = self.read(key)
            if (present[1] if present else None) != version:
                raise Conflict(f"{path} was changed by another run")
            _write_durably(path, data)
        return hashlib.sha256(data).hexdigest()

    def local(self, key: str, folder: Path) -> Path:
        return self._path(key)

    def workspace(self, prefix: str) -> Path:
        folder = self._path(prefix)
        folder.mkdir(parents=True)
        return folder

    def store(self, workspace: Path, prefix: str) -> None:
        for path in workspace.rglob("*"):
            if path.is_file():
                _sync(path)

    def delete(self, prefix: str) -> None:
        path = self._path(prefix)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _entry(self, path: Path) -> Entry:
        facts = path.stat()
        return Entry(path.relative_to(self.folder).as_posix(), facts.st_size, facts.st_mtime)

    def _path(self, key: str) -> Path:
        path = self.folder / key
        if ".." in Path(key).parts or not path.is_relative_to(self.folder):
            raise LakeError(f"the key {key!r} leads out of the lake {self.folder}")
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One conditional write at a time; the kernel frees the lock of a dead process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class S3Store:
    """The lake below an S3 prefix."""

    def __init__(self, root: str, client: Any):
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        if not bucket:
            raise LakeError(f"the lake {root!r} names no bucket; write s3://bucket/prefix")
        self.root = root.rstrip("/")
        self.bucket = bucket
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.client = client

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def list(self, prefix: str) -> list[Entry]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}{prefix.rstrip('/')}/"
        )
        objects = (item for page in pages for item in page.get("Contents", []))
        return [
            Entry(
                item["Key"].removeprefix(self.prefix),
                item["Size"],
                item["LastModified"].timestamp(),
            )
            for item in objects
        ]

    def read(self, key: str) -> tuple[bytes, str] | None:
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        except self.client.exceptions.NoSuchKey:
            return None
        return answer["Body"].read(), answer["ETag"]

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        from botocore.exceptions import ClientError

        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self.prefix + key, Body=data, **condition
            )
        except ClientError as error:
            # NoSuchKey: If-Match on an object that was deleted since it was read.
            lost = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
            if error.response["Error"]["Code"] in lost:
                raise Conflict(f"{self.uri(key)} was changed by another run") from error
            raise
        return answer["ETag"]

    def local(self, key: str, folder: Path) -> Path:
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        self.client.download_file(self.bucket, self.prefix + key, str(target))
        return target

    def workspace(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix="millrace-"))

    def store(self, workspace: Path, prefix: str) -> None:
        for path in sorted(workspace.rglob("*")):
            if path.is_file():
                key = f"{self.prefix}{prefix}/{path.relative_to(workspace).as_posix()}"
                self.client.upload_file(str(path), self.bucket, key)
        shutil.rmtree(workspace)

    def delete(self, prefix: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self.prefix + prefix)
        keys = [{"Key": self.prefix + entry.key} for entry in self.list(prefix)]
        for start in range(0, len(keys), 1000):
            self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": keys[start : start + 1000], "Quiet": True}
            )


def _write_durably(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
