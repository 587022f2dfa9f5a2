"""Folders on this machine or in S3, through pyarrow's file systems alone.

A `Folder` is a plain value: the driver sends it to the workers, and every process opens its own
file system. Names are taken literally: spaces, `%`, `=` and `#` mean themselves.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pyarrow import fs

LISTERS = 16  # folders listed at a time


class JobError(ValueError):
    """Something the job was given is wrong; the message says what, and what to do."""


@dataclass(frozen=True)
class Folder:
    """A folder: a local path, or s3://bucket/prefix with where S3 answers.

    Attributes:
        endpoint: address of another S3 than AWS's own, "" for AWS's.
        region: "" asks S3 where the bucket is.
    """

    uri: str
    endpoint: str = ""
    region: str = ""

    @classmethod
    def of(cls, uri: str, environment: Mapping[str, str] = os.environ) -> Folder:
        """A folder as the usual AWS_* variables describe the way to it."""
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL", "")
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
        for other in ("s3a://", "s3n://"):
            if uri.startswith(other):
                uri = "s3://" + uri[len(other) :]
        if uri.startswith("file://"):
            uri = uri[len("file://") :]
        if "://" in uri and not uri.startswith("s3://"):
            raise JobError(f"{uri}: only local paths and s3:// addresses can be read and written")
        return cls(uri if uri.startswith("s3://") else os.path.abspath(uri), endpoint, region)

    @property
    def local(self) -> bool:
        return not self.uri.startswith("s3://")

    @property
    def filesystem(self) -> fs.FileSystem:
        bucket = "" if self.local else self.path.partition("/")[0]
        return _filesystem(bucket, self.endpoint, self.region)

    @property
    def path(self) -> str:
        """The folder as its file system calls it, without a slash at the end."""
        path = self.uri if self.local else self.uri[len("s3://") :]
        return path.rstrip("/") or "/"

    def child(self, name: str) -> Folder:
        return replace(self, uri=f"{self.uri.rstrip('/')}/{name}")

    def at(self, name: str) -> str:
        """A file of the folder as its file system calls it."""
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A file's bytes, at most `limit` of them.

        Raises:
            OSError: it is not there or cannot be read.
        """
        with self.filesystem.open_input_stream(self.at(name), compression=None) as stream:
            return bytes(stream.read(limit))

    def open(self, name: str) -> Any:
        """A file, open for reading anywhere in it."""
        return self.filesystem.open_input_file(self.at(name))

    def create(self, name: str) -> Any:
        """A stream into a new file; in S3 the file appears when the stream is closed."""
        if self.local:
            os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        return self.filesystem.open_output_stream(self.at(name), compression=None)

    def write(self, name: str, content: bytes) -> dict[str, Any]:
        """Write a file; gives its size and sha256."""
        with self.create(name) as stream:
            stream.write(content)
        return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def replace(self, name: str, content: bytes) -> None:
        """Put a file in place at once: readers see the old one or the new one, never a part."""
        if not self.local:
            self.write(name, content)
            return
        part = f"{name}.{os.getpid()}.part"
        self.write(part, content)
        os.replace(self.at(part), self.at(name))

    def files(self) -> dict[str, int]:
        """Sizes of all files below the folder by their relative names; {} where it is absent."""
        filesystem, root = self.filesystem, self.path
        if filesystem.get_file_info(root).type != fs.FileType.Directory:
            return {}

        def below(path: str, recursive: bool) -> list[fs.FileInfo]:
            return filesystem.get_file_info(fs.FileSelector(path, recursive=recursive))

        found = below(root, recursive=False)
        folders = [info.path for info in found if info.type == fs.FileType.Directory]
        with ThreadPoolExecutor(LISTERS) as pool:
            for more in pool.map(lambda path: below(path, recursive=True), folders):
                found.extend(more)
        start = len(root.rstrip("/")) + 1
        return {info.path[start:]: info.size for info in found if info.type == fs.FileType.File}

    def delete(self) -> None:
        """Remove the folder and all below it, where it is there."""
        if self.filesystem.get_file_info(self.path).type == fs.FileType.Directory:
            self.filesystem.delete_dir(self.path)


@functools.lru_cache(maxsize=None)  # one file system a process
def _filesystem(bucket: str, endpoint: str, region: str) -> fs.FileSystem:
    if not bucket:
        return fs.LocalFileSystem()
    if not region:
        region = "us-east-1" if endpoint else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        endpoint_override=endpoint or None, region=region,
        allow_delayed_open=True,  # a small file is one request, not three
    )  # fmt: skip
