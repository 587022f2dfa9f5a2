"""The drawn photos: names, bytes, and the odd files among them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from millrace.datasets import load_image_spec
from millrace.samples import write_images
from millrace.samples.fruits import VARIETIES
from millrace.settings import PROJECT
from millrace.views import view_of

ODD = {"Apple Green/r0_341_100.jpg", "Orange/r0_341_100.jpg", "Walnut/r0_341_100.jpg"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    assert write_images("fruits", folder) == 8 * 2 * 20 + len(ODD)
    return folder / "images"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_names_are_those_of_the_real_photos(drawn: Path) -> None:
    spec = load_image_spec(PROJECT / "include" / "datasets" / "fruits.yaml")
    files = contents(drawn)
    assert all(re.fullmatch(r"[A-Z][A-Za-z ]+/r[01]_\d+_100\.jpg", name) for name in files)
    assert {name.split("/")[0] for name in files} == {variety.name for variety in VARIETIES}
    assert len(list(drawn.parent.glob(spec.raw.files))) == len(files)
    assert spec.split.order
    assert {view_of(name, spec.split.order)[0] for name in files} == {"r0_", "r1_"}
    assert list(drawn.parent.iterdir()) == [drawn]


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        write_images("fruits", tmp_path / name, views=3, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")


def test_photos_are_fruits_on_white_and_turn(drawn: Path) -> None:
    for variety in VARIETIES:
        views = []
        for number in (0, 17, 170):
            with Image.open(drawn / variety.name / f"r1_{number}_100.jpg") as photo:
                assert (photo.size, photo.format) == ((100, 100), "JPEG")
                views.append(np.asarray(photo.convert("RGB"), dtype=float))
        assert all(view[0, 0].min() > 245 for view in views)
        assert all(view[50, 50].mean() < 240 for view in views)
        near, far = (np.abs(views[0] - other).mean() for other in views[1:])
        assert 0 < near < far or far > 1


def test_odd_files_are_what_readers_stumble_over(drawn: Path) -> None:
    broken = {}
    modes = {"L": 0, "CMYK": 0, "RGB": 0}
    turned = 0
    for name, data in contents(drawn).items():
        try:
            with Image.open(drawn / name) as photo:
                photo.load()
                modes[photo.mode] += 1
                turned += photo.getexif().get(0x0112, 1) == 6
        except OSError:
            broken[name] = len(data)
    assert set(broken) == ODD
    assert broken["Orange/r0_341_100.jpg"] == 0
    assert modes == {"L": 1, "CMYK": 1, "RGB": 318}
    assert turned == 1


def test_writing_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write_images("fruits", tmp_path, views=3)
    assert write_images("fruits", tmp_path, views=1) == len(contents(tmp_path)) == 16 + len(ODD)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sample images named 'pets'; choose one of: fruits"):
        write_images("pets", tmp_path)
    with pytest.raises(ValueError, match="views is 0 and seed is 0; give 1 and 0, or more"):
        write_images("fruits", tmp_path, views=0)


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images("fruits", tmp_path, views=1)
    before = contents(tmp_path)

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_images("fruits", tmp_path, views=2)
    monkeypatch.undo()
    assert contents(tmp_path) == before
