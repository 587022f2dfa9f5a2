"""Publishing: one atomic step, nothing half-written, and readers that trust only the manifest."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import (
    Attempt,
    Conflict,
    LakeError,
    LocalStore,
    Place,
    Published,
    Store,
    open_store,
    publish,
    read_published,
)
from millrace.lake import attempts as publishing
from millrace.lake.attempts import ABANDONED_AFTER
from tests.lake.published import PLACE, attempts, once, writes
from tests.lake.s3 import s3_client

SPAWN = multiprocessing.get_context("spawn")


class TestReuse:
    def test_a_published_output_answers_the_same_question(self, store: Store) -> None:
        calls: list[int] = []
        for _ in range(3):
            published = publish(
                store, PLACE, depends_on={"a": 1, "b": [2]}, build=writes("rows", calls),
                inputs={"raw": "abc"},
            )  # fmt: skip
        assert len(calls) == 1
        assert published.facts == {"rows": 4}
        assert published.path("deep/rows.csv").read_text() == "rows"
        assert published.json("facts.json") == {"rows": 4}
        assert published.manifest.inputs == {"raw": "abc"}
        assert published.manifest.files["deep/rows.csv"]["size"] == 4
        assert published.uri == store.uri(f"{PLACE}/{published.manifest.attempt}")

    def test_the_order_of_what_it_depends_on_does_not_matter(self, store: Store) -> None:
        first = publish(store, PLACE, depends_on={"a": 1, "b": 2}, build=writes())
        second = publish(store, PLACE, depends_on={"b": 2, "a": 1}, build=writes())
        assert first.manifest == second.manifest

    def test_again_makes_it_anew(self, store: Store) -> None:
        first, second = once(store), once(store, again=True)
        assert first.manifest.attempt != second.manifest.attempt
        assert first.manifest.content == second.manifest.content

    def test_other_inputs_or_other_code_replace_it(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = once(store, "one", 1)
        second = once(store, "two", 2)
        monkeypatch.setattr(publishing, "code_fingerprint", lambda: "other code")
        third = once(store, "three", 2)
        assert len({p.manifest.attempt for p in (first, second, third)}) == 3
        current = read_published(store, PLACE)
        assert current is not None
        assert current.path("deep/rows.csv").read_text() == "three"
        assert current.manifest.code == "other code"
        # Whoever reads the one superseded just now can go on.
        assert second.path("deep/rows.csv").read_text() == "two"


class TestFailure:
    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
    def test_a_build_that_fails_publishes_nothing_and_leaves_nothing(
        self, store: Store, error: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Path] = []

        def fails(attempt: Attempt) -> None:
            writes()(attempt)
            seen.append(attempt.folder)
            raise error

        with pytest.raises(type(error)):
            publish(store, PLACE, depends_on={}, build=fails)
        assert read_published(store, PLACE) is None
        assert store.list(str(PLACE)) == []
        assert not seen[0].exists()

    def test_what_was_published_before_stays(self, store: Store) -> None:
        before = once(store)

        def fails(attempt: Attempt) -> None:
            raise ValueError

        with pytest.raises(ValueError):
            publish(store, PLACE, depends_on={"other": 1}, build=fails)
        current = read_published(store, PLACE)
        assert current is not None
        assert current.manifest == before.manifest
        assert attempts(store) == {before.manifest.attempt}

    def test_an_error_after_the_write_loses_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The manifest is in place, but the answer that says so was lost."""
        replace = store.replace

        def loses_the_answer(key: str, data: bytes, version: str | None) -> str:
            replace(key, data, version)
            raise TimeoutError("no answer")

        monkeypatch.setattr(store, "replace", loses_the_answer)
        assert once(store).path("deep/rows.csv").read_text() == "rows"

    def test_an_error_instead_of_the_write_leaves_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*arguments: Any) -> str:
            raise TimeoutError("no answer")

        monkeypatch.setattr(store, "replace", fails)
        with pytest.raises(TimeoutError):
            once(store)
        assert store.list(str(PLACE)) == []

    def test_a_clean_up_that_fails_spoils_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        once(store, "one", 1)
        once(store, "two", 2)

        def denied(prefix: str) -> None:
            raise LakeError("no right to delete")

        monkeypatch.setattr(store, "delete", denied)
        monkeypatch.setattr(publishing, "ABANDONED_AFTER", -1)
        assert once(store, "three", 3).path("deep/rows.csv").read_text() == "three"
        assert "could not be removed: no right to delete" in caplog.text


