"""Drawn photos of turning fruits: balls with a peel, lit from the upper left, on white.

Every variety has a shape, two colours, spots and stripes of its own; a view turns the peel. Series
`r0_` stands upright, series `r1_` lies on its side. Names are those of Fruits-360:
`images/<variety>/<series>_<view>_100.jpg`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

SIDE = 100  # pixels
TURN = 340  # numbers of a whole turn, as in the real photos
WAVES = 6  # that make the spots of a peel
LIGHT = np.array([-0.45, -0.55, 0.70]) / np.linalg.norm([-0.45, -0.55, 0.70])


@dataclass(frozen=True)
class Variety:
    """How one variety looks.

    Attributes:
        width, height: radii, as shares of half the picture.
        colour, blush: RGB of the peel and of its sunny side.
        spots: how strongly spots darken the peel; `grain` is how fine they are.
        stripes: how many run from the stem to the flower.
    """

    name: str
    width: float
    height: float
    colour: tuple[int, int, int]
    blush: tuple[int, int, int]
    spots: float = 0.1
    grain: float = 3.0
    stripes: int = 0
    gloss: float = 0.3


VARIETIES = (
    Variety("Apple Green", 0.84, 0.80, (130, 178, 52), (170, 196, 80), spots=0.10, grain=9),
    Variety("Apple Striped", 0.86, 0.82, (206, 176, 78), (186, 44, 40), spots=0.12, stripes=11),
    Variety("Cherry Dark", 0.62, 0.60, (84, 14, 26), (120, 22, 34), spots=0.05, gloss=0.7),
    Variety("Lemon", 0.72, 0.94, (234, 206, 52), (240, 216, 92), spots=0.16, grain=16),
    Variety("Orange", 0.88, 0.86, (236, 132, 26), (240, 150, 40), spots=0.22, grain=20),
    Variety("Plum", 0.62, 0.82, (66, 44, 92), (112, 60, 110), spots=0.22, grain=2.5, gloss=0.15),
    Variety("Tomato", 0.92, 0.74, (208, 44, 28), (226, 78, 36), spots=0.04, gloss=0.6),
    Variety("Walnut", 0.74, 0.80, (150, 108, 66), (176, 132, 86), spots=0.5, grain=7, gloss=0.05),
)


def draw(seed: int, views: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file, in order of the names of the varieties.

    Besides two series of `views` photos of each variety there are photos as cameras and scanners
    leave them (grey, CMYK, turned by EXIF), and three files that are no photos at all.
    """
    for place, variety in enumerate(VARIETIES):
        for lying, series in enumerate(("r0", "r1")):
            fruit = _Fruit(variety, np.random.default_rng([seed, place, lying]), bool(lying))
            for view in range(views):
                number = view * TURN // views
                name = f"images/{variety.name}/{series}_{number}_{SIDE}.jpg"
                yield name, _file(fruit.photo(view / views), place, lying, view)
    yield from _no_photos()


def _file(photo: Image.Image, place: int, lying: int, view: int) -> bytes:
    """The photo as a file; a few are kept in the ways that readers stumble over."""
    match (place, lying, view):
        case (2, 0, 1):
            return _jpeg(photo.convert("L"))
        case (4, 0, 2):
            return _jpeg(photo.convert("CMYK"))
        case (6, 1, 3):
            exif = Image.Exif()
            exif[0x0112] = 6  # to be turned by 90 degrees clockwise when shown
            return _jpeg(photo.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
        case _:
            return _jpeg(photo)


def _no_photos() -> Iterator[tuple[str, bytes]]:
    whole = _jpeg(Image.new("RGB", (SIDE, SIDE), (208, 44, 28)))
    yield "images/Apple Green/r0_341_100.jpg", whole[: len(whole) // 2]
    yield "images/Orange/r0_341_100.jpg", b""
    yield "images/Walnut/r0_341_100.jpg", b"This is a list of fruits, not a photo of one.\n"


def _jpeg(photo: Image.Image, **options: bytes) -> bytes:
    target = io.BytesIO()
    photo.save(target, "JPEG", quality=92, **options)
    return target.getvalue()


class _Fruit:
    """One fruit: the peel is drawn once, and each photo turns it."""

    def __init__(self, variety: Variety, rng: np.random.Generator, lying: bool):
        self.variety, self.lying = variety, lying
        self.size = rng.uniform(0.93, 1.03)
        self.blush_at = rng.uniform(0, 2 * np.pi)
        self.waves = rng.normal(size=(WAVES, 3)) * variety.grain
        self.phases = rng.uniform(0, 2 * np.pi, WAVES)
        self.tint = rng.normal(0, 4, 3)

    def photo(self, turn: float) -> Image.Image:
        """The fruit after a share of a turn."""
        x, y, z, cover = self._ball()
        along, across = (x, y) if self.lying else (y, x)
        angle = 2 * np.pi * turn
        side = across * np.cos(angle) - z * np.sin(angle)
        depth = across * np.sin(angle) + z * np.cos(angle)
        peel = self._peel(side, along, depth)
        facing = np.clip(np.stack([x, y, z], axis=-1) @ LIGHT, 0, 1)
        lit = peel * (0.38 + 0.62 * facing)[..., None]
        lit += 255 * self.variety.gloss * (facing**40)[..., None]
        stem = np.hypot(side, depth) < 0.13
        lit[stem & (along < 0)] *= 0.35
        pixels = lit * cover[..., None] + 255 * (1 - cover[..., None])
        return Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))

    def _ball(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The direction each pixel of the peel faces, and how far the fruit covers the pixel."""
        grid = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
        width, height = self.variety.width * self.size, self.variety.height * self.size
        if self.lying:
            width, height = height, width
        x, y = np.meshgrid(grid / width, grid / height)
        radius = np.hypot(x, y)
        cover = np.clip((1 - radius) * SIDE * min(width, height) / 2 + 0.5, 0, 1)
        inside = np.minimum(radius, 1.0)
        scale = np.where(radius > 1, 1 / np.maximum(radius, 1e-9), 1.0)
        return x * scale, y * scale, np.sqrt(1 - inside**2), cover

    def _peel(self, side: Floats, along: Floats, depth: Floats) -> Floats:
        """Colour of the peel at points of the ball: shape (SIDE, SIDE, 3)."""
        variety = self.variety
        around = np.arctan2(side, depth)
        share = 0.5 + 0.5 * np.cos(around - self.blush_at)
        if variety.stripes:
            share *= 0.55 + 0.45 * np.sin(variety.stripes * around)
        points = np.stack([side, along, depth], axis=-1) @ self.waves.T + self.phases
        spots = np.sin(points).mean(axis=-1)
        colour, blush = np.array(variety.colour), np.array(variety.blush)
        mixed = colour + (blush - colour) * share[..., None] + self.tint
        shaded: Floats = mixed * (1 + 1.6 * variety.spots * spots)[..., None]
        return shaded
