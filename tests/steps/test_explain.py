"""The step that explains the winner: whole, exact, and silent about who the rows are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from millrace.lake import LocalStore, Published
from millrace.settings import Settings
from millrace.steps import explain as step
from millrace.steps.evaluate import evaluate
from millrace.steps.explain import explain
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import validate_raw
from tests.tracking.made_up import PLANTED, SPEC, rows, write_spec

ALGORITHMS = {
    "xgboost": "{max_depth: 2, num_round: 20}",
    "lightgbm": "{num_leaves: 4, num_round: 20}",
    "logistic_regression": "{C: 1.0}",
    "decision_tree": "{max_depth: 2}",
    "random_forest": "{n_estimators: 5}",
}


Explain = Callable[[str], tuple[Run, Published]]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Explain:
    """By algorithm: a run of one candidate up to its explanation, and that. Each is made once."""

    @cache
    def made(algorithm: str) -> tuple[Run, Published]:
        folder = tmp_path_factory.mktemp(algorithm)
        head, tail = SPEC.split("candidates:\n")
        candidate = f"  only: {{algorithm: {algorithm}, hyperparameters: {ALGORITHMS[algorithm]}}}"
        text = f"{head}candidates:\n{candidate}\nmetric:{tail.split('metric:')[1]}"
        settings = Settings.from_environment({"MILLRACE_HOME": str(folder)})
        store = LocalStore(Path(settings.lake))
        run = Run(write_spec(folder, text), "2026-09-01", store, settings, ("only",))
        raw = Path(store.uri(str(run.place("raw"))))
        raw.mkdir(parents=True)
        (raw / "rows.csv").write_text(rows())
        validate_raw(run)
        preprocess(run)
        train(run, "only").do_here()
        transform(run, "only").do_here()
        evaluate(run)
        explain(run)
        return run, explanation_of(run)

    return made


def explanation_of(run: Run) -> Published:
    return run.published("reports", "explanation", "explain")


def again(run: Run) -> Published:
    """The explanation, made anew from what the run has published."""
    explain(replace(run, again=True))
    return explanation_of(run)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_is_explained(algorithm: str, explained: Explain) -> None:
    run, found = explained(algorithm)
    summary: dict[str, Any] = found.json("explanation.json")
    assert summary["error"] < 1e-6
    assert {row["feature"] for row in summary["importance"]} == {"visits", "fee", "club", "title"}
    assert {row["feature"] for row in summary["importance"][:2]} == {"visits", "fee"}
    table = pq.read_table(found.path("contributions.parquet")).to_pandas()
    total = table["_expected"] + table.drop(columns=["_expected", "_raw", "_probability"]).sum(
        axis=1
    )
    np.testing.assert_allclose(total, table["_raw"], atol=1e-6)
    plots = [name for name in found.manifest.files if name.startswith("plots/")]
    assert "plots/explanation_beeswarm.png" in plots and len(plots) >= 5
    page = found.path("report.html").read_text()
    report = run.published("reports", "evaluation", "evaluate").path("report.html").read_text()
    assert page.count("<svg") == report.count("<svg") + len(plots)
    assert f"Why {summary['candidate']} says" in page and "Curves" in page


def test_nobody_is_named_and_nothing_is_done_twice(
    explained: Explain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run, _ = explained("xgboost")
    found = again(run)
    for name in found.manifest.files:
        content = found.path(name).read_bytes()
        assert PLANTED.encode() not in content and b"M00" not in content, name
    assert PLANTED not in caplog.text
    assert "Explained 40 predictions" in caplog.text
    caplog.clear()
    assert explain(run) == found.uri
    assert "Nothing to do" in caplog.text


def test_contributions_that_do_not_add_up_are_not_shown_and_stop_nothing(
    explained: Explain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing(model: Path, rows: Path, target: Path, *, timeout: float) -> float:
        np.savez(target, refused="they miss the raw score by 0.3 of it")
        return 0.0

    run, _ = explained("lightgbm")
    monkeypatch.setattr(step, "explain_locally", refusing)
    found = again(run)
    assert "miss the raw score by 0.3" in found.json("explanation.json")["refused"]
    page = found.path("report.html").read_text()
    assert "There is no explanation: they miss the raw score by 0.3" in page and "Curves" in page
    assert "contributions.parquet" not in found.manifest.files
    assert "Not explained: they miss" in caplog.text


def test_what_is_made_of_a_personal_column_is_hidden_in_single_cases(
    explained: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, tuple[str, ...]]] = []
    draw = step.explanation_charts

    def noted(whole: Any, state: Any, cases: Any, shown: dict[int, list[str]], unit: str) -> Any:
        drawn.append(dict(zip(whole.names, zip(*shown.values(), strict=True), strict=True)))
        return draw(whole, state, cases, shown, unit)

    monkeypatch.setattr(step, "explanation_charts", noted)
    run, _ = explained("xgboost")
    again(run)
    assert step.hidden_features(run) == ["title"]  # extracted from the name
    [cases] = drawn
    assert set(cases["title"]) == {"hidden"}
    assert "hidden" not in cases["visits"] + cases["club"]


def test_a_sample_is_drawn_where_there_are_many_rows(
    explained: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "SAMPLE", 12)
    run, whole = explained("xgboost")
    found = again(run)
    summary = found.json("explanation.json")
    assert (summary["rows"], summary["of"]) == (12, 40)
    first = found.path("contributions.parquet").read_bytes()
    second = again(run)
    assert len({whole.uri, found.uri, second.uri}) == 3
    assert second.path("contributions.parquet").read_bytes() == first
    pictures = [name for name in found.manifest.files if name.endswith((".png", ".html"))]
    same = [
        found.manifest.files[n]["sha256"] == second.manifest.files[n]["sha256"] for n in pictures
    ]
    assert all(same), json.dumps(dict(zip(pictures, same, strict=True)))
