"""Step: explain the winner's predictions of test rows, and publish pictures and figures."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from millrace.datasets import DatasetSpec, RelationalSpec
from millrace.explain import Explained, Refused, as_text, grouped, telling_rows
from millrace.features_sql.table import features_from_json
from millrace.lake import Attempt, Published, publish
from millrace.pages.explanation import explanation_charts, with_explanation
from millrace.steps.run import Run, content_of
from millrace.training import MODEL, explain_locally, model_facts, unpacked

log = logging.getLogger(__name__)

SAMPLE = 1000  # test rows that are explained
FOREST_SAMPLE = 100  # of a random forest: deep trees take some 20 ms a row
UNITS = {"decision_tree": "probability", "random_forest": "probability",
         "multinomial_logistic_regression": "class"}  # fmt: skip


def explain(run: Run) -> str:
    """Explain the winner; returns where the explanation is published.

    What is published holds the evaluation's report with the explanation in it. Contributions that
    do not add up are not shown: the report says so, and the model goes its way.
    """
    evaluation = run.published("reports", "evaluation", "evaluate")
    processed, winner = run.processed(), evaluation.facts["winner"]
    model = run.published("models", winner, "train")
    published = publish(
        run.store, run.place("reports", "explanation"),
        depends_on={
            "report": evaluation.manifest.content, "model": model.manifest.content,
            "rows": content_of(processed, "test/test.csv"),
            "descriptions": descriptions(run), "hidden": hidden_features(run),
        },
        inputs={item.uri: item.manifest.content for item in (evaluation, model, processed)},
        build=lambda attempt: _build(run, evaluation, model, processed, attempt), again=run.again,
    )  # fmt: skip
    return published.uri


def _build(
    run: Run, evaluation: Published, model: Published, processed: Published, attempt: Attempt
) -> None:
    facts = model_facts(model.path(MODEL))
    size = FOREST_SAMPLE if facts["algorithm"] == "random_forest" else SAMPLE
    rows = _sample(processed.path("test/test.csv"), size, run.spec.split.seed)
    summary = {
        "dataset": run.spec.name, "partition": run.partition,
        "candidate": evaluation.facts["winner"], "algorithm": facts["algorithm"],
        "unit": UNITS.get(facts["algorithm"], "margin"), "rows": len(rows),
        "of": processed.facts["rows"]["test"],
    }  # fmt: skip
    report = evaluation.path("report.html").read_text(encoding="utf-8")
    attempt.facts |= {"rows": len(rows), "candidate": summary["candidate"]}
    try:
        explained = _contributions(model, rows, run.settings.job_timeout)
    except Refused as refused:
        log.warning("Not explained: %s", refused)
        summary |= {"refused": str(refused)}
        attempt.write("report.html", with_explanation(report, summary, {}))
    else:
        state = processed.json("train/transformation.json")
        whole, about = grouped(explained, state), descriptions(run)
        summary |= {
            "expected": float(explained.expected.mean()), "error": explained.error,
            "importance": [
                {"feature": name, "mean": mean, "description": about.get(name, "")}
                for name, mean in whole.importance()
            ],
        }  # fmt: skip
        cases, hidden = telling_rows(whole.probability, facts["threshold"] or 0.5), hidden_features
        shown = {row: as_text(state, whole.inputs[row], hidden(run)) for row in cases.values()}
        charts = explanation_charts(whole, state, cases, shown, summary["unit"])
        attempt.write("report.html", with_explanation(report, summary, charts))
        (attempt.folder / "plots").mkdir()
        for name, chart in charts.items():
            (attempt.folder / "plots" / f"explanation_{name}.png").write_bytes(chart.png())
        _write_contributions(explained, attempt.folder / "contributions.parquet")
        first = ", ".join(f"{name} {mean:.3g}" for name, mean in whole.importance()[:5])
        log.info("Explained %s predictions of %s; most: %s.", f"{len(rows):,}",
                 summary["candidate"], first)  # fmt: skip
    attempt.write_json("explanation.json", summary)


def _contributions(model: Published, rows: pd.DataFrame, timeout: float) -> Explained:
    """The contributions to the predictions of some rows.

    Raises:
        Refused: they do not add up.
    """
    with (
        unpacked(model.path(MODEL)) as bundle,
        tempfile.TemporaryDirectory(prefix="millrace-explain-") as scratch,
    ):
        source, target = Path(scratch) / "rows.csv", Path(scratch) / "explained.npz"
        rows.to_csv(source, header=False, index=False)
        explain_locally(bundle, source, target, timeout=timeout)
        with np.load(target, allow_pickle=False) as found:
            return Explained.of(found)


def _sample(path: Path, size: int, seed: int) -> pd.DataFrame:
    """Some of the test rows, without their ids, in the order of the file."""
    rows = pd.read_csv(path, header=None, dtype=str, keep_default_na=False)
    kept = np.sort(np.random.default_rng(seed).permutation(len(rows))[:size])
    return rows.iloc[kept].assign(**{"0": ""})[["0", *rows.columns[1:]]]


def descriptions(run: Run) -> dict[str, str]:
    """What each feature is, in the words of the spec or of the SQL file that makes it."""
    if isinstance(run.spec, RelationalSpec):
        made = features_from_json(run.features().json("features.json"))
        return {feature.name: feature.description for feature in made}
    if not isinstance(run.spec, DatasetSpec):
        return {}
    every = {**run.spec.columns, **run.spec.features}
    return {name: part.description for name, part in every.items()}


def hidden_features(run: Run) -> list[str]:
    """Features made of personal columns: a case shows how they count, not what they are."""
    if isinstance(run.spec, RelationalSpec):
        made = features_from_json(run.features().json("features.json"))
        return sorted(feature.name for feature in made if feature.personal)
    if not isinstance(run.spec, DatasetSpec):
        return []
    private, engineered = {*run.spec.private_columns()}, run.spec.features.items()
    return sorted(name for name, feature in engineered if private & {*feature.sources()})


def _write_contributions(explained: Explained, path: Path) -> None:
    """A row a sample: the contributions, the expected value, the score, the probability."""
    table = pa.table(dict(zip(explained.names, explained.values.T, strict=True)))
    for name in ("expected", "raw", "probability"):
        table = table.append_column(f"_{name}", pa.array(getattr(explained, name)))
    pq.write_table(table, path)
