"""Scoring with the champion of a real MLflow server, by a real Spark on this machine."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millrace.datasets import DatasetSpec
from millrace.datasets.scoring import Scoring
from millrace.lake import Attempt, publish, read_published
from millrace.steps.champion import Champion, fetch_champion
from millrace.steps.log_to_mlflow import log_published
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.steps.scoring import NothingToScore, plan, score
from millrace.tracking import registry
from millrace.tracking.registry import RegistryError
from millrace.training import unpacked
from tests.tracking.conftest import GOOD, STUMP
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration

RunOf = Callable[..., Run]


class ScoredSpec(DatasetSpec):
    """A spec with the section, as one of several tables has it."""

    scoring: Scoring = Scoring(components=1, reasons=2)


@pytest.fixture
def run(run_of: RunOf) -> Run:
    """A run of a partition whose features are published and whose winner is the champion."""
    found = run_of(GOOD)
    log_published(found)
    assert promote(found)["champion"]
    spec = ScoredSpec.model_validate(found.spec.model_dump(exclude_unset=True))
    found = replace(found, spec=spec)
    publish_features(found)
    return found


def publish_features(run: Run, rows: int = 60) -> pd.DataFrame:
    """Publish features as a table of what the models of the club read."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "_row_id": [f"M{number:04}" for number in range(rows)],
            "visits": random.integers(0, 30, rows).astype(float),
            "fee": random.uniform(5, 50, rows),
            "name": random.choice(["Doe, Mr. A.", "Doe, Mrs. B."], rows),
            "club": random.choice(["north", "south"], rows),
        }
    )
    frame.loc[::7, "fee"] = np.nan

    def build(attempt: Attempt) -> None:
        (attempt.folder / "features").mkdir()
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, attempt.folder / "features" / "part-00000.parquet")
        attempt.facts["rows"] = rows

    publish(run.store, run.place("features"), depends_on={"rows": rows}, inputs={}, build=build)
    return frame


def scores(run: Run) -> pa.Table:
    found = read_published(run.store, run.place("predictions", "scores"))
    assert found
    names = sorted(n for n in found.manifest.files if n.startswith("predictions/"))
    return pa.concat_tables([pq.read_table(found.path(name)) for name in names])


def test_the_champion_scores_the_published_features(
    run: Run, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import inference

    found = plan(run)
    assert found["where"] == "local" and found["seconds"] > 0
    work = score(run, found["champion"])
    work.do_here()
    table = scores(run)
    version = registry.champion(client, "club")
    assert version is not None
    with registry.verified_bundle(version) as bundle:
        model = inference.model_fn(str(bundle))
    expected = model.probability(publish_features(run))
    assert table["probability"].to_numpy().tolist() == expected.tolist()
    assert set(table.column_names) >= {"_row_id", "decision", "reason_1", "reason_2"}
    published = read_published(run.store, run.place("predictions", "scores"))
    assert published and published.facts["model_version"] == f"club {version.version}"
    assert published.facts["rows"] == 60 and published.facts["components"] == 1
    assert "job.json" not in published.manifest.files and "event_log" in published.facts

    with caplog.at_level(logging.INFO):
        assert plan(run)["where"] == "nowhere"
    assert "Nothing to do" in caplog.text
    assert score(run, found["champion"]).is_done
    assert not score(run, {**found["champion"], "content": "0" * 64}).is_done
    other = run.tables.model_copy(update={"scoring": Scoring(components=1, reasons=1)})
    assert not score(replace(run, spec=other), found["champion"]).is_done
    publish_features(run, rows=61)
    assert not score(run, found["champion"]).is_done


def test_without_a_champion_or_features_there_is_nothing_to_score(
    run_of: RunOf, client: Any
) -> None:
    run = run_of(STUMP)
    run = replace(run, spec=ScoredSpec.model_validate(run.spec.model_dump(exclude_unset=True)))
    with pytest.raises(NothingToScore, match="has no published features; the pipeline club makes"):
        plan(run)
    publish_features(run)
    with pytest.raises(NothingToScore, match="club has no champion yet"):
        plan(run)


def test_the_champion_is_sent_once_and_checked(
    run: Run, client: Any, mlflow_server: MlflowServer
) -> None:
    champion = fetch_champion(run)
    assert champion and champion.key == f"jobs/sent/{champion.content[:16]}/model.tar.gz"
    path = Path(run.store.uri(champion.key))
    with unpacked(path) as folder:
        assert registry.content_hash(folder) == champion.content
    version = registry.champion(client, "club")
    assert version is not None and version.version == champion.version
    [stored] = mlflow_server.artifacts.rglob(version.source.removeprefix("models:/"))
    whole = stored.with_name(f"{stored.name} whole")
    shutil.copytree(stored, whole)
    try:
        (stored / "artifacts" / "data" / "bundle" / "model.json").write_text("{}")
        assert fetch_champion(run) == champion, "it is in the lake already"
        path.unlink()
        with pytest.raises(RegistryError, match="is not the one that was registered"):
            fetch_champion(run)
        assert not path.exists()
    finally:
        shutil.rmtree(stored)
        whole.rename(stored)
    assert Champion(**asdict(champion)) == champion
