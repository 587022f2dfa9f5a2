"""What answers look like: a word, a sign and a colour; nothing of a request becomes markup."""

from __future__ import annotations

import re
from typing import Any

import pytest

from serving.ui import answers
from serving.ui.changes import Change
from tests.serving.ui.conftest import PAGE


def answer(probability: float, threshold: float = 0.4, **more: Any) -> dict[str, Any]:
    return {"class": "", "probability": probability, "threshold": threshold, "version": "7",
            "missing": [], **more}  # fmt: skip


@pytest.mark.parametrize(
    ("probability", "good", "word", "tone"),
    [
        (0.4, "negative", "Leaves", "bad"),
        (0.39, "negative", "Stays", "good"),
        (0.4, "positive", "Leaves", "good"),
        (0.39, "positive", "Stays", "bad"),
    ],
)
def test_a_verdict_has_a_word_a_sign_and_a_colour(probability, good, word, tone):
    html = answers.verdict(PAGE | {"good": good}, answer(probability))
    assert f'class="verdict {tone}"' in html
    assert f'<span aria-hidden="true">{answers.SIGNS[tone]}</span> {word}</p>' in html
    assert "40.0 % on" in html and "Version 7" in html


def test_a_verdict_says_what_was_not_known() -> None:
    missing = ["a", "b", "c", "d", "e", "f", "<g>"]
    html = answers.verdict(PAGE, answer(0.1, missing=missing))
    assert "without a, b, c, d, e and 2 more." in html
    assert "&lt;h&gt;" in answers.verdict(PAGE, answer(0.1, missing=["<h>"]))


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 1.0])
def test_the_needle_of_the_gauge_points_at_the_probability(probability: float) -> None:
    html = answers.gauge(PAGE, answer(probability))
    found = re.search(r'class="needle" x1="130" y1="130" x2="([\d.]+)" y2="([\d.]+)"', html)
    assert found
    x, y = float(found[1]), float(found[2])
    assert x == pytest.approx(130 - 78 * {0: 1, 0.25: 0.7071, 0.5: 0, 1: -1}[probability], abs=0.1)
    assert y <= 130
    assert 'role="img" aria-label="Gauge: ' in html and 'class="verdict ' in html


def test_the_colours_of_the_gauge_follow_what_is_good() -> None:
    first = re.search(r'<path class="(\w+)"', answers.gauge(PAGE, answer(0.1)))
    other = re.search(r'<path class="(\w+)"', answers.gauge(PAGE | {"good": "positive"}, answer(1)))
    assert first and other and (first[1], other[1]) == ("good", "bad")


def test_the_ruler_holds_both_marks() -> None:
    html = answers.ruler(answer(0.02, threshold=0.11))
    found = re.search(r'class="filled".*?width="([\d.]+)".*?x1="([\d.]+)"', html)
    assert found and 0 < float(found[1]) < float(found[2]) < 400


def test_bars_show_the_three_most_probable() -> None:
    probabilities = {"Plum": 0.1, "<Pear>": 0.6, "Lemon": 0.25, "Fig": 0.05}
    html = answers.bars(answer(0.6, probabilities=probabilities))
    assert re.findall(r"<li><span>(.*?)</span>", html) == ["&lt;Pear&gt;", "Lemon", "Plum"]
    assert "width:60.0%" in html


def test_a_refusal_names_each_thing_to_mend() -> None:
    html = answers.refusal(["fee: write a number", "<b>"])
    assert "<li>fee: write a number</li><li>&lt;b&gt;</li>" in html


def test_changes_are_told_with_the_others_that_turn_nothing() -> None:
    names = {"fee": "Fee", "club": "Club", "x": "<X>"}
    found = [Change("fee", 40.0, 12.5, 0.31, 0.6), Change("club", "north", "south", 0.2, 1.0)]
    html = answers.turned(PAGE, answer(0.7), found, names)
    assert "&ldquo;Stays&rdquo;" in html
    assert "<strong>Fee</strong>: from 40 to 12.5 (probability 31.00 %)" in html
    assert "from north to south" in html and "would not: &lt;X&gt;." in html
    assert "None of these alone" in answers.turned(PAGE, answer(0.1), [], names)
