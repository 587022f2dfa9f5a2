"""Data set specs: one YAML file says everything about one pipeline."""

from millrace.datasets.columns import Column, Raw, Role, Target
from millrace.datasets.features import Engineered
from millrace.datasets.file import SpecError
from millrace.datasets.models import Candidate, Decision, Gate
from millrace.datasets.spec import RESERVED, ROW_ID, DatasetSpec, load_spec, load_specs

__all__ = [
    "RESERVED",
    "ROW_ID",
    "Candidate",
    "Column",
    "DatasetSpec",
    "Decision",
    "Engineered",
    "Gate",
    "Raw",
    "Role",
    "SpecError",
    "Target",
    "load_spec",
    "load_specs",
]
