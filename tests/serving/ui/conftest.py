"""The made-up club with pages of every kind, and a way to press the buttons of a page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from millrace import card
from millrace.card import card_of
from millrace.steps.evaluate import evaluate
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.train import train, transform
from millrace.tracking.registry import content_hash
from millrace.training import MODEL, unpacked
from serving.sources import BUNDLE, SOURCE
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features

PAGE = {"kind": "verdict", "title": "Will this member leave?", "positive": "Leaves",
        "negative": "Stays", "good": "negative", "changeable": ["fee", "club"]}  # fmt: skip
SEEN = {"fee": {"low": 5.5, "high": 49.5, "whole": False},
        "visits": {"low": 0.0, "high": 30.0, "whole": True}}  # fmt: skip
PICTURE = "Picture, JPEG or PNG"  # the label of the place for one
Shown = Callable[..., tuple[TestClient, Any]]


def with_page(folder: Path, **changes: Any) -> None:
    """Change the page of a baked club, and say where its numbers were seen."""
    path = folder / "club" / card.FILE
    told = json.loads(path.read_text())
    told["page"] = PAGE | changes
    for field in told["fields"]:
        if field["name"] in SEEN:
            field["observed"] = SEEN[field["name"]]
    path.write_text(json.dumps(told))


@pytest.fixture
def club(baked: Path, tmp_path: Path) -> Path:
    """A folder of the good model with a page."""
    folder = shutil.copytree(baked / "good", tmp_path / "models")
    with_page(folder)
    return folder


@pytest.fixture
def shown(serve: Shown, club: Path) -> tuple[TestClient, Any]:
    """A service with pages."""
    client, service = serve(folder=club, pages=True)
    return client, service


class Pressed:
    """A page as a browser has it: its inputs, and its buttons."""

    def __init__(self, client: httpx2.Client, dataset: str = "club") -> None:
        self.client, self.place = client, f"/ui/{dataset}/"
        self.document = client.get(self.place).text
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", self.document)
        assert found
        self.config = json.loads(found[1])
        self.components = {each["id"]: each for each in self.config["components"]}

    def labels(self) -> dict[str, dict[str, Any]]:
        """The properties of everything that has a label."""
        return {each["props"]["label"]: each["props"] for each in self.components.values()
                if each["props"].get("label")}  # fmt: skip

    def press(self, button: str, **typed: Any) -> list[Any]:
        """What a button's function gives, with values typed by label."""
        [pressed] = [number for number, each in self.components.items()
                     if each["props"].get("value") == button]  # fmt: skip
        [event] = [each for each in self.config["dependencies"]
                   if any(target[0] == pressed for target in each["targets"])]  # fmt: skip
        values = [self._value(self.components[number]["props"], typed)
                  for number in event["inputs"]]  # fmt: skip
        answer = self.client.post(
            f"{self.place}gradio_api/run/predict",
            json={"data": values, "fn_index": event["id"], "session_hash": "s"},
        )
        assert answer.status_code == 200, answer.text
        data: list[Any] = answer.json()["data"]
        return data

    def _value(self, props: dict[str, Any], typed: dict[str, Any]) -> Any:
        return typed[props["label"]] if props.get("label") in typed else props.get("value")


@pytest.fixture
def page(shown: tuple[TestClient, Any]) -> Pressed:
    """The page of the club."""
    return Pressed(shown[0])


@pytest.fixture(scope="package")
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


def a_photo(run: Run) -> Path:
    """One of the photos that were drawn."""
    return min(Path(run.store.uri(str(run.place("raw")))).glob("images/Tomato/*.jpg"))


def sent(client: httpx2.Client, content: bytes, name: str = "photo.jpg") -> Any:
    """A picture as the browser sends it before the button is pressed."""
    answer = client.post("/ui/photos/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}
