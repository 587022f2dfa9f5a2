"""A loaded model answers as the scripts that travel with it do, row by row, to the last bit."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import inference
from millrace.tracking.registry import RegistryError, content_hash
from serving.model import SelfTestFailed, ServedModel
from serving.sources import BUNDLE, load_baked
from tests.serving.conftest import PARTITIONS
from tests.tracking import made_up


def records(count: int = 60) -> list[dict[str, Any]]:
    """Records as people send them: some values unknown, absent or spelled in another way."""
    chance = random.Random(7)
    frame = pd.read_csv(io.StringIO(made_up.rows(count, seed=5)), dtype=str)
    found = []
    for row in frame.to_dict("records"):
        record: dict[str, Any] = {
            "name": row["name"], "visits": float(row["visits"]), "fee": float(row["fee"]),
            "club": row["club"],
        }  # fmt: skip
        for name in list(record):
            if chance.random() < 0.2:
                record[name] = None
            elif chance.random() < 0.1:
                del record[name]
        found.append(record)
    return found


@pytest.fixture(params=PARTITIONS)
def folder(request: pytest.FixtureRequest, baked: Path) -> Path:
    return baked / str(request.param) / "club"


def test_it_answers_as_the_pipeline_does(folder: Path) -> None:
    model, script = load_baked(folder), inference.model_fn(str(folder / BUNDLE))
    rows = records()
    frame = pd.DataFrame(rows, columns=script.inputs, dtype="object")
    expected = script.probability(frame)

    answers = model.answer(rows)

    assert [answer["probability"] for answer in answers] == expected.tolist()
    threshold = script.facts["threshold"]
    assert [answer["class"] for answer in answers] == [
        "yes" if value >= threshold else "no" for value in expected
    ]
    assert {answer["class"] for answer in answers} == {"yes", "no"}
    assert answers == [model.answer([row])[0] for row in rows]


def test_what_it_had_to_do_without_is_named(folder: Path) -> None:
    [answer] = load_baked(folder).answer([{"visits": 3.0, "club": "", "name": None}])
    assert answer["missing"] == ["name", "fee", "club"]


def test_reasons_add_up_to_the_raw_score(folder: Path) -> None:
    model = load_baked(folder)
    for answer in model.answer(records(20), explained=True):
        total = answer["expected"] + sum(each["contribution"] for each in answer["contributions"])
        assert total == pytest.approx(answer["raw"], abs=1e-6)
        sizes = [abs(each["contribution"]) for each in answer["contributions"]]
        assert sizes == sorted(sizes, reverse=True)
        assert {each["feature"] for each in answer["contributions"]} == {
            feature["name"] for feature in model.state["features"]
        }


def test_spellings_are_those_of_the_data(folder: Path) -> None:
    facts = json.loads((folder / "card.json").read_text())
    next(field for field in facts["fields"] if field["name"] == "club")["spellings"] = {
        "south": ["S."]
    }
    base = load_baked(folder)
    model = ServedModel(facts, base.facts, base.state, base.estimator, base.source)
    row = {"visits": 3.0, "fee": 20.0, "name": "Roe, Mrs. R."}
    assert np.array_equal(
        model.matrix([{**row, "club": "S."}]), model.matrix([{**row, "club": "south"}])
    )


def test_files_that_are_not_what_was_registered_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "club")
    path = copy / BUNDLE / "model.json"
    path.write_text(path.read_text().replace('"threshold":', '"threshold" :'))
    with pytest.raises(RegistryError, match="is not the one that was registered"):
        load_baked(copy)


def test_a_model_that_answers_nonsense_fails_its_test(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "club")
    facts = json.loads((copy / BUNDLE / "model.json").read_text())
    facts["calibration"] = {"method": "sigmoid", "slope": float("nan"), "intercept": 0.0}
    (copy / BUNDLE / "model.json").write_text(json.dumps(facts))
    source = json.loads((copy / "source.json").read_text())
    source["content"] = content_hash(copy / BUNDLE)
    (copy / "source.json").write_text(json.dumps(source))
    with pytest.raises(SelfTestFailed, match="no probabilities"):
        load_baked(copy)
