"""The transformation that travels with a model: each feature is what its kind says."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace import transformation
from millrace.transformation import apply, as_array, band_names, columns_of, feature_names

NUMBER, TEXT = {"name": "n", "type": "number"}, {"name": "t", "type": "text"}


def made(item: dict[str, Any], fills: dict[str, float | None] | None = None, **columns: Any):
    """One engineered feature of columns `name=[values]`: text where a value is text."""
    kinds = {
        name: "text" if any(isinstance(value, str) for value in values) else "number"
        for name, values in columns.items()
    }
    state = {
        "inputs": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "engineered": [{"name": "made", **item}],
        "features": [
            {"name": name, "how": "number", "fill": (fills or {}).get(name)}
            for name, kind in kinds.items()
            if kind == "number"
        ],
    }
    frame = pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
    return transformation.engineer(state, columns_of(state, frame))["made"].tolist()


EXTRACT = {"kind": "extract", "column": "t", "pattern": r"(\w+)\.", "spellings": {}, "keep": [],
           "other": "Other"}  # fmt: skip


def test_extract_takes_the_first_group():
    texts = ["Mr. Oak", "Mrs. Mr. Elm", "Yew", "", None]
    assert made(EXTRACT, t=texts) == ["Mr", "Mrs", "Other", "Other", "Other"]


def test_extract_respells_and_keeps_what_it_is_told():
    item = {**EXTRACT, "spellings": {"Ms": ["Mrs", "Miss"]}, "keep": ["Ms", "Mr"], "other": "Rare"}
    texts = ["Mrs. A", "Miss. B", "Ms. C", "Mr. D", "Dr. E"]
    assert made(item, t=texts) == ["Ms", "Ms", "Ms", "Mr", "Rare"]


def test_extract_of_an_optional_group_that_is_absent():
    assert made({**EXTRACT, "pattern": "a(b)?"}, t=["ab", "a", "x"]) == ["b", "Other", "Other"]


def test_sum_adds_filled_numbers_and_a_constant():
    item = {"kind": "sum", "columns": ["a", "b"], "plus": 1.0}
    assert made(item, {"a": 10.0, "b": 0.0}, a=[1, np.nan], b=[2, 3]) == [4, 14]
    assert np.isnan(made(item, a=[np.nan], b=[3.0])[0])


def test_ratio_by_zero_is_missing():
    item = {"kind": "ratio", "numerator": "a", "denominator": "b"}
    with np.errstate(all="raise"):
        found = made(item, {"b": 4.0}, a=[1, 1, 0, np.nan], b=[2, 0, np.nan, 2])
    assert found[0] == 0.5
    assert np.isnan(found[1])
    assert found[2] == 0
    assert np.isnan(found[3])


def test_present_sees_what_came_and_not_what_was_filled():
    item = {"kind": "present", "column": "t"}
    assert made(item, t=["x", "", None]) == [1, 0, 0]
    assert made({**item, "column": "n"}, {"n": 5.0}, n=[0, np.nan]) == [1, 0]


def test_count_counts_columns_that_hold_a_value():
    item = {"kind": "count", "columns": ["a", "b"], "values": ["Yes", "On"]}
    assert made(item, a=["Yes", "No", None], b=["On", "Yes", ""]) == [2, 1, 0]


def test_a_band_includes_its_lower_edge():
    names = ["below 0", "0 to 2.5", "2.5 and more"]
    assert band_names([0, 2.5]) == names
    item = {"kind": "bins", "column": "n", "edges": [0, 2.5]}
    numbers = [-0.1, 0, 2.4, 2.5, 9, np.nan]
    assert made(item, n=numbers) == [names[0], names[1], names[1], names[2], names[2], None]
    assert made(item, {"n": 1.0}, n=[np.nan]) == [names[1]]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5, unique=True).map(sorted),
    st.lists(st.floats(-1e7, 1e7) | st.sampled_from([0.0, -0.0]), min_size=1, max_size=20),
)
def test_bands_agree_with_pandas(edges, numbers):
    found = transformation._bands(np.array(numbers), edges)
    cut = pd.cut(np.array(numbers), [-np.inf, *edges, np.inf], right=False, labels=False)
    assert found.tolist() == [band_names(edges)[place] for place in cut]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_as_text_are_exact(numbers):
    texts = [repr(number) for number in numbers]
    assert as_array(texts, NUMBER).tolist() == numbers
    assert as_array(pd.Series(texts, dtype="object"), NUMBER).tolist() == numbers


def test_missing_is_nan_in_numbers_and_none_in_text():
    found = as_array(["1", "", None], NUMBER)
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    assert as_array(["a", "", None, np.nan, pd.NA], TEXT).tolist() == ["a", None, None, None, None]


def test_a_label_that_comes_as_a_number_is_its_text():
    assert as_array([3, 1.0, 2.5, True, None, "x"], TEXT).tolist() == [
        "3", "1", "2.5", "True", None, "x",
    ]  # fmt: skip
    assert as_array(np.array([1.0, np.nan]), TEXT).tolist() == ["1", None]


def test_text_where_numbers_are_needed_is_an_error_that_names_the_column():
    with pytest.raises(ValueError, match=r"the column 'n' must hold numbers: .*tall"):
        as_array(["1", "tall"], NUMBER)


def test_an_absent_column_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"lacks the columns \['t'\]; it has \['n'\]"):
        columns_of({"inputs": [NUMBER, TEXT]}, pd.DataFrame({"n": [1]}))


def test_names_and_columns_agree():
    state = {
        "inputs": [NUMBER, TEXT], "engineered": [],
        "features": [
            {"name": "t", "how": "onehot", "categories": ["a", "b"], "fill": "b"},
            {"name": "n", "how": "number", "fill": 7.0},
            {"name": "t", "how": "label", "categories": ["a", "b"], "fill": "a"},
        ],
    }  # fmt: skip
    assert feature_names(state) == ["t=a", "t=b", "n", "t"]
    frame = pd.DataFrame({"n": [1, None], "t": ["c", None]})
    found = apply(state, columns_of(state, frame))
    assert found.tolist() == [[0, 0, 1, -1], [0, 1, 7, 0]]
    assert apply(state, columns_of(state, frame.iloc[:0])).shape == (0, 4)


def sent() -> list[Path]:
    from millrace.training import source_files

    return source_files()


@pytest.mark.parametrize("path", sent(), ids=lambda path: path.name)
def test_what_is_sent_is_python_3_9(path):
    """Containers that train and serve may run Python 3.9."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert not [name for name in imported if name.startswith("millrace")]
    assert "__future__" in imported  # annotations of newer Python are not evaluated


def test_what_is_sent_imports_under_python_3_9(tmp_path):
    """The real thing, where such an interpreter with pandas stands on this machine."""
    found = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
        "versions/3.9.*/bin/python"
    ))  # fmt: skip
    if not found:
        pytest.skip("no Python 3.9 on this machine")
    check = [str(found[-1]), "-c", "import numpy, pandas"]
    if subprocess.run(check, capture_output=True, check=False).returncode:
        pytest.skip("the Python 3.9 of this machine has no pandas")
    for path in sent():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    modules = ", ".join(path.stem for path in sent())
    done = subprocess.run(
        [str(found[-1]), "-c", f"import {modules}"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
