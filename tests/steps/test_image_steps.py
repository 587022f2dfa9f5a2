"""From published features to the report, on drawn photos and a real network."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.errors import MillraceError
from millrace.lake import Published
from millrace.name_image import features_of, name_image
from millrace.projection import FILE, NETWORK, Projection, network_of_model
from millrace.steps.champion_classes import score_of_classes, write_components
from millrace.steps.check_features import FeaturesError, check_features
from millrace.steps.cloudwatch import metric_data
from millrace.steps.evaluate import evaluate
from millrace.steps.features import components, rows
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.train import train, transform
from millrace.training import MODEL, unpacked
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features

VARIETIES = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A home whose lake holds photos, and their features before they are published."""
    home = tmp_path_factory.mktemp("photos")
    run = photo_run(home)
    deliver(run)
    return home, computed(run, home / "cache" / "networks")


@pytest.fixture(scope="module")
def judged(made: tuple[Path, dict[str, Any]]) -> Run:
    """A run of all steps."""
    run = photo_run(made[0])
    publish_features(run, made[1])
    check_features(run)
    for candidate in split_components(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    evaluate(run)
    return run


@pytest.fixture
def fresh(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> tuple[Run, dict[str, Any]]:
    """A run over photos only, in a lake of its own, and features that a test may change."""
    run = photo_run(tmp_path)
    raw = Path(run.store.uri("raw"))
    raw.parent.mkdir(parents=True)
    shutil.copytree(made[0] / "lake" / "raw", raw)
    return run, copy.deepcopy(made[1])


def predictions(run: Run, candidate: str = "plain") -> dict[str, list[float]]:
    path = run.published("predictions", candidate, "transform").path("predictions.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return {name: list(map(float, values)) for name, *values in csv.reader(file)}


def test_the_report_on_the_features_counts_and_names_what_is_unusable(judged: Run) -> None:
    report = judged.validation()
    found = report.json("validation.json")
    assert report.facts == {
        "passed": True, "rows_read": 131, "rows_clean": 128, "rows_quarantined": 3,
    }  # fmt: skip
    reasons = {item["file"]: item["found"] for item in found["problems"]}
    assert reasons["images/Orange/r0_341_100.jpg"] == "empty file"
    page = report.path("validation.html").read_text(encoding="utf-8")
    assert "images/Walnut/r0_341_100.jpg" in page
    assert found["job"]["network"]["weights"] == "random (seed 0)"


def test_the_channels_are_those_of_tables_and_no_view_is_on_both_sides(judged: Run) -> None:
    processed = judged.processed()
    facts = processed.facts
    channel = pd.read_csv(processed.path("train/train.csv"))
    labels = pd.read_csv(processed.path("test/labels.csv"))
    test = pd.read_csv(processed.path("test/test.csv"), header=None)
    assert list(channel.columns) == ["label", *(f"pc_{place}" for place in range(1, 13))]
    assert list(labels.columns) == ["_row_id", "label"]
    assert test[0].tolist() == labels["_row_id"].tolist()
    assert facts["rows"] == {"train": len(channel), "test": len(test)}
    assert len(channel) + len(test) + facts["left_out"] == 128
    assert facts["classes"] == sorted(facts["classes"])
    assert set(channel["label"]) == set(labels["label"]) == set(range(VARIETIES))
    name = [path.split("/")[1] for path in labels["_row_id"]]
    assert [facts["classes"][place] for place in labels["label"]] == name


def test_the_numbers_in_the_channels_are_the_published_components(judged: Run) -> None:
    features = judged.published("features", "", "image_features")
    known = dict(zip(rows(features)["path"], components(features), strict=True))
    test = pd.read_csv(judged.processed().path("test/test.csv"), header=None)
    for line in test.itertuples(index=False):
        assert np.array_equal(known[line[0]].astype("float64"), np.array(line[1:], "float64"))


def test_models_carry_classes_projection_and_network(judged: Run) -> None:
    with unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder:
        facts = json.loads((folder / "model.json").read_text())
        assert facts["classes"] == judged.processed().facts["classes"]
        projection, network = Projection.of_model(folder), network_of_model(folder)
    assert projection.components.shape == (12, 1280)
    assert projection.mean.shape == (1280,)
    assert network["asked_for"] == "mobilenet_v2"
    assert (network["precision"], network["batch_size"]) == ("fp32", 8)


def test_the_projection_of_a_model_gives_the_published_components(judged: Run, made: Any) -> None:
    features = judged.published("features", "", "image_features")
    with unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder:
        found = Projection.of_model(folder).apply(made[1]["features"])
    order = {path: row for row, (path, _, _) in enumerate(made[1]["rows"])}
    places = [order[path] for path in rows(features)["path"]]
    assert np.array_equal(found[places], components(features).astype("float64"))


def test_the_evaluation_is_that_of_the_predictions(judged: Run) -> None:
    from sklearn import metrics

    summary = judged.published("reports", "evaluation", "evaluate").json("summary.json")
    labels = pd.read_csv(judged.processed().path("test/labels.csv"))
    y = labels["label"]
    for candidate in summary["candidates"]:
        answers = predictions(judged, candidate["candidate"])
        p = np.array([answers[path] for path in labels["_row_id"]])
        found = candidate["metrics"]
        assert found["accuracy"] == metrics.accuracy_score(y, p.argmax(axis=1))
        assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
        assert found["top_3_accuracy"] == metrics.top_k_accuracy_score(y, p, k=3)
        low, high = candidate["intervals"]["accuracy"]
        assert low <= found["accuracy"] <= high
    assert summary["winner"] == "plain"
    assert found["log_loss"] > summary["candidates"][0]["metrics"]["log_loss"]
    assert summary["candidates"][0]["metrics"]["accuracy"] > 0.8  # of eight drawn varieties
    assert summary["figures"]["images_quarantined"] == 3
    assert summary["parameters"]["network_weights"] == "random (seed 0)"
    assert [gate["holds"] for gate in summary["gates"]] == [True]


def test_the_page_says_that_the_weights_are_random_and_shows_photos(judged: Run) -> None:
    page = judged.published("reports", "evaluation", "evaluate").path("report.html").read_text()
    for said in (
        "Random weights", "random (seed 0)", "Confusion picture", "Label by label", "12.5",
        "The images as the model sees them", "data:image/jpeg;base64,", "Apple Striped",
    ):  # fmt: skip
        assert said in page
    assert "not there any more" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_page_of_a_trained_network_says_nothing_of_random_weights(
    fresh: tuple[Run, dict[str, Any]],
) -> None:
    run, found = fresh
    found["network"] = {**found["network"], "weights": "imagenet"}
    publish_features(run, found)
    split_components(run)
    page = run.processed().path("statistics.html").read_text()
    assert "imagenet" in page
    assert "Random weights" not in page


def test_labels_are_escaped_in_pages(fresh: tuple[Run, dict[str, Any]]) -> None:
    run, found = fresh
    found["rows"] = [
        (path, label.replace("Tomato", "<script>$x"), digest)
        for path, label, digest in found["rows"]
    ]
    publish_features(run, found)
    split_components(run)
    page = run.processed().path("statistics.html").read_text()
    assert "&lt;script&gt;$x" in page
    assert "<script" not in page


def test_everything_again_does_nothing(judged: Run) -> None:
    def published() -> list[str]:
        places = [("processed", ""), ("reports", "validation"), ("reports", "evaluation")]
        return [judged.published(area, name, "x").manifest.attempt for area, name in places]

    before = published()
    check_features(judged)
    split_components(judged)
    evaluate(judged)
    assert published() == before


def test_another_split_makes_other_channels_of_the_same_features(judged: Run) -> None:
    before = judged.processed().manifest
    spec = photo_spec(split={"test": 0.4, "order": r"_(\d+)_", "seed": 5})
    other = replace(judged, spec=spec)
    try:
        split_components(other)
        after = other.processed()
        assert after.facts["rows"]["test"] > before.facts["rows"]["test"]
    finally:
        split_components(judged)


def test_cloudwatch_gets_the_figures_of_classes(judged: Run) -> None:
    summary = judged.published("reports", "evaluation", "evaluate").json("summary.json")
    data = {item["MetricName"]: item["Value"] for item in metric_data("photos", summary, 3, 9.0)}
    assert data["QuarantinedRows"] == 3
    assert data["Model/top_3_accuracy"] == summary["candidates"][0]["metrics"]["top_3_accuracy"]


def test_features_that_fail_are_reported_and_stop_the_run(
    fresh: tuple[Run, dict[str, Any]],
) -> None:
    run, found = fresh
    found["features"][7] = 0
    found["facts"] = {"images": 500}
    publish_features(run, found)
    with pytest.raises(FeaturesError, match=r"(?s)cannot be used.*FAILED.*128 images with"):
        check_features(run)
    report = run.validation()
    assert report.facts["passed"] is False
    assert "all features are 0" in report.path("validation.html").read_text()


def test_parts_of_two_networks_are_found(fresh: tuple[Run, dict[str, Any]]) -> None:
    run, found = fresh
    found["facts"] = {"network": {**found["network"], "id": "f" * 16}}
    publish_features(run, found)
    with pytest.raises(FeaturesError, match="one partition has one network"):
        check_features(run)


def test_equal_photos_are_used_once(fresh: tuple[Run, dict[str, Any]]) -> None:
    run, found = fresh
    (path, label, digest), *others = found["rows"]
    found["rows"] = [(path, label, digest), (others[0][0], others[0][1], digest), *others[1:]]
    publish_features(run, found)
    check_features(run)
    split_components(run)
    assert run.validation().facts["rows_clean"] == 127
    assert run.processed().facts["repeated"] == 1


def test_a_name_without_a_view_stops_the_split(fresh: tuple[Run, dict[str, Any]]) -> None:
    run, found = fresh
    found["rows"][0] = ("images/Apple Green/front.jpg", *found["rows"][0][1:])
    publish_features(run, found)
    with pytest.raises(MillraceError, match=r"mend `split\.order` in the spec"):
        split_components(run)


def test_a_photo_gets_the_probabilities_that_the_batch_gave_it(judged: Run) -> None:
    classes = judged.processed().facts["classes"]
    answers = predictions(judged)
    with unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder:
        for path in list(answers)[::9]:
            photo = Path(judged.store.uri(f"{judged.place('raw')}/{path}"))
            found = dict(named(folder, judged, photo))
            wanted = dict(zip(classes, answers[path], strict=True))
            assert found == pytest.approx(wanted, abs=1e-6)
            assert max(found, key=found.__getitem__) == max(wanted, key=wanted.__getitem__)


def named(folder: Path, run: Run, photo: Path) -> list[tuple[str, float]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(run.settings.home))  # where the random network is kept
        return name_image(folder, run.store, photo)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be named: empty file"),
        (b"GIF89a....", "cannot be named: not a JPEG or PNG image: GIF"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(judged, tmp_path, content, said):
    photo = tmp_path / "photo.jpg"
    if content is not None:
        photo.write_bytes(content)
    with (
        unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder,
        pytest.raises(MillraceError, match=said),
    ):
        named(folder, judged, photo)


def test_a_photo_is_not_named_with_another_network(judged, tmp_path):
    with unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder:
        wanted = network_of_model(folder)
    wanted = {**wanted, "sha256": "0" * 64}
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(MillraceError, match="was trained with the network MobileNetV2, weights ran"),
    ):
        patch.setenv("MILLRACE_HOME", str(judged.settings.home))
        features_of(wanted, judged.store, tmp_path / "photo.jpg")


def test_a_model_without_projection_or_network_says_so(tmp_path):
    with pytest.raises(MillraceError, match="holds no projection"):
        Projection.of_model(tmp_path)
    with pytest.raises(MillraceError, match="does not say which network"):
        network_of_model(tmp_path)
    (tmp_path / FILE).write_bytes(b"no archive")
    (tmp_path / NETWORK).write_text("{")
    with pytest.raises(MillraceError, match="holds no projection"):
        Projection.of_model(tmp_path)
    with pytest.raises(MillraceError, match="does not say which network"):
        network_of_model(tmp_path)


def test_a_champion_sees_test_photos_through_its_own_components(judged, tmp_path):
    processed: Published = judged.processed()
    with unpacked(judged.published("models", "plain", "train").path(MODEL)) as folder:
        write_components(judged, processed, folder, tmp_path / "rows.csv")
        wanted = pd.read_csv(processed.path("test/test.csv"), header=None).set_index(0)
        found = pd.read_csv(tmp_path / "rows.csv", header=None).set_index(0)
        pd.testing.assert_frame_equal(found.loc[wanted.index], wanted, check_exact=True)
        some = [wanted.index[3], wanted.index[1]]
        write_components(judged, processed, folder, tmp_path / "some.csv", some)
        assert {*pd.read_csv(tmp_path / "some.csv", header=None)[0]} == {*some}
        mended = json.loads((folder / NETWORK).read_text()) | {"sha256": "1" * 64}
        (folder / NETWORK).write_text(json.dumps(mended))
        with pytest.raises(MillraceError, match="it was trained with the network MobileNetV2"):
            write_components(judged, processed, folder, tmp_path / "rows.csv")


def test_a_champion_that_knows_other_classes_is_scored_on_those_of_the_partition():
    target = pd.Series([0, 1, 1])  # of "b" and "c"
    probability = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])  # of "a" and "b"
    found = score_of_classes(target, probability, ["a", "b"], ["b", "c"])
    assert found["accuracy"] == pytest.approx(1 / 3)
    same = score_of_classes(target, probability, ["b", "c"], ["b", "c"])
    assert same["accuracy"] == pytest.approx(1 / 3)
    assert same["log_loss"] < found["log_loss"]
