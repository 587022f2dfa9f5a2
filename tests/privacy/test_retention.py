"""Retention: what goes by the days of its class, what stays, and that a dry run removes nothing."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
from pathlib import Path

import pytest

from millrace.lake import Place, open_store, publish, read_published
from millrace.privacy.retention import find_expired, log_expired, remove_expired
from millrace.settings import Settings, SettingsError
from millrace.tracking.registry import champion_partitions
from millrace.tracking.server import TrackingUnavailable

TODAY = dt.date(2026, 3, 31)
NOW = dt.datetime(2026, 3, 31, 3, tzinfo=dt.UTC)
OLD, NEW = "2026-03-01", "2026-03-30"
CHAMPIONS = {"loans": OLD, "ships": None}


@pytest.fixture
def filled(store):
    """Every class of data of two data sets in an old and in a new partition."""
    for dataset in ("loans", "ships"):
        for day in (OLD, NEW, "notes"):
            store.replace(f"raw/{dataset}/{day}/rows.csv", b"id\n1\n", None)
            for area in ("processed", "features", "models", "predictions", "reports"):
                for name in ("", "more"):
                    publish(
                        store, Place(area, dataset, day, name), depends_on={},
                        build=lambda attempt: attempt.write("x.txt", "x"),
                    )  # fmt: skip
    return store


def keys(expired, **chosen):
    return {
        each.key for each in expired
        if all(bool(getattr(each, name)) == value for name, value in chosen.items())
    }  # fmt: skip


def test_an_area_that_is_not_named_is_kept(filled):
    expired = find_expired(filled, {"raw": 10}, TODAY, CHAMPIONS)
    assert keys(expired) == {f"raw/loans/{OLD}", f"raw/ships/{OLD}"}
    assert find_expired(filled, {}, TODAY, CHAMPIONS) == []
    assert find_expired(filled, {"raw": 30}, TODAY, CHAMPIONS) == []  # thirty days old today


def test_recorded_predictions_go_by_their_day(filled):
    for day in (OLD, NEW):
        filled.replace(f"recorded/loans/{day}/version-1-a.parquet", b"rows", None)
    expired = find_expired(filled, {"recorded": 10}, TODAY, CHAMPIONS)
    assert keys(expired, kept=False) == {f"recorded/loans/{OLD}"}


def test_a_champions_partition_stays_where_it_is_needed(filled):
    days = dict.fromkeys(("raw", "processed", "features", "models", "predictions", "reports"), 29)
    expired = find_expired(filled, days, TODAY, CHAMPIONS)
    assert keys(expired, kept=True) == {
        f"{area}/loans/{OLD}" for area in ("processed", "features", "models", "reports")
    }
    assert keys(expired, kept=False) == {
        *(f"{area}/ships/{OLD}" for area in days),
        f"raw/loans/{OLD}", f"predictions/loans/{OLD}",
    }  # fmt: skip


def test_listing_removes_nothing_and_removal_only_what_was_listed(filled, caplog):
    before = filled.list("raw") + filled.list("processed")
    days = {"raw": 10, "processed": 10}
    expired = find_expired(filled, days, TODAY, CHAMPIONS)
    with caplog.at_level(logging.INFO):
        log_expired(filled, expired, days)
    assert "stays: the champion was trained on it" in caplog.text
    assert "3 expired" in caplog.text
    assert filled.list("raw") + filled.list("processed") == before
    record = json.loads(filled.read(remove_expired(filled, expired, NOW))[0])
    assert {each["key"] for each in record["removed"]} == keys(expired, kept=False)
    left = {entry.key.split("/")[2] for entry in filled.list("raw")}
    assert left == {NEW, "notes"}
    for place, stays in (
        (Place("processed", "loans", OLD), True), (Place("processed", "ships", OLD), False),
        (Place("processed", "ships", OLD, "more"), False), (Place("processed", "ships", NEW), True),
        (Place("features", "ships", OLD), True),
    ):  # fmt: skip
        published = read_published(filled, place)
        assert (published is not None) == stays
        if published:
            assert published.path("x.txt").read_text() == "x"
    remove_expired(filled, expired, NOW + dt.timedelta(seconds=1))
    if hasattr(filled, "client"):
        bucket = filled.root.split("/")[2]
        versions = filled.client.list_object_versions(Bucket=bucket, Prefix=f"deep/raw/ships/{OLD}")
        assert "Versions" not in versions and "DeleteMarkers" not in versions


def test_files_of_jobs_go_by_their_last_change(tmp_path):
    store = open_store(str(tmp_path))
    for name in ("sent/a/rows.jsonl", "loans/x/log.txt", "waiting/one.json"):
        store.replace(f"jobs/{name}", b"x", None)
    old = time.time() - 40 * 86400
    for name in ("sent/a/rows.jsonl", "waiting/one.json"):
        os.utime(Path(store.uri(f"jobs/{name}")), (old, old))
    expired = find_expired(store, {"jobs": 30}, dt.datetime.now(dt.UTC).date(), {})
    assert keys(expired) == {"jobs/sent/a/rows.jsonl"}
    remove_expired(store, expired, NOW)
    assert {entry.key for entry in store.list("jobs")} == {
        "jobs/loans/x/log.txt", "jobs/waiting/one.json",
    }  # fmt: skip


def test_without_mlflow_nobody_knows_what_a_champion_needs(tmp_path):
    settings = Settings.from_environment(
        {"MILLRACE_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    )
    with pytest.raises(TrackingUnavailable, match="MLflow does not answer"):
        champion_partitions(settings)


def test_the_setting_names_days_by_area():
    read = Settings.from_environment
    assert dict(read({"MILLRACE_RETENTION": "raw=365, predictions=90"}).retention) == {
        "raw": 365, "predictions": 90,
    }  # fmt: skip
    assert read({}).retention == () and not read({}).retention_apply
    assert read({"MILLRACE_RETENTION_APPLY": "yes"}).retention_apply
    for bad in ("raw", "raw=0", "raw=1,raw=2", "row=3", "raw=-1", "raw=ever", "privacy=3"):
        with pytest.raises(SettingsError, match="MILLRACE_RETENTION has"):
            read({"MILLRACE_RETENTION": bad})
