"""Which files are images, their labels, and how they are cut into partitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listing import (
    Listing,
    added,
    cut,
    label_of,
    list_images,
    matches,
    packed,
    partition_count,
    piece_of,
    sample,
)
from storage import Folder, JobError


def listed(count: int, size: int = 5_000) -> Listing:
    return Listing([f"a/{n:07d}.jpg" for n in range(count)], np.full(count, size))


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/b.jpg", "", True), ("b.JPEG", "", True), ("a/b/c/d.png", "", True),
        ("a/_SUCCESS", "", False), ("a/b.gif", "", False), ("a/.b.jpg", "", False),
        ("a/b.jpg", "*/*.jpg", True), ("a/b/c.jpg", "*/*.jpg", False), ("c.jpg", "*/*.jpg", False),
        ("a b/c=1.jpg", "a b/c=?.jpg", True), ("a/b.JPG", "*/*.jpg", False),
    ],
)  # fmt: skip
def test_a_pattern_holds_folder_by_folder(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) == expected


@pytest.mark.parametrize(
    ("path", "label"),
    [("Apple 5/r.jpg", "Apple 5"), ("x/Äpfel=1/r.jpg", "Äpfel=1"), ("r.jpg", "in")],
)
def test_a_label_is_the_folders_name(path: str, label: str) -> None:
    assert label_of(path, "bucket/in/") == label


def test_images_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a c=/é %41#.png", "1.jpg", "b/deep/er/3.jpeg", "b/_SUCCESS"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    found = list_images(Folder.of(str(tmp_path)))
    assert found.paths == ["1.jpg", "a c=/é %41#.png", "b/2.jpg", "b/deep/er/3.jpeg"]
    assert found.sizes.tolist() == [len(name) for name in found.paths]
    assert list_images(Folder.of(f"file://{tmp_path}/"), "b/*").paths == ["b/2.jpg", "b/_SUCCESS"]
    with pytest.raises(JobError, match=r"none of the 5 files below .* matches --pattern '\*.gif'"):
        list_images(Folder.of(str(tmp_path)), "*.gif")


def test_no_files_and_no_images_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="there are no files below"):
        list_images(Folder.of(str(tmp_path / "missing")))
    with pytest.raises(JobError, match="there are no files below"):
        list_images(Folder.of(str(tmp_path)))
    (tmp_path / "letter.txt").write_text("x")
    with pytest.raises(JobError, match=r"none of the 1 files .* ends in .jpg, .jpeg, .png: letter"):
        list_images(Folder.of(str(tmp_path)))


@pytest.mark.parametrize(
    ("count", "size", "cores", "expected"),
    [
        (3_000, 5_000, 2, 8),  # a few a core
        (1, 5_000, 2, 1), (20, 5_000, 2, 2),  # not one for every image
        (1_000_000, 5_000, 2, 250), (1_000_000, 5_000, 400, 1_600),  # bounded pieces
        (3_000, 10_000_000, 2, 56),  # bounded by bytes
        (10**8, 5_000, 400, 20_000),  # bounded for the driver
    ],
)  # fmt: skip
def test_partitions_fit_the_work(count: int, size: int, cores: int, expected: int) -> None:
    class Sized(Listing):
        def __len__(self) -> int:
            return count

        @property
        def bytes(self) -> int:
            return count * size

    assert partition_count(Sized([], np.array([size])), cores) == expected


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=200), st.data())
def test_cutting_keeps_every_image_once(sizes: list[int], data: st.DataObject) -> None:
    listing = Listing([str(n) for n in range(len(sizes))], np.array(sizes))
    count = data.draw(st.integers(1, len(sizes)))
    pieces = cut(listing, count)
    assert len(pieces) == count
    assert [path for piece in pieces for path in listing.paths[piece]] == listing.paths
    assert all(piece.stop > piece.start for piece in pieces)


def test_pieces_are_of_equal_work() -> None:
    """A hundred big photos weigh as much as many small ones."""
    sizes = np.array([5_000] * 5_000 + [12_500_000] * 100)
    pieces = cut(Listing([str(n) for n in range(len(sizes))], sizes), 4)
    assert pieces[0].stop > 2_000
    work = [float((1 + sizes[piece] / 250_000).sum()) for piece in pieces]
    assert max(work) < 1.1 * min(work)


def test_a_packed_piece_is_read_alone(tmp_path: Path) -> None:
    folder, listing = Folder(str(tmp_path)), listed(10)
    folder.write("listing.arrow", packed(listing, cut(listing, 3)))
    pieces = [piece_of(folder, "listing.arrow", number) for number in range(3)]
    assert [row for piece in pieces for row in piece] == [(p, 5_000) for p in listing.paths]


def test_a_sample_is_spread_and_always_the_same() -> None:
    assert sample(listed(100), 3) == ["a/0000000.jpg", "a/0000050.jpg", "a/0000099.jpg"]
    assert sample(listed(2), 16) == listed(2).paths
    assert added([{"b": 1, "a": 2}, {"a": 3}]) == {"a": 5, "b": 1}
