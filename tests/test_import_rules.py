"""Who may import what, read from the syntax trees."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.settings import PROJECT
from millrace.spark import SCORING, SCRIPT, modules_of
from millrace.training import source_files

DAGS = sorted((PROJECT / "dags").rglob("*.py"))
CORE = PROJECT / "plugins" / "millrace"
INCLUDE = PROJECT / "include"
AIRFLOW_EDGE = {
    "assets.py", "runs.py", "model_tasks.py", "spark_tasks.py", "started_runs.py",
    "jobs/backends.py",
    "jobs/clusters.py", "jobs/operator.py", "jobs/trigger.py", "arrivals/trigger.py",
    "sensors/first_look.py", "sensors/local.py", "sensors/s3.py", "hooks/duckdb.py", "quality.py",
    "privacy/key.py", "approval.py", "stack/executor.py",
}  # fmt: skip
"""Modules of the package that know Airflow; everything else works without it."""
HEAVY = {
    "pandas", "numpy", "scipy", "sklearn", "skops", "pyarrow", "pandera", "mlflow", "boto3",
    "botocore", "pyspark", "xgboost", "lightgbm", "matplotlib", "PIL",
    "duckdb", "sqlglot",
}  # fmt: skip
TRAINING_MAY = {
    "numpy", "pandas", "scipy", "shap", "sklearn", "skops", "xgboost", "lightgbm", "algorithms",
    "balance", "boosting", "calibration", "checkpoints", "classes", "contributions",
    "cross_validation", "early_stopping", "inference", "json_lines", "threshold", "transformation",
}  # fmt: skip
SERVING_MAY = {
    "numpy", "pyarrow", "fastapi", "fastapi_offline", "starlette", "uvicorn", "pydantic", "anyio",
    "prometheus_client", "millrace", "serving", "algorithms", "calibration", "contributions",
}  # fmt: skip
SPARK_MAY = {
    "numpy", "pandas", "pyarrow", "pyspark", "PIL", "cv2", "onnx", "onnxruntime", "openvino",
    "xgboost",
}  # fmt: skip
MODEL_MODULES = {"inference", "contributions", "transformation"}
"""What a scoring job imports of the scripts that a model travels with, which are sent along."""
AWS_EDGE = {"lake/s3.py", "infrastructure/account.py"}


def imports(path: Path, *, when_loaded: bool = False) -> Iterator[str]:
    """Full names of the modules a file imports; `when_loaded`: only what loading it imports."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), when_loaded)


