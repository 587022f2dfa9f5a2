"""The page of a picture names it as `make name-image` does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from millrace import card
from millrace.card import card_of
from millrace.name_image import name_image
from millrace.steps.evaluate import evaluate
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.train import train, transform
from millrace.tracking.registry import content_hash
from millrace.training import MODEL, unpacked
from serving.guard import PHOTO
from serving.sources import BUNDLE, SOURCE
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features
from tests.serving.ui.conftest import Pressed, Shown


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A run over drawn photos, and a folder with its model as an image holds it."""
    spec = photo_spec(candidates={"plain": photo_spec().candidates["plain"]})
    run = photo_run(tmp_path_factory.mktemp("drawn"), spec)
    deliver(run, views=4)
    publish_features(run, computed(run, run.settings.home / "cache" / "networks"))
    for candidate in split_components(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    evaluate(run)
    folder = tmp_path_factory.mktemp("baked")
    target = folder / "photos"
    with unpacked(run.published("models", "plain", "train").path(MODEL)) as bundle:
        shutil.copytree(bundle, target / BUNDLE)
    state = json.loads((target / BUNDLE / "transformation.json").read_text())
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    told = card_of(spec, None, state, summary, {}, [])
    (target / card.FILE).write_text(json.dumps(told))
    facts = {"version": "1", "content": content_hash(target / BUNDLE)}
    (target / SOURCE).write_text(json.dumps(facts))
    return run, folder


@pytest.fixture
def page(serve: Shown, drawn: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch) -> Pressed:
    run, folder = drawn
    monkeypatch.setenv("MILLRACE_HOME", str(run.settings.home))  # where the random network is kept
    client, _ = serve(folder=folder, pages=True, pages_lake=run.store.root)
    return Pressed(client, "photos")


def sent(client: TestClient, content: bytes, name: str = "photo.jpg") -> Any:
    """A picture as the browser sends it before the button is pressed."""
    answer = client.post("/ui/photos/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def test_a_picture_is_named_as_everywhere(page: Pressed, drawn: tuple[Run, Path]) -> None:
    run, folder = drawn
    photo = Path(run.store.uri(f"{run.place('raw')}/images/Tomato/r0_26_100.jpg"))
    if not photo.exists():
        photo = sorted(photo.parent.glob("*.jpg"))[0]
    picture = {"Picture, JPEG or PNG": sent(page.client, photo.read_bytes())}
    answer, reasons = page.press("What is it?", **picture)
    wanted = name_image(folder / "photos" / BUNDLE, run.store, photo)[:3]
    assert re.findall(r"<li><span>(.*?)</span>", answer) == [name for name, _ in wanted]
    shares = [float(each) for each in re.findall(r"width:([\d.]+)%", answer)]
    assert shares == pytest.approx([100 * share for _, share in wanted], abs=0.06)
    [reasons] = page.press("Why?", **picture)
    assert "the margin of the named class" in reasons


def test_what_is_no_picture_is_told(page: Pressed) -> None:
    answer, _ = page.press("What is it?")
    assert "Choose a picture first." in answer
    broken = {"Picture, JPEG or PNG": sent(page.client, b"\xff\xd8no")}
    answer, _ = page.press("What is it?", **broken)
    assert "cannot be named" in answer and str(broken["Picture, JPEG or PNG"]["path"]) not in answer


def test_pictures_may_be_larger_than_other_requests_but_not_by_any_size(page: Pressed) -> None:
    assert sent(page.client, b"x" * 2 * 2**20)["path"]
    place = "/ui/photos/gradio_api/upload"
    refused = page.client.post(place, content=b"x" * (PHOTO + 1))
    assert refused.status_code == 413 and f"{PHOTO:,}" in refused.text


def test_without_a_lake_the_page_says_what_to_set(serve: Shown, drawn: tuple[Run, Path]) -> None:
    client, _ = serve(folder=drawn[1], pages=True)
    page = Pressed(client, "photos")
    picture = {"Picture, JPEG or PNG": sent(client, b"x")}
    answer, _ = page.press("What is it?", **picture)
    assert "MILLRACE_LAKE" in answer
