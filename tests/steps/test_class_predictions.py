"""Predictions of several classes: from batch transform's answers to rows in the labels' order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from millrace.errors import MillraceError
from millrace.jobs.job import JobFailed
from millrace.steps.predictions import probabilities
from millrace.steps.sagemaker import read_predictions


def answers(path: Path, *found: Any) -> Path:
    lines = [
        json.dumps({"id": f'row "{n}", {n}', "SageMakerOutput": {"probability": value}})
        for n, value in enumerate(found)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_answers_of_several_classes_keep_every_digit_and_their_order(tmp_path: Path) -> None:
    wanted = [[1 / 3, 2 / 3, 0.0], [1e-300, 0.1, 0.9]]
    source = answers(tmp_path / "out", *wanted)
    assert read_predictions(source, tmp_path / "predictions.csv") == 2
    target = pd.Series([1, 0], index=['row "1", 1', 'row "0", 0'])
    found = probabilities(tmp_path / "predictions.csv", target)
    assert found.tolist() == wanted[::-1]


def test_answers_of_two_classes_are_one_number_a_row(tmp_path: Path) -> None:
    read_predictions(answers(tmp_path / "out", 1 / 3, 1), tmp_path / "predictions.csv")
    assert (
        (tmp_path / "predictions.csv")
        .read_text()
        .endswith(f",{1 / 3!r}\n" + '"row ""1"", 1",1.0\n')
    )
    target = pd.Series([1, 0], index=['row "0", 0', 'row "1", 1'])
    found = probabilities(tmp_path / "predictions.csv", target)
    assert (found.shape, found.tolist()) == ((2,), [1 / 3, 1.0])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([[0.5, 0.5], []], "line 2 of batch transform's output"),
        ([[0.5, 0.5], [1.0]], "1 probabilities after 2 in other lines"),
        ([[0.5, 0.5], 0.5], "1 probabilities after 2"),
        ([[0.5, 1.5]], "no probability"),
        ([[0.5, None]], "line 1 of batch transform's output"),
        ([{"a": 1}], "line 1 of batch transform's output"),
    ],
)
def test_answers_that_are_no_probabilities_fail_the_job(tmp_path, found, said):
    with pytest.raises(JobFailed, match=said):
        read_predictions(answers(tmp_path / "out", *found), tmp_path / "predictions.csv")


def test_predictions_of_other_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("a,0.5,0.5\nb,0.1,0.9\n")
    with pytest.raises(MillraceError, match="2 predictions for 1 test rows; run transform again"):
        probabilities(tmp_path / "predictions.csv", pd.Series([0], index=["a"]))
    with pytest.raises(MillraceError, match="2 predictions for 2 test rows"):
        probabilities(tmp_path / "predictions.csv", pd.Series([0, 1], index=["a", "c"]))
