"""The data lake's store: one contract, over a local folder and over S3."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.errors import AwsBusy
from millrace.errors import MillraceError
from millrace.lake import Conflict, LakeError, LocalStore, S3Store, Store, open_store
from tests.lake.s3 import BUCKET, new_root, s3_client

SPAWN = multiprocessing.get_context("spawn")
ODD_KEYS = ["a b/c d.csv", "größe/数据.csv", "attempt=1/x=y.csv", "a+b/c&d%20.csv", "-/_'(~).csv"]


@pytest.fixture
def bucket(endpoint: str) -> S3Store:
    return S3Store(new_root(), s3_client(endpoint))


def put(store: Store, *keys: str) -> None:
    for key in keys:
        store.replace(key, key.encode(), None)


def keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in store.list(prefix)]


class TestReplace:
    def test_creates_only_where_there_is_nothing(self, store: Store) -> None:
        version = store.replace("a/x.json", b"one", None)
        assert store.read("a/x.json") == (b"one", version)
        with pytest.raises(Conflict):
            store.replace("a/x.json", b"two", None)
        assert store.read("a/x.json") == (b"one", version)

    def test_replaces_only_the_version_that_was_seen(self, store: Store) -> None:
        first = store.replace("a/x.json", b"one", None)
        second = store.replace("a/x.json", b"two", first)
        assert store.read("a/x.json") == (b"two", second)
        with pytest.raises(Conflict, match=r"a/x\.json was changed by another run"):
            store.replace("a/x.json", b"three", first)
        assert store.read("a/x.json") == (b"two", second)

    def test_a_lost_object_is_a_conflict(self, store: Store) -> None:
        version = store.replace("a/x.json", b"one", None)
        store.delete("a/x.json")
        with pytest.raises(Conflict):
            store.replace("a/x.json", b"two", version)
        assert store.read("a/x.json") is None

    def test_one_of_many_threads_wins(self, store: Store) -> None:
        version = store.replace("x", b"start", None)
        won: list[bytes] = []

        def strive(data: bytes) -> None:
            try:
                store.replace("x", data, version)
                won.append(data)
            except Conflict:
                pass

        threads = [threading.Thread(target=strive, args=(bytes([65 + n]),)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = store.read("x")
        assert found is not None
        assert won == [found[0]]

    def test_empty_and_large_content(self, store: Store) -> None:
        store.replace("empty", b"", None)
        store.replace("large", b"x" * 3_000_000, None)
        assert (store.read("empty") or (None,))[0] == b""
        assert len((store.read("large") or (b"",))[0]) == 3_000_000


def strive(root: Path, name: str, rounds: int, won: Any) -> None:
    store = LocalStore(root)
    for number in range(rounds):
        while (root / f"go{number}").exists() is False:
            time.sleep(0.0005)
        try:
            store.replace(f"round{number}", name.encode(), None)
            won.put((number, name))
        except Conflict:
            pass


def test_of_two_processes_exactly_one_wins_each_round(tmp_path: Path) -> None:
    rounds, won = 50, SPAWN.Queue()
    processes = [SPAWN.Process(target=strive, args=(tmp_path, n, rounds, won)) for n in "ab"]
    for process in processes:
        process.start()
    for number in range(rounds):
        (tmp_path / f"go{number}").touch()
    results = dict(won.get(timeout=60) for _ in range(rounds))
    for process in processes:
        process.join(60)
    assert won.empty()
    assert sorted(results) == list(range(rounds))
    store = LocalStore(tmp_path)
    for number, name in results.items():
        assert (store.read(f"round{number}") or (None,))[0] == name.encode()


class TestList:
    def test_files_below_a_prefix_in_the_order_of_keys(self, store: Store) -> None:
        put(store, "a/b/2", "a/b/1", "a/b/c/3", "a/bc/4", "a/b.json", "z")
        assert keys(store, "a/b") == ["a/b/1", "a/b/2", "a/b/c/3"]
        assert keys(store, "a/b/") == keys(store, "a/b")
        assert keys(store, "a") == ["a/b.json", "a/b/1", "a/b/2", "a/b/c/3", "a/bc/4"]
        assert keys(store, "nothing/here") == []

    def test_entries_say_size_and_time(self, store: Store) -> None:
        store.replace("a/x", b"12345", None)
        [entry] = store.list("a")
        assert entry.size == 5
        assert abs(entry.modified - time.time()) < 60

    def test_unpublished_drafts_are_not_listed(self, tmp_path: Path) -> None:
        put(LocalStore(tmp_path), "a/x")
        (tmp_path / "a" / ".tmp-123").touch()
        assert keys(LocalStore(tmp_path), "a") == ["a/x"]

    def test_the_consoles_empty_folders_are_no_files(self, bucket: S3Store) -> None:
        put(bucket, "a/x")
        bucket.client.put_object(Bucket=BUCKET, Key=f"{bucket.prefix}a/")
        assert keys(bucket, "a") == ["a/x"]

    def test_files_may_vanish_meanwhile(self, tmp_path: Path) -> None:
        store, over = LocalStore(tmp_path), threading.Event()

        def come_and_go() -> None:
            while not over.is_set():
                put(store, *(f"a/attempt/{n}" for n in range(5)))
                store.delete("a/attempt")

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            for _ in range(300):
                store.list("a")
        finally:
            over.set()
            thread.join()


class TestDelete:
    def test_everything_below_and_nothing_beside(self, store: Store) -> None:
        put(store, "a/b/1", "a/b/c/2", "a/bc/3", "a/b.json", "ab/4")
        store.delete("a/b")
        assert keys(store, "a") == ["a/b.json", "a/bc/3"]
        assert keys(store, "ab") == ["ab/4"]

    def test_one_file(self, store: Store) -> None:
        put(store, "a/b", "a/bc")
        store.delete("a/b")
        assert keys(store, "a") == ["a/bc"]

    def test_what_is_not_there(self, store: Store) -> None:
        store.delete("nothing/here")

    def test_more_than_one_call_of_s3_takes(
        self, bucket: S3Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1005):
            bucket.client.put_object(Bucket=BUCKET, Key=f"{bucket.prefix}many/{number:04}")
        assert len(bucket.list("many")) == 1005
        bucket.delete("many")
        assert bucket.list("many") == []


class TestWorkspace:
    def test_what_is_stored_can_be_read_as_a_local_file(self, store: Store, tmp_path: Path) -> None:
        folder = store.workspace("a/attempt=1")
        assert folder.is_dir()
        assert list(folder.iterdir()) == []
        (folder / "deep").mkdir()
        (folder / "deep" / "x.csv").write_bytes(b"1,2\n")
        store.store(folder, "a/attempt=1")
        assert keys(store, "a") == ["a/attempt=1/deep/x.csv"]
        assert store.local("a/attempt=1/deep/x.csv").read_bytes() == b"1,2\n"
        assert store.local("a/attempt=1/deep/x.csv", tmp_path / "in").read_bytes() == b"1,2\n"

    def test_a_missing_file_is_not_found(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"a/x\.csv"):
            store.local("a/x.csv")
        with pytest.raises(FileNotFoundError):
            store.local("a/x.csv", tmp_path)
        assert store.read("a/x.csv") is None

    def test_a_copy_lasts_as_long_as_the_store(self, bucket: S3Store) -> None:
        put(bucket, "a/x")
        path = bucket.local("a/x")
        assert path.read_bytes() == b"a/x"
        assert path.stat().st_size == 3
        root = Path(bucket._copies.name)
        assert path.is_relative_to(root)


class TestKeys:
    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_names(self, store: Store, key: str, tmp_path: Path) -> None:
        version = store.replace(key, b"x", None)
        assert store.read(key) == (b"x", version)
        folder = key.split("/")[0]
        assert keys(store, folder) == [key]
        assert store.local(key, tmp_path / "in").read_bytes() == b"x"
        store.delete(folder)
        assert keys(store, folder) == []

    @pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a/..", "", "/", "a//b"])
    def test_none_leads_out_of_the_lake(self, store: Store, key: str, tmp_path: Path) -> None:
        for use in (
            lambda: store.list(key),
            lambda: store.read(key),
            lambda: store.replace(key, b"x", None),
            lambda: store.local(key, tmp_path),
            lambda: store.delete(key),
            lambda: store.store(tmp_path, key) if isinstance(store, S3Store) else store.list(key),
        ):
            (tmp_path / "file").touch()
            with pytest.raises(LakeError, match="leads out of the lake"):
                use()

    def test_addresses(self, tmp_path: Path, endpoint: str) -> None:
        assert open_store(str(tmp_path)).uri("a/b") == f"{tmp_path}/a/b"
        for root in ("s3://lake/deep/", "s3://lake/deep"):
            assert open_store(root, s3_client(endpoint)).uri("a/b") == "s3://lake/deep/a/b"
        assert open_store("s3://lake", s3_client(endpoint)).uri("a/b") == "s3://lake/a/b"


class TestErrors:
    """What is wrong with a lake is said once, with what to set."""

    def test_a_bucket_that_is_not_there(self, endpoint: str, tmp_path: Path) -> None:
        store = S3Store("s3://not-there/lake", s3_client(endpoint))
        (tmp_path / "x").touch()
        for use in (
            lambda: store.list("a"),
            lambda: store.read("a"),
            lambda: store.replace("a", b"x", None),
            lambda: store.delete("a"),
            lambda: store.store(tmp_path, "a"),
        ):
            with pytest.raises(LakeError, match=r"'not-there'.*NoSuchBucket.*MILLRACE_LAKE"):
                use()
        assert issubclass(LakeError, MillraceError)

    def test_a_bucket_that_lets_nobody_in(self, bucket: S3Store) -> None:
        from botocore.exceptions import ClientError, NoCredentialsError

        refusal = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
        for error in (refusal, NoCredentialsError()):

            def refuse(error: Exception = error, **request: Any) -> None:
                raise error

            bucket.client.meta.events.register_first("before-call.s3.GetObject", refuse)
            with pytest.raises(LakeError, match=r"bucket 'lake'.*MILLRACE_AWS_CONNECTION"):
                bucket.read("a")
            bucket.client.meta.events.unregister("before-call.s3.GetObject", refuse)

    def test_what_a_retry_may_cure_is_left_to_the_retry(self, bucket: S3Store) -> None:
        from botocore.exceptions import ClientError

        slow = ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "GetObject")

        def refuse(**request: Any) -> None:
            raise slow

        bucket.client.meta.events.register_first("before-call.s3.GetObject", refuse)
        with pytest.raises(ClientError):
            bucket.read("a")

    def test_keys_that_may_not_be_deleted(self, bucket: S3Store) -> None:
        put(bucket, "a/x")

        def partly(parsed: dict[str, Any], **request: Any) -> None:
            parsed["Errors"] = [{"Key": "a/x", "Code": "AccessDenied", "Message": "no"}]

        bucket.client.meta.events.register("after-call.s3.DeleteObjects", partly)
        with pytest.raises(LakeError, match=r"AccessDenied.*the right s3:DeleteObject"):
            bucket.delete("a")

    def test_keys_that_could_not_be_deleted_now(self, bucket: S3Store) -> None:
        put(bucket, "a/x")

        def partly(parsed: dict[str, Any], **request: Any) -> None:
            parsed["Errors"] = [{"Key": "a/x", "Code": "InternalError", "Message": "again"}]

        bucket.client.meta.events.register("after-call.s3.DeleteObjects", partly)
        with pytest.raises(AwsBusy, match="InternalError"):
            bucket.delete("a")

    def test_a_write_whose_answer_was_lost_is_no_conflict(self, bucket: S3Store) -> None:
        """botocore sends a put again when the answer is lost, and S3 says 412 to its own write."""
        client, sent = bucket.client, []

        def lose(**request: Any) -> int | None:
            sent.append(1)
            return 0 if len(sent) == 1 else None

        client.meta.events.register_first("needs-retry.s3.PutObject", lose)
        version = bucket.replace("a/x", b"mine", None)
        assert len(sent) == 2
        assert bucket.read("a/x") == (b"mine", version)

    def test_a_lake_without_a_bucket(self) -> None:
        with pytest.raises(LakeError, match="names no bucket; write s3://bucket/prefix"):
            S3Store("s3:///x", None)

    def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "lake").touch()
        for root in ("lake", "lake/below"):
            with pytest.raises(LakeError, match="is no folder; set MILLRACE_LAKE"):
                LocalStore(tmp_path / root).replace("a", b"x", None)
