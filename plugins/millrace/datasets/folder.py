"""Reading specs of either kind from their files: tables, and images where `kind: images` stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from millrace.datasets.file import SpecError, SpecFile
from millrace.datasets.images import ImageSpec
from millrace.datasets.pipeline import PipelineSpec
from millrace.datasets.spec import DatasetSpec

AnySpec = DatasetSpec | ImageSpec
IMAGES = "images"


def load_spec(path: Path) -> DatasetSpec:
    """Read and check the spec of a data set of tables; its name is the file's name.

    Raises:
        SpecError: with one line a problem: file, line, field, what was found, what to write.
    """
    file = SpecFile.read(path)
    if "kind" in file.values:
        remedy = f"write `kind: {IMAGES}` for images, or remove it for tables"
        raise SpecError([file.problem(["kind"], repr(file.values["kind"]), remedy)])
    return _checked(file, DatasetSpec)


def load_image_spec(path: Path) -> ImageSpec:
    """Read and check the spec of a data set of images; its name is the file's name.

    Raises:
        SpecError: as `load_spec`.
    """
    return _checked(SpecFile.read(path), ImageSpec)


def load_any_spec(path: Path) -> AnySpec:
    """Read and check a spec of either kind.

    Raises:
        SpecError: as `load_spec`.
    """
    return load_image_spec(path) if _says_images(path) else load_spec(path)


def load_specs(folder: Path) -> tuple[dict[str, DatasetSpec], dict[str, SpecError]]:
    """All specs of tables in a folder, and the errors of those that cannot be used, by name."""
    return _load_all(folder, load_spec, images=False)


def load_image_specs(folder: Path) -> tuple[dict[str, ImageSpec], dict[str, SpecError]]:
    """All specs of images in a folder, and the errors of those that cannot be used, by name."""
    return _load_all(folder, load_image_spec, images=True)


def _load_all[Spec: PipelineSpec](
    folder: Path, load: Callable[[Path], Spec], *, images: bool
) -> tuple[dict[str, Spec], dict[str, SpecError]]:
    specs: dict[str, Spec] = {}
    errors: dict[str, SpecError] = {}
    for path in sorted(folder.glob("*.yaml")):
        if _says_images(path) != images:
            continue
        try:
            specs[path.stem] = load(path)
        except SpecError as error:
            errors[path.stem] = error
    return specs, errors


def _says_images(path: Path) -> bool:
    """Whether a file is meant as a spec of images; one that cannot be read is not."""
    try:
        return SpecFile.read(path).values.get("kind") == IMAGES
    except SpecError:
        # A slip further down must not make tables of images.
        try:
            lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            return False
        return any(line.split("#")[0].split() == ["kind:", IMAGES] for line in lines)


def _checked[Spec: PipelineSpec](file: SpecFile, kind: type[Spec]) -> Spec:
    name = file.path.stem
    if file.values.get("name", name) != name:
        remedy = "remove it, or rename the file: the file's name is the data set's"
        raise SpecError([file.problem(["name"], repr(file.values["name"]), remedy)])
    try:
        return kind.model_validate({**file.values, "name": name})
    except ValidationError as error:
        raise file.explain(error) from error
