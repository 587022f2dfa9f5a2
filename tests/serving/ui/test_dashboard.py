"""The page of one client, of a small lake: looked up, scored, changed, and gone when erased."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millrace.lake import Place, Store, open_store, publish
from serving.ui import clients as clients_module
from serving.ui.clients import Clients, as_record
from tests.lake.s3 import new_root, s3_client, s3_server
from tests.serving.ui.conftest import Pressed, Shown, with_page
from tests.tracking.made_up import PLANTED

DAY = "2026-03-01"
MEMBERS: list[dict[str, Any]] = [
    {"_row_id": number, "name": f"{PLANTED}, Mrs. {number}.", "visits": float(number % 30),
     "fee": None if number == 105 else 5.0 + number % 40, "club": "south"}
    for number in range(100, 140)
]  # fmt: skip


def publish_members(
    store: Store, members: Sequence[Mapping[str, Any]] = MEMBERS, day: str = DAY
) -> None:
    """Features in two files of several row groups, and scores."""

    def features(attempt: Any) -> None:
        (attempt.folder / "features").mkdir()
        for at, half in enumerate((members[::2], members[1::2])):
            path = attempt.folder / "features" / f"part-{at}.parquet"
            pq.write_table(pa.Table.from_pylist(list(half)), path, row_group_size=7)

    def scores(attempt: Any) -> None:
        (attempt.folder / "predictions").mkdir()
        table = pa.table({"_row_id": [str(each["_row_id"]) for each in members],
                          "probability": np.linspace(0, 1, len(members))})  # fmt: skip
        pq.write_table(table, attempt.folder / "predictions" / "part-0.parquet")
        attempt.facts["model_version"] = "club 1"

    for area, name, build in (("features", "", features), ("predictions", "scores", scores)):
        publish(store, Place(area, "club", day, name), depends_on={"rows": len(members)},
                inputs={}, build=build, again=True)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = open_store(str(tmp_path / "lake"))
    publish_members(found)
    return found


@pytest.fixture
def desk(serve: Shown, club: Path, store: Store) -> Pressed:
    """The dashboard of the club on the lake."""
    with_page(club, kind="dashboard")
    client, _ = serve(folder=club, pages=True, pages_lake=store.root)
    return Pressed(client)


def test_any_member_is_found_with_what_the_lake_holds(store: Store) -> None:
    features = Clients(lambda: store, "club").features()
    assert features is not None and features.partition == DAY
    for member in (MEMBERS[0], MEMBERS[5], MEMBERS[20], MEMBERS[-1]):
        wanted = {name: member[name] for name in ("visits", "fee", "club")}
        assert features.row(str(member["_row_id"]), [*wanted, "unknown"]) == wanted
    assert features.row("99", ["fee"]) is None
    assert features.row("", ["fee"]) is None


def test_the_newest_partition_counts(store: Store) -> None:
    publish_members(store, MEMBERS[:3], day="2026-03-02")
    publish_members(store, MEMBERS[:5], day="2026-02-28")
    scores = Clients(lambda: store, "club").scores()
    assert scores is not None
    assert (scores.partition, len(scores.probability), scores.model) == ("2026-03-02", 3, "club 1")
    other = Clients(lambda: store, "other")
    assert other.features() is other.scores() is None


def test_who_is_erased_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients_module, "LOOK", 0.0)
    found = Clients(lambda: store, "club")
    before = found.features()
    assert before is not None and found.features() is before, "read once while nothing changes"
    assert before.row("100", ["club"]) is not None
    publish_members(store, MEMBERS[1:])
    after = found.features()
    assert after is not None and after.row("100", ["club"]) is None


def test_a_lake_on_s3_serves_as_well_and_leaves_nobody_on_this_disk(
    serve: Shown, club: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients_module, "LOOK", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with_page(club, kind="dashboard")
    with s3_server() as endpoint:
        for name, value in (("ENDPOINT_URL", endpoint), ("DEFAULT_REGION", "us-east-1"),
                            ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        store = open_store(new_root(), s3_client(endpoint))
        publish_members(store)
        client, _ = serve(folder=club, pages=True, pages_lake=store.root)
        page = Pressed(client)
        answer, place, *_ = page.press("Look up", Client="133")
        said = client.post("/club/predict", json=member(133)).json()
        assert f"<strong>{100 * said['probability']:.1f} %</strong>" in answer
        assert "of 40 scored clients" in place
        copied = set(tmp_path.rglob("millrace-read-*/**/*.parquet"))
        assert len(copied) == 3
        publish_members(store, [each for each in MEMBERS if each["_row_id"] != 133])
        answer, *_ = page.press("Look up", Client="133")
        assert "There is no such client" in answer
        assert "of 39 scored clients" in page.press("Look up", Client="120")[1]
        assert not copied & set(tmp_path.rglob("*.parquet")), "the copies went with the client"


def test_what_is_missing_is_left_out_of_a_request() -> None:
    kinds = {"a": "number", "b": "number", "c": "text", "d": "number", "e": "text"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    row = {"a": 3, "b": float("nan"), "c": None, "e": "x"}
    assert as_record(row, fields) == {"a": 3.0, "e": "x"}


def test_a_client_is_looked_up_scored_and_shown(desk: Pressed) -> None:
    answer, place, reasons, turned, table, *values = desk.press("Look up", Client="133")
    said = desk.client.post("/club/predict", json=member(133)).json()
    assert f"<strong>{100 * said['probability']:.1f} %</strong>" in answer
    below = np.mean(np.linspace(0, 1, len(MEMBERS)) < said["probability"])
    assert f"{100 * below:.1f} % of 40 scored clients have a lower probability." in place
    assert "Clients of 2026-03-01, scored by club 1." in place
    assert (reasons, turned) == ("", "")
    assert sorted(map(str, values)) == ["13.0", "18.0", "south"] and table["data"] == []
    assert PLANTED not in str([answer, place, table, values])


def member(number: int) -> dict[str, Any]:
    """A member as a request."""
    [found] = [each for each in MEMBERS if each["_row_id"] == number]
    return {name: value for name, value in found.items() if name != "_row_id" and value is not None}


def test_personal_fields_are_neither_shown_nor_asked_for(desk: Pressed) -> None:
    assert {"visits", "fee", "club"} <= set(desk.labels())
    assert "name" not in desk.labels() and PLANTED not in desk.document
    [reasons] = desk.press("Why?", Client="120")
    assert '<th scope="row">title</th><td>hidden</td>' in reasons and PLANTED not in reasons


def test_what_is_typed_counts_and_what_is_hidden_comes_from_the_lake(desk: Pressed) -> None:
    answer, *_ = desk.press("Score", Client="120", fee=49, visits=0, club="north")
    wanted = member(120) | {"fee": 49, "visits": 0, "club": "north"}
    said = desk.client.post("/club/predict", json=wanted).json()
    assert f"<strong>{100 * said['probability']:.1f} %</strong>" in answer
    answer, *_ = desk.press("Score", fee=49, visits=0, club="north")
    assert "without name." in answer


def test_who_is_not_there_is_told_and_nothing_is_overwritten(desk: Pressed) -> None:
    answer, place, *_, value = desk.press("Look up", Client="7")
    assert "There is no such client among those of 2026-03-01." in answer and place == ""
    assert value == {"__type__": "update"}
    answer, *_ = desk.press("Look up", Client=" ")
    assert "Type the id of a client first." in answer


def test_without_a_lake_features_are_typed(serve: Shown, club: Path) -> None:
    with_page(club, kind="dashboard")
    client, _ = serve(folder=club, pages=True)
    page = Pressed(client)
    assert page.labels()["Client"]["visible"] is False
    answer, place, *_ = page.press("Score", fee=49, visits=0, club="north")
    assert "verdict" in answer and "No scores of other clients are in the lake." in place


def test_an_empty_lake_says_so(serve: Shown, club: Path, tmp_path: Path) -> None:
    with_page(club, kind="dashboard")
    client, _ = serve(folder=club, pages=True, pages_lake=str(tmp_path / "none"))
    answer, *_ = Pressed(client).press("Look up", Client="120")
    assert "no features of clients in the lake yet" in answer


def test_features_beyond_the_first_are_typed_into_a_table(
    serve: Shown, club: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.ui.dashboard.FIRST", 1)
    with_page(club, kind="dashboard")
    client, _ = serve(folder=club, pages=True, pages_lake=store.root)
    page = Pressed(client)
    *_, table, _first = page.press("Look up", Client="120")
    rows = {row[0]: row for row in table["data"]}
    assert len(rows) == 2 and "name" not in rows and rows["club"][1] == "south"
    rows["club"][1] = "east"
    told = {"Other features": {**table, "data": [*rows.values()]}}
    answer, *_ = page.press("Score", Client="120", **told)
    assert "club: write one of north, south" in answer
    number = next(name for name in rows if name != "club")
    rows["club"][1], rows[number][1] = "north", "a lot"
    told = {"Other features": {**table, "data": [*rows.values()]}}
    answer, *_ = page.press("Score", Client="120", **told)
    assert f"{number}: write a number" in answer


def test_what_would_change_the_verdict_of_a_client(desk: Pressed) -> None:
    [turned] = desk.press("What would change it?", Client="120", fee=30, visits=3, club="north")
    assert "Each of these alone would make it &ldquo;Stays&rdquo;" in turned
    [turned] = desk.press("What would change it?", Client="120", fee=49, visits=0, club="north")
    assert "<strong>fee</strong>: from 49 to " in turned or "None of these alone" in turned
