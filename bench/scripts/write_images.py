"""Lay out images for a benchmark, <folder>/<label>/<number>.jpg, no two the same.

write_images.py <folder> <count> [<folder of real images>]

Without real images it draws round fruits on white. A few bytes behind the end of a JPEG, which no
decoder reads, make copies of one image differ.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

VARIETIES = 24
folder, count = Path(sys.argv[1]), int(sys.argv[2])
real = Path(sys.argv[3]) if len(sys.argv) > 3 else None


def drawn(number: int) -> bytes:
    draws = np.random.default_rng(number)
    image = Image.new("RGB", (100, 100), "white")
    hue = number % VARIETIES * 255 // VARIETIES
    for radius in range(45, 5, -4):
        box = [50 - radius, 50 - radius, 50 + radius, 50 + int(draws.integers(radius - 3, radius))]
        colour = Image.new("HSV", (1, 1), (hue, 255 - radius, 255 - 2 * radius)).convert("RGB")
        ImageDraw.Draw(image).ellipse(box, fill=colour.getpixel((0, 0)))
    pixels = np.asarray(image, np.int16) + draws.normal(0, 8, (100, 100, 3))
    sink = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(sink, "JPEG", quality=90)
    return sink.getvalue()


photos = sorted(real.glob("*/*.jpg")) if real else []
if photos:  # as many of each variety, whatever the count
    photos = [photos[number * 1009 % len(photos)] for number in range(min(count, len(photos)))]
for number in range(count):
    photo = photos[number % len(photos)] if photos else None
    label = photo.parent.name if photo else f"Variety {number % VARIETIES}"
    path = folder / label / f"{number}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = photo.read_bytes() if photo else drawn(number)
    path.write_bytes(content + b"%d" % number)
