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
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from millrace.errors import MillraceError

DRAFT = ".tmp-"  # start of the names of files that are not in place yet
DELETED_AT_ONCE = 1000  # the most keys one DeleteObjects takes
# S3's answers to a conditional put that came too late; NoSuchKey: the object was deleted meanwhile.
LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
# S3's answers that another try does not change.
REFUSED = (
    "NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "AccessDenied", "403",
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
)  # fmt: skip


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

    def local(self, key: str, folder: Path | None = None) -> Path:
        """A readable local path of a file: itself where it is local, else a copy.

        The copy stands in `folder`, or in one that lasts as long as this object.
        Raises FileNotFoundError where there is no such file.
        """

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
        found = []
        for folder, _, names in os.walk(self._path(prefix)):
            for name in names:
                # Another run may remove an abandoned attempt while this one walks through it.
                with suppress(FileNotFoundError):
                    found.append(self._entry(Path(folder) / name))
        return sorted(
            (entry for entry in found if not Path(entry.key).name.startswith(DRAFT)),
            key=lambda entry: entry.key,
        )

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
        return self.folder / _inside(key, self.root)

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
        self._copies = tempfile.TemporaryDirectory(prefix="millrace-read-")

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def list(self, prefix: str) -> list[Entry]:
        with self._access():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self._name(prefix)}/"
            )
            objects = [item for page in pages for item in page.get("Contents", [])]
        return [
            Entry(
                item["Key"].removeprefix(self.prefix),
                item["Size"],
                item["LastModified"].timestamp(),
            )
            for item in objects
            if not item["Key"].endswith("/")  # the console's empty folders
        ]

    def read(self, key: str) -> tuple[bytes, str] | None:
        name = self._name(key)
        with self._access():
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=name)
            except self.client.exceptions.NoSuchKey:
                return None
            return answer["Body"].read(), answer["ETag"]

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        from botocore.exceptions import ClientError

        name = self._name(key)
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        with self._access():
            try:
                answer = self.client.put_object(
                    Bucket=self.bucket, Key=name, Body=data, **condition
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in LOST:
                    raise
                # botocore tries again where an answer was lost, and then meets its own write.
                present = self.read(key)
                if present is None or present[0] != data:
                    raise Conflict(f"{self.uri(key)} was changed by another run") from error
                return present[1]
        return answer["ETag"]

    def local(self, key: str, folder: Path | None = None) -> Path:
        from botocore.exceptions import ClientError

        name = self._name(key)
        target = (folder or Path(self._copies.name)) / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._access():
            try:
                self.client.download_file(self.bucket, name, str(target))
            except ClientError as error:
                if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                    raise FileNotFoundError(f"there is no object {self.uri(key)}") from error
                raise
        return target

    def workspace(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix="millrace-"))

    def store(self, workspace: Path, prefix: str) -> None:
        for path in sorted(workspace.rglob("*")):
            if path.is_file():
                name = f"{self._name(prefix)}/{path.relative_to(workspace).as_posix()}"
                with self._access():
                    self.client.upload_file(str(path), self.bucket, name)
        shutil.rmtree(workspace)

    def delete(self, prefix: str) -> None:
        names = [self._name(prefix), *(self.prefix + entry.key for entry in self.list(prefix))]
        for start in range(0, len(names), DELETED_AT_ONCE):
            objects = [{"Key": name} for name in names[start : start + DELETED_AT_ONCE]]
            with self._access():
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
            for failure in answer.get("Errors", [])[:1]:
                raise LakeError(self._denied(failure["Code"], failure.get("Message", "")))

    def _name(self, key: str) -> str:
        return self.prefix + _inside(key, self.root)

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Turns a refusal that a retry cannot cure into an error that says what to set."""
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import ClientError, NoCredentialsError

        try:
            yield
        except NoCredentialsError as error:
            raise LakeError(self._denied("NoCredentials", "no AWS credentials found")) from error
        except (ClientError, S3UploadFailedError) as error:
            cause = error if isinstance(error, ClientError) else error.__context__
            facts = cause.response["Error"] if isinstance(cause, ClientError) else {}
            if facts.get("Code") not in REFUSED:
                raise
            raise LakeError(self._denied(facts["Code"], facts.get("Message", ""))) from error

    def _denied(self, code: str, message: str) -> str:
        return (
            f"the bucket {self.bucket!r} of the lake {self.root} cannot be used: {code}"
            f" ({message}); set MILLRACE_LAKE to a bucket that exists, and give the Airflow"
            " connection named by MILLRACE_AWS_CONNECTION the right to list, get, put and delete"
            " in it"
        )


def _inside(key: str, root: str) -> str:
    """The key without slashes at its end.

    Raises:
        LakeError: it is empty, or leads out of the lake.
    """
    parts = key.rstrip("/").split("/")
    if {"", ".", ".."} & set(parts):
        raise LakeError(f"the key {key!r} leads out of the lake {root}; write a path inside it")
    return "/".join(parts)


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
