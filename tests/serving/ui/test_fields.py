"""Inputs are made from cards: the right kind, labelled, described, filled."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from serving.forms import RequestForm
from serving.ui.fields import UNKNOWN, labels_of, record_of, signature, widgets
from serving.ui.words import LONGEST, about, complaint, name_of, shown_as

STATE = {"features": [
    {"name": "plan", "how": "label", "categories": ["A", "B", "(missing)"], "fill": "(missing)"},
    {"name": "age", "how": "number", "fill": 40.0},
]}  # fmt: skip


def field(name: str, kind: str = "text", example: Any = "", **facts: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "example": example, **facts}


def only(given: dict[str, Any]) -> Any:
    [found] = widgets([given], STATE)
    return found


def test_a_number_has_its_range_in_words_and_its_example() -> None:
    number = only(field("age", "number", 41.5, description="Age in years", minimum=0, maximum=120))
    assert isinstance(number, gr.Number)
    assert (number.label, number.info, number.value) == (
        "Age in years", "age. A number from 0 to 120", 41.5
    )  # fmt: skip
    assert number.minimum is None and number.maximum is None, "the API's check tells more"


def test_listed_values_are_offered_and_that_one_is_not_known() -> None:
    choice = only(field("plan", values=["x", "y"], example="y"))
    assert isinstance(choice, gr.Dropdown)
    assert [label for label, _ in choice.choices] == ["x", "y", UNKNOWN]
    assert choice.value == "y"
    needed = only(field("plan", values=["x", "y"], example="y", required=True))
    assert [label for label, _ in needed.choices] == ["x", "y"]
    assert "required" in (needed.info or "").lower()


def test_learnt_labels_are_offered_where_none_are_listed() -> None:
    choice = only(field("plan", example="(missing)"))
    assert [value for _, value in choice.choices] == ["A", "B", ""]
    assert choice.value == ""
    assert labels_of(field("other"), STATE) == []


def test_other_text_is_typed() -> None:
    text = only(field("name", example="Doe, Jane", personal=True))
    assert isinstance(text, gr.Textbox)
    assert text.value == "Doe, Jane" and "never recorded" in text.info
    assert text.elem_classes == ["personal"]


def test_every_input_has_a_label() -> None:
    fields = [field("a", "number", 1.0), field("b", description="x" * (LONGEST + 1))]
    assert [each.label for each in widgets(fields, STATE)] == ["a", "b"]
    assert about(fields[1]).startswith("xxx")
    assert name_of(field("c", description=" Short ")) == "Short"


def test_what_is_empty_is_not_sent() -> None:
    fields = [field("a", "number"), field("b"), field("c", "number"), field("d")]
    assert record_of(fields, [None, "", 0, "x"]) == {"c": 0, "d": "x"}


def test_another_set_of_inputs_has_another_signature() -> None:
    one, other = [field("a"), field("b")], [field("b"), field("a")]
    assert signature(one) == signature([field("a", example="z"), field("b")])
    assert signature(one) != signature(other) != signature([field("b", "number"), field("a")])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"age": -1}', "Age in years: write a number from 0, or leave it empty."),
        (b'{"plan": "z"}', "plan: write one of x, y."),
        (b'{"age": 1}', "plan: write one of x, y."),
    ],
)
def test_complaints_are_in_plain_words(body: bytes, said: str) -> None:
    fields = [field("age", "number", description="Age in years", minimum=0),
              field("plan", values=["x", "y"], required=True)]  # fmt: skip
    form = RequestForm("d", fields, 10)
    with pytest.raises(ValueError) as refused:
        form.parse(body)
    assert said in [complaint(each, form.fields) for each in refused.value.problems]  # type: ignore[attr-defined]


def test_a_card_of_before_there_were_pages_has_a_verdict() -> None:
    target = {"column": "left", "positive": "yes", "negative": "no"}
    page = shown_as({"dataset": "club", "target": target})
    assert (page["kind"], page["title"], page["positive"]) == ("verdict", "club", "left: yes")
    assert shown_as({"dataset": "fruits", "target": None})["kind"] == "photo"
