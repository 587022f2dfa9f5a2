"""Which images are held out: an arc of each series of views, so that neighbours do not leak. Pure.

Photos of an object that turns are nearly the same from one view to the next. A random split would
test on what was trained on; an arc, with a gap on both sides, tests on sides the model never saw.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from millrace.datasets import ViewSplit
from millrace.errors import MillraceError

Side = Literal["train", "test", "left out"]


def split_views(paths: Sequence[str], labels: Sequence[str], split: ViewSplit) -> list[Side]:
    """The side of each image.

    With `split.order`, each label and series gets one arc of its circle, placed by the seed; the
    series is the part of the file's name before the number, and its numbers are equally spaced on
    the circle from the smallest to one step after the largest. Without it, the images of a label
    with the lowest hash of seed and path are the test images. A label that would be left without
    train images keeps all of them for training.

    Raises:
        MillraceError: a file's name holds no number where `order` looks for it.
    """
    groups: dict[tuple[str, ...], dict[int, float]] = defaultdict(dict)
    for row, (path, label) in enumerate(zip(paths, labels, strict=True)):
        series, number = view_of(path, split.order) if split.order else ("", 0.0)
        groups[label, series][row] = number
    sides: list[Side] = ["train"] * len(paths)
    for group, numbers in groups.items():
        found = (
            _arc(numbers, split, _start(split.seed, *group))
            if split.order
            else _lowest(numbers, paths, split)
        )
        for row, side in found.items():
            sides[row] = side
    for label in set(labels) - {at for at, side in zip(labels, sides, strict=True)
                                if side == "train"}:  # fmt: skip
        sides = ["train" if at == label else side for at, side in zip(labels, sides, strict=True)]
    return sides


def view_of(path: str, order: str) -> tuple[str, float]:
    """Series and number of a view, from its file's name.

    Raises:
        MillraceError: there is no number where `order` looks for it.
    """
    name = PurePosixPath(path).name
    match = re.search(order, name)
    try:
        if match is None:
            raise ValueError(f"{order!r} finds nothing in it")
        return name[: match.start(1)], float(match[1])
    except (TypeError, ValueError) as error:
        raise MillraceError(
            f"the view of {path!r} is unknown ({error}); mend `split.order` in the spec, or the"
            " file's name"
        ) from None


def _start(seed: int, *group: str) -> float:
    """A reproducible place on the circle, from 0 to 1."""
    digest = hashlib.sha256("\0".join(("millrace views", str(seed), *group)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _arc(numbers: Mapping[int, float], split: ViewSplit, start: float) -> dict[int, Side]:
    least, count = min(numbers.values()), len(set(numbers.values()))
    span = max(numbers.values()) - least
    circle = span * count / (count - 1) if count > 1 else 1.0
    return {row: _side(((n - least) / circle - start) % 1, split) for row, n in numbers.items()}


def _side(after: float, split: ViewSplit) -> Side:
    """The side of a view that stands this share of the circle after the start of the arc."""
    if after < split.test:
        return "test"
    return "left out" if after < split.test + split.gap or after >= 1 - split.gap else "train"


def _lowest(rows: Mapping[int, float], paths: Sequence[str], split: ViewSplit) -> dict[int, Side]:
    ranked = sorted(rows, key=lambda row: (_start(split.seed, paths[row]), paths[row]))
    count = min(max(1, round(len(ranked) * split.test)), len(ranked) - 1)
    return dict.fromkeys(ranked[:count], "test")
