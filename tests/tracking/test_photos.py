"""Models of images on a real MLflow server: what is logged, registered, promoted and asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.errors import MillraceError
from millrace.name_image import ask_champion
from millrace.steps.check_features import check_features
from millrace.steps.evaluate import evaluate
from millrace.steps.log_to_mlflow import log_published, log_spooled
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.train import train, transform
from millrace.tracking import registry, spool
from millrace.tracking.server import connect
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration

FIRST, SECOND, OTHER = "2026-03-01", "2026-03-02", "2026-03-03"


def prepare(run: Run, found: dict[str, Any]) -> None:
    publish_features(run, found)
    check_features(run)
    for candidate in split_components(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    evaluate(run)


@pytest.fixture(scope="module")
def runs(
    mlflow_server: MlflowServer, jobs_in_this_process: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Run]:  # fmt: skip
    """Evaluated runs: a stiff model, a better one on other photos, and one of another network."""
    home = tmp_path_factory.mktemp("photos")
    made, spec = {}, photo_spec(gates={"log_loss": {"maximum": 5.0}})
    for partition, candidate, seed in ((FIRST, "stiff", 0), (SECOND, "plain", 1)):
        run = photo_run(home, spec, partition=partition, candidates=(candidate,))
        deliver(run, views=6, seed=seed)
        found = computed(run, home / "cache" / "networks")
        prepare(run, found)
        made[partition] = run
    made[OTHER] = photo_run(home, spec, partition=OTHER, candidates=("plain",))
    deliver(made[OTHER], views=6, seed=1)
    prepare(made[OTHER], {**found, "network": {**found["network"], "sha256": "1" * 64}})
    reached = replace(run.settings, mlflow_uri=mlflow_server.uri)
    return {name: replace(run, settings=reached) for name, run in made.items()}


def test_runs_carry_plots_network_and_figures(runs: dict[str, Run]) -> None:
    client = connect(runs[FIRST].settings)
    logged = log_published(runs[FIRST])
    parent = client.get_run(logged.run_id)
    assert parent.data.params["network_weights"] == "random (seed 0)"
    assert parent.data.params["components"] == "12"
    assert parent.data.metrics["images_quarantined"] == 3
    assert parent.data.metrics["images_per_second"] == 12.5
    assert 0 < parent.data.metrics["explained_variance"] <= 1
    plots = {item.path for item in client.list_artifacts(logged.run_id, "plots")}
    assert plots == {"plots/confusion.png", "plots/map.png", "plots/scree.png"}
    pages = {item.path for item in client.list_artifacts(logged.run_id, "report")}
    assert {"report/report.html", "report/statistics.html", "report/validation.html"} <= pages


def test_the_model_answers_with_names_through_mlflow(runs: dict[str, Run]) -> None:
    import mlflow

    run = runs[FIRST]
    connect(run.settings)
    logged = log_published(run)
    model = mlflow.pyfunc.load_model(logged.model_uris["stiff"])
    processed = run.processed()
    names = [f"pc_{place}" for place in range(1, 13)]
    frame = pd.read_csv(processed.path("test/test.csv"), header=None, names=["id", *names])
    answers = model.predict(frame[names])
    assert list(answers.columns) == processed.facts["classes"]
    path = run.published("predictions", "stiff", "transform").path("predictions.csv")
    wanted = pd.read_csv(path, header=None).iloc[:, 1:].to_numpy()
    assert np.abs(answers.to_numpy() - wanted).max() < 1e-12


def test_champions_are_compared_on_the_new_photos_and_name_them(runs: dict[str, Run]) -> None:
    client = connect(runs[FIRST].settings)
    with pytest.raises(MillraceError, match="photos has no champion; run its pipeline first"):
        ask_champion(runs[FIRST].settings, runs[FIRST].store, "photos", Path("photo.jpg"))
    for partition in (FIRST, SECOND):
        log_published(runs[partition])
    first = promote(runs[FIRST])
    assert (first["version"], first["champion"]) == ("1", True)
    second = promote(runs[SECOND])
    assert second["champion"], second
    assert "against the champion's" in second["reasons"]
    check_bundle(client, runs[SECOND])
    check_answers(runs[SECOND])
    third = promote_other(runs[OTHER])
    assert not third["champion"]
    assert "the champion cannot be compared (it was trained with the network" in third["reasons"]


def promote_other(run: Run) -> dict[str, Any]:
    log_published(run)
    return promote(run)


def check_bundle(client: Any, run: Run) -> None:
    version = registry.champion(client, "photos")
    assert version is not None
    with registry.verified_bundle(version) as bundle:
        files = {path.name for path in bundle.iterdir()}
        network = json.loads((bundle / "network.json").read_text())
    assert files == {
        "model.json", "model.skops", "network.json", "projection.npz", "transformation.json",
    }  # fmt: skip
    assert network["weights"] == "random (seed 0)"


def check_answers(run: Run) -> None:
    path = run.published("predictions", "plain", "transform").path("predictions.csv")
    table = pd.read_csv(path, header=None).set_index(0)
    name = table.index[3]
    photo = Path(run.store.uri(f"{run.place('raw')}/{name}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(run.settings.home))
        found = dict(ask_champion(run.settings, run.store, "photos", photo))
    wanted = dict(zip(run.processed().facts["classes"], table.loc[name], strict=True))
    assert found == pytest.approx(wanted, abs=1e-6)


def test_what_waits_in_the_spool_is_logged_with_the_spec_of_images(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    run = runs[FIRST]
    values = photo_spec().model_dump(mode="json", exclude={"name"})
    (tmp_path / "photos.yaml").write_text(json.dumps(values))
    settings = replace(run.settings, datasets=tmp_path)
    spool.add(run.store, spool.Pending.of(run, "the test says so"))
    assert len(log_spooled(run.store, settings)) == 1
