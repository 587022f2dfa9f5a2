"""Adding a data set is adding one YAML file: a deliberately messy one goes through every step.

Made-up bakery orders from a Western European spreadsheet: Windows encoding, semicolons, decimal
commas with thousands points, quoted line breaks, stray blanks and tabs, several files a day, three
ways to say "unknown", an outcome column that gives the answer away, 2 % positives, repeated rows.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from millrace.datasets import DatasetSpec, load_spec
from millrace.steps.evaluate import evaluate
from millrace.steps.preprocess import preprocess
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import RawDataError, validate_raw
from millrace.training import MODEL, model_facts

SPEC = """\
description: Which bakery orders are never collected.
owner: bakery
schedule: null

raw:
  files: "orders-*.csv"
  delimiter: ";"
  encoding: {encoding}
  decimal: ","
  missing: ["", "-"]
  tolerance: 0.01
  extra_columns: ignore

target:
  column: abgeholt?
  positive: nein
  negative: ja
  spellings: {{nein: [N, Nein, NEIN], ja: [J, Ja]}}

columns:
  Bestellnr.: {{role: id}}
  Betrag (€): {{role: numeric, minimum: 0, required: true, description: Sum of the order}}
  Vorlauf: {{role: numeric, missing: ["?"], impute: mean, description: Days ahead}}
  Filiale:
    role: categorical
    missing: [unknown]
    impute: category
    spellings: {{Köln: [Koeln, KÖLN]}}
  Zahlart:
    role: categorical
    values: [bar, Karte, Rechnung]
    missing: [unbekannt]
    encoding: label
  Kunde: {{role: personal}}
  Notiz: {{role: drop}}
  Mahnung am: {{role: outcome, description: Known only once the order was not collected}}

features:
  Anrede: {{kind: extract, column: Kunde, pattern: '^(Herr|Frau|Firma)\\b', other: keine}}
  HatNotiz: {{kind: present, column: Notiz}}
  ProTag: {{kind: ratio, numerator: Betrag (€), denominator: Vorlauf}}
  Gross: {{kind: bins, column: Betrag (€), edges: [100, 1000]}}

split: {{test: 0.25, seed: 1}}

candidates:
  trees:
    algorithm: lightgbm
    hyperparameters: {{num_leaves: 7, num_round: 40, min_child_samples: 5}}
  line: {{algorithm: logistic_regression, hyperparameters: {{class_weight: balanced}}}}

decision: {{maximise: f1}}
metric: roc_auc
gates:
  roc_auc: {{minimum: 0.75}}