class TestTwoCopies:
    def test_of_one_attempt_one_publishes_and_both_have_it(self, store: Store) -> None:
        together = threading.Barrier(4)

        def copy(number: int) -> Published:
            def build(attempt: Attempt) -> None:
                writes(f"from {number}")(attempt)
                together.wait(20)

            return publish(store, PLACE, depends_on={"same": 1}, build=build)

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(copy, range(4)))
        assert len({result.manifest.attempt for result in results}) == 1
        assert len({result.path("deep/rows.csv").read_text() for result in results}) == 1
        assert attempts(store) == {results[0].manifest.attempt}

    def test_with_different_causes_the_loser_is_told(self, store: Store) -> None:
        together = threading.Barrier(2)

        def copy(number: int) -> Published | Conflict:
            def build(attempt: Attempt) -> None:
                writes(str(number))(attempt)
                together.wait(20)

            try:
                return publish(store, PLACE, depends_on={"number": number}, build=build)
            except Conflict as conflict:
                return conflict

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(copy, range(2)))
        [winner] = [result for result in results if isinstance(result, Published)]
        [loser] = [result for result in results if isinstance(result, Conflict)]
        assert "was changed by another run" in str(loser)
        assert attempts(store) == {winner.manifest.attempt}
        assert winner.path("deep/rows.csv").exists()

    def test_in_two_processes(self, store: Store, request: pytest.FixtureRequest) -> None:
        address = request.getfixturevalue("endpoint") if store.root.startswith("s3") else ""
        results, gate = SPAWN.Queue(), SPAWN.Barrier(2)
        processes = [
            SPAWN.Process(target=publish_there, args=(store.root, address, gate, n, results))
            for n in range(2)
        ]
        for process in processes:
            process.start()
        found = {results.get(timeout=60) for _ in processes}
        for process in processes:
            process.join(60)
        assert len(found) == 1
        assert len(attempts(store)) == 1


def publish_there(root: str, endpoint: str, gate: Any, number: int, results: Any) -> None:
    def build(attempt: Attempt) -> None:
        writes(f"from {number}")(attempt)
        gate.wait(30)

    store = open_store(root, s3_client(endpoint) if endpoint else None)
    published = publish(store, PLACE, depends_on={"same": 1}, build=build)
    results.put((published.manifest.attempt, published.path("deep/rows.csv").read_text()))


def publish_and_never_end(root: Path) -> None:
    def build(attempt: Attempt) -> None:
        writes("half")(attempt)
        (root / "writing").touch()
        time.sleep(600)

    publish(LocalStore(root), PLACE, depends_on={"other": 1}, build=build)


def test_a_killed_process_leaves_nothing_that_readers_see(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    before = once(store)
    process = SPAWN.Process(target=publish_and_never_end, args=(tmp_path,))
    process.start()
    while not (tmp_path / "writing").exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert len(attempts(store)) == 2
    current = read_published(store, PLACE)
    assert current is not None
    assert current.manifest == before.manifest
    assert current.path("deep/rows.csv").read_text() == "rows"
    after = once(store, "whole", 2)
    assert after.path("deep/rows.csv").read_text() == "whole"


def publish_on_a_full_disk(root: Path, results: Any) -> None:
    """The kernel lets this process write files of 64 kB at most."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
    try:
        once(LocalStore(root), "x" * 200_000, 2)
    except OSError as error:
        results.put(error.strerror)
    else:
        results.put("published")


def test_a_full_disk_publishes_nothing(tmp_path: Path) -> None:
    store, results = LocalStore(tmp_path), SPAWN.Queue()
    before = once(store)
    process = SPAWN.Process(target=publish_on_a_full_disk, args=(tmp_path, results))
    process.start()
    assert results.get(timeout=60) == "File too large"
    process.join(60)
    assert attempts(store) == {before.manifest.attempt}
    current = read_published(store, PLACE)
    assert current is not None
    assert current.manifest == before.manifest


class TestAbandonedAttempts:
    def test_they_are_removed_after_a_day_and_never_what_is_in_use(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path)
        other = Place(PLACE.area, PLACE.dataset, PLACE.partition)
        publish(store, other, depends_on={}, build=writes())
        first, second = once(store, "one", 1), once(store, "two", 2)
        store.replace(f"{PLACE}/attempt=dead/rows.csv", b"half", None)
        store.replace(f"{PLACE}/attempt=live/rows.csv", b"half", None)
        old = time.time() - ABANDONED_AFTER - 60
        for path in tmp_path.rglob("*"):
            if path.is_file() and "attempt=live" not in str(path):
                os.utime(path, (old, old))

        third = once(store, "three", 3)

        assert attempts(store) == {
            "attempt=live", second.manifest.attempt, third.manifest.attempt
        }  # fmt: skip
        assert first.manifest.attempt not in attempts(store)
        assert second.path("deep/rows.csv").read_text() == "two"
        kept = read_published(store, other)
        assert kept is not None
        assert kept.path("deep/rows.csv").exists()

    def test_young_ones_stay(self, store: Store) -> None:
        store.replace(f"{PLACE}/attempt=other/rows.csv", b"half", None)
        once(store, "one", 1)
        once(store, "two", 2)
        once(store, "three", 3)
        assert len(attempts(store)) == 4
