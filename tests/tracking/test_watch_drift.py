"""The watch: what the service recorded, and a new partition, against the champion's test rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from millrace.datasets import load_spec
from millrace.lake import open_store, read_published
from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.preprocess import preprocess
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.steps.validate_raw import validate_raw
from millrace.steps.watch_drift import NothingToCompare, watch_drift
from tests.tracking import made_up
from tests.tracking.conftest import GOOD

pytestmark = pytest.mark.integration
DAY = "2026-04-01"


@pytest.fixture
def run(run_of: Callable[..., Run], home: Path) -> Run:
    """The day's watch over a data set whose champion learned from another day."""
    path = home / "datasets" / "club.yaml"
    path.write_text(path.read_text() + "drift: {rows: 30, share: 0.5}\n")
    spec = load_spec(path)
    champion = run_of(GOOD, spec=spec, promote="yes")
    log_to_mlflow(champion)
    assert promote(champion)["champion"]
    return replace(run_of(GOOD, spec=spec), partition=DAY)


def record(run: Run, rows: pd.DataFrame, version: str = "1") -> None:
    """Put rows where the service puts them, with its columns."""
    folder = Path(run.store.uri(f"recorded/club/{DAY}"))
    folder.mkdir(parents=True, exist_ok=True)
    rows.assign(
        _time=pd.Timestamp("2026-04-01", tz="UTC"), _version=version, _class="yes"
    ).to_parquet(folder / f"version-{version}-{len(list(folder.iterdir()))}.parquet")


def requests(count: int, seed: int = 3) -> pd.DataFrame:
    frame = pd.read_csv(io.StringIO(made_up.rows(count, seed)))[:-1]
    odds = (frame["fee"] - frame["visits"] - 12) / 8
    return frame[["visits", "fee", "club"]].assign(_probability=1 / (1 + 2.718**-odds))


def version(run: Run) -> str:
    from millrace.tracking import registry
    from millrace.tracking.server import connect

    found = registry.champion(connect(run.settings), "club")
    assert found is not None
    return str(found.version)


def test_requests_that_look_as_before_raise_no_alarm(run: Run) -> None:
    record(run, requests(400), version(run))
    found = watch_drift(run)
    assert found["alarm"] is False
    assert found["drifted"] == {"requests": []}
    assert watch_drift(run)["report"] == found["report"], "nothing new, nothing done"


def test_requests_that_have_moved_raise_one_and_the_page_says_what(run: Run) -> None:
    moved = requests(400).assign(club="south", fee=lambda rows: rows["fee"] + 30)
    record(run, moved[:200], version(run))
    record(run, moved[200:], version(run))
    found = watch_drift(run)
    assert found["alarm"] is True
    assert {*found["drifted"]["requests"]} == {"fee", "club"}
    published = read_published(run.store, run.place("reports", "drift"))
    assert published is not None
    figures = json.loads(published.path("drift.json").read_text())
    compared = figures["compared"]["requests"]
    assert compared["rows"] == [40, 400] and compared["share"] == pytest.approx(2 / 3)
    page = published.path("report.html").read_text()
    assert "The data have drifted" in page and "<svg" in page
    assert made_up.PLANTED not in page, "names are personal"


def test_requests_to_another_version_do_not_count(run: Run) -> None:
    record(run, requests(400).assign(fee=99.0), "77")
    with pytest.raises(NothingToCompare, match="club 2026-04-01: 0 requests to version"):
        watch_drift(run)


def test_a_new_partition_is_compared_with_the_champion_s_own_predictions(run: Run) -> None:
    text = made_up.rows(400, seed=9)
    frame = pd.read_csv(io.StringIO(text), dtype=str)
    frame["fee"] = (frame["fee"].astype(float) + 40).round(2).astype(str)
    made_up.deliver(run.store, DAY, frame.to_csv(index=False))
    validate_raw(run)
    preprocess(run)
    found = watch_drift(run)
    assert found["drifted"]["partition"] == ["fee"]
    published = read_published(run.store, run.place("reports", "drift"))
    assert published is not None
    [prediction] = published.json("drift.json")["compared"]["partition"]["predictions"]
    assert (prediction["name"], prediction["drifted"]) == ("_probability", True)
    assert found["alarm"] is True, "one column of three, but the predictions have moved"


def test_without_a_champion_or_its_rows_there_is_nothing_to_compare(run: Run, client: Any) -> None:
    store = open_store(run.settings.lake)
    store.delete(f"processed/club/{GOOD}")
    with pytest.raises(NothingToCompare, match="are no longer in the lake"):
        watch_drift(run)
    client.delete_registered_model_alias("club", "champion")
    with pytest.raises(NothingToCompare, match="club has no champion yet"):
        watch_drift(run)
