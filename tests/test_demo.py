"""What the demo delivers and shows, without starting a stack."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from millrace.demo.delivery import deliver
from millrace.demo.outcomes import Outcome, table
from millrace.errors import MillraceError
from millrace.lake import LocalStore
from millrace.settings import PROJECT, Settings

DAY = "2026-03-01"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data sets are the project's, in a folder that a test may change."""
    shutil.copytree(PROJECT / "include" / "datasets", tmp_path / "datasets")
    home = Settings.from_environment({"MILLRACE_HOME": str(tmp_path)})
    return replace(home, datasets=tmp_path / "datasets")


@pytest.fixture
def store(settings: Settings) -> LocalStore:
    return LocalStore(Path(settings.lake))


def delivered(store: LocalStore, dataset: str) -> list[str]:
    prefix = f"raw/{dataset}/{DAY}/"
    return [entry.key.removeprefix(prefix) for entry in store.list(prefix.rstrip("/"))]


def test_samples_of_both_kinds_are_delivered_and_the_marker_comes_last(settings, store):
    specs = deliver(settings, store, None, DAY)
    assert set(specs) == {"fruits", "home_credit", "loan_default", "telecom_churn", "titanic"}
    assert delivered(store, "titanic") == ["train.csv"]
    names = delivered(store, "fruits")
    assert "images/Plum/r1_0_100.jpg" in names
    assert len(names) == 324
    entries = {entry.key: entry for entry in store.list(f"raw/fruits/{DAY}")}
    marker = entries.pop(f"raw/fruits/{DAY}/_SUCCESS")
    assert marker.size == 0
    assert marker.modified >= max(entry.modified for entry in entries.values())


def test_images_of_a_folder_keep_their_places(settings, store, tmp_path, capsys):
    for name in ("a b/r0_1_100.jpg", "a b/r0_2_100.jpg", "c=d/1_100.jpg", "c=d/2_100.jpg", "x.txt"):
        path = tmp_path / "data" / "fruits" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    specs = deliver(settings, store, tmp_path / "data", DAY)
    assert list(specs) == ["fruits"]
    assert delivered(store, "fruits") == [
        "_SUCCESS", "images/a b/r0_1_100.jpg", "images/a b/r0_2_100.jpg", "images/c=d/1_100.jpg",
        "images/c=d/2_100.jpg",
    ]  # fmt: skip
    copied = Path(store.uri(f"raw/fruits/{DAY}/images/c=d/1_100.jpg")).read_text()
    assert copied == "c=d/1_100.jpg"
    assert "r0_1_100.jpg, r0_2_100.jpg, 1_100.jpg and 1 more files" in capsys.readouterr().out


def test_only_what_is_named_is_delivered(settings, store):
    assert list(deliver(settings, store, None, DAY, ["titanic"])) == ["titanic"]
    assert delivered(store, "fruits") == []


def test_nothing_to_deliver_names_every_data_set(settings, store, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(MillraceError, match=r"holds no raw files.*titanic, fruits"):
        deliver(settings, store, tmp_path / "data", DAY)


def test_a_broken_spec_of_images_is_an_error(settings, store):
    (settings.datasets / "fruits.yaml").write_text("kind: images\n")
    with pytest.raises(MillraceError, match=r"fruits.yaml:1: description: found nothing"):
        deliver(settings, store, None, DAY)


def test_the_table_has_a_dash_for_a_metric_that_a_data_set_lacks():
    gates = [{"holds": True}]
    facts = {"winner": "w", "gates": gates, "champion": True, "reasons": ""}
    shown = table(
        [
            Outcome("fruits", "success", 9.4,
                    {**facts, "metrics": {"accuracy": 0.9, "top_3_accuracy": 1.0}}),
            Outcome("titanic", "success", 8.0,
                    {**facts, "metrics": {"accuracy": 0.8, "f1": 0.7, "roc_auc": 0.85}}),
            Outcome("broken", "failed", 1.0, {}, trouble="it broke"),
        ]
    ).splitlines()  # fmt: skip
    lines = [line.split() for line in shown if line]
    assert lines[0][:7] == ["data", "set", "winner", "accuracy", "top_3", "f1", "roc_auc"]
    assert lines[2][:6] == ["fruits", "w", "0.9000", "1.0000", "-", "-"]
    assert lines[3][:6] == ["titanic", "w", "0.8000", "-", "0.7000", "0.8500"]
    assert lines[4][:6] == ["broken", "failed", "-", "-", "-", "-"]


def test_only_files_of_tables_are_delivered(settings, store, tmp_path):
    folder = tmp_path / "data" / "home_credit"
    folder.mkdir(parents=True)
    for name in ("application_train.csv", "bureau.csv", "columns_description.csv"):
        (folder / name).write_text("a,b\n")
    assert list(deliver(settings, store, tmp_path / "data", DAY)) == ["home_credit"]
    assert delivered(store, "home_credit") == ["_SUCCESS", "application_train.csv", "bureau.csv"]
