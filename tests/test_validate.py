"""Validation: everything wrong is found at once, bad rows are set aside with their reasons."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.problems import HIDDEN, LISTED
from millrace.validate import ROW_ID, Validation, validate
from tests.orchard import SPEC, checked, orchard, orchard_rows

HEAD = "tree,height,age,soil,side,gardener,plot,harvest,bears\n"
GOOD = "t1,2,3,clay,east,Mr. Oak,,9,yes\nt2,1,4,sand,north,Yew,P7,0,no\n"


def columns(**changes: dict[str, Any]) -> dict[str, Any]:
    """The columns of the orchard, with some options changed."""
    known = SPEC["columns"]
    return {"columns": {name: {**known[name], **changes.get(name, {})} for name in known}}


def raw(**options: Any) -> dict[str, Any]:
    return {"raw": options}


def found(result: Validation) -> list[tuple[str, int | None, str | None]]:
    return [(item["check"], item["row"], item["column"]) for item in result.report["problems"]]


def test_good_rows_are_typed(tmp_path):
    result = checked(tmp_path, orchard(), HEAD + GOOD)
    assert result.passed
    assert result.report["rows_read"] == result.report["rows_clean"] == 2
    assert result.clean.iloc[:, :4].to_dict("records") == [
        {ROW_ID: "t1", "tree": "t1", "height": 2.0, "age": 3.0},
        {ROW_ID: "t2", "tree": "t2", "height": 1.0, "age": 4.0},
    ]
    assert result.clean["bears"].tolist() == [1, 0]
    assert pd.isna(result.clean["plot"][0])
    assert result.quarantine.empty


def test_everything_wrong_is_reported_at_once_with_row_and_column(tmp_path):
    bad = (
        "t3,-1,3,clay,east,x,,0,yes\n"  # below the minimum
        "t4,tall,3,clay,east,x,,0,no\n"  # no number
        "t5,1,3,chalk,east,x,,0,no\n"  # no label of soil
        "t6,1,3,clay,east,x,,0,perhaps\n"  # no label of the target
        "t7,1,3,clay,east,x,,0,\n"  # no target
        "t8,1,3\n"  # too few fields
        "t9,1,3,clay,east,x,,0,no\n"
        "t9,2,3,clay,east,x,,0,no\n"  # an id twice
        ",2,old,rock,east,x,,0,maybe\n"  # four things
    )
    result = checked(tmp_path, orchard(), HEAD + GOOD + bad)
    assert not result.passed
    assert sorted(found(result), key=str) == sorted(
        [
            ("tolerance", None, None), ("minimum", 4, "height"), ("number", 5, "height"),
            ("values", 6, "soil"), ("label", 7, "bears"), ("required", 8, "bears"),
            ("fields", 9, None), ("unique id", 10, "tree"), ("unique id", 11, "tree"),
            ("required", 12, "tree"), ("number", 12, "age"), ("values", 12, "soil"),
            ("label", 12, "bears"),
        ], key=str,
    )  # fmt: skip
    assert result.report["problem_count"] == 13
    assert all(item["remedy"] for item in result.report["problems"])
    assert result.clean["tree"].tolist() == ["t1", "t2"]
    assert result.quarantine["row"].tolist() == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert result.quarantine["reasons"].iloc[-1] == (
        "age: number: 'old'; tree: required: (hidden); soil: values: 'rock'; bears: label: 'maybe'"
    )


def test_a_row_set_aside_is_kept_as_it_came(tmp_path):
    result = checked(
        tmp_path, orchard(raw={"tolerance": 0.5}), HEAD + GOOD + 't3,tall, ,é,,"a,b",,,no\n1,2\n'
    )
    assert result.passed
    records = result.quarantine["record"].tolist()
    assert json.loads(records[0]) == {
        "tree": "t3", "height": "tall", "age": "", "soil": "é", "side": "", "gardener": "a,b",
        "plot": "", "harvest": "", "bears": "no",
    }  # fmt: skip
    assert records[1] == "1,2"
    assert result.quarantine["reasons"].tolist() == [
        "height: number: 'tall'; soil: values: 'é'", "fields: 2 fields instead of 9",
    ]  # fmt: skip
    assert result.quarantine["file"].tolist() == ["part-1.csv", "part-1.csv"]


@pytest.mark.parametrize(("tolerance", "passed"), [(0.0, False), (0.32, False), (0.34, True)])
def test_tolerance_is_the_share_of_bad_rows_that_may_be_set_aside(tmp_path, tolerance, passed):
    result = checked(
        tmp_path, orchard(raw={"tolerance": tolerance}), HEAD + GOOD + "t3,x" + "," * 6 + ",no\n"
    )
    assert result.passed is passed
    assert (result.report["rows_clean"], result.report["rows_quarantined"]) == (2, 1)
    problems = {item["check"]: item for item in result.report["problems"]}
    assert ("tolerance" in problems) is not passed
    if not passed:
        assert problems["tolerance"]["found"] == "1 bad rows of 3 (33.33%)"


@pytest.mark.parametrize(
    ("text", "check", "column"),
    [
        (HEAD, "rows", None),
        ("", "header", None),
        (HEAD + GOOD.replace("no\n", "yes\n"), "two classes", "bears"),
        (HEAD + GOOD.replace("t1,2,3", "t1,2,").replace("t2,1,4", "t2,1,"), "all missing", "age"),
        (HEAD + GOOD + GOOD, "duplicate rows", None),
    ],
)
def test_what_only_the_whole_partition_shows_stops_the_run(tmp_path, text, check, column):
    result = checked(tmp_path, orchard(raw={"duplicate_rows": "error"}), text)
    assert not result.passed
    assert (check, column) in [
        (item["check"], item["column"])
        for item in result.report["problems"]
        if item["severity"] == "error"
    ]
    assert json.loads(json.dumps(result.report)) == result.report


def test_a_first_row_that_is_no_header_is_not_repeated(tmp_path):
    result = checked(tmp_path, orchard(), GOOD.replace("t1", "secret"))
    assert not result.passed
    assert found(result) == [("header", 1, None)]
    assert "secret" not in json.dumps(result.report)


def test_a_categorical_column_without_a_value_stops_the_run_too(tmp_path):
    text = (HEAD + GOOD).replace(",east,", ",,").replace(",north,", ",,")
    assert ("all missing", None, "side") in found(checked(tmp_path, orchard(), text))


def test_repeated_rows_are_dropped_kept_or_refused(tmp_path):
    text = HEAD + GOOD + GOOD
    dropped = checked(tmp_path, orchard(), text)
    assert dropped.passed
    assert (dropped.report["rows_duplicate"], dropped.report["rows_clean"]) == (2, 2)
    assert ("duplicate rows", 4, None) in found(dropped)
    kept = checked(tmp_path, orchard(raw={"duplicate_rows": "keep"}), text)
    assert [check for check, _, _ in found(kept)].count("unique id") == 4
    assert not kept.passed


def test_repeats_across_files_count(tmp_path):
    result = checked(tmp_path, orchard(), HEAD + GOOD, HEAD + GOOD)
    assert result.report["rows_duplicate"] == 2
    assert result.report["problems"][0]["file"] == "part-2.csv"


def test_private_values_never_reach_the_report(tmp_path):
    bad = "secret-id,1,3,clay,east,secret\x00name,,0,no\n" * 2
    more = "secret-id,2,3,clay,east," + "secret" * 3000 + ",,0,no\nsecret-id,3\n"
    spec = orchard(raw={"duplicate_rows": "keep"})
    result = checked(tmp_path, spec, HEAD + GOOD + bad + more)
    assert {"NUL byte", "at most 10000 bytes", "unique id", "fields"} <= {
        check for check, _, _ in found(result)
    }
    assert "secret" not in json.dumps(result.report)
    assert "secret" not in " ".join(result.quarantine["reasons"])
    hidden = [item["found"] for item in result.report["problems"] if item["column"] == "tree"]
    assert set(hidden) == {HIDDEN}


def test_nul_bytes_and_endless_fields_are_set_aside(tmp_path):
    text = HEAD + GOOD + f"t3,1,3,clay,a\x00b,x,,0,no\nt4,1,3,clay,{'é' * 30},x,,0,no\n"
    result = checked(tmp_path, orchard(raw={"max_field_bytes": 50}), text)
    assert ("NUL byte", 4, "side") in found(result)
    assert ("at most 50 bytes", 5, "side") in found(result)
    assert result.clean["tree"].tolist() == ["t1", "t2"]


def test_a_second_header_inside_is_set_aside(tmp_path):
    result = checked(tmp_path, orchard(raw={"tolerance": 0.5}), HEAD + GOOD + HEAD)
    assert result.passed
    assert result.quarantine["row"].tolist() == [4]


def test_missing_markers_hold_for_their_column_and_a_blank_is_always_missing(tmp_path):
    spec = orchard(
        raw={"missing": [" ? "]}, **columns(age={"missing": ["-1"]}, side={"missing": ["unknown"]})
    )
    text = HEAD + GOOD + "t3,?,-1,?,unknown,unknown,,0,no\nt4,1,?,,,-1,,0,yes\n"
    result = checked(tmp_path, spec, text)
    assert result.passed
    clean = result.clean.set_index("tree")
    assert clean.loc["t3", ["height", "age", "soil", "side"]].isna().all()
    assert clean.loc["t4", ["age", "soil", "side"]].isna().all()
    assert clean.loc[["t3", "t4"], "gardener"].tolist() == ["unknown", "-1"]


def test_a_marker_of_another_column_is_a_value(tmp_path):
    spec = orchard(**columns(age={"missing": ["-1"]}))
    result = checked(tmp_path, spec, HEAD + GOOD + "t3,-1,-1,clay,east,x,,0,no\n")
    assert ("minimum", 4, "height") in found(result)


def test_spellings_become_labels(tmp_path):
    spec = orchard(
        target={**SPEC["target"], "spellings": {"yes": ["Y", "1", "no!"], "no": ["N"]}},
        **columns(soil={"spellings": {"clay": ["Clay", "CLAY"], "sand": ["clay?"]}}),
    )
    text = HEAD + "a,1,1,CLAY,e,x,,0,Y\nb,1,1,clay?,e,x,,0,N\nc,1,1,clay,e,x,,0,no!\n"
    result = checked(tmp_path, spec, text)
    assert result.clean["soil"].tolist() == ["clay", "sand", "clay"]
    assert result.clean["bears"].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.5", ".", 1.5), ("1.5", ",", None), ("1,5", ",", 1.5), ("1,5", ".", None),
        ("1.234.567,8", ",", 1234567.8), ("1.234", ",", 1234.0), ("12.34", ",", None),
        ("1.2345", ",", None), ("1,234.5", ".", None), ("1.234,5,6", ",", None),
        ("-0,5", ",", -0.5),
        ("+7", ",", 7.0), ("1e-3", ".", 0.001), ("inf", ".", None), ("nan", ".", None),
        ("0x10", ".", None), ("1_000", ".", None), ("True", ".", None), ("1e999", ".", None),
        ("123456789012345678901", ".", 123456789012345678901.0), ("1 000", ".", None),
    ],
)  # fmt: skip
def test_a_number_is_read_exactly_or_refused(tmp_path, text, decimal, number):
    row = GOOD.replace("t1,2,3", f't1,2,"{text}"')
    result = checked(tmp_path, orchard(raw={"decimal": decimal, "tolerance": 1.0}), HEAD + row)
    if number is None:
        assert ("number", 2, "age") in found(result)
        assert repr(text) in result.quarantine["reasons"][0]
    else:
        assert result.clean["age"][0] == number


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_any_float_is_read_bit_for_bit(tmp_path_factory, numbers):
    spec = orchard(
        columns={"age": {"role": "numeric"}}, features={}, raw={"duplicate_rows": "keep"}
    )
    lines = [f"{number!r},{'yes' if place else 'no'}\n" for place, number in enumerate(numbers)]
    result = checked(tmp_path_factory.mktemp("any"), spec, "age,bears\n" + "".join(lines))
    assert result.clean["age"].tolist() == numbers
    assert spec.id_column is None
    assert result.clean[ROW_ID].tolist() == [str(place + 1) for place in range(len(numbers))]


@pytest.mark.parametrize(
    ("option", "check"),
    [({"minimum": 2}, "minimum"), ({"maximum": 1.5}, "maximum"), ({"required": True}, "required")],
)
def test_each_rule_of_a_column_is_checked(tmp_path, option, check):
    text = HEAD + GOOD.replace("t2,1,4", "t2,,4" if check == "required" else "t2,1,4")
    result = checked(tmp_path, orchard(**columns(height=option)), text)
    row = {"minimum": 3, "maximum": 2, "required": 3}[check]
    assert (check, row, "height") in found(result)


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ({"minimum": 2}, "write at least 2"),
        ({"minimum": 1_234_567}, "write at least 1234567"),
        ({"maximum": 1.5}, "write at most 1.5"),
        ({"maximum": 0}, "write at most 0"),
    ],
)
def test_a_remedy_writes_a_bound_as_a_person_would(tmp_path, option, remedy):
    result = checked(tmp_path, orchard(**columns(height=option)), HEAD + GOOD)
    assert remedy in [item["remedy"] for item in result.report["problems"]]


def test_a_cell_that_is_no_number_is_not_missing_too(tmp_path):
    spec = orchard(**columns(height={"required": True}))
    bad = "t3,tall,3,clay,east,x,,0,yes\nt4,,3,clay,east,x,,0,no\nt5,nan,3,clay,east,x,,0,no\n"
    result = checked(tmp_path, spec, HEAD + GOOD + bad)
    assert found(result) == [
        ("tolerance", None, None), ("number", 4, "height"), ("required", 5, "height"),
        ("number", 6, "height"),
    ]  # fmt: skip
    assert result.report["problem_count"] == 4
    assert result.quarantine["reasons"].tolist() == [
        "height: number: 'tall'", "height: required: nothing", "height: number: 'nan'",
    ]  # fmt: skip


def test_each_missing_id_is_reported_as_missing(tmp_path):
    bad = ",1,3,clay,east,x,,0,yes\n,2,3,clay,east,x,,0,no\n"
    result = checked(tmp_path, orchard(), HEAD + GOOD + bad)
    assert {("required", 4, "tree"), ("required", 5, "tree")} <= set(found(result))


def test_the_input_is_left_as_it_was(tmp_path):
    from millrace.ingest import read_raw

    path = tmp_path / "a.csv"
    path.write_text(HEAD + GOOD + GOOD + "t3,x,?,clay,,,,,no\n")
    table = read_raw([path], orchard())
    before, problems = table.frame.copy(deep=True), list(table.problems)
    validate(table, orchard())
    pd.testing.assert_frame_equal(table.frame, before)
    assert table.problems == problems


def test_very_many_bad_rows_are_all_set_aside_and_the_report_stays_short(tmp_path):
    rows = 200_000
    lines = np.full(rows, "1,3,clay,no", dtype=object)
    lines[::2] = "2,4,sand,yes"
    lines[::5] = "tall,old,rock,perhaps"
    text = "tree,height,age,soil,bears\n" + "\n".join(
        f"t{number},{line}" for number, line in enumerate(lines)
    )
    names = ("tree", "height", "age", "soil")
    spec = orchard(columns={name: SPEC["columns"][name] for name in names}, features={})
    result = checked(tmp_path, spec, text)
    assert result.report["rows_quarantined"] == len(result.quarantine) == rows // 5
    assert (result.quarantine["reasons"] == (
        "height: number: 'tall'; age: number: 'old'; soil: values: 'rock'; bears: label: 'perhaps'"
    )).all()  # fmt: skip
    assert len(result.report["problems"]) == LISTED
    assert result.report["problem_count"] == 4 * rows // 5 + 1
    assert result.report["problems"][0]["check"] == "tolerance"
    assert len(json.dumps(result.report)) < 500_000


def test_rows_of_the_made_up_data_pass(tmp_path):
    assert checked(tmp_path, orchard(), orchard_rows(300)).passed
