"""Whatever a file may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.dataset_draft import DraftError, draft_spec
from millrace.dataset_draft.text import scalar
from millrace.dataset_draft.values import same_label, words_of
from millrace.datasets import file as spec_file
from millrace.datasets import load_spec
from tests.dataset_draft.sample import written


@given(st.text())
def test_any_text_is_read_back_from_the_yaml(text: str) -> None:
    loader = spec_file._Loader(f"{{key: {scalar(text)}, {scalar('x' + text)}: 1}}")
    assert loader.get_single_data() == {"key": text, "x" + text: 1}


@given(st.text(max_size=8))
def test_spellings_of_a_label_are_one(text: str) -> None:
    assert same_label(text.upper().lower()) == same_label(f" {text.upper().lower()}  ")
    assert same_label("1.0") == same_label("1") == same_label("1.00") != same_label("10")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("customerID", ["customer", "id"]),
        ("SK_ID_CURR", ["sk", "id", "curr"]),
        ("IDNumber", ["id", "number"]),
        ("Phone 2", ["phone"]),
        ("", []),
    ],
)
def test_words_of_a_name(name: str, words: list[str]) -> None:
    assert words_of(name) == words


VALUES = st.one_of(
    st.sampled_from(["", "?", "NA", "yes", "no", "1", "0", "1,5", "2.5", "-999", " Yes ", "a b"]),
    st.integers(-999, 9999).map(str),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
)
NAMES = st.one_of(
    st.sampled_from("id name target y Email closed_date customer_no code".split()),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=10),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_drafted_loads_and_fits_its_sample(data: st.DataObject, tmp_path: Path) -> None:
    """A file of any text is either refused with a reason, or the draft loads and validates."""
    names = data.draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    rows = data.draw(st.lists(st.tuples(*[VALUES] * (len(names) - 1)), min_size=2, max_size=30))
    lines = [names, *([*row, ["yes", "no"][place % 2]] for place, row in enumerate(rows))]
    delimiter = data.draw(st.sampled_from([",", ";", "\t", "|"]))
    path = written(tmp_path, lines, delimiter=delimiter)  # type: ignore[arg-type]
    try:
        draft, text, report = draft_spec(path, "sample")
    except DraftError as error:
        assert str(error)
        return
    target = tmp_path / "sample.yaml"
    target.write_text(text, encoding="utf-8")
    spec = load_spec(target)
    assert report["passed"]
    assert {*spec.columns, spec.target.column} == {*draft.dialect.header}
    assert len([c for c in spec.columns.values() if c.minimum is not None]) == 0
    assert spec_file.SpecFile.read(target).values["target"]["positive"] == spec.target.positive
