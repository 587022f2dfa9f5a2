"""Specs of images: what they say, what is wrong with them, and that tables stay tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.datasets import (
    ImageSpec,
    SpecError,
    load_any_spec,
    load_image_spec,
    load_image_specs,
    load_spec,
    load_specs,
)
from millrace.datasets.docs import describe_spec

GOOD = """\
kind: images
description: Which flower a photo shows.
owner: garden
raw: {files: "photos/*/*.png", ready: done, tolerance: 0.02}
components: 0.95
split: {test: 0.25, order: 'v(\\d+)', gap: 0.05}
candidates:
  multinomial: {algorithm: multinomial_logistic_regression}
gates:
  accuracy: {minimum: 0.5}
"""
TABLE = """\
description: Which tree bears.
owner: garden
target: {column: bears, positive: "1", negative: "0"}
columns: {height: {role: numeric}}
candidates: {tree: {algorithm: decision_tree}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "flowers.yaml") -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_a_spec_says_what_the_steps_ask_for(write):
    spec = load_image_spec(write(GOOD))
    assert (spec.name, spec.metric, spec.target_column) == ("flowers", "accuracy", "label")
    assert (spec.network, spec.precision, spec.components) == ("mobilenet_v2", "auto", 0.95)
    assert (spec.decision, spec.private_columns()) == (None, [])
    assert spec.fingerprint("split") != spec.fingerprint("raw")


def test_each_kind_of_spec_is_loaded_by_its_own_function_only(write):
    flowers, trees = write(GOOD), write(TABLE, "trees.yaml")
    write(GOOD + "colour: red\n", "broken_flowers.yaml")
    write(TABLE + "colour: red\n", "broken_trees.yaml")
    tables, table_errors = load_specs(flowers.parent)
    images, image_errors = load_image_specs(flowers.parent)
    assert (set(tables), set(table_errors)) == ({"trees"}, {"broken_trees"})
    assert (set(images), set(image_errors)) == ({"flowers"}, {"broken_flowers"})
    assert isinstance(load_any_spec(flowers), ImageSpec)
    assert load_any_spec(trees).name == "trees"


@pytest.mark.parametrize("slip", ["owner: twice\n", "raw: {files: [\n"])
def test_a_spec_of_images_that_cannot_be_read_at_all_is_not_taken_for_tables(write, slip):
    folder = write(GOOD + slip).parent
    assert load_specs(folder) == ({}, {})
    assert list(load_image_specs(folder)[1]) == ["flowers"]


def test_a_table_is_not_loaded_as_images_and_the_reverse(write):
    with pytest.raises(SpecError, match=r"flowers.yaml:1: kind: found 'images'; write `kind: im"):
        load_spec(write(GOOD))
    with pytest.raises(SpecError, match="kind: found nothing; this field is required"):
        load_image_spec(write(TABLE, "trees.yaml"))
    with pytest.raises(SpecError, match="kind: found 'image'; write `kind: images` for images"):
        load_any_spec(write(GOOD.replace("kind: images", "kind: image")))


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("0.95", "1.5", 5, r"components: found 1\.5; write a number of components such as 100, or"),
        ("0.95", "0", 5, "components: found 0; write a number"),
        ("0.95", "true", 5, "components: found True; write a number"),
        ("0.95", "many", 5, "components: found many; write a number"),
        ("gap: 0.05", "gap: 0.4", 6, "split.gap: found test 0.25 and two gaps of 0.4; leave"),
        (", order: 'v(\\d+)'", "", 6, r"split.gap: found 0\.05; a gap needs `order:`"),
        ("v(\\d+)", "v\\d+", 6, r"split.order: found v\\d\+; write exactly one \( \) group"),
        ("v(\\d+)", "v(", 6, "split.order: found v.; write a regular expression Python can"),
        ("photos/*/*.png", "*.png", 4, "raw.files: found .*png; name the folder too"),
        ("photos/*/*.png", "../*/*.png", 4, "raw.files: found .*; name files inside the"),
        ("tolerance: 0.02", "delimiter: x", 4, "raw.delimiter: found the unknown key"),
        ("multinomial_logistic_regression", "xgboost", 8, "algorithm: found 'xgboost'; write one"),
        ("  accuracy:", "  top_3:", 10, r"gates.top_3: found the unknown metric .*top_3_accuracy"),
        ("owner: garden", "metric: roc_auc", 3, "metric: found the unknown metric 'roc_auc'"),
        ("kind: images", "kind: images\nprecision: fp8", 2, "precision: found 'fp8'; write one"),
        ("kind: images", "kind: images\nschedule: daily", 2, "schedule: found daily; write a cron"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_field_and_remedy(write, old, new, line, said):
    assert old in GOOD
    with pytest.raises(SpecError, match=rf"flowers.yaml:{line}: .*{said}"):
        load_image_spec(write(GOOD.replace(old, new)))


def test_the_projects_own_image_specs_load(project):
    specs, errors = load_image_specs(project / "include" / "datasets")
    assert not errors
    assert "fruits" in specs


def test_the_page_of_the_dag_says_how_images_become_labels(write):
    page = describe_spec(load_image_spec(write(GOOD)))
    assert page.startswith("# flowers\nWhich flower a photo shows.\n")
    for said in ("`mobilenet_v2`", "as many as keep 95%", "an arc of 25%", "accuracy >= 0.5"):
        assert said in page
    single = load_image_spec(write(GOOD.replace(", order: 'v(\\d+)', gap: 0.05", "")))
    assert "25% of the images, each by itself" in describe_spec(single)
