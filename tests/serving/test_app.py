"""The routes: answers, errors that help, limits, what is logged and counted."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
from fastapi.testclient import TestClient

import contributions
from millrace.lake import open_store
from serving.guard import JsonLines
from serving.model import ServedModel
from tests.lake.s3 import new_root, s3_client, s3_server
from tests.serving.waiting import until
from tests.tracking.made_up import PLANTED

RECORD = {"name": f"{PLANTED}1, Mr. A.", "visits": 3, "fee": 30, "club": "north"}
Serve = Callable[..., tuple[TestClient, Any]]


def test_health_names_the_models(good: TestClient, baked: Path) -> None:
    said = good.get("/")
    source = json.loads((baked / "good" / "club" / "source.json").read_text())
    assert said.status_code == 200
    assert said.json()["release"] is None
    model = said.json()["models"]["club"]
    assert model.pop("loaded_seconds") >= 0
    assert model == {"version": "1", "content": source["content"], "source": "image"}


def test_health_names_the_release_that_the_container_is_told(serve: Serve, baked: Path) -> None:
    client, _ = serve(folder=baked / "good", release="2026-11-29--20-55-18")
    assert client.get("/").json()["release"] == "2026-11-29--20-55-18"


def test_health_is_503_while_a_model_is_missing(serve: Serve, baked: Path) -> None:
    client, _ = serve(ready=False, folder=baked / "good", models={"club": None, "other": None})
    until(lambda: client.get("/").json()["models"].get("club", {}).get("version") == "1")
    said = client.get("/")
    assert said.status_code == 503
    assert said.json()["models"]["other"] == {"version": None, "fallback": "not loaded yet"}
    answer = client.post("/other/predict", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_one_record_one_answer_a_list_a_list(good: TestClient) -> None:
    one = good.post("/club/predict", json=RECORD)
    several = good.post("/club/predict", json=[RECORD, {"fee": 5}])
    assert one.status_code == several.status_code == 200
    answer = one.json()
    assert answer == several.json()[0] == good.post("/predict", json=RECORD).json()
    assert answer["class"] == "yes" and answer["probability"] > answer["threshold"]
    assert (answer["version"], answer["missing"]) == ("1", [])
    assert several.json()[1]["missing"] == ["name", "visits", "club"]


def test_many_records_answer_as_each_does(good: TestClient) -> None:
    rows = [{"fee": fee} for fee in range(5, 50)]
    together = good.post("/club/predict", json=rows).json()
    assert together == [good.post("/club/predict", json=row).json() for row in rows]


def test_reasons_on_request(good: TestClient) -> None:
    answer = good.post("/club/predict?explain=true", json=RECORD).json()
    total = answer["expected"] + sum(each["contribution"] for each in answer["contributions"])
    assert total == pytest.approx(answer["raw"], abs=1e-6)


def test_a_model_that_cannot_be_explained_says_so(good: TestClient) -> None:
    with mock.patch.object(contributions, "TOLERANCE", -1.0):
        answer = good.post("/club/predict?explain=true", json=RECORD)
    assert answer.status_code == 501
    assert "explain nothing" in answer.json()["detail"]
    assert good.post("/club/predict", json=RECORD).status_code == 200


def test_what_is_known_of_a_model(good: TestClient) -> None:
    told = good.get("/club/model").json()
    assert (told["version"], told["partition"], told["candidate"]) == ("1", "2026-03-01", "good")
    assert 0.5 < told["metrics"]["roc_auc"] <= 1
    assert len(told["data_fingerprint"]) == 64
    assert good.post("/club/predict", json=told["example"]).status_code == 200


@pytest.mark.parametrize("path", ["/nobody/predict", "/nobody/model"])
def test_an_unknown_model_is_404_and_lists_those_that_are(good: TestClient, path: str) -> None:
    answer = good.post(path, json={}) if path.endswith("predict") else good.get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "no model 'nobody'; in service: club"


def test_predict_without_a_name_needs_a_single_model(serve: Serve, tmp_path: Path,
                                                     baked: Path) -> None:  # fmt: skip
    for name, candidate in (("club", "good"), ("gym", "stump")):
        (tmp_path / name).symlink_to(baked / candidate / "club")
    client, _ = serve(folder=tmp_path)
    until(lambda: len(client.get("/").json()["models"]) == 2)
    answer = client.post("/predict", json=RECORD)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "models in service: club, gym; POST to /<data set>/predict"
    assert client.post("/gym/predict", json=RECORD).json()["version"] == "2"


def test_bad_input_is_422_and_names_the_field(good: TestClient) -> None:
    answer = good.post("/club/predict", json={**RECORD, "visits": -1})
    assert answer.status_code == 422
    [problem] = answer.json()["detail"]
    assert problem["field"] == "visits"
    assert problem["accepts"] == "a number from 0, or null"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    wrong = good.post("/club/predict?explain=perhaps", json=RECORD)
    assert wrong.status_code == 422
    assert wrong.json()["detail"][0]["loc"] == ["query", "explain"]


@pytest.mark.parametrize("query", ["", "?explain=true"])
def test_numbers_too_large_to_compute_with_are_422(good: TestClient, query: str) -> None:
    """A ratio of two values that are each allowed may be."""
    with mock.patch("serving.model.LARGEST", 40.0):
        answer = good.post(f"/club/predict{query}", json=[RECORD, {"fee": -41}])
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"loc": ["body"], "message": "record 2: fee is larger than 4.0e+01"}
    ]


def test_a_body_that_is_too_large_is_413(serve: Serve, baked: Path) -> None:
    client, _ = serve(folder=baked / "good", largest_body=1000)
    assert client.post("/club/predict", json=RECORD).status_code == 200
    large = json.dumps([RECORD] * 50).encode()
    for body in (large, iter([large[:600], large[600:]])):  # announced, and not announced
        answer = client.post("/club/predict", content=body)
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.json()["detail"]


def test_more_requests_than_allowed_are_turned_away(serve: Serve, baked: Path) -> None:
    client, _ = serve(folder=baked / "good", most_waiting=1)
    entered, leave = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> Any:
        entered.set()
        leave.wait(30)
        return [{"class": "yes", "probability": 1.0}]

    with mock.patch.object(ServedModel, "answer", slow), ThreadPoolExecutor() as pool:
        first = pool.submit(client.post, "/club/predict?explain=true", json=RECORD)
        assert entered.wait(30)
        second = client.post("/club/predict", json=RECORD)
        health = client.get("/")
        leave.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert health.status_code == 200
    assert client.post("/club/predict", json=RECORD).status_code == 200


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What the service logs, as it writes it."""
    found: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(JsonLines().format(record)))

    handler, logger = Kept(), logging.getLogger("serving")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_the_log_says_what_happened_and_nothing_that_was_sent(
    good: TestClient, lines: list[dict[str, Any]]
) -> None:
    good.post("/club/predict", json=RECORD, headers={"x-request-id": "abc-1"})
    good.post(f"/club/predict?{PLANTED}=1", json={"name": f"{PLANTED}!", "feee": 1})
    good.post(f"/{PLANTED}/predict", json={})
    answered = [line for line in lines if line["message"] == "answered"]
    assert [line["status"] for line in answered] == [200, 422, 404]
    first = answered[0]
    assert first.pop("milliseconds") > 0 and first.pop("time")
    assert first == {
        "level": "info", "logger": "serving.requests", "message": "answered",
        "request_id": "abc-1", "method": "POST", "route": "/{dataset}/predict", "status": 200,
        "dataset": "club", "version": "1", "records": 1,
    }  # fmt: skip
    assert PLANTED not in str(lines)


