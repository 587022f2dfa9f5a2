"""Reading specs of every kind from their files.

`kind: images` says that a data set is made of images, `kind: relational` of several tables that
belong together; one without `kind` is one table.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from millrace.datasets.file import SpecError, SpecFile
from millrace.datasets.images import ImageSpec
from millrace.datasets.pipeline import PipelineSpec
from millrace.datasets.relational import RelationalSpec
from millrace.datasets.spec import DatasetSpec

AnySpec = DatasetSpec | ImageSpec | RelationalSpec
IMAGES = "images"
RELATIONAL = "relational"
KINDS = (IMAGES, RELATIONAL)


def load_spec(path: Path) -> DatasetSpec:
    """Read and check the spec of a data set of tables; its name is the file's name.

    Raises:
        SpecError: with one line a problem: file, line, field, what was found, what to write.
    """
    file = SpecFile.read(path)
    if "kind" in file.values:
        remedy = (
            f"write `kind: {IMAGES}` for images, `kind: {RELATIONAL}` for several tables that"
            " belong together, or remove it for one table"
        )
        raise SpecError([file.problem(["kind"], repr(file.values["kind"]), remedy)])
    return _checked(file, DatasetSpec)


def load_image_spec(path: Path) -> ImageSpec:
    """Read and check the spec of a data set of images; its name is the file's name.

    Raises:
        SpecError: as `load_spec`.
    """
    return _checked(SpecFile.read(path), ImageSpec)


def load_relational_spec(path: Path) -> RelationalSpec:
    """Read and check the spec of a data set of several tables.

    Raises:
        SpecError: as `load_spec`.
    """
    return _checked(SpecFile.read(path), RelationalSpec)


def load_any_spec(path: Path) -> AnySpec:
    """Read and check a spec of any kind.

    Raises:
        SpecError: as `load_spec`.
    """
    kind = _kind(path)
    if kind == RELATIONAL:
        return load_relational_spec(path)
    return load_image_spec(path) if kind == IMAGES else load_spec(path)


def load_specs(folder: Path) -> tuple[dict[str, DatasetSpec], dict[str, SpecError]]:
    """All specs of one table in a folder, and the errors of those that cannot be used, by name."""
    return _load_all(folder, load_spec, None)


def load_image_specs(folder: Path) -> tuple[dict[str, ImageSpec], dict[str, SpecError]]:
    """All specs of images in a folder, and the errors of those that cannot be used, by name."""
    return _load_all(folder, load_image_spec, IMAGES)


def load_relational_specs(
    folder: Path,
) -> tuple[dict[str, RelationalSpec], dict[str, SpecError]]:
    """All specs of several tables in a folder, and the errors of broken ones, by name."""
    return _load_all(folder, load_relational_spec, RELATIONAL)


def usable_specs(folder: Path) -> dict[str, AnySpec]:
    """The specs of every kind that can be used, by name."""
    found: dict[str, AnySpec] = {}
    for path in sorted(folder.glob("*.yaml")):
        with suppress(SpecError):
            found[path.stem] = load_any_spec(path)
    return found


def _load_all[Spec: PipelineSpec](
    folder: Path, load: Callable[[Path], Spec], kind: str | None
) -> tuple[dict[str, Spec], dict[str, SpecError]]:
    specs: dict[str, Spec] = {}
    errors: dict[str, SpecError] = {}
    for path in sorted(folder.glob("*.yaml")):
        if _kind(path) != kind:
            continue
        try:
            specs[path.stem] = load(path)
        except SpecError as error:
            errors[path.stem] = error
    return specs, errors


def _kind(path: Path) -> str | None:
    """The kind a file says it is of, None for one table and for what cannot be read."""
    try:
        found = SpecFile.read(path).values.get("kind")
        return found if found in KINDS else None
    except SpecError:
        # A slip further down must not make tables of images.
        try:
            lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            return None
        said = {tuple(line.split("#")[0].split()) for line in lines}
        return next((kind for kind in KINDS if ("kind:", kind) in said), None)


def _checked[Spec: PipelineSpec](file: SpecFile, kind: type[Spec]) -> Spec:
    name = file.path.stem
    if file.values.get("name", name) != name:
        remedy = "remove it, or rename the file: the file's name is the data set's"
        raise SpecError([file.problem(["name"], repr(file.values["name"]), remedy)])
    try:
        return kind.model_validate({**file.values, "name": name})
    except ValidationError as error:
        raise file.explain(error) from error
