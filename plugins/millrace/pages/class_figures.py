"""The charts of images and their classes: the map and the scree plot, and the confusion picture."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from millrace.pages.figures import COLOURS, STYLE, Chart
from millrace.pages.render import percent

MARKS = "o^svDPX*<>"
POINTS = 5000  # drawn in the map
LEGEND = 40  # classes the legend of the map names
MATRIX = 40  # classes a confusion picture shows


def map_chart(
    values: np.ndarray, number: np.ndarray, classes: Sequence[str], ratio: np.ndarray
) -> Chart:
    """Images by their first two components, a colour and a mark for each class.

    Args:
        values: components of shape (images, components).
        number: class number of each image.
        ratio: share of the variance of each component.
    """
    x = values[:, 0]
    y = values[:, 1] if values.shape[1] > 1 else np.zeros(len(values))
    shown = np.linspace(0, len(values) - 1, min(POINTS, len(values))).astype(int)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.2), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        for place, name in enumerate(classes):
            rows = shown[number[shown] == place]
            axes.scatter(
                x[rows], y[rows], s=14, color=COLOURS[place % len(COLOURS)], linewidths=0,
                marker=MARKS[place // len(COLOURS) % len(MARKS)], alpha=0.75, rasterized=True,
                label=name.replace("$", r"\$") if place < LEGEND else None,
            )  # fmt: skip
        shares = [percent(float(share)) for share in ratio[:2]] + ["0.0 %"]
        axes.set(
            xlabel=f"Component 1 ({shares[0]} of the variance)",
            ylabel=f"Component 2 ({shares[1]} of the variance)",
        )
        figure.legend(
            loc="outside right center", fontsize=8, markerscale=1.6,
            ncols=1 + (min(len(classes), LEGEND) > 26),
        )  # fmt: skip
    alt = f"{len(shown):,} images of {len(classes)} labels by their first two components."
    note = "Each mark is an image. Labels that overlap here may still differ in other components."
    return Chart("Map of the images", alt, figure, note)


def scree_chart(ratio: np.ndarray) -> Chart:
    """The share of the variance of each component, and of all up to it."""
    number = np.arange(1, len(ratio) + 1)
    together = np.cumsum(ratio)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.7), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.bar(number, ratio, width=0.8, label="this component")
        axes.plot(number, together, color=COLOURS[1], marker="." if len(ratio) < 60 else None,
                  label="all up to this one")  # fmt: skip
        axes.set(xlabel="Component", ylabel="Share of the variance", ylim=(0, 1.02))
        axes.set_xlim(0.3, len(ratio) + 0.7)
        axes.legend(loc="center right")
    alt = (
        f"Share of the variance: {percent(float(ratio[0]))} in the first component,"
        f" {percent(float(together[-1]))} in all {len(ratio)}."
    )
    return Chart("Scree plot", alt, figure, alt)


def confusion_chart(matrix: np.ndarray, classes: Sequence[str]) -> Chart:
    """How often each label was called by each name; the diagonal is right.

    Args:
        matrix: counts of shape (classes, classes), actual by predicted.
    """
    shown = _most_confused(matrix)
    part = matrix[np.ix_(shown, shown)]
    names = [_short(classes[place]) for place in shown]
    totals = np.maximum(1, matrix[shown].sum(axis=1))[:, None]
    share, right = part / totals, np.eye(len(shown), dtype=bool)
    side = 3.0 + 0.3 * len(shown)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(side + 1, side), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.imshow(np.where(right, share, np.nan), cmap="Greens", vmin=-0.15, vmax=1.3)
        wrong = np.where(~right & (part > 0), share, np.nan)
        axes.imshow(wrong, cmap="Oranges", vmin=-0.2, vmax=0.8)
        for row, column in zip(*np.nonzero(part), strict=True):
            dark = row == column and share[row, column] > 0.5
            axes.text(
                column, row, f"{part[row, column]:,}", ha="center", va="center", fontsize=8,
                color="white" if dark else "#17212b",
                fontweight="bold" if row == column else "normal",
            )  # fmt: skip
        places = range(len(shown))
        axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(places, names, fontsize=8)
        axes.set(xlabel="Named", ylabel="Actually")
        axes.set_xticks(np.arange(len(shown) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(shown) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#dde3e9", linewidth=0.6)
        axes.tick_params(which="both", length=0)
    note = "Test images: rows are what they show, columns what they were named. Green is right."
    if len(shown) < len(classes):
        note += f" The {len(shown)} labels of {len(classes)} that are confused most."
    alt = f"{int(np.trace(matrix)):,} of {int(matrix.sum()):,} test images were named rightly."
    return Chart("Confusion picture", alt, figure, note)


def _most_confused(matrix: np.ndarray) -> np.ndarray:
    """The classes to show: all, or those with the most mistakes in their row or column."""
    if len(matrix) <= MATRIX:
        return np.arange(len(matrix))
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    return np.sort(np.argsort(-wrong, kind="stable")[:MATRIX])


def _short(name: str) -> str:
    return (name if len(name) <= 24 else f"{name[:23]}…").replace("$", r"\$")
