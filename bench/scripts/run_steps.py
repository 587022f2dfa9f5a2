"""Run steps of a pipeline in this process, as its tasks would, on a lake folder.

    run_steps.py <data set> <partition> <step> [<step> ...]

The lake, the specs and MLflow are those of the environment, as for a task.
"""

import logging
import sys
from importlib import import_module

from millrace.datasets import load_spec
from millrace.lake import open_store
from millrace.settings import Settings
from millrace.steps.run import Run

logging.basicConfig(level=logging.INFO)
dataset, partition, *steps = sys.argv[1:]
settings = Settings.from_environment()
spec = load_spec(settings.datasets / f"{dataset}.yaml")
run = Run(spec, partition, open_store(settings.lake), settings, tuple(spec.candidates), again=True)
for step in steps:
    module = "train" if step == "transform" else step  # both steps of a candidate are in one module
    function = getattr(import_module(f"millrace.steps.{module}"), step)
    if step in ("train", "transform"):
        for candidate in run.candidates:
            function(run, candidate).do_here()
    else:
        function(run)
