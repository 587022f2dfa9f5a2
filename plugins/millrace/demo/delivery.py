"""Raw files of every data set into a lake: the user's own, or samples drawn here."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from importlib import import_module
from pathlib import Path

from millrace.datasets import (
    AnySpec,
    RelationalSpec,
    load_image_specs,
    load_relational_specs,
    load_specs,
)
from millrace.errors import MillraceError
from millrace.lake import Place, Store
from millrace.samples import IMAGE_SAMPLES, SAMPLES, write_images, write_sample
from millrace.settings import Settings

TABLE_SAMPLES = {"home_credit": 0.01}  # samples of several tables, and their scale
LISTED = 3  # names of delivered files that are told


def deliver(
    settings: Settings,
    store: Store,
    data: Path | None,
    partition: str,
    names: Collection[str] | None = None,
) -> dict[str, AnySpec]:
    """Put the raw files of every data set into the lake; returns the specs that have some.

    The marker that a spec waits for comes last.

    Args:
        names: data sets to deliver; by default all.

    Raises:
        MillraceError: a spec is broken, or there is no file for any.
    """
    specs: dict[str, AnySpec] = {}
    for load in (load_specs, load_image_specs, load_relational_specs):
        found, broken = load(settings.datasets)
        if broken:
            raise MillraceError("\n".join(str(error) for error in broken.values()))
        specs.update(found)
    delivered = {
        name: spec
        for name, spec in specs.items()
        if (names is None or name in names) and _deliver(spec, store, data, partition)
    }
    if not delivered:
        raise MillraceError(
            f"{data} holds no raw files; lay them out as <dataset>/<files>, with a folder for"
            f" one or more of {', '.join(specs)}"
        )
    return delivered


def _deliver(spec: AnySpec, store: Store, data: Path | None, partition: str) -> bool:
    """Put the raw files of one data set into the lake; False where there are none."""
    name = spec.name
    patterns = spec.file_patterns() if isinstance(spec, RelationalSpec) else [spec.raw.files]
    found = {file for each in patterns for file in (data / name).glob(each)} if data else set()
    files = sorted(found)
    if not files and (data or name not in {*SAMPLES, *IMAGE_SAMPLES, *TABLE_SAMPLES}):
        return False
    place = str(Place("raw", name, partition))
    folder = store.workspace(place)
    for file in files:
        target = folder / file.relative_to(data / name) if data else folder
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if files:
        print(f"{name}: {_listed([file.name for file in files])} from {data}/{name}")
    elif name in SAMPLES:
        path = write_sample(name, folder)
        print(f"{name}: drew {SAMPLES[name].rows:,} sample rows into {path.name}")
    elif name in TABLE_SAMPLES:
        rows = import_module(f"millrace.samples.{name}").write(folder, scale=TABLE_SAMPLES[name])
        print(f"{name}: drew {sum(rows.values()):,} sample rows of {len(rows)} tables")
    else:
        print(f"{name}: drew {write_images(name, folder):,} sample images")
    store.store(folder, place)
    if spec.raw.ready and not set("*?[") & set(spec.raw.ready):
        marker = f"{place}/{spec.raw.ready}"
        present = store.read(marker)
        store.replace(marker, b"", present[1] if present else None)
    return True


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED:,} more files" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
