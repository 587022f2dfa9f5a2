"""Data set specs: one YAML file says everything about one pipeline."""

from millrace.datasets.columns import Column, Raw, Role, Target
from millrace.datasets.features import Engineered
from millrace.datasets.file import SpecError
from millrace.datasets.folder import (
    AnySpec,
    load_any_spec,
    load_image_spec,
    load_image_specs,
    load_relational_spec,
    load_relational_specs,
    load_spec,
    load_specs,
)
from millrace.datasets.images import ClassCandidate, ImageFiles, ImageSpec, ViewSplit
from millrace.datasets.models import Candidate, Decision, Gate
from millrace.datasets.relational import RelationalSpec, Table
from millrace.datasets.spec import RESERVED, ROW_ID, DatasetSpec

__all__ = [
    "RESERVED",
    "ROW_ID",
    "AnySpec",
    "Candidate",
    "ClassCandidate",
    "Column",
    "DatasetSpec",
    "Decision",
    "Engineered",
    "Gate",
    "ImageFiles",
    "ImageSpec",
    "Raw",
    "RelationalSpec",
    "Role",
    "SpecError",
    "Table",
    "Target",
    "ViewSplit",
    "load_any_spec",
    "load_image_spec",
    "load_image_specs",
    "load_relational_spec",
    "load_relational_specs",
    "load_spec",
    "load_specs",
]
