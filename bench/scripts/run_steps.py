"""Run steps of a pipeline in this process, as its tasks would, on a lake folder.

    run_steps.py <data set> <partition> <step> [<step> ...]

The lake, the specs and MLflow are those of the environment, as for a task.
"""

import logging
import sys
from importlib import import_module

from millrace.datasets import load_any_spec
from millrace.lake import open_store
from millrace.settings import Settings
from millrace.steps import scoring
from millrace.steps.run import Run

logging.basicConfig(level=logging.INFO)
dataset, partition, *steps = sys.argv[1:]
settings = Settings.from_environment()
spec = load_any_spec(settings.datasets / f"{dataset}.yaml")
run = Run(spec, partition, open_store(settings.lake), settings, tuple(spec.candidates), again=True)
for step in steps:
    if step == "score":
        scoring.score(run, scoring.plan(run)["champion"]).do_here()
        continue
    # both steps of a candidate are in one module
    module = import_module(f"millrace.steps.{'train' if step == 'transform' else step}")
    if step in ("train", "transform"):
        for candidate in run.candidates:
            getattr(module, step)(run, candidate).do_here()
    else:
        getattr(module, step)(run)
