"""Specs: every error names file, line and field, what was found and what to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.datasets import DatasetSpec, load_spec, load_specs
from millrace.datasets.file import SpecError
from tests.orchard import SPEC, orchard

QUICK = settings(deadline=None, max_examples=40)

GOOD = """\
description: Which trees bear fruit.
owner: gardeners
schedule: "0 6 * * *"
raw:
  delimiter: ","
target:
  column: bears
  positive: Yes
  negative: No
columns:
  tree: {role: id}
  height: {role: numeric}
  soil: {role: categorical}
  harvest: {role: outcome}
features:
  Tall:
    kind: bins
    column: height
    edges: [1, 2, 3]
candidates:
  forest:
    algorithm: random_forest
decision: {threshold: 0.5}
metric: roc_auc
gates:
  roc_auc: {minimum: 0.8}
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_spec(text: str, name: str = "orchard.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_spec


def problems_of(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_a_good_spec_loads_and_is_named_after_its_file(write):
    spec = load_spec(write(GOOD))
    assert spec.name == "orchard"
    assert spec.id_column == "tree"
    assert spec.feature_names() == ["height", "soil", "Tall"]
    assert spec.input_columns() == ["height", "soil"]
    assert spec.private_columns() == ["tree"]


# old text, new text, line, field, what the message must say
WRONG = {
    "unknown key": ("owner:", "ownr: x\nowner:", 2, "ownr", "unknown key 'ownr'"),
    "unknown key of a column": (
        "role: numeric}", "role: numeric, impte: mean}", 12, "columns.height.impte",
        "unknown key 'impte'",
    ),
    "unknown key of a feature": (
        "    edges:", "    edgs: 1\n    edges:", 19, "features.Tall.edgs", "unknown key 'edgs'",
    ),
    "missing field": ("owner: gardeners\n", "", 1, "owner", "required"),
    "wrong type": ("owner: gardeners", "owner: [a]", 2, "owner", "valid string"),
    "text for a number": (
        "{threshold: 0.5}", "{threshold: half}", 23, "decision.threshold", "valid number",
    ),
    "unknown role": ("role: outcome", "role: result", 14, "columns.harvest.role", "'outcome'"),
    "unknown algorithm": (
        "algorithm: random_forest", "algorithm: xgbost", 22, "candidates.forest.algorithm",
        "'xgboost'",
    ),
    "column in two roles": (
        "  harvest:", "  tree: {role: drop}\n  harvest:", 14, "columns.tree",
        "a second time (first in line 11); write it once: a column has one role",
    ),
    "key twice": ("metric: roc_auc", "metric: roc_auc\nmetric: f1", 25, "metric", "line 24"),
    "target among the columns": (
        "  harvest:", "  bears: {role: categorical}\n  harvest:", 14, "columns.bears",
        "describe it under `target:` only",
    ),
    "two ids": ("soil: {role: categorical}", "soil: {role: id}", 13, "columns.soil", "ids"),
    "feature from the target": (
        "column: height", "column: bears", 17, "features.Tall", "the target column 'bears'",
    ),
    "feature from an outcome": (
        "column: height", "column: harvest", 17, "features.Tall", "the outcome column 'harvest'",
    ),
    "feature from an unknown column": (
        "column: height", "column: heigt", 17, "features.Tall", "(did you mean 'height'?)",
    ),
    "bins of text": ("column: height", "column: soil", 17, "features.Tall", "numeric columns"),
    "count of numbers": (
        "kind: bins\n    column: height\n    edges: [1, 2, 3]",
        "kind: count\n    columns: [height]\n    values: [1]", 17, "features.Tall",
        "`count` needs columns of text",
    ),
    "feature named like a column": ("  Tall:", "  soil:", 17, "features.soil", "raw column"),
    "unknown kind": ("kind: bins", "kind: band", 17, "features.Tall", "'bins'"),
    "bins not rising": (
        "[1, 2, 3]", "[1, 3, 3]", 19, "features.Tall.edges", "rising order",
    ),
    "two groups": (
        "kind: bins\n    column: height\n    edges: [1, 2, 3]",
        "kind: extract\n    column: soil\n    pattern: '(a)(b)'", 19, "features.Tall.pattern",
        "exactly one ( ) group; this has 2",
    ),
    "gate on an unknown metric": (
        "  roc_auc: {", "  auc: {", 26, "gates.auc", "the unknown metric 'auc'",
    ),
    "unknown metric": (
        "metric: roc_auc", "metric: roc", 24, "metric", "(did you mean 'roc_auc'?)",
    ),
    "gate with two bounds": (
        "{minimum: 0.8}", "{minimum: 0.8, maximum: 0.9}", 26, "gates.roc_auc", "either `minimum:`",
    ),
    "bad encoding": (
        'delimiter: ","', "encoding: utf-99", 5, "raw.encoding", "such as utf-8 or cp1252",
    ),
    "long delimiter": ('delimiter: ","', 'delimiter: "||"', 5, "raw.delimiter", "1 character"),
    "delimiter outside ASCII": ('delimiter: ","', "delimiter: §", 5, "raw.delimiter", "ASCII"),
    "quote as delimiter": ('delimiter: ","', 'quote: ","', 5, "raw.quote", "must differ"),
    "bad candidate name": ("  forest:", "  my/forest:", 21, "candidates", "folder names"),
    "bad cron": ('"0 6 * * *"', '"0 25 * * *"', 3, "schedule", "cron expression"),
    "neither threshold nor maximise": (
        "{threshold: 0.5}", "{}", 23, "decision", "either `threshold: 0.5` or `maximise: f1`",
    ),
    "both threshold and maximise": (
        "{threshold: 0.5}", "{threshold: 0.5, maximise: f1}", 23, "decision", "either `threshold",
    ),
    "equal classes": ("negative: No", "negative: Yes", 9, "target.negative", "must differ"),
    "minimum above maximum": (
        "{role: numeric}", "{role: numeric, minimum: 2, maximum: 1}", 12,
        "columns.height.minimum", "at most the maximum",
    ),
    "option of another role": (
        "role: outcome}", "role: outcome, impute: mean}", 14, "columns.harvest.impute",
        "`impute` with role 'outcome'",
    ),
    "impute of another role": (
        "{role: numeric}", "{role: numeric, impute: mode}", 12, "columns.height.impute", "median",
    ),
    "spelling of an unknown label": (
        "{role: categorical}", "{role: categorical, values: [a], spellings: {b: [c]}}", 13,
        "columns.soil.spellings.b", "'a'",
    ),
    "spelling of two labels": (
        "{role: categorical}", "{role: categorical, spellings: {a: [x], b: [x]}}", 13,
        "columns.soil.spellings", "'x' under two labels",
    ),
    "reserved name": ("  harvest:", "  _row:", 14, "columns._row", "rename the column"),
    "files outside the lake": (
        'delimiter: ","', "files: /data/*.csv", 5, "raw.files", "inside the partition",
    ),
    "files of another partition": (
        'delimiter: ","', "files: ../*/*.csv", 5, "raw.files", "'../*/*.csv'; name files inside",
    ),
    "no files": ('delimiter: ","', "files: ' '", 5, "raw.files", "' '; name files inside"),
    "files by a template": (
        'delimiter: ","', "files: '{{ ds }}.csv'", 5, "raw.files", "without `{{`",
    ),
    "ready outside the lake": (
        'delimiter: ","', "ready: done/..", 5, "raw.ready", "inside the partition",
    ),
    "ready by a template": (
        'delimiter: ","', "ready: '{% raw %}'", 5, "raw.ready", "without `{{`",
    ),
    "ready is empty": ('delimiter: ","', "ready: ''", 5, "raw.ready", "''; name files inside"),
    "another name": ("owner:", "name: other\nowner:", 2, "name", "rename the file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_file_line_field_finding_and_remedy(write, case):
    old, new, line, field, said = WRONG[case]
    assert GOOD.count(old) >= 1
    path = write(GOOD.replace(old, new, 1))
    [problem] = problems_of(path)
    assert problem.startswith(f"{path}:{line}: {field}: found ")
    assert "; " in problem.partition("found ")[2]
    assert said in problem


def test_a_feature_named_like_its_kind_keeps_its_place_in_the_message(write):
    path = write(GOOD.replace("  Tall:", "  bins:").replace("[1, 2, 3]", "[3, 1]"))
    [problem] = problems_of(path)
    assert problem.startswith(f"{path}:19: features.bins.edges: found ")


def test_everything_wrong_is_reported_at_once(write):
    text = GOOD.replace("owner:", "ownr:").replace("role: outcome", "role: result")
    found = problems_of(write(text.replace('"0 6 * * *"', "daily")))
    assert len(found) == 4  # owner is missing, ownr unknown, a role, a schedule
    assert {problem.split(": ")[1] for problem in found} == {
        "owner", "ownr", "schedule", "columns.harvest.role",
    }  # fmt: skip


def test_unknown_metrics_are_reported_with_everything_else(write):
    text = GOOD.replace("metric: roc_auc", "metric: roc")
    text = text.replace("  roc_auc: {", "  roc_auk: {").replace("role: outcome", "role: result")
    path = write(text)
    assert [problem.removeprefix(f"{path}:").split(": ")[:2] for problem in problems_of(path)] == [
        ["14", "columns.harvest.role"], ["24", "metric"], ["26", "gates.roc_auk"],
    ]  # fmt: skip
    assert all("(did you mean 'roc_auc'?)" in problem for problem in problems_of(path)[1:])


def test_patterns_with_dots_and_folders_are_fine(write):
    text = GOOD.replace('delimiter: ","', "files: 'a/b..c/*.csv'\n  ready: .done")
    assert load_spec(write(text)).raw.files == "a/b..c/*.csv"


@pytest.mark.parametrize(
    "text",
    ["", "just text", "- a\n- b", "a: [", "a: &x [*x]", "a: !!python/object:os.system {}",
     "a: !unknown 3", "? [a, b]\n: c", "a: 1\n---\nb: 2", "a: !!int b", "\x00"],
)  # fmt: skip
def test_what_is_no_spec_gives_a_spec_error(write, text):
    path = write(text)
    assert all(problem.startswith(str(path)) for problem in problems_of(path))


def test_an_absent_file_and_bytes_that_are_no_text_give_a_spec_error(tmp_path):
    assert problems_of(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"owner: Ren\xe9")
    assert problems_of(tmp_path / "latin.yaml")


def test_a_file_name_that_is_no_name_is_refused(write):
    [problem] = problems_of(write(GOOD, "My-Orchard.yaml"))
    assert ":1: name: found My-Orchard; " in problem


def test_labels_stay_as_they_are_written(write):
    values = "[Yes, No, on, off, y, 007, 1, 2.0, 1.50, 1_000, 10:30, 0x1F, 1e3, 2024-01-31, NA, +1]"
    spec = load_spec(
        write(GOOD.replace("{role: categorical}", f"{{role: categorical, values: {values}}}"))
    )
    assert spec.columns["soil"].values == values.strip("[]").split(", ")
    assert (spec.target.positive, spec.target.negative) == ("Yes", "No")


def test_truth_values_and_numbers_are_what_they_look_like(write):
    text = GOOD.replace(
        "algorithm: random_forest",
        "algorithm: random_forest\n    hyperparameters: {a: true, b: 1e-3, c: 5, d: 0.50, e: sqrt}",
    )
    found = load_spec(write(text)).candidates["forest"].hyperparameters
    assert found == {"a": True, "b": 0.001, "c": 5, "d": 0.5, "e": "sqrt"}
    assert found["a"] is True


def test_good_specs_load_beside_bad_ones(write):
    write(GOOD)
    write("owner: x", "broken.yaml")
    specs, errors = load_specs(write(GOOD, "second.yaml").parent)
    assert list(specs) == ["orchard", "second"]
    assert list(errors) == ["broken"]


def test_the_projects_own_specs_load(project):
    specs, errors = load_specs(project / "include" / "datasets")
    assert not errors
    assert {"titanic", "loan_default", "telecom_churn"} <= set(specs)


def test_the_fingerprint_knows_what_matters():
    spec = orchard()
    assert spec.fingerprint("raw") == orchard(owner="others").fingerprint("raw")
    assert spec.fingerprint("raw") != orchard(raw={"delimiter": ";"}).fingerprint("raw")
    columns = dict(reversed(SPEC["columns"].items()))
    assert spec.fingerprint("columns") != orchard(columns=columns).fingerprint("columns")


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        orchard().owner = "others"


names = st.from_regex(r"[A-Za-z][A-Za-z0-9 _.-]{0,12}", fullmatch=True)
labels = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Any spec that is right, as plain values."""
    number = st.fixed_dictionaries(
        {"role": st.just("numeric")},
        optional={"minimum": st.floats(-9, 0), "maximum": st.floats(1, 9),
                  "impute": st.sampled_from(["median", "mean", "zero", "keep"]),
                  "missing": st.lists(labels, max_size=2), "required": st.booleans()},
    )  # fmt: skip
    text = st.fixed_dictionaries(
        {"role": st.just("categorical")},
        optional={"values": st.lists(labels, min_size=1, max_size=4, unique=True),
                  "encoding": st.sampled_from(["onehot", "label"]),
                  "max_categories": st.integers(2, 99), "example": labels},
    )  # fmt: skip
    other = st.fixed_dictionaries({"role": st.sampled_from(["personal", "outcome", "drop"])})
    columns = draw(st.dictionaries(names, number | text | other, max_size=5))
    columns = {**columns, "size": {"role": "numeric"}}
    target = draw(names.filter(lambda name: name not in columns))
    positive, negative = draw(st.lists(labels, min_size=2, max_size=2, unique=True))
    decision = st.fixed_dictionaries({"threshold": st.floats(0.01, 0.99)}) | st.just(
        {"maximise": "f1"}
    )
    return {
        "description": draw(labels), "owner": draw(labels), "columns": columns,
        "target": {"column": target, "positive": positive, "negative": negative},
        "candidates": {"a": {"algorithm": draw(st.sampled_from(["xgboost", "decision_tree"]))}},
        "decision": draw(decision),
        "split": {"test": draw(st.floats(0.1, 0.9)), "seed": draw(st.integers(0, 99))},
    }  # fmt: skip


@QUICK
@given(specs())
def test_any_right_spec_survives_yaml_and_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("specs") / "any.yaml"
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, default_style='"')
    path.write_text(re.sub(r'!!(int|float|bool) "([^"]*)"', r"\2", text), encoding="utf-8")
    spec = load_spec(path)
    assert spec == DatasetSpec.model_validate({"name": "any", **values})
    again = DatasetSpec.model_validate(spec.model_dump(exclude_unset=True))
    assert again == spec
    assert again.fingerprint("columns", "target") == spec.fingerprint("columns", "target")


@QUICK
@given(place=st.sampled_from([
    (), ("raw",), ("target",), ("columns", "height"), ("features", "Tall"),
    ("candidates", "forest"), ("decision",), ("gates", "roc_auc"),
]), key=st.from_regex(r"zz[a-z_]{1,8}", fullmatch=True))  # fmt: skip
def test_any_unknown_key_is_reported_by_name(tmp_path_factory, place, key):
    values = yaml.safe_load(GOOD.replace("Yes", '"Yes"').replace("No\n", '"No"\n'))
    inner = values
    for part in place:
        inner = inner[part]
    inner[key] = 1
    path = tmp_path_factory.mktemp("specs") / "orchard.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    [problem] = problems_of(path)
    assert f": {'.'.join((*place, key))}: found the unknown key {key!r}" in problem
    line = int(problem.removeprefix(f"{path}:").split(":")[0])
    assert path.read_text().splitlines()[line - 1].strip() == f"{key}: 1"
