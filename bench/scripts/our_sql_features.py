"""Our way from the raw tables to features: the steps `load_tables` and `sql_features`.

    our_sql_features.py <folder of CSV files> <folder for the lake>

Prints the seconds of each step, the rows and features, and the folder of the published features.
"""

import json
import sys
import time
from pathlib import Path

from millrace.datasets import load_relational_spec
from millrace.lake import LocalStore
from millrace.settings import PROJECT, Settings
from millrace.steps.load_tables import load_tables
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features

source, home = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
store = LocalStore(Path(settings.lake))
spec = load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")
run = Run(spec, "2026-01-01", store, settings, tuple(spec.candidates))
raw = Path(store.uri(str(run.place("raw"))))
raw.mkdir(parents=True)
for path in source.glob("*.csv"):
    (raw / path.name).symlink_to(path.resolve())
began = time.monotonic()
load_tables(run)
loaded = time.monotonic()
sql_features(run)
ended = time.monotonic()
features = run.features()
print(json.dumps({
    "load": loaded - began, "features": ended - loaded, "rows": features.facts["rows"],
    "columns": features.facts["features"],
    "folder": str(Path(features.path("features.json")).parent / "features"),
}))  # fmt: skip
