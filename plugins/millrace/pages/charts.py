"""Charts as plain values: data put into the coordinates of an inline SVG that a template draws.

Drawn as SVG elements rather than by a plotting library, so that a chart takes its colours from
the page (light, dark, print), stays a few kilobytes and holds text that can be read and searched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 446, 12, 274


@dataclass(frozen=True)
class Axis:
    """One axis: its label and range; `percent` writes ticks as per cent, without a sign.

    There are about as many ticks as `steps`.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    percent: bool = False
    steps: int = 6

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values within the range and how each is written."""
        step = round_up((self.high - self.low) / self.steps)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(index * step, self._write(index * step)) for index in range(first, last + 1)]

    def _write(self, value: float) -> str:
        return f"{abs(100 * value):.4g} %" if self.percent else f"{round(value, 12):g}"


@dataclass(frozen=True)
class Line:
    """A polyline; `style` names its CSS class, `note` stands after its name in the legend."""

    name: str
    points: str
    style: str
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A rectangle with a text shown under the pointer."""

    x: float
    y: float
    width: float
    height: float
    style: str
    text: str


@dataclass(frozen=True)
class Dot:
    """A marker with a vertical whisker from `top` to `bottom` and a text under the pointer."""

    x: float
    y: float
    top: float
    bottom: float
    text: str


@dataclass(frozen=True)
class Chart:
    """What a template needs to draw one chart; `alt` says in words what it shows."""

    title: str
    alt: str
    x: Axis
    y: Axis
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    guide: str = ""
    mark: tuple[float, str] | None = None
    note: str = ""

    def x_at(self, value: float) -> float:
        """The horizontal place of a value, in SVG units."""
        return round(LEFT + _part(value, self.x) * (RIGHT - LEFT), 1)

    def y_at(self, value: float) -> float:
        """The vertical place of a value, in SVG units (down is more)."""
        return round(BOTTOM - _part(value, self.y) * (BOTTOM - TOP), 1)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The `points` attribute of a polyline through the values."""
        pairs = zip(xs, ys, strict=True)
        return " ".join(f"{self.x_at(x):g},{self.y_at(y):g}" for x, y in pairs)


def stepped(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points of a staircase: each y holds from the x before it up to its own x."""
    x = [at for pair in zip([xs[0], *xs[:-1]], xs, strict=True) for at in pair]
    return x, [y for y in ys for _ in range(2)]


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5 or 5 times a power of ten, for the end or the step of an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if value <= m * power * (1 + 1e-9))


def _part(value: float, axis: Axis) -> float:
    return min(1.0, max(0.0, (value - axis.low) / (axis.high - axis.low)))
