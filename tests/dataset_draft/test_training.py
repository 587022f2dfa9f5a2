"""From a draft to a model."""

from __future__ import annotations

from pathlib import Path

from millrace.lake import open_store
from millrace.samples import write_sample
from millrace.settings import Settings
from millrace.steps.evaluate import evaluate
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import validate_raw
from tests.dataset_draft.conftest import Drafter


def test_a_draft_trains_end_to_end(tmp_path: Path, drafted: Drafter) -> None:
    partition = "2024-05-01"
    environment = Settings.from_environment({"MILLRACE_HOME": str(tmp_path / "home")})
    raw = Path(environment.lake) / "raw" / "drafted" / partition
    spec = drafted(write_sample("titanic", raw))
    run = Run(spec, partition, open_store(environment.lake), environment, tuple(spec.candidates))
    validate_raw(run)
    for candidate in preprocess(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    facts = evaluate(run)
    assert set(spec.candidates) == {"xgboost", "logistic_regression"}
    assert facts["metrics"]["roc_auc"] > 0.8
