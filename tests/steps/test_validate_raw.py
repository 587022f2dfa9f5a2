"""The step that checks raw files: which files it reads, and what it says."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.lake import matches
from millrace.steps.validate_raw import RawDataError, validate_raw
from tests.orchard import orchard

HEAD = "tree,height,age,soil,side,gardener,plot,harvest,bears\n"
GOOD = HEAD + "t1,2,3,clay,east,Mr. Oak,,9,yes\nt2,1,4,sand,north,Yew,P7,0,no\n"
BAD = HEAD + "".join(f"t{place},tall,3,clay,east,x,,0,no\n" for place in range(60))
NAMES = [
    "train.csv", "TRAIN.CSV", "._train.csv", ".csv", "old/train.csv", "old/._train.csv",
    ".old/train.csv", "old/more/train.csv", "notes.txt", "a[1].csv",
]  # fmt: skip


def deliver(run, files):
    for name, text in files.items():
        path = Path(run.store.uri(f"{run.place('raw')}/{name}"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return run


def test_the_sensors_files_are_read_and_no_other(make_run):
    run = make_run(orchard(), {"part-1.csv": GOOD, "._part-1.csv": "\x00"})
    deliver(run, {"old/part-1.csv": GOOD})
    validate_raw(run)
    report = run.published("reports", "validation", "validate_raw").json("validation.json")
    assert [file["name"] for file in report["files"]] == ["part-1.csv"]
    assert report["rows_read"] == 2


def test_files_in_a_folder_are_read_where_the_spec_says_so(make_run):
    run = make_run(orchard(raw={"files": "new*/*.csv"}), {"part-1.csv": "?"})
    deliver(run, {"new/a.csv": GOOD})
    validate_raw(run)
    report = run.published("reports", "validation", "validate_raw").json("validation.json")
    assert [file["name"] for file in report["files"]] == ["a.csv"]


def test_files_that_only_look_alike_are_none(make_run):
    run = deliver(make_run(orchard(), {}), {"old/part-1.csv": GOOD})
    with pytest.raises(RawDataError, match=r"no file like '\*\.csv' \(found old/part-1\.csv\)"):
        validate_raw(run)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()
    return folder


parts = st.sampled_from(["*", "?*", "*.csv", ".*", "._*", "[.]*", "[!a]*", "t*", "old", "a[[]1].*",
                         "train.csv", ".old", "**", "*.CSV"])  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.lists(parts, min_size=1, max_size=3).map("/".join))
def test_a_pattern_matches_as_in_glob(tree, pattern):
    files = [name for name in glob.glob(pattern, root_dir=tree) if (tree / name).is_file()]
    every = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    assert sorted(name for name in every if matches(name, pattern)) == sorted(files)


def test_the_table_is_said_once(make_run, caplog):
    caplog.set_level(logging.INFO)
    validate_raw(make_run(orchard(), {"part-1.csv": GOOD}))
    assert caplog.text.count("orchard 2026-03-01: PASSED") == 1

    caplog.clear()
    with pytest.raises(RawDataError) as caught:
        validate_raw(make_run(orchard(), {"part-1.csv": BAD}))
    assert "FAILED" not in caplog.text
    said = str(caught.value)
    assert said.count("orchard 2026-03-01: FAILED") == 1
    assert said.count("'tall'") == 49  # the first of 50 lines is the tolerance
    assert said.endswith("... and 11 more")
