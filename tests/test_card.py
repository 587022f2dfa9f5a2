"""What a card says for the pages: their words, and where numbers were seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from millrace.card import card_of, observed, page_of
from millrace.datasets import DatasetSpec, SpecError, load_any_spec, load_relational_spec
from millrace.describe import describe
from millrace.settings import PROJECT
from tests.photos import photo_spec
from tests.tracking.made_up import SPEC, write_spec

SUMMARY: dict[str, Any] = {
    "partition": "2026-03-01", "winner": "good", "metric": "roc_auc", "rows": {}, "created": "now",
    "candidates": [{"candidate": "good", "algorithm": "xgboost", "metrics": {"roc_auc": 0.8}}],
    "data_fingerprint": "d", "git_commit": "c",
}  # fmt: skip
STATE: dict[str, Any] = {
    "inputs": [{"name": "visits", "type": "number"}, {"name": "fee", "type": "number"},
               {"name": "club", "type": "text"}],
    "features": [{"name": "visits", "how": "number", "fill": 4.0}],
}  # fmt: skip


@pytest.fixture
def spec(tmp_path: Path) -> DatasetSpec:
    return write_spec(tmp_path)


def with_page(folder: Path, page: str) -> DatasetSpec:
    return write_spec(folder, f"{SPEC}page: {page}\n")


def test_a_page_without_words_says_the_label(spec: DatasetSpec) -> None:
    page = page_of(spec, spec, [])
    assert page == {
        "kind": "verdict", "title": "club", "positive": "leaves: yes", "negative": "leaves: no",
        "good": "negative", "changeable": [],
    }  # fmt: skip


def test_the_words_of_the_spec_are_kept(tmp_path: Path) -> None:
    spec = with_page(tmp_path, "{kind: gauge, title: T, positive: P, negative: N, good: positive}")
    assert page_of(spec, spec, []) == {
        "kind": "gauge", "title": "T", "positive": "P", "negative": "N", "good": "positive",
        "changeable": [],
    }  # fmt: skip


def test_what_is_personal_is_not_proposed_to_change(tmp_path: Path) -> None:
    spec = with_page(tmp_path, "{changeable: [fee, visits]}")
    assert page_of(spec, spec, ["fee"])["changeable"] == ["visits"]


@pytest.mark.parametrize("name", ["fees", "name", "title", "member"])
def test_only_columns_that_a_model_reads_can_be_changed(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=rf"page.changeable: found '{name}'; write numeric or cat"):
        with_page(tmp_path, f"{{changeable: [{name}]}}")


def test_an_unknown_kind_of_page_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"page.kind: found 'chart'; write one of 'verdict', 'gau"):
        with_page(tmp_path, "{kind: chart}")


def test_a_data_set_of_images_takes_a_picture() -> None:
    assert page_of(photo_spec(), None, [])["kind"] == "photo"


def test_numbers_are_seen_where_98_of_100_values_lie() -> None:
    frame = pd.DataFrame({"whole": range(101), "part": [n / 2 for n in range(101)],
                          "text": ["a"] * 101, "none": [None] * 101})  # fmt: skip
    columns = describe(frame, hidden=["part"])["columns"]
    assert observed(columns["whole"]) == {"observed": {"low": 1.0, "high": 99.0, "whole": True}}
    assert [observed(columns[name]) for name in ("part", "text", "none")] == [{}, {}, {}]
    assert observed(describe(frame)["columns"]["part"])["observed"]["whole"] is False
    assert observed(None) == {}


def test_a_card_holds_no_values_of_personal_fields(spec: DatasetSpec) -> None:
    frame = pd.DataFrame({"visits": range(101), "fee": range(101)})
    found = card_of(spec, spec, STATE, SUMMARY, {}, ["fee"], describe(frame))
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["visits"]["observed"] == {"low": 1.0, "high": 99.0, "whole": True}
    assert fields["fee"]["personal"] and "observed" not in fields["fee"]


def test_the_changeable_features_of_home_credit_are_features() -> None:
    from millrace.features_sql import features_of, queries_of, sql_folder

    folder = PROJECT / "include" / "datasets"
    spec = load_relational_spec(folder / "home_credit.yaml")
    features = features_of(spec, queries_of(spec, sql_folder(folder, spec)))
    assert spec.tabular(features).page.changeable == spec.page.changeable
    personal = {feature.name for feature in features if feature.personal}
    assert not personal & set(spec.page.changeable)


@pytest.mark.parametrize("name", ["loan_default", "telecom_churn", "titanic", "home_credit"])
def test_every_data_set_of_tables_has_words(name: str) -> None:
    spec = load_any_spec(PROJECT / "include" / "datasets" / f"{name}.yaml")
    page = spec.page  # type: ignore[union-attr]
    assert page.title and page.positive and page.negative
