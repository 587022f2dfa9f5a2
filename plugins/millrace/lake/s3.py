"""The lake below an S3 prefix."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from millrace.aws.errors import Answer, AwsBusy, answer_of, explain, remedy_for
from millrace.lake.store import Conflict, Entry, LakeError, inside

DELETED_AT_ONCE = 1000  # the most keys one DeleteObjects takes
# S3's answers to a conditional put that came too late; NoSuchKey: the object was deleted meanwhile.
LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


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
        return list(self.walk(prefix))

    def walk(self, prefix: str) -> Iterator[Entry]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self._name(prefix)}/"
        )
        with self._access():
            for item in (item for page in pages for item in page.get("Contents", [])):
                if not item["Key"].endswith("/"):  # the console's empty folders
                    yield Entry(
                        item["Key"].removeprefix(self.prefix), item["Size"],
                        item["LastModified"].timestamp(), item["ETag"].strip('"'),
                    )  # fmt: skip

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

    def put(self, path: Path, entry: Entry) -> None:
        from botocore.exceptions import ClientError

        name = self._name(entry.key)
        with self._access():
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=name)["ETag"].strip('"')
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                    raise
                found = ""
            if found != entry.tag:
                raise Conflict(f"{self.uri(entry.key)} was changed by another run")
            self.client.upload_file(str(path), self.bucket, name)

    def delete(self, prefix: str) -> None:
        names = [self._name(prefix), *(self.prefix + entry.key for entry in self.list(prefix))]
        self._delete([{"Key": name} for name in names], prefix)

    def forget(self, prefix: str) -> int:
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=f"{self._name(prefix)}/"
        )
        with self._access():
            versions, markers = [], []
            for page in pages:
                versions += [each for each in page.get("Versions", []) if not each["IsLatest"]]
                markers += page.get("DeleteMarkers", [])
        # Data before markers: were a marker removed first, what it hides would be back.
        for items in (versions, markers):
            chosen = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in items]
            self._delete(chosen, prefix)
        return len(versions) + len(markers)

    def _delete(self, chosen: Sequence[dict[str, str]], prefix: str) -> None:
        for start in range(0, len(chosen), DELETED_AT_ONCE):
            objects = chosen[start : start + DELETED_AT_ONCE]
            with self._access():
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
            for failure in answer.get("Errors", [])[:1]:
                refusal = Answer(failure["Code"], failure.get("Message", ""), "DeleteObjects", 400)
                if (remedy := remedy_for(refusal)) is None:
                    raise AwsBusy(f"{self.uri(prefix)} was not deleted: {refusal}")
                raise self._refused(str(refusal), remedy)

    def _name(self, key: str) -> str:
        return self.prefix + inside(key, self.root)

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Turns a refusal that a retry cannot cure into an error that says what to set."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            if (remedy := explain(error)) is None:
                raise
            raise self._refused(str(answer_of(error) or error), remedy) from error

    def _refused(self, said: str, remedy: str) -> LakeError:
        return LakeError(
            f"the bucket {self.bucket!r} of the lake {self.root} cannot be used: {said}; {remedy}"
        )
