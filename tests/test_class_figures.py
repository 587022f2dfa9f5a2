"""Charts and pages of many classes stay readable, whatever the classes are called."""

from __future__ import annotations

import numpy as np
import pytest

from millrace.pages.class_figures import confusion_chart, map_chart, scree_chart
from millrace.pages.components import is_random, job_facts
from millrace.pages.evaluation import page_values


def test_a_confusion_picture_names_each_label_and_counts_each_mistake():
    matrix = np.diag(np.arange(11, 35))
    matrix[2, 5] = 7777
    chart = confusion_chart(matrix, [f"Variety {n}" for n in range(24)])
    svg = chart.svg()
    for n in range(24):
        assert svg.count(f">Variety {n}<") == 2  # beside the rows and below the columns
    assert ">7,777<" in svg
    assert chart.alt == f"{matrix.trace():,} of {matrix.sum():,} test images were named rightly."


def test_of_very_many_labels_those_confused_most_are_shown():
    matrix = np.eye(60, dtype=int) * 5
    matrix[50, 59] = 3
    chart = confusion_chart(matrix, [f"label{n:02}" for n in range(60)])
    svg = chart.svg()
    assert ">label50<" in svg
    assert ">label59<" in svg
    assert ">label49<" not in svg
    assert "The 40 labels of 60 that are confused most." in chart.note


@pytest.mark.filterwarnings("ignore:Glyph")  # of a font that a browser has and this machine lacks
@pytest.mark.parametrize("name", ["$x_1$", "a & b <c>", "\u82f9\u679c", "x" * 80, "a_b^c\\d"])
def test_any_label_can_be_drawn(name):
    names = [name, "plain"]
    assert "<svg" in confusion_chart(np.array([[3, 1], [0, 4]]), names).svg()
    chart = map_chart(np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2, names,
                      np.array([0.5, 0.2, 0.1]))  # fmt: skip
    assert chart.png().startswith(b"\x89PNG")


def test_one_component_and_a_class_without_images_can_be_drawn():
    values, number = np.arange(5.0)[:, None], np.zeros(5, int)
    assert map_chart(values, number, ["a", "b"], np.array([1.0])).png()
    chart = scree_chart(np.array([0.6]))
    assert chart.alt == "Share of the variance: 60.0 % in the first component, 60.0 % in all 1."
    assert "<svg" in chart.svg()


def test_equal_figures_give_equal_bytes():
    matrix = np.array([[3, 1], [0, 4]])
    first, again = (confusion_chart(matrix, ["a", "b"]).svg() for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("weights", "random"), [("random (seed 0)", True), ("imagenet", False), ("of the file", False)]
)
def test_random_weights_are_told_from_others(weights, random):
    assert is_random({"weights": weights}) is random
    assert job_facts({"network": {"weights": weights}})["random"] is random


def test_candidates_are_ranked_by_a_metric_of_classes():
    names = ("accuracy", "top_3_accuracy", "macro_f1", "log_loss")

    def candidate(name: str, loss: float) -> dict:
        return {"candidate": name, "metrics": {**dict.fromkeys(names, 0.5), "log_loss": loss}}

    summary = {"metric": "log_loss", "winner": "b",
               "candidates": [candidate("a", 0.9), candidate("b", 0.2)]}  # fmt: skip
    values = page_values(summary, names)
    assert [item["candidate"] for item in values["candidates"]] == ["b", "a"]
    assert values["metrics"][0] == "log_loss"
    assert values["best"]["log_loss"] == 0.2