"""
HEADER = [" Bestellnr.", "Betrag (€)\t", "Vorlauf ", "Filiale", "Zahlart", "Kunde", "Notiz",
          "Mahnung am", "abgeholt?", "Druckspalte"]  # fmt: skip
ROWS = 3000
REPEATED = 40


def german(number: float) -> str:
    """1234.5 -> 1.234,50"""
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def orders(rows: int = ROWS) -> list[list[str]]:
    """Large orders on account, far ahead, are the ones left behind."""
    random = np.random.default_rng(5)
    amount, days = random.lognormal(4.5, 1.2, rows), random.integers(0, 15, rows)
    payment = random.choice(["bar", "Karte", "Rechnung"], rows)
    score = np.log(amount) + days / 5 + 2 * (payment == "Rechnung") + random.normal(0, 0.7, rows)
    left = score >= np.sort(score)[-rows // 50]
    names = np.array(["Herr Müller", "Frau Groß", 'Firma "Brot; & mehr"', "Ärztehaus\nHof 2", "?"])
    made = [
        [
            f"{number:05d}", german(amount[number]), str(days[number]),
            random.choice(["Köln", " Koeln", "KÖLN\t", "Bonn", "unknown", "-", ""]),
            random.choice([payment[number]] * 9 + ["unbekannt"]), random.choice(names),
            random.choice(["", "ohne Mohn, bitte", "zwei Tüten\r\nund ein Karton; danke"]),
            "2026-03-02" if left[number] else "",
            random.choice([" N", "Nein", "nein ", "NEIN"] if left[number] else ["J", "Ja\t", "ja"]),
            "x",
        ]
        for number in range(rows)
    ]  # fmt: skip
    for number in range(0, rows, 50):
        made[number][2] = "?"
    return made


def as_file(rows: list[list[str]], encoding: str, *, newline: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator=newline)
    writer.writerows([HEADER, *rows])
    return text.getvalue().encode(encoding)


@pytest.fixture
def spec(tmp_path: Path):
    def write(encoding: str) -> DatasetSpec:
        path = tmp_path / "bakery_orders.yaml"
        path.write_text(SPEC.format(encoding=encoding), encoding="utf-8")
        return load_spec(path)

    return write


def delivery(encoding: str) -> dict[str, bytes]:
    """Three files of one day, the second with repeats of the first, and one that is not meant."""
    rows = orders()
    return {
        "orders-1.csv": as_file(rows[:1000], encoding),
        "orders-2.csv": as_file(rows[1000:2000] + rows[:REPEATED], encoding, newline="\n"),
        "orders-3.csv": as_file(rows[2000:], encoding),
        "readme.txt": b"not a delivery",
    }


def test_one_yaml_file_is_all_it_takes(spec, make_run, caplog):
    caplog.set_level(logging.INFO)
    run = make_run(spec("cp1252"), delivery("cp1252"))

    validate_raw(run)
    report = run.published("reports", "validation", "validate_raw").json("validation.json")
    assert report["passed"]
    assert [file["name"] for file in report["files"]] == [
        "orders-1.csv", "orders-2.csv", "orders-3.csv",
    ]  # fmt: skip
    assert report["rows_read"] == ROWS + REPEATED
    assert report["rows_duplicate"] == REPEATED
    assert (report["rows_clean"], report["rows_quarantined"]) == (ROWS, 0)

    clean = pd.read_parquet(run.published("processed", "validated", "").path("clean.parquet"))
    expected = orders()
    assert clean["_row_id"].tolist() == [row[0] for row in expected]
    assert [german(value) for value in clean["Betrag (€)"]] == [row[1] for row in expected]
    assert clean["Betrag (€)"].max() > 1000  # thousands points were there, and were read
    assert clean["Vorlauf"].isna().sum() == ROWS / 50
    assert set(clean["Filiale"].dropna()) == {"Köln", "Bonn"}
    assert set(clean["Zahlart"].dropna()) == {"bar", "Karte", "Rechnung"}
    assert clean["Notiz"].dropna().str.contains("\r\n").any()
    assert clean["abgeholt?"].sum() == ROWS / 50

    assert preprocess(run) == ["trees", "line"]
    processed = run.published("processed", "", "preprocess")
    assert processed.facts["rows"] == {"train": 2250, "test": 750}
    state = processed.json("train/transformation.json")
    assert [item["name"] for item in state["inputs"]] == [
        "Betrag (€)", "Vorlauf", "Filiale", "Zahlart", "Kunde", "Notiz",
    ]  # fmt: skip
    channel = pd.read_csv(processed.path("train/train.csv"))
    assert list(channel) == [
        "abgeholt?", "Betrag (€)", "Vorlauf", "Filiale=Bonn", "Filiale=Köln", "Filiale=(missing)",
        "Zahlart", "Anrede=Firma", "Anrede=Frau", "Anrede=Herr", "Anrede=keine", "HatNotiz",
        "ProTag", "Gross=below 100", "Gross=100 to 1000", "Gross=1000 and more",
    ]  # fmt: skip
    assert not channel.isna().any().any()
    labels = pd.read_csv(processed.path("test/labels.csv"), dtype={"_row_id": str})
    assert labels["abgeholt?"].sum() == 15
    assert set(labels["_row_id"]) < set(clean["_row_id"])

    for candidate in run.candidates:
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
        facts = model_facts(run.published("models", candidate, "train").path(MODEL))
        assert facts["threshold_rule"].startswith("maximises f1")
        assert facts["cross_validation"]["roc_auc"] > 0.75

    found = evaluate(run)
    assert found["winner"] in run.candidates
    assert found["metrics"]["roc_auc"] > 0.75
    assert [gate["holds"] for gate in found["gates"]] == [True]
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    assert summary["rows"] == {"train": 2250, "test": 750}
    assert {item["candidate"] for item in summary["candidates"]} == set(run.candidates)
    used = {name for item in summary["candidates"] for name, _ in item["importance"]}
    assert not any("Mahnung" in name or "Bestell" in name for name in used)

    published = "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in Path(run.store.root, "reports").rglob("*.*")
    )
    assert "Müller" not in published + caplog.text
    assert "Ärztehaus" not in published + caplog.text

    caplog.clear()
    validate_raw(run)
    preprocess(run)
    evaluate(run)
    assert caplog.text.count("Nothing to do") == 4


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_the_same_orders_in_another_encoding_give_the_same_rows(spec, make_run, encoding):
    raw = {"orders-1.csv": as_file(orders(300), encoding)}
    if encoding == "utf-8":  # a byte-order mark that the spec does not mention
        raw = {"orders-1.csv": as_file(orders(300), "utf-8-sig")}
    run = make_run(spec(encoding), raw)
    validate_raw(run)
    clean = pd.read_parquet(run.published("processed", "validated", "").path("clean.parquet"))
    assert [german(value) for value in clean["Betrag (€)"]] == [row[1] for row in orders(300)]
    assert clean["Kunde"].str.contains("Müller").any()


def test_a_delivery_that_cannot_be_used_is_told_apart_row_by_row(spec, make_run):
    """An English export by mistake: points for decimals must not become thousands."""
    rows = orders(300)
    for row in rows[::3]:
        row[1] = row[1].replace(".", "").replace(",", ".")
    run = make_run(spec("cp1252"), {"orders-1.csv": as_file(rows, "cp1252")})
    with pytest.raises(RawDataError, match=r"100 bad rows of 300 \(33.33%\)") as caught:
        validate_raw(run)
    assert "bakery_orders 2026-03-01: the raw files cannot be used" in str(caught.value)
    report = run.published("reports", "validation", "validate_raw").json("validation.json")
    bad = [item for item in report["problems"] if item["check"] == "number"]
    assert [item["row"] for item in bad] == [2 + place for place in range(0, 300, 3)]
    assert {item["column"] for item in bad} == {"Betrag (€)"}
    assert json.dumps(report)
    with pytest.raises(ValueError, match="run the step validate_raw first"):
        preprocess(run)
