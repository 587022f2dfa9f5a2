"""What a request may hold, and what is said of one that may not be answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.forms import Refused, RequestForm

FIELDS: list[dict[str, Any]] = [
    {"name": "age", "type": "number", "minimum": 18, "maximum": 120, "required": True,
     "example": 40.0, "description": "Age in years"},
    {"name": "Fee paid", "type": "number", "example": 10.5},
    {"name": "club", "type": "text", "values": ["north", "south"], "example": "north",
     "spellings": {"north": ["N"]}, "missing": ["?"]},
    {"name": "note", "type": "text", "example": ""},
]  # fmt: skip


@pytest.fixture(scope="module")
def form() -> RequestForm:
    return RequestForm("members", FIELDS, most_rows=3)


def test_a_record_and_a_list_of_records(form: RequestForm) -> None:
    assert form.parse(b'{"age": 20}') == ([{"age": 20.0}], False)
    assert form.parse(b' [{"age": 20}, {"age": 30.5, "club": null}]') == (
        [{"age": 20.0}, {"age": 30.5, "club": None}], True,
    )  # fmt: skip
    assert form.parse(json.dumps(form.example).encode()) == ([form.example], False)


def test_other_spellings_and_marks_of_missing_values_are_taken(form: RequestForm) -> None:
    for text in ("north", "N", "?"):
        assert form.parse(json.dumps({"age": 20, "club": text}).encode())[0][0]["club"] == text


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        (b'{"age": 17}', ["age"], "age: Input should be greater than or equal to 18; it accepts"
         " a number from 18 to 120"),
        (b'{"age": "20"}', ["age"], "age: Input should be a valid number; it accepts"),
        (b'{"age": true}', ["age"], "age: Input should be a valid number"),
        (b'{"age": null}', ["age"], "age: Input should be a valid number"),
        (b'{"age": NaN}', ["age"], "age: Input should be a finite number"),
        (b'{"age": 1e999}', ["age"], "age: Input should be"),
        (b'{"age": 20, "Fee paid": -1e16}', ["Fee paid"], "Fee paid: Input should be greater than"
         " or equal to -1000000000000000; it accepts a number, or null"),
        (b'{"Fee paid": 3}', ["age"], "age: Field required; it accepts a number from 18 to 120"),
        (b'{"age": 20, "club": "west"}', ["club"], "club: Input should be 'north', 'south', 'N' or"
         " '?'; it accepts one of north, south, or null"),
        (b'{"age": 20, "club": 1}', ["club"], "club: Input should be"),
        (b'{"age": 20, "note": ["x"]}', ["note"], "note: Input should be a valid string; it accepts"
         " text, or null"),
        (b'{"agee": 20, "age": 20}', ["agee"], "agee: the model has no such field; did you mean"
         " 'age'?"),
        (b'{"age": 20}{', [], "Invalid JSON"),
        (b'\xff\xfe', [], "Invalid JSON"),
        (b"", [], "Invalid JSON"),
        (b"3", [], "Input should be an object"),
        (b"[]", [], "List should have at least 1 item"),
        (b"[" + b'{"age": 20},' * 3 + b'{"age": 20}]', [], "List should have at most 3 items"),
        (b"[[false]]", [0], "Input should be an object"),
        (b'[{"age": 20}, {"age": 1}]', [1, "age"], "age: Input should be greater"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_accepted(
    form: RequestForm, body: bytes, place: list[Any], message: str
) -> None:
    with pytest.raises(Refused) as raised:
        form.parse(body)
    [problem] = raised.value.problems
    assert problem["loc"] == ["body", *place]
    assert problem["message"].startswith(message)


def test_every_problem_is_named_at_once_and_no_value_is_repeated(form: RequestForm) -> None:
    sent = {"age": 300, "club": "Quetzalcoatlus", "note": 7, "fee": 1}
    with pytest.raises(Refused) as raised:
        form.parse(json.dumps(sent).encode())
    assert {problem["loc"][-1] for problem in raised.value.problems} == {*sent}
    assert "Quetzalcoatlus" not in str(raised.value.problems)
    assert "300" not in str(raised.value.problems)


def test_a_name_that_is_no_field_is_cut(form: RequestForm) -> None:
    with pytest.raises(Refused) as raised:
        form.parse(json.dumps({"age": 20, "x" * 5000: 1}).encode())
    assert len(str(raised.value)) < 200


def test_text_longer_than_a_field_of_the_data_may_be_is_refused(form: RequestForm) -> None:
    with pytest.raises(Refused, match="at most 10000 characters"):
        form.parse(json.dumps({"age": 20, "note": "x" * 10_001}).encode())


def test_a_record_of_nothing_is_refused() -> None:
    form = RequestForm("members", FIELDS[1:], most_rows=3)
    for body, place in ((b"{}", ["body"]), (b'[{"note": "x"}, {}]', ["body", 1])):
        with pytest.raises(
            Refused, match="an empty record; write some of Fee paid, club"
        ) as raised:
            form.parse(body)
        assert raised.value.problems[0]["loc"] == place
