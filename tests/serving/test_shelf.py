"""Models come, change, turn out bad and go away, while requests are answered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import registry
from serving.model import ServedModel
from serving.settings import ServiceSettings
from serving.shelf import Shelf
from serving.sources import Registry, load_baked
from tests.serving.conftest import SETTINGS
from tests.tracking.conftest import AGAIN, GOOD, STUMP
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration


@pytest.fixture
def publish(run_of: Callable[..., Run]) -> Callable[[str], str]:
    """Logs a partition and makes its winner the champion; returns the version."""

    def make(partition: str) -> str:
        run = run_of(partition, promote="yes")
        log_to_mlflow(run)
        verdict = promote(run)
        assert verdict["champion"], verdict
        return str(verdict["version"])

    return make


@pytest.fixture
def settings(mlflow_server: MlflowServer) -> ServiceSettings:
    return replace(SETTINGS, mlflow_uri=mlflow_server.uri)


def record() -> dict[str, Any]:
    return {"visits": 3.0, "fee": 30.0, "club": "north", "name": "Roe, Mr. R."}


def test_the_champion_is_in_service_and_a_new_one_takes_its_place(
    settings: ServiceSettings, publish: Callable[[str], str], client: Any
) -> None:
    changed: list[str] = []
    shelf = Shelf(settings, changed.append)
    shelf.refresh()
    assert not shelf.is_ready

    first = publish(STUMP)
    shelf.refresh()
    assert shelf.is_ready
    old = shelf.models["club"]
    assert (old.source.version, old.source.origin) == (first, "registry")
    assert old.card["partition"] == STUMP

    second = publish(GOOD)
    shelf.refresh()
    new = shelf.models["club"]
    assert new.source.version == second != first
    assert new.answer([record()])[0]["version"] == second
    assert old.answer([record()])[0]["version"] == first, "a request that had begun goes on"
    assert changed == ["club", "club"]
    shelf.refresh()
    assert shelf.models["club"] is new and shelf.fallbacks == {}

    client.set_registered_model_alias("club", registry.CHAMPION, first)  # as a rollback does
    shelf.refresh()
    assert shelf.models["club"].source.version == first


def test_a_version_is_served_where_it_is_named(
    settings: ServiceSettings, publish: Callable[[str], str]
) -> None:
    first = publish(STUMP)
    publish(GOOD)
    shelf = Shelf(replace(settings, models={"club": int(first)}))
    shelf.refresh()
    assert shelf.models["club"].source.version == first
    others = Shelf(replace(settings, models={"gym": None}, others=True))
    others.refresh()
    assert list(others.models) == ["club"] and others.missing == ["gym"]
    absent = Shelf(replace(settings, models={"club": 99}))
    absent.refresh()
    assert not absent.is_ready
    assert absent.state()["club"] == {
        "version": None,
        "fallback": f"club has no version 99 in {settings.mlflow_uri}; run its pipeline first;"
        " there is no model",
    }


def test_a_bad_champion_is_refused_and_the_old_one_stays(
    settings: ServiceSettings,
    publish: Callable[[str], str],
    client: Any,
    mlflow_server: MlflowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = publish(STUMP)
    shelf = Shelf(settings)
    shelf.refresh()
    second = publish(GOOD)
    model = client.get_model_version("club", second).source.removeprefix("models:/")
    [file] = mlflow_server.artifacts.rglob(f"*{model}*/**/bundle/model.ubj")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])

    shelf.refresh()

    assert shelf.models["club"].source.version == first
    assert shelf.is_ready
    said = shelf.state()["club"]["fallback"]
    assert f"version {second} is not in service" in said
    assert "is not the one that was registered" in said
    assert said.endswith(f"version {first} stays")

    file.write_bytes(whole)
    shelf.refresh()
    assert shelf.models["club"].source.version == first, "it is not tried again at once"
    monkeypatch.setattr("serving.shelf.AGAIN", 0.0)
    shelf.refresh()
    assert shelf.models["club"].source.version == second
    assert "fallback" not in shelf.state()["club"]


def test_a_version_without_a_card_says_what_to_do(
    settings: ServiceSettings,
    publish: Callable[[str], str],
    client: Any,
    mlflow_server: MlflowServer,
) -> None:
    version = publish(GOOD)
    run = client.get_model_version("club", version).run_id
    [card] = mlflow_server.artifacts.rglob(f"{run}/**/service/card.json")
    card.unlink()
    shelf = Shelf(settings)
    shelf.refresh()
    said = shelf.state()["club"]["fallback"]
    assert "has no card that can be read" in said and "run its partition again" in said


def test_models_stay_while_the_registry_is_silent(
    settings: ServiceSettings, publish: Callable[[str], str], tmp_path: Path
) -> None:
    version = publish(GOOD)
    shelf = Shelf(replace(settings, models={"club": None}))
    shelf.refresh()
    silent = Shelf(replace(shelf.settings, mlflow_uri="http://127.0.0.1:9"))
    silent.models = dict(shelf.models)
    silent.refresh()
    assert silent.models["club"].source.version == version
    said = silent.state()["club"]["fallback"]
    assert said.startswith("MLflow does not answer at http://127.0.0.1:9")
    assert silent.is_ready


def test_the_image_s_model_serves_until_the_registry_answers(
    settings: ServiceSettings, publish: Callable[[str], str], baked: Path
) -> None:
    version = publish(AGAIN)
    lost = replace(settings, mlflow_uri="http://127.0.0.1:9", folder=baked / "stump")
    shelf = Shelf(lost)
    shelf.refresh()
    assert shelf.models["club"].source.origin == "image"
    assert "MLflow does not answer" in shelf.state()["club"]["fallback"]
    shelf._registry = Registry(str(settings.mlflow_uri))
    shelf.refresh()
    source = shelf.models["club"].source
    assert (source.origin, source.version) == ("registry", version)
    assert shelf.fallbacks == {}


def test_a_baked_model_is_the_registered_one(
    settings: ServiceSettings, publish: Callable[[str], str], tmp_path: Path
) -> None:
    version = publish(GOOD)
    source = Registry(str(settings.mlflow_uri))
    target = tmp_path / "baked"
    folder = source.bake(source.version("club", None), target)
    model = load_baked(folder)
    assert (model.source.version, model.source.origin) == (version, "image")
    shelf = Shelf(settings)
    shelf.refresh()
    assert model.source.content == shelf.models["club"].source.content
    assert [each["probability"] for each in model.answer([record()])] == [
        each["probability"] for each in shelf.models["club"].answer([record()])
    ]
    assert source.bake(source.version("club", None), target) == folder, "again, in its place"
    assert [path.name for path in target.iterdir()] == ["club"]


def test_a_broken_baked_model_leaves_the_others_in_service(baked: Path, tmp_path: Path) -> None:
    shutil.copytree(baked / "good" / "club", tmp_path / "club")
    shutil.copytree(baked / "stump" / "club", tmp_path / "gym")
    (tmp_path / "gym" / "bundle" / "model.json").write_text("{}")
    shelf = Shelf(replace(SETTINGS, folder=tmp_path))
    shelf.refresh()
    assert isinstance(shelf.models["club"], ServedModel)
    assert "is not the one that was registered" in shelf.state()["gym"]["fallback"]