def _imports(node: ast.AST, when_loaded: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield "." * child.level + (child.module or "")
            yield from (f"{child.module}.{alias.name}" for alias in child.names if child.module)
        elif (
            when_loaded and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ) or (when_loaded and _for_types_only(child)):
            continue
        else:
            yield from _imports(child, when_loaded)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def roots(path: Path, *, when_loaded: bool = False) -> set[str]:
    """Top-level packages a file imports, without the standard library."""
    found = {name.split(".")[0] for name in imports(path, when_loaded=when_loaded)}
    return found - set(sys.stdlib_module_names)


def loaded_with(path: Path, seen: set[Path] | None = None) -> set[str]:
    """Top-level packages that loading a file imports, through the project's own modules too."""
    seen = set() if seen is None else seen
    seen.add(path)
    found = roots(path, when_loaded=True)
    for name in imports(path, when_loaded=True):
        for module in _modules(name):
            if module not in seen:
                found |= loaded_with(module, seen)
    return found


def _modules(name: str) -> Iterator[Path]:
    """The files that importing `millrace.x.y` loads, as far as they are files."""
    parts = name.split(".")
    if parts[0] != "millrace":
        return
    for length in range(1, len(parts) + 1):
        stem = PROJECT / "plugins" / Path(*parts[:length])
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                yield path


def core_modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def test_there_is_something_to_check() -> None:
    assert len(DAGS) >= 2
    assert len(core_modules()) > 30
    assert roots(CORE / "runs.py") >= {"airflow", "millrace"}
    assert "pandas" in loaded_with(CORE / "steps" / "evaluate.py")
    assert "mlflow" in roots(CORE / "tracking" / "runs.py")
    assert "mlflow" not in roots(CORE / "tracking" / "runs.py", when_loaded=True)


@pytest.mark.parametrize("path", DAGS, ids=name_of)
def test_dags_import_millrace_and_airflow_only(path: Path) -> None:
    assert roots(path) <= {"millrace", "airflow", "__future__"}


@pytest.mark.parametrize("path", DAGS, ids=name_of)
def test_reading_a_dag_loads_nothing_heavy(path: Path) -> None:
    assert loaded_with(path) & HEAVY == set()


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_only_the_edge_imports_airflow(path: Path) -> None:
    if path.relative_to(CORE).as_posix() not in AIRFLOW_EDGE:
        assert "airflow" not in roots(path)


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_only_tracking_imports_mlflow(path: Path) -> None:
    if path.parent != CORE / "tracking":
        at_work = roots(path, when_loaded=True) | {
            name.split(".")[0] for name in _at_work(ast.parse(path.read_text()))
        }
        assert "mlflow" not in at_work


def _at_work(node: ast.AST) -> Iterator[str]:
    """Imports that run sooner or later: not those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if _for_types_only(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or ""
        else:
            yield from _at_work(child)


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_only_the_edges_import_the_aws_libraries(path: Path) -> None:
    if path.relative_to(CORE).as_posix() not in AWS_EDGE | AIRFLOW_EDGE:
        assert roots(path) & {"boto3", "botocore"} == set()


@pytest.mark.parametrize("path", sorted(INCLUDE.rglob("*.py")), ids=name_of)
def test_what_is_sent_imports_neither_dags_nor_airflow(path: Path) -> None:
    assert roots(path) & {"dags", "airflow", *(dag.stem for dag in DAGS)} == set()


@pytest.mark.parametrize("path", source_files(), ids=name_of)
def test_what_is_sent_for_training_is_self_contained(path: Path) -> None:
    assert roots(path) <= TRAINING_MAY


@pytest.mark.parametrize("path", sorted((INCLUDE / "spark").glob("*.py")), ids=name_of)
def test_the_spark_job_is_self_contained(path: Path) -> None:
    beside = {each.stem for each in path.parent.glob("*.py")}
    assert roots(path) <= SPARK_MAY | beside | MODEL_MODULES


SERVING = sorted((INCLUDE / "serving").glob("*.py"))
PAGES = sorted((INCLUDE / "serving" / "ui").glob("*.py"))
PAGES_MAY = {"gradio", "jinja2", "matplotlib", "boto3"}  # besides what the service may


@pytest.mark.parametrize("path", SERVING, ids=name_of)
def test_the_service_imports_no_more_than_its_image_holds(path: Path) -> None:
    at_work = {name.split(".")[0] for name in _at_work(ast.parse(path.read_text()))}
    assert at_work - set(sys.stdlib_module_names) <= SERVING_MAY


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_import_little_more(path: Path) -> None:
    at_work = {name.split(".")[0] for name in _at_work(ast.parse(path.read_text()))}
    assert at_work - set(sys.stdlib_module_names) <= SERVING_MAY | PAGES_MAY


@pytest.mark.parametrize("path", SERVING, ids=name_of)
def test_the_service_loads_pages_only_where_they_are_wanted(path: Path) -> None:
    assert not any(name.startswith("serving.ui") for name in imports(path, when_loaded=True))


@pytest.mark.parametrize("script", [SCRIPT, SCORING])
def test_all_that_a_spark_script_imports_is_sent_under_a_name_of_its_own(script: str) -> None:
    sent = [path.stem for path in modules_of(script)]
    assert len(sent) == len(set(sent)) and Path(script).stem not in sent
    beside, trained = (
        {each.stem for each in (INCLUDE / folder).glob("*.py")} for folder in ("spark", "training")
    )
    assert not beside & {*trained, "transformation"}, "one archive holds them all"
    for path in [INCLUDE / "spark" / script, *modules_of(script)]:
        own = roots(path) & (beside | trained | {"transformation"})
        assert own <= set(sent)


def test_only_the_scoring_job_is_sent_what_reads_models() -> None:
    images, scores = ({path.stem for path in modules_of(each)} for each in (SCRIPT, SCORING))
    assert not images & MODEL_MODULES and scores >= MODEL_MODULES
    assert not scores & {"network", "images", "train"}


def test_the_transformation_needs_numpy_and_pandas_only() -> None:
    assert roots(CORE / "transformation.py") == {"numpy", "pandas"}


def test_every_file_that_is_sent_stands_beside_the_others() -> None:
    names = {path.stem for path in source_files()}
    for path in source_files():
        own = {name for name in roots(path) if name in TRAINING_MAY and not _installed(name)}
        assert own <= names


def _installed(name: str) -> bool:
    return bool(re.fullmatch("numpy|pandas|scipy|shap|sklearn|skops|xgboost|lightgbm", name))
