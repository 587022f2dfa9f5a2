"""The watch over images: photos as before, darker and blurred ones, asked for and delivered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from millrace.lake import Published, read_published
from millrace.steps.log_to_mlflow import log_published
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.watch_drift import NothingToCompare, watch_drift
from millrace.tracking import registry
from millrace.tracking.server import connect
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features
from tests.recording import record, served
from tests.tracking.mlflow_server import MlflowServer
from tests.tracking.test_photos import prepare

pytestmark = pytest.mark.integration

REFERENCE = "2025-03-01"
Change = Callable[[Image.Image], Image.Image]
CHANGES: dict[str, Change] = {
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.6),
    "blurred": lambda photo: photo.filter(ImageFilter.GaussianBlur(3)),
}


def as_before(photo: Image.Image) -> Image.Image:
    return photo


@dataclass
class Camera:
    """Delivers photos of the same fruits, from other sides, through a lens that may be changed."""

    champion: Run
    cache: Path
    days: int = 1

    def deliver(self, change: Change = as_before) -> tuple[Run, dict[str, Any]]:
        """A new day with its photos, and their features before they are published."""
        self.days += 1
        run = replace(self.champion, partition=f"2025-04-{self.days:02}")
        folder = deliver(run, views=15)
        for path in sorted(folder.glob("*/*/r*_*.jpg")):
            if path.name != "r0_341_100.jpg":  # the three that are no photos
                with Image.open(path) as photo:
                    photo.load()
                change(photo.convert("RGB")).save(path, quality=92)
        return run, computed(run, self.cache)


@pytest.fixture(scope="module")
def camera(
    mlflow_server: MlflowServer, jobs_in_this_process: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Camera]:  # fmt: skip
    home = tmp_path_factory.mktemp("watched")
    spec = photo_spec(name="watched", drift={"rows": 30}, components=24)
    run = photo_run(home, spec, partition=REFERENCE, candidates=("plain",))
    run = replace(run, settings=replace(run.settings, mlflow_uri=mlflow_server.uri))
    deliver(run, views=16)
    prepare(run, computed(run, home / "cache" / "networks"))
    log_published(run)
    assert promote(run)["champion"]
    yield Camera(run, home / "cache" / "networks")


def page(run: Run) -> Published:
    found = read_published(run.store, run.place("reports", "drift"))
    assert found is not None
    return found


def watched(run: Run, found: dict[str, Any]) -> dict[str, Any]:
    """The verdict on a day whose photos were delivered as a partition."""
    publish_features(run, found)
    split_components(run)
    return watch_drift(run)


def ask(run: Run, found: dict[str, Any]) -> Path:
    """Ask the champion for each photo of a day as the page of the service does, and record it."""
    model = served(registry.champion(connect(run.settings), run.spec.name))
    assert model.eyes is not None
    names = [field["name"] for field in model.card["fields"]]
    rows = model.eyes[1].apply(found["features"]).tolist()
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return record(run.settings.lake, model, records, run.partition)


def test_photos_as_before_raise_no_alarm(camera: Camera) -> None:
    run, found = camera.deliver()
    verdict = watched(run, found)
    assert verdict["alarm"] is False
    assert verdict["drifted"] == {"partition": []}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_photos_raise_one_and_the_page_says_what(camera: Camera, change: str) -> None:
    run, found = camera.deliver(CHANGES[change])
    verdict = watched(run, found)
    assert verdict["alarm"] is True
    assert len(verdict["drifted"]["partition"]) >= 4, "of 20"
    figures = json.loads(page(run).path("drift.json").read_text())["compared"]["partition"]
    assert {each["name"] for each in figures["columns"]} == {f"pc_{n}" for n in range(1, 21)}
    assert [each["name"] for each in figures["predictions"]] == ["_probability", "_class"]
    report = page(run).path("report.html").read_text()
    assert "The data have drifted" in report and "leading principal components" in report
    assert "predicted class" in report


def test_what_people_ask_is_compared_without_any_picture(camera: Camera) -> None:
    run, found = camera.deliver()
    file = ask(run, found)
    assert watch_drift(run)["alarm"] is False
    assert set(pq.read_schema(file).names) == {
        "_time", "_version", "_class", "_probability", *(f"pc_{n}" for n in range(1, 25)),
    }  # fmt: skip
    run, found = camera.deliver(CHANGES["darker"])
    ask(run, found)
    assert watch_drift(run)["alarm"] is True


def test_images_of_another_network_are_not_compared_and_the_log_says_so(
    camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    run, found = camera.deliver()
    network = {**found["network"], "sha256": "1" * 64}
    with pytest.raises(NothingToCompare, match="test rows of a new partition; a verdict needs 30"):
        watched(run, {**found, "network": network})
    assert "does not see the images of" in caplog.text
    assert "it was trained with the network MobileNetV2" in caplog.text
