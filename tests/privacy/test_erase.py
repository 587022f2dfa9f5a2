"""Erasing a borrower: nothing of one is left anywhere, everything of the others is."""

from __future__ import annotations

import csv
import io
import json
import threading

import pandas as pd
import pytest

from millrace.lake import Conflict, Place, publish, read_published, require_published
from millrace.lake import republish as republishing
from millrace.lake.manifest import sha256_of
from millrace.privacy import erase as erasing
from millrace.privacy import outputs
from millrace.privacy.erase import erase
from millrace.privacy.subject import ErasureError
from millrace.steps.validate_raw import validate_raw
from tests.privacy.loans import (
    CANDIDATE,
    DAYS,
    KEY,
    borrower,
    deliver,
    everything,
    loan_spec,
    process,
    traces,
)


def ids_of(run):
    """Identifiers of the train and of the test rows of a run."""
    validated = run.published("processed", "validated", "")
    clean = pd.read_parquet(validated.path("clean.parquet"))["_row_id"]
    test = pd.read_csv(run.processed().path("test/labels.csv"))["_row_id"]
    return [each for each in clean if each not in set(test)], list(test)


def proof_of(store, key):
    return json.loads(store.read(key)[0])


def content(store):
    return {
        name: data
        for name, data in everything(store)
        if not name.startswith(("privacy", "lease", ".lock"))
    }


def test_nothing_of_the_person_is_left_and_everything_of_the_others(runs, store):
    train_ids, test_ids = ids_of(runs[0])
    for someone in (train_ids[7], test_ids[3], borrower(5)):
        assert traces(store, someone)
        before = runs[0].processed()
        train_rows = before.path("train/train.csv").read_bytes().splitlines(keepends=True)
        proof = proof_of(store, erase(store, loan_spec(), someone, KEY))
        assert traces(store, someone) == []
        assert someone not in json.dumps(proof)
        assert proof["old_versions"]["complete"]
        after = runs[0].processed()
        left = after.path("train/train.csv").read_bytes().splitlines(keepends=True)
        if someone == train_ids[7]:
            del train_rows[8]
        assert left == train_rows
    assert ids_of(runs[0]) == (
        [each for each in train_ids if each != train_ids[7]],
        [each for each in test_ids if each != test_ids[3]],
    )


def test_the_explanation_of_rows_that_change_is_withdrawn_with_its_copies(runs, store):
    processed = runs[0].processed()
    explained(runs[0], {processed.uri: processed.manifest.content})
    explained(runs[1], {"other rows": "1"})
    theirs = runs[0].place("reports", "explanation")
    proof = proof_of(store, erase(store, loan_spec(), ids_of(runs[0])[1][0], KEY))
    assert read_published(store, theirs) is None
    assert [entry for entry in store.walk(str(theirs)) if "attempt=" in entry.key] == []
    [change] = [each for each in proof["changes"] if "explanation" in each["place"]]
    assert change["place"] == str(theirs) and "explains rows" in change["withdrawn"]
    assert read_published(store, runs[1].place("reports", "explanation")) is not None


def explained(run, inputs):
    """Publish what stands for an explanation of some rows."""
    publish(
        run.store, run.place("reports", "explanation"), depends_on={"rows": "1"}, inputs=inputs,
        build=lambda attempt: attempt.write("contributions.parquet", "rows"),
    )  # fmt: skip


def test_the_raw_file_keeps_every_other_byte(store):
    deliver(store, DAYS[0])
    key = f"raw/loan_default/{DAYS[0]}/loans.csv"
    lines = store.read(key)[0].splitlines(keepends=True)
    erase(store, loan_spec(), borrower(10), KEY)
    assert store.read(key)[0].splitlines(keepends=True) == lines[:11] + lines[12:]


def test_manifests_figures_and_hashes_are_those_of_what_is_left(runs, store):
    someone = ids_of(runs[0])[1][0]
    before = {
        str(place): require_published(store, place, "")
        for run in runs
        for place in (
            run.place("processed", "validated"), run.place("processed"),
            run.place("predictions", CANDIDATE), run.place("models", CANDIDATE),
        )
    }  # fmt: skip
    proof = proof_of(store, erase(store, loan_spec(), someone, KEY))
    changed = {change["place"]: change for change in proof["changes"]}
    for name, old in before.items():
        new = require_published(store, Place(*name.split("/", 3)), "")
        for file, facts in new.manifest.files.items():
            assert sha256_of(new.path(file)) == facts["sha256"]
        assert new.manifest.cause == old.manifest.cause
        if "models" in name:
            assert new.manifest == old.manifest
            continue
        assert changed[name]["before"] == old.manifest.content
        assert changed[name]["after"] == new.manifest.content
    for run in runs:
        processed = run.processed()
        assert processed.facts["rows"] == {
            "train": len(processed.path("train/train.csv").read_text().splitlines()) - 1,
            "test": len(list(csv.reader(io.StringIO(processed.path("test/test.csv").read_text())))),
        }
        validated = run.published("processed", "validated", "")
        assert validated.manifest.content in processed.manifest.inputs.values()
        assert len(pd.read_parquet(validated.path("clean.parquet"))) == validated.facts["rows"]
        predicted = run.published("predictions", CANDIDATE, "")
        assert (
            len(predicted.path("predictions.csv").read_text().splitlines())
            == predicted.facts["rows"]
        )
    # Each partition has its row in the raw file, the clean rows, the test rows and the labels, or
    # the train rows, and perhaps the predictions.
    assert proof["removed"] == sum(change["rows"] for change in proof["changes"]) >= 7


