"""docs/spec.md describes every field of the spec, with its default, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from millrace.datasets import (
    DatasetSpec,
    ImageSpec,
    RelationalSpec,
    columns,
    drifts,
    features,
    images,
    load_any_spec,
    models,
    page,
    quality,
    relational,
    scores,
    served,
    spec,
)
from millrace.datasets.parts import Part
from millrace.datasets.pipeline import PipelineSpec
from millrace.metrics import CLASS_METRICS, METRICS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "spec.md").read_text(encoding="utf-8")
FEATURES = get_args(get_args(features.Engineered)[0])
SECTIONS: dict[str, type[BaseModel]] = {
    "The whole file": DatasetSpec,
    "raw": columns.Raw,
    "target": columns.Target,
    "columns": columns.Column,
    **{get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in FEATURES},
    "split": models.Split,
    "candidates": models.Candidate,
    "decision": models.Decision,
    "cost": models.Cost,
    "gates": models.Gate,
    "A data set of images": ImageSpec,
    "image files": images.ImageFiles,
    "views": images.ViewSplit,
    "candidates for classes": images.ClassCandidate,
    "A data set of several tables": RelationalSpec,
    "table files": relational.TableFiles,
    "tables": relational.Table,
    "columns of a table": relational.TableColumns,
    "checks": quality.Checks,
    "condition": quality.TableCheck,
    "scoring": scores.Scoring,
    "drift": drifts.Watch,
    "deploy": served.Deploy,
    "page": page.Page,
}
every_section = pytest.mark.parametrize("title", SECTIONS)


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^##+ `?{title}`?\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/spec.md has no heading {title!r}"
    return found[1]


def rows(title: str) -> dict[str, list[str]]:
    """The cells of the field table of a section, by field."""
    table = section(title).partition("| field |")[2]
    lines = [re.split(r" (?<!\\)\| ?", line) for line in table.splitlines()]
    return {cells[0].strip("| `"): cells for cells in lines if cells[0].startswith("| `")}


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@every_section
def test_documents_each_field_and_no_other(title: str) -> None:
    assert sorted(rows(title)) == sorted(SECTIONS[title].model_fields)


@every_section
def test_says_the_default(title: str) -> None:
    for name, field in SECTIONS[title].model_fields.items():
        written = rows(title)[name][2].strip()
        if name == "name":
            assert written == "the file's name"
        elif field.default is PydanticUndefined:
            assert written == "required", name
        elif isinstance(field.default, BaseModel) and not field.default.model_fields_set:
            assert written == "the defaults of its fields", name
        else:
            assert value_of(written) == plain(field.default), name


def value_of(written: str) -> Any:
    return yaml.safe_load(written.strip("`"))


def plain(default: Any) -> Any:
    return default.model_dump(exclude_unset=True) if isinstance(default, BaseModel) else default


@every_section
def test_every_section_has_an_example_of_its_own(title: str) -> None:
    assert "```yaml" in section(title)


def test_every_model_of_the_spec_has_a_section() -> None:
    parts = {
        model
        for module in (
            columns,
            features,
            models,
            spec,
            images,
            relational,
            quality,
            scores,
            served,
            page,
            drifts,
        )
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, Part)
        and not model.__name__.startswith("_")
        and model not in (Part, PipelineSpec)
    }
    assert parts == set(SECTIONS.values())


@pytest.mark.parametrize(
    "choices",
    [
        get_args(columns.Role),
        get_args(models.Algorithm),
        get_args(columns.Impute),
        METRICS,
        CLASS_METRICS,
        get_args(images.ClassAlgorithm),
        get_args(images.Precision),
        get_args(columns.Raw.model_fields["duplicate_rows"].annotation),
        get_args(relational.TableFiles.model_fields["encoding"].annotation),
        get_args(quality.Figure),
        get_args(quality.Bound),
        get_args(served.Deploy.model_fields["target"].annotation),
        get_args(page.PageKind),
    ],
)
def test_names_each_choice(choices: tuple[str, ...]) -> None:
    assert [choice for choice in choices if f"`{choice}`" not in PAGE] == []


def first_of(place: int) -> int:
    """The complete example that the example at this place belongs to."""
    return max(n for n in complete_examples() if n <= place)


def complete_examples() -> list[int]:
    return [place for place, text in enumerate(examples()) if "\nowner:" in text]


@pytest.mark.parametrize("place", range(len(examples())))
def test_the_examples_load(place: int, tmp_path: Path) -> None:
    """Complete examples are whole files; those that follow replace sections of them."""
    path = tmp_path / "example.yaml"
    first = first_of(place)
    complete, example = examples()[first], examples()[place]
    if place != first:
        names = re.findall(r"^(\w+):", example, re.MULTILINE)
        for name in [*names, *({"features"} if "columns" in names else ())]:
            complete = re.sub(
                rf"^{name}:.*?(?=^\w|\Z)", "", complete, flags=re.MULTILINE | re.DOTALL
            )
        example = complete + "\n" + example
    path.write_text(example, encoding="utf-8")
    spec = load_any_spec(path)
    for name in yaml.safe_load(examples()[place]):
        assert name in spec.model_fields_set


def test_the_complete_examples_show_every_section() -> None:
    kinds = (DatasetSpec, ImageSpec, RelationalSpec)
    for place, kind in zip(complete_examples(), kinds, strict=True):
        shown = set(yaml.safe_load(examples()[place]))
        assert shown == set(kind.model_fields) - {"name"}
