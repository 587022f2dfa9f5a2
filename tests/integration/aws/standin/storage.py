"""S3 as a job sees it: with the rights of its role."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Store:
    """S3 with one role's credentials."""

    def __init__(self, client: Any):
        self._client = client
        self._sent: dict[Path, tuple[int, int]] = {}

    def keys(self, uri: str) -> Iterator[tuple[str, str]]:
        """Keys that begin with a URI's, each with its path relative to that prefix."""
        bucket, prefix = split(uri)
        for page in self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        ):
            for item in page.get("Contents", []):
                key = item["Key"]
                if not key.endswith("/"):
                    yield key, key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]

    def fetch(self, uri: str, target: Path) -> Path:
        """One object into a file."""
        bucket, key = split(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.download_file(bucket, key, str(target))
        return target

    def fetch_all(self, uri: str, folder: Path) -> None:
        """Everything under a prefix into a folder."""
        bucket, _ = split(uri)
        folder.mkdir(parents=True, exist_ok=True)
        for key, relative in self.keys(uri):
            self.fetch(f"s3://{bucket}/{key}", folder / relative)

    def unpack(self, uri: str, folder: Path) -> Path:
        """A .tar.gz into a folder."""
        archive = self.fetch(uri, folder.with_name(f"{folder.name}.tar.gz"))
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        return folder

    def send(self, file: Path, uri: str) -> None:
        bucket, key = split(uri)
        with file.open("rb") as content:
            self._client.upload_fileobj(content, bucket, key)

    def send_changed(self, folder: Path, uri: str) -> None:
        """Every file of a folder that is new or changed since it was last sent."""
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            mark = (path.stat().st_mtime_ns, path.stat().st_size)
            if self._sent.get(path) != mark:
                self.send(path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")
                self._sent[path] = mark

    def write(self, content: bytes, uri: str) -> None:
        bucket, key = split(uri)
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def pack(self, folder: Path, uri: str) -> None:
        """A folder as .tar.gz; an empty folder gives an empty archive."""
        archive = folder.with_name(f"{folder.name}.out.tar.gz")
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name)
        self.send(archive, uri)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI."""
    if not uri.startswith("s3://"):
        raise ValueError(f"{uri!r} is no s3:// URI")
    bucket, _, key = uri[len("s3://") :].partition("/")
    return bucket, key