def test_erasing_again_changes_nothing_and_proves_it(runs, store):
    first = proof_of(store, erase(store, loan_spec(), borrower(20), KEY))
    before = content(store)
    second = proof_of(store, erase(store, loan_spec(), f" {borrower(20)} ", KEY))
    assert content(store) == before
    assert first["removed"] > 0
    assert second["removed"] == 0 and second["changes"] == []
    assert (
        first["subject"]
        == second["subject"]
        != proof_of(store, erase(store, loan_spec(), borrower(21), KEY))["subject"]
    )
    assert (
        proof_of(store, erase(store, loan_spec(), borrower(20), b"other"))["subject"]
        != first["subject"]
    )


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("dies_at", range(1, 10))
def test_an_erasure_that_died_is_completed_by_the_next(runs, store, monkeypatch, dies_at):
    someone = ids_of(runs[0])[0][9]
    writes = 0

    def dying(call):
        def write(*given, **named):
            nonlocal writes
            writes += 1
            if writes == dies_at:
                raise Killed
            return call(*given, **named)

        return write

    with monkeypatch.context() as patched:
        patched.setattr(outputs, "publish_staged", dying(outputs.publish_staged))
        patched.setattr(republishing, "put_in_place", dying(republishing.put_in_place))
        patched.setattr(type(store), "put", dying(type(store).put))
        patched.setattr(erasing, "next_epoch", dying(erasing.next_epoch))
        with pytest.raises(Killed):
            erase(store, loan_spec(), someone, KEY)
    proof = proof_of(store, erase(store, loan_spec(), someone, KEY))
    assert traces(store, someone) == []
    for run in runs:
        train, _ = ids_of(run)
        assert (
            len(run.processed().path("train/train.csv").read_text().splitlines()) == len(train) + 1
        )
    whole = {(change["place"]) for change in proof["changes"]}
    assert {f"raw/loan_default/{day}/loans.csv" for day in DAYS} <= whole
    assert {f"processed/loan_default/{day}/validated" for day in DAYS} <= whole
    assert store.list("privacy/loan_default/open") == []


def test_what_a_run_read_before_is_not_published_after(runs, store):
    someone = ids_of(runs[0])[1][0]
    read, go = threading.Event(), threading.Event()
    place, raised = runs[0].place("predictions", "late"), []

    def build(attempt):
        rows = runs[0].processed().path("test/test.csv").read_text()
        read.set()
        assert go.wait(60)
        attempt.write("predictions.csv", rows)

    def late():
        try:
            publish(store, place, depends_on={}, build=build)
        except (Conflict, OSError) as error:
            raised.append(error)

    step = threading.Thread(target=late)
    step.start()
    assert read.wait(60)
    try:
        erase(store, loan_spec(), someone, KEY)
    finally:
        go.set()
        step.join()
    assert raised
    assert traces(store, someone) == []
    publish(store, place, depends_on={}, build=build)
    assert traces(store, someone) == []


def test_a_channel_of_other_rows_is_withdrawn(runs, store):
    """Its rows have no names, so that no line of it can be told to be the person's."""
    deliver(store, DAYS[0], rows=300, seed=9)
    validate_raw(runs[0])
    proof = proof_of(store, erase(store, loan_spec(), borrower(40), KEY))
    withdrawn = [change for change in proof["changes"] if "withdrawn" in change]
    assert [change["place"] for change in withdrawn] == [f"processed/loan_default/{DAYS[0]}"]
    assert traces(store, borrower(40)) == []
    process(runs[0], predict=False)
    assert traces(store, borrower(40)) == []


def test_after_an_erasure_steps_answer_and_recompute_without_the_person(runs, store):
    someone = ids_of(runs[0])[0][0]
    erase(store, loan_spec(), someone, KEY)
    run = process(runs[0], predict=False)
    assert traces(store, someone) == []
    assert run.processed().facts["rows"]["train"] + run.processed().facts["rows"]["test"] == 398
    before = run.processed().manifest
    assert process(run, predict=False).processed().manifest == before


def test_who_cannot_be_named_cannot_be_erased(store):
    spec = loan_spec()
    with pytest.raises(ErasureError, match="is empty"):
        erase(store, spec, " ", KEY)
    nameless = spec.model_copy(
        update={"columns": {k: v for k, v in spec.columns.items() if v.role != "id"}}
    )
    with pytest.raises(ErasureError, match="no column with the role id"):
        erase(store, nameless, "1", KEY)
