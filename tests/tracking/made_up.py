"""A made-up data set, and one pass of the pipeline over it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from millrace.datasets import DatasetSpec, load_spec
from millrace.lake import Store
from millrace.settings import Settings
from millrace.steps.evaluate import evaluate
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import validate_raw

PLANTED = "Quetzalcoatlus"  # a surname that must not leave the lake

SPEC = """\
description: Made-up members of a club, and which of them leave.
owner: tests
schedule: null
raw: {files: "*.csv", tolerance: 0.1}
target: {column: leaves, positive: "yes", negative: "no"}
columns:
  member: {role: id}
  name: {role: personal, example: "Doe, Mrs. Jane"}
  visits: {role: numeric, minimum: 0}
  fee: {role: numeric}
  club: {role: categorical, values: [north, south]}
features:
  title: {kind: extract, column: name, pattern: ", (\\\\w+)\\\\.", keep: [Mr, Mrs]}
candidates:
  good: {algorithm: xgboost, hyperparameters: {max_depth: 2, num_round: 20}}
  twin: {algorithm: xgboost, hyperparameters: {max_depth: 2, num_round: 20, subsample: 1.0}}
  stump: {algorithm: decision_tree, hyperparameters: {max_depth: 1}}
  stopped: {algorithm: lightgbm, balance: weights, calibrate: sigmoid,
            hyperparameters: {num_leaves: 4, num_round: 300, early_stopping_rounds: 10}}
metric: roc_auc
gates: {roc_auc: {minimum: 0.5}}
"""


def rows(count: int = 200, seed: int = 0) -> str:
    """The raw file; the last row is one for the quarantine."""
    chance = random.Random(seed)
    lines = ["member,name,visits,fee,club,leaves"]
    for number in range(count):
        visits, fee = chance.randint(0, 30), round(chance.uniform(5, 50), 2)
        title, club = chance.choice(["Mr", "Mrs", "Dr"]), chance.choice(["north", "south"])
        leaves = "yes" if fee - visits + chance.gauss(0, 8) > 12 else "no"
        name = f'"{PLANTED}{number}, {title}. A."'
        lines.append(f"M{number:04},{name},{visits},{fee},{club},{leaves}")
    lines.append(f'M9999,"{PLANTED}9999, Mr. B.",-1,10,north,no')
    return "\n".join(lines) + "\n"


def write_spec(folder: Path, text: str = SPEC, name: str = "club") -> DatasetSpec:
    """The spec as a file of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return load_spec(path)


def settings(folder: Path, mlflow_uri: str, **changes: str) -> Settings:
    """Settings of an installation below `folder`."""
    return Settings.from_environment(
        {
            "MILLRACE_HOME": str(folder),
            "MILLRACE_DATASETS": str(folder / "datasets"),
            "MLFLOW_TRACKING_URI": mlflow_uri,
            **changes,
        }
    )


def deliver(store: Store, partition: str, content: str, dataset: str = "club") -> None:
    """Put the raw file of a partition in place."""
    store.replace(f"raw/{dataset}/{partition}/members.csv", content.encode(), None)


def evaluated(run: Run) -> dict[str, Any]:
    """All steps up to the published evaluation; returns its facts."""
    validate_raw(run)
    for candidate in preprocess(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    return evaluate(run)