def test_an_error_of_ours_is_500_without_a_trace(
    good: TestClient, lines: list[dict[str, Any]]
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError(f"row {PLANTED}")

    with mock.patch.object(ServedModel, "answer", broken):
        answer = good.post("/club/predict", json=RECORD)
    assert answer.status_code == 500
    assert answer.json() == {
        "detail": "the request could not be answered; its id is in the log",
        "request_id": answer.headers["x-request-id"],
    }
    [failed] = [line for line in lines if line["message"] == "failed"]
    assert failed["request_id"] == answer.json()["request_id"]
    assert failed["error"] == "RuntimeError"
    assert failed["frames"][-1].endswith("broken")
    assert PLANTED not in str(lines)


def test_request_ids_of_others_are_kept_where_they_are_harmless(good: TestClient) -> None:
    for sent, kept in (("A-1.b_2", True), ("x" * 65, False), ("a b", False)):
        found = good.get("/", headers={"x-request-id": sent}).headers["x-request-id"]
        assert (found == sent) == kept


def test_figures_for_prometheus(good: TestClient) -> None:
    good.post("/club/predict", json=[RECORD, RECORD])
    good.get("/nothing/here")
    said = good.get("/metrics").text
    assert 'millrace_predictions_total{dataset="club",label="yes",version="1"} 2.0' in said
    assert 'millrace_model_loaded{dataset="club",version="1"} 1.0' in said
    assert ('millrace_requests_total{method="POST",route="/{dataset}/predict",status="200"} 1.0'
            in said)  # fmt: skip
    assert 'route="other",status="404"' in said


def test_openapi_describes_the_model_and_its_example_works(good: TestClient) -> None:
    told = good.get("/openapi.json").json()
    post = told["paths"]["/club/predict"]["post"]
    example = post["requestBody"]["content"]["application/json"]["example"]
    assert good.post("/club/predict", json=example).status_code == 200
    record = told["components"]["schemas"]["club_record"]
    assert record["additionalProperties"] is False
    assert record["properties"]["club"]["anyOf"][0]["enum"][:2] == ["north", "south"]
    assert record["properties"]["visits"]["anyOf"][0]["minimum"] == 0
    assert {"200", "404", "413", "422", "500", "501", "503"} == {*post["responses"]}
    assert "/predict" in told["paths"]


def test_the_documentation_asks_nobody_else(good: TestClient) -> None:
    page = good.get("/docs")
    assert page.status_code == 200 and "//" not in re.sub(r"<!--.*?-->", "", page.text, flags=re.S)
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert named and all(good.get(path).status_code == 200 for path in named)


def test_predictions_are_recorded_without_anything_personal(
    serve: Serve, baked: Path, tmp_path: Path
) -> None:
    client, service = serve(folder=baked / "good", lake=str(tmp_path))
    answers = client.post("/club/predict", json=[RECORD, {"fee": 5}]).json()
    assert service.recorder is not None
    service.recorder.write()
    [path] = (tmp_path / "recorded" / "club").rglob("*.parquet")
    assert PLANTED.encode() not in path.read_bytes()
    kept = pd.read_parquet(path)
    assert "name" not in kept
    assert kept["_probability"].tolist() == [answer["probability"] for answer in answers]
    assert kept["_version"].tolist() == ["1", "1"]
    assert kept["fee"].tolist() == [30, 5]
    assert kept["club"].isna().tolist() == [False, True]


def test_predictions_are_recorded_in_s3(
    serve: Serve, baked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as endpoint:
        lake, s3 = new_root(), s3_client(endpoint)
        store = open_store(lake, s3)
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client, service = serve(folder=baked / "good", lake=lake)
        client.post("/club/predict", json=[RECORD] * 3)
        service.recorder.write()
        [entry] = store.list("recorded/club")
        assert len(pd.read_parquet(store.local(entry.key))) == 3


def test_what_cannot_be_recorded_now_is_recorded_later(
    serve: Serve, baked: Path, tmp_path: Path
) -> None:
    (tmp_path / "recorded").write_text("a file where a folder must be")
    client, service = serve(folder=baked / "good", lake=str(tmp_path))
    client.post("/club/predict", json=[RECORD] * 3)
    assert service.recorder is not None
    with pytest.raises(OSError):
        service.recorder.write()
    (tmp_path / "recorded").unlink()
    service.recorder.write()
    [path] = (tmp_path / "recorded" / "club").rglob("*.parquet")
    assert len(pd.read_parquet(path)) == 3


def test_a_recorder_that_ends_writes_what_it_keeps(
    serve: Serve, baked: Path, tmp_path: Path
) -> None:
    client, service = serve(folder=baked / "good", lake=str(tmp_path))
    client.post("/club/predict", json=RECORD)
    assert service.recorder is not None
    service.recorder.stop()  # as the end of the application does; a second time is harmless
    assert len(list((tmp_path / "recorded" / "club").rglob("*.parquet"))) == 1
