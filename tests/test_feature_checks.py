"""What is checked about features, one fault at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from millrace.feature_checks import FeatureChecks, usable

WIDTH, KEPT = 6, 3


def report(
    rows: int = 12, quarantined: int = 0, tolerance: float = 0.1, images: int | None = None,
    network: str = "net", **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    rng = np.random.default_rng(0)
    block = {
        "path": [f"{'ab'[n % 2]}/{n}.jpg" for n in range(rows)],
        "label": ["ab"[n % 2] for n in range(rows)],
        "hash": [f"{n:064}" for n in range(rows)],
        "features": rng.normal(size=(rows, WIDTH)).astype("float32"),
        "kept": rng.normal(size=(rows, KEPT)).astype("float32"),
        "width": WIDTH,
        **changes,
    }
    checks = FeatureChecks(WIDTH, KEPT)
    checks.add_file("part", network, block["width"])
    half = rows // 2
    for part in (slice(0, half), slice(half, rows)):
        names = {name: block[name][part] for name in ("path", "label", "hash")}
        checks.add_rows("part", names, block["features"][part], block["kept"][part])
    bad = [(f"a/bad{n}.jpg", "empty file") for n in range(quarantined)]
    return checks.report(rows + quarantined if images is None else images, bad, "net", tolerance)


def only(found: dict[str, Any], severity: str = "error") -> dict[str, Any]:
    [problem] = [item for item in found["problems"] if item["severity"] == severity]
    assert found["passed"] == (severity != "error")
    return problem


def test_good_features_pass_with_their_figures():
    found = report()
    assert (found["passed"], found["problems"]) == (True, [])
    assert (found["rows_read"], found["rows_clean"], found["rows_quarantined"]) == (12, 12, 0)
    assert found["labels"] == {"a": 6, "b": 6}
    assert 0 < found["norm"]["minimum"] < found["norm"]["median"] < found["norm"]["maximum"]


def test_unusable_images_are_named_with_their_reason_and_tolerated():
    found = report(rows=19, quarantined=1)
    assert found["passed"]
    assert (found["rows_read"], found["rows_clean"], found["rows_quarantined"]) == (20, 19, 1)
    problem = only(found, "row")
    assert (problem["file"], problem["found"]) == ("a/bad0.jpg", "empty file")


def test_more_unusable_images_than_tolerated_are_an_error():
    problem = only(report(rows=8, quarantined=2))
    assert problem["found"] == "2 of 10 images are unusable"
    assert "raise `raw.tolerance` (0.1)" in problem["remedy"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["features", "kept"])
def test_a_number_that_is_none_is_an_error(value, where):
    values = np.ones((12, WIDTH if where == "features" else KEPT), "float32")
    values[3, 1] = value
    problem = only(report(**{where: values}))
    assert (problem["check"], problem["file"]) == ("numbers", "b/3.jpg")


def test_features_that_are_all_zero_are_an_error():
    values = np.ones((12, WIDTH), "float32")
    values[4] = 0
    problem = only(report(features=values))
    assert (problem["file"], problem["found"]) == ("a/4.jpg", "all features are 0")


def test_a_norm_far_from_the_others_is_a_note():
    values = np.ones((12, WIDTH), "float32")
    values[4] = 50
    assert only(report(features=values), "note")["found"].startswith("1 images whose features")


def test_features_of_another_network_are_an_error():
    problem = only(report(network="other"))
    assert problem["found"] == "features of network other; the job says net"
    assert only(report(network=""))["found"].startswith("features of network (not stated)")


def test_counts_that_do_not_add_up_are_an_error():
    found = only(report(images=15))["found"]
    assert found == "12 images with features and 0 in the quarantine, of 15 listed"


def test_widths_that_are_not_what_the_job_says_are_errors():
    assert only(report(width=7))["check"] == "width"
    found = report(kept=np.ones((12, 5), "float32"))
    assert {item["check"] for item in found["problems"]} == {"components"}


def test_one_label_is_an_error():
    assert only(report(label=["a"] * 12))["found"] == "1 label(s): 'a'"


def test_the_same_path_twice_is_an_error():
    path = [f"{'ab'[n % 2]}/{n}.jpg" for n in range(12)]
    assert only(report(path=[*path[:11], path[1]]))["file"] == path[1]


def test_equal_images_of_one_label_are_dropped_with_a_note():
    hashes = [f"{n:064}" for n in range(12)]
    hashes[4] = hashes[8] = hashes[0]
    found = report(hash=hashes)
    assert only(found, "note")["file"] == "a/4.jpg"
    assert (found["rows_duplicate"], found["rows_clean"]) == (2, 10)


def test_equal_images_of_different_labels_are_set_aside():
    hashes = [f"{n:064}" for n in range(12)]
    hashes[1] = hashes[0]
    found = report(hash=hashes)
    assert only(found, "row")["found"] == "one image under different labels: a/0.jpg, b/1.jpg"
    assert (found["rows_quarantined"], found["rows_clean"]) == (2, 10)


def test_what_is_built_on_is_what_the_report_counts_as_clean():
    hashes = [f"{n:064}" for n in range(12)]
    hashes[4], hashes[1] = hashes[8], hashes[0]
    labels = ["ab"[n % 2] for n in range(12)]
    paths = [f"{'ab'[n % 2]}/{n:02}.jpg" for n in range(12)]
    rows = usable(hashes, labels, paths)
    assert len(rows) == report(hash=hashes, path=paths)["rows_clean"] == 9
    assert [paths[row] for row in rows] == sorted(paths[row] for row in rows)
    assert not {0, 1, 8} & set(rows)
