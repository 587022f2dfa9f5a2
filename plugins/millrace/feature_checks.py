"""Whether the features of a partition's images can be built on. Pure.

Features come in blocks, so that memory does not grow with the images; of each image only the path,
the label, the hash and the norm are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from millrace.problems import LISTED, Problem

FAR = 10.0  # a norm this many times the median, or this small a part of it, is worth a note


@dataclass
class FeatureChecks:
    """What was found so far."""

    width: int
    components: int
    problems: list[Problem] = field(default_factory=list)
    networks: dict[str, str] = field(default_factory=dict)  # id: the first file that has it
    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    norms: list[np.ndarray] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def add_file(self, name: str, network: str, width: int) -> None:
        """Note which network a file's features are of."""
        self.networks.setdefault(network, name)
        if width != self.width:
            self._error(
                "width", f"{width} features an image, {self.width} in the job's facts",
                "delete the published features and run image_features again", name,
            )  # fmt: skip

    def add_rows(
        self, name: str, rows: Mapping[str, Sequence[str]], features: np.ndarray, kept: np.ndarray
    ) -> None:
        """Look at a block of images.

        Args:
            rows: path, label and hash.
            features: shape (images, width).
            kept: principal components, shape (images, components).
        """
        self.paths += rows["path"]
        self.labels += rows["label"]
        self.hashes += rows["hash"]
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", features, features, dtype="float64"))
        finite = np.isfinite(features).all(axis=1) & np.isfinite(kept).all(axis=1)
        for row in np.flatnonzero(~finite | (norms == 0)).tolist():
            self.unusable.append(rows["path"][row])
            if len(self.unusable) <= LISTED:
                found = "all features are 0" if finite[row] else "a number is infinite or missing"
                self._error("numbers", found, "look at the image and at the network's scaling",
                            rows["path"][row])  # fmt: skip
        if kept.shape[1] != self.components:
            self._error(
                "components", f"{kept.shape[1]} components, {self.components} in the job's facts",
                "delete the published features and run image_features again", name,
            )  # fmt: skip
        self.norms.append(norms[finite & (norms > 0)])

    def report(
        self, images: int, quarantined: Sequence[tuple[str, str]], network: str, tolerance: float
    ) -> dict[str, Any]:
        """The verdict, in the form of the validation of tables.

        Args:
            images: how many files were listed.
            quarantined: path and reason of the files that gave no features.
            network: id of the network in the job's facts.
        """
        self._check_networks(network)
        self._check_counts(images, len(quarantined), tolerance)
        self._check_norms()
        repeated, contradictory = self._duplicates()
        problems = list(self.problems)
        problems += [
            Problem("row", "decode", reason, "send the image again, or leave it out", path)
            for path, reason in quarantined[:LISTED]
        ]
        passed = not any(problem.severity == "error" for problem in problems)
        set_aside = len(quarantined) + len(contradictory)
        return {
            "passed": passed, "rows_read": images, "rows_quarantined": set_aside,
            "rows_duplicate": len(repeated),
            "rows_clean": len(self.paths) - len(repeated) - len(contradictory),
            "tolerance": tolerance, "labels": _counted(self.labels),
            "norm": _spread(self._norms()),
            "problem_count": len(problems) + max(0, len(quarantined) - LISTED),
            "problems": [asdict(problem) for problem in problems],
        }  # fmt: skip

    def _check_networks(self, network: str) -> None:
        others = {found: name for found, name in self.networks.items() if found != network}
        for found, name in others.items():
            self._error(
                "network", f"features of network {found or '(not stated)'}; the job says {network}",
                "one partition has one network: delete the published features and run"
                " image_features again", name,
            )  # fmt: skip

    def _check_counts(self, images: int, quarantined: int, tolerance: float) -> None:
        if len(self.paths) + quarantined != images:
            self._error(
                "count", f"{len(self.paths):,} images with features and {quarantined:,} in the"
                f" quarantine, of {images:,} listed",
                "delete the published features and run image_features again",
            )  # fmt: skip
        if images and quarantined / images > tolerance:
            self._error(
                "quarantine", f"{quarantined:,} of {images:,} images are unusable",
                f"mend them, or raise `raw.tolerance` ({tolerance:g})",
            )  # fmt: skip
        labels = sorted(set(self.labels))
        if len(labels) < 2:
            self._error(
                "labels", f"{len(labels)} label(s): {', '.join(map(repr, labels)) or 'none'}",
                "deliver images in a folder for each of two or more labels",
            )  # fmt: skip
        for path, times in Counter(self.paths).items():
            if times > 1:
                self._error(
                    "path", f"features of this image stand there {times} times",
                    "delete the published features and run image_features again", path,
                )  # fmt: skip

    def _norms(self) -> np.ndarray:
        return np.concatenate(self.norms) if self.norms else np.empty(0)

    def _check_norms(self) -> None:
        norms = self._norms()
        middle = float(np.median(norms)) if len(norms) else 0.0
        far = int(((norms > FAR * middle) | (norms < middle / FAR)).sum())
        if far:
            self.problems.append(
                Problem("note", "norm", f"{far:,} images whose features are {FAR:g} times as long"
                        " or as short as usual", "look at them: they may show something else")
            )  # fmt: skip

    def _duplicates(self) -> tuple[list[str], list[str]]:
        """Paths of repeated images, and of equal images under different labels."""
        by_hash: dict[str, list[int]] = defaultdict(list)
        for row, content in enumerate(self.hashes):
            by_hash[content].append(row)
        repeated, contradictory = [], []
        for same in by_hash.values():
            if len(same) == 1:
                continue
            paths = sorted(self.paths[row] for row in same)
            if len({self.labels[row] for row in same}) > 1:
                contradictory += paths
                found = f"one image under different labels: {', '.join(paths[:4])}"
                self.problems.append(
                    Problem("row", "label", found, "none of them is used; keep the right one",
                            paths[0])
                )  # fmt: skip
            else:
                repeated += paths[1:]
        if repeated:
            found = f"{len(repeated):,} repeated images"
            self.problems.append(
                Problem("note", "duplicates", found, "dropped; the first is named", repeated[0])
            )
        return repeated, contradictory

    def _error(self, check: str, found: str, remedy: str, file: str = "") -> None:
        self.problems.append(Problem("error", check, found, remedy, file))


def usable(hashes: Sequence[str], labels: Sequence[str], paths: Sequence[str]) -> list[int]:
    """Rows to build on, by path: of equal images the first, and none that has different labels."""
    by_hash: dict[str, list[int]] = defaultdict(list)
    for row in sorted(range(len(paths)), key=lambda row: paths[row]):
        by_hash[hashes[row]].append(row)
    kept = [same[0] for same in by_hash.values() if len({labels[row] for row in same}) == 1]
    return sorted(kept, key=lambda row: paths[row])


def _counted(labels: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))


def _spread(norms: np.ndarray) -> dict[str, float]:
    if not len(norms):
        return {}
    return {"minimum": float(norms.min()), "median": float(np.median(norms)),
            "maximum": float(norms.max())}  # fmt: skip
