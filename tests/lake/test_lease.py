"""The lease: one holder at a time, over threads and processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from millrace.lake import LakeError, LocalStore, Store
from millrace.lake.lease import lease

SPAWN = multiprocessing.get_context("spawn")


def count_up(root: Path, times: int) -> None:
    """Read, wait, write: loses counts wherever two do it at once."""
    for _ in range(times):
        with lease(LocalStore(root), "counter", patience=60):
            path = root / "count"
            number = int(path.read_text()) if path.exists() else 0
            time.sleep(0.002)
            path.write_text(str(number + 1))


def test_one_holder_at_a_time_over_threads(tmp_path: Path) -> None:
    threads = [threading.Thread(target=count_up, args=(tmp_path, 3)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "count").read_text() == "12"


def test_one_holder_at_a_time_over_processes(tmp_path: Path) -> None:
    processes = [SPAWN.Process(target=count_up, args=(tmp_path, 3)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text() == "12"


def hold_for_ever(root: Path) -> None:
    with lease(LocalStore(root), "champion/x", seconds=2):
        (root / "held").touch()
        time.sleep(600)


def test_a_holder_that_dies_is_overtaken_when_its_lease_ends(tmp_path: Path) -> None:
    process = SPAWN.Process(target=hold_for_ever, args=(tmp_path,))
    process.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with (
        pytest.raises(LakeError, match="held by another run"),
        lease(LocalStore(tmp_path), "champion/x", patience=3),
    ):
        pytest.fail("a living holder renews its lease")
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with lease(LocalStore(tmp_path), "champion/x", patience=10):
        pass


def test_patience_ends_with_an_error_that_names_the_lease(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with (
        lease(store, "champion/x"),
        pytest.raises(LakeError, match=r"leases/champion/x\.json is held by another run"),
        lease(store, "champion/x", patience=0.1),
    ):
        pytest.fail("two holders at once")


def test_leases_of_other_names_are_free(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with lease(store, "a"), lease(store, "b", patience=0):
        pass


def test_it_is_released_when_the_work_raises(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(ZeroDivisionError), lease(store, "x"):
        raise ZeroDivisionError
    with lease(store, "x", patience=0):
        pass


class Cut(LocalStore):
    """A lake that cannot be reached for a while."""

    down = False

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        if self.down:
            raise OSError("no route to the lake")
        return super().replace(key, data, version)


def test_a_holder_that_cannot_renew_in_time_is_overtaken_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut, store = Cut(tmp_path), LocalStore(tmp_path)
    with caplog.at_level(logging.WARNING), lease(cut, "x", seconds=0.3):
        cut.down = True
        with lease(store, "x", patience=5):
            cut.down = False
            time.sleep(0.3)
            with pytest.raises(LakeError), lease(store, "x", patience=0):
                pytest.fail("the first holder took nothing back")
    assert "could not be renewed: no route to the lake" in caplog.text
    assert "was overtaken" in caplog.text


def test_a_lease_on_any_store_is_a_small_record(tmp_path: Path) -> None:
    store: Store = LocalStore(tmp_path)
    with lease(store, "x"):
        assert [entry.key for entry in store.list("leases")] == ["leases/x.json"]
