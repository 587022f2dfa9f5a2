"""The pages of real models: they answer as the API does, follow their model, and tell nobody."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from millrace.settings import PROJECT
from millrace.variables import SettingsError
from serving.guard import PHOTO
from serving.recording import Recorder
from serving.settings import ServiceSettings
from tests.serving.ui.conftest import PAGE, Pressed, Shown, with_page
from tests.serving.waiting import until
from tests.tracking.made_up import PLANTED

TYPED = {"name": f"{PLANTED}1, Mr. A.", "visits": 3, "fee": 30, "club": "north"}


def test_the_first_page_lists_the_models(shown: tuple[TestClient, Any]) -> None:
    client, _ = shown
    document = client.get("/ui/").text
    card = client.get("/club/model").json()
    assert '<a href="club/">Will this member leave?</a>' in document
    assert card["description"].replace(",", ",") in document
    assert f"<dd>{card['metrics']['roc_auc']:.4f}</dd>" in document
    assert f"<dd>{card['partition']}</dd>" in document and "<dd>1</dd>" in document
    assert '<html lang="en">' in document and "<title>Models in service</title>" in document


def test_the_first_page_says_that_there_is_no_model_yet(serve: Shown, tmp_path: Path) -> None:
    client, _ = serve(ready=False, folder=tmp_path, pages=True)
    assert "No model is in service yet" in client.get("/ui/").text
    missing = client.get("/ui/club/")
    assert missing.status_code == 404 and "All models in service" in missing.text


def test_a_page_has_an_input_for_each_field(page: Pressed) -> None:
    labels = page.labels()
    assert set(TYPED) <= set(labels)
    assert "never recorded" in labels["name"]["info"]
    assert "<title>Will this member leave?</title>" in page.document
    assert 'lang="en"' in page.document


def test_a_page_answers_as_the_api_does(shown: tuple[TestClient, Any], page: Pressed) -> None:
    client, service = shown
    said = client.post("/club/predict", json=TYPED).json()
    [answer, reasons, turned] = page.press("Ask the model", **TYPED)
    assert f"<strong>{100 * said['probability']:.1f} %</strong>" in answer
    assert "</span> Leaves</p>" in answer and (reasons, turned) == ("", "")
    metrics = client.get("/metrics").text
    assert 'millrace_predictions_total{dataset="club",label="yes",version="1"} 2.0' in metrics
    assert service.shelf.models["club"].source.version == "1"


def test_what_a_page_predicts_is_recorded_but_not_its_reasons(
    serve: Shown, club: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[Any] = []
    add = Recorder.add

    def noted(self: Recorder, model: Any, records: Any, answers: Any) -> None:
        added.extend(records)
        add(self, model, records, answers)

    monkeypatch.setattr(Recorder, "add", noted)
    client, _ = serve(folder=club, pages=True, lake=str(tmp_path / "lake"))
    page = Pressed(client)
    page.press("Ask the model", **TYPED)
    page.press("Why?", **TYPED)
    page.press("What would change it?", **TYPED)
    assert added == [TYPED]


def test_what_is_wrong_is_told_in_plain_words(page: Pressed) -> None:
    [answer, *_] = page.press("Ask the model", **{**TYPED, "visits": -2})
    assert "<li>visits: write a number from 0, or leave it empty.</li>" in answer
    assert "refused" in answer
    [reasons] = page.press("Why?", **{**TYPED, "visits": -2})
    assert "visits: write a number from 0" in reasons
    for button in ("Ask the model", "Why?", "What would change it?"):
        said, *_ = page.press(button, **{**TYPED, "fee": 1e300})
        assert "refused" in said and "fee" in said


def test_what_is_left_empty_is_not_known(page: Pressed) -> None:
    [answer, *_] = page.press("Ask the model", name="", visits=None, fee=30, club="")
    assert "without name, visits, club" in answer
    [answer, *_] = page.press("Ask the model", name="", visits=None, fee=None, club="")
    assert "write some of name, visits, fee, club" in answer


def test_reasons_are_a_waterfall_and_a_table_without_personal_values(page: Pressed) -> None:
    [reasons] = page.press("Why?", **TYPED)
    assert 'role="img" aria-label="From the expected score' in reasons and "<svg " in reasons
    assert re.search(r'<th scope="row">fee</th><td>30</td><td>[+-]', reasons)
    assert '<th scope="row">title</th><td>hidden</td>' in reasons
    assert PLANTED not in reasons


def test_what_would_change_the_verdict_does(shown: tuple[TestClient, Any], page: Pressed) -> None:
    [turned] = page.press("What would change it?", **TYPED)
    found = re.search(r"<strong>fee</strong>: from 30 to ([\d.]+) ", turned)
    assert found and "&ldquo;Stays&rdquo;" in turned
    changed = shown[0].post("/club/predict", json={**TYPED, "fee": float(found[1])}).json()
    assert changed["class"] == "no"


def test_a_page_follows_its_model(shown: tuple[TestClient, Any], club: Path, baked: Path) -> None:
    client, service = shown
    before = Pressed(client)
    model = service.shelf.models["club"]
    shutil.rmtree(club / "club")
    shutil.copytree(baked / "stump" / "club", club / "club")
    with_page(club, kind="gauge", title="Who leaves?")
    del service.shelf.models["club"]
    until(lambda: service.shelf.models.get("club", model) is not model)
    until(lambda: "<title>Who leaves?</title>" in client.get("/ui/club/").text)
    [answer, *_] = Pressed(client).press("Ask the model", **TYPED)
    assert "Version 2" in answer and '<svg class="gauge"' in answer
    [answer, *_] = before.press("Ask the model", **TYPED)
    assert "Version 2" in answer, "a page that was open before goes on with the new model"


def test_a_page_with_other_inputs_is_not_answered(page: Pressed) -> None:
    for each in page.components.values():
        if each["props"].get("visible") is False:
            each["props"]["value"] = "of another set of inputs"
    [answer, *_] = page.press("Ask the model", **TYPED)
    assert "Load the page again" in answer


def test_a_failure_tells_and_logs_nothing_that_was_typed(
    page: Pressed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_self: Any, records: Any, **_: Any) -> Any:
        raise RuntimeError(str(records))

    monkeypatch.setattr("serving.model.ServedModel.answer", fail)
    with caplog.at_level(logging.ERROR):
        [answer, *_] = page.press("Ask the model", **TYPED)
    assert "the reason is in the log" in answer and PLANTED not in answer
    [noted] = [each for each in caplog.records if each.message == "a page failed"]
    assert noted.facts["error"] == "RuntimeError"  # type: ignore[attr-defined]
    assert PLANTED not in caplog.text + json.dumps(noted.facts)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "closed",
    ["gradio_api/upload", "gradio_api/file=/etc/passwd", "gradio_api/proxy=http://127.0.0.1/",
     "gradio_api/queue/join", "monitoring", "gradio_api/runs", "login"],
)  # fmt: skip
def test_no_more_of_gradio_is_open_than_pages_need(
    shown: tuple[TestClient, Any], closed: str
) -> None:
    client, _ = shown
    assert client.get(f"/ui/club/{closed}").status_code == 404
    assert client.post(f"/ui/club/{closed}", files={"files": b"x"}).status_code == 404


def test_a_document_names_no_other_site(page: Pressed, shown: tuple[TestClient, Any]) -> None:
    addresses = set(re.findall(r"https?://([^/\"'\\ ]+)", page.document))
    assert addresses <= {"testserver", "www.w3.org"}
    policy = shown[0].get("/ui/club/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self' data: blob:") and "http" not in policy
    assert page.config["footer_links"] == [] and page.config["run_history"] is False
    assert not page.config.get("analytics_enabled")


def test_requests_to_pages_are_limited_as_others(shown: tuple[TestClient, Any]) -> None:
    client, service = shown
    body = b"x" * (service.settings.largest_body + 1)
    assert client.post("/ui/club/gradio_api/run/predict", content=body).status_code == 413
    assert service.settings.largest_body < PHOTO


def test_without_pages_gradio_is_never_loaded(club: Path) -> None:
    code = (
        "import sys\nfrom fastapi.testclient import TestClient\n"
        "from serving.app import create_app\nfrom serving.settings import ServiceSettings\n"
        "read = ServiceSettings.from_environment\n"
        f"environment = {{'MILLRACE_MODEL_FOLDER': {str(club)!r}}}\n"
        "for asked in ('no', 'yes'):\n"
        "    environment['MILLRACE_SERVICE_PAGES'] = asked\n"
        "    with TestClient(create_app(read(environment))) as client:\n"
        "        while client.get('/').status_code != 200: pass\n"
        "        client.post('/club/predict', json={})\n"
        "        print(client.get('/ui/').status_code if asked == 'no' else '',"
        " {'gradio', 'matplotlib', 'airflow'} & set(sys.modules))\n"
    )
    path = ":".join(str(PROJECT / each) for each in ("plugins", "include", "include/training"))
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["404 set()", " set()"]


def test_pages_without_gradio_are_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.settings.find_spec", lambda _: None)
    asked = {"MILLRACE_SERVICE_PAGES": "yes", "MILLRACE_MODEL_FOLDER": "x"}
    with pytest.raises(SettingsError, match="gradio, which is not installed; install it, or write"):
        ServiceSettings.from_environment(asked)
    assert not ServiceSettings.from_environment({"MILLRACE_MODEL_FOLDER": "x"}).pages


def test_pages_know_words_for_a_page_without_any(serve: Shown, baked: Path) -> None:
    client, _ = serve(folder=baked / "good", pages=True)
    [answer, *_] = Pressed(client).press("Ask the model", **TYPED)
    assert "leaves: yes" in answer
    assert PAGE["positive"] not in answer
