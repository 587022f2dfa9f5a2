"""An image file's bytes as upright RGB pixels of the size a network takes.

Decoding is Pillow's, which knows every colour mode and refuses truncated files; resizing is
OpenCV's, six times as fast: area averages when shrinking, cubic when enlarging. Whatever is wrong
with a file becomes a `BadImage` with a reason that fits in one line.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

DECODE_VERSION = "1"
"""Part of a network's identity: raise it when the same file comes to give other pixels."""

FORMATS = ("JPEG", "PNG")
FOREIGN = (
    (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"%PDF", "PDF"),
    (b"PK\3\4", "ZIP"), (b"\x1f\x8b", "gzip"), (b"<!DOCTYPE", "HTML"), (b"<html", "HTML"),
    (b"<?xml", "XML"), (b"<svg", "SVG"), (b"{", "JSON"),
)  # fmt: skip
MOST_SCANS = 200  # of a progressive JPEG; cameras write about ten, thousands take minutes
ORIENTATION = 0x0112  # the EXIF tag

Image.MAX_IMAGE_PIXELS = None  # `Limits.pixels` is the limit, checked before anything is decoded
cv2.setNumThreads(1)


class BadImage(ValueError):
    """A file that gives no pixels; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Attributes:
        bytes: size of the file.
        pixels: width times height: three to eight bytes of memory each.
        seconds: time to decode it.
    """

    bytes: int = 50_000_000
    pixels: int = 40_000_000
    seconds: float = 20.0


def check_size(size: int, limits: Limits) -> None:
    """Refuse a file by its size alone.

    Raises:
        BadImage: it is empty, or larger than the limit.
    """
    if size == 0:
        raise BadImage("empty file")
    if size > limits.bytes:
        raise BadImage(f"too many bytes: {size:,}, more than --max-bytes {limits.bytes:,}")


def decode(data: bytes, target: np.ndarray, limits: Limits) -> None:
    """Fill a target uint8 [size, size, 3] with an image: RGB, upright, white where transparent.

    Raises:
        BadImage: it is not a whole JPEG or PNG image within the limits.
    """
    check_size(len(data), limits)
    if data.count(b"\xff\xda") > MOST_SCANS and data.startswith(b"\xff\xd8"):
        raise BadImage(f"a JPEG of more than {MOST_SCANS} scans, made to take long")
    try:
        with _at_most(limits.seconds):
            resize(rgb(_opened(data, len(target), limits)), target)
    except BadImage:
        raise
    except TimeoutError as error:
        raise BadImage(f"took longer than {limits.seconds:g} s to decode") from error
    except Exception as error:  # decoders raise whatever a broken file leads them to
        raise BadImage(f"broken {_format(data)} file: {_one_line(error)}") from error


def _opened(data: bytes, size: int, limits: Limits) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        kind = _format(data)
        if kind in FORMATS:
            raise BadImage(f"broken {kind} file: its header cannot be read") from error
        raise BadImage(f"not a JPEG or PNG image: {kind}") from error
    width, height = image.size
    if width * height > limits.pixels:
        raise BadImage(
            f"too many pixels: {width:,} x {height:,}, more than --max-pixels {limits.pixels:,}"
        )
    image.draft(None, (2 * size, 2 * size))  # a big JPEG is decoded at a half, quarter or eighth
    image.load()
    return ImageOps.exif_transpose(image) if _turned(image) else image


def _turned(image: Image.Image) -> bool:
    return image.getexif().get(ORIENTATION, 1) != 1


def rgb(image: Image.Image) -> np.ndarray:
    """Pixels of an image of any mode: uint8 [height, width, 3]."""
    if image.mode.startswith("I"):  # 16 bits a pixel, as uint16 or int32
        grey = np.asarray(image)
        eight = (np.clip(grey, 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(eight[:, :, None], 3, axis=2)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def resize(pixels: np.ndarray, target: np.ndarray) -> None:
    """Squeeze or stretch pixels [height, width, 3] into a target [size, size, 3]."""
    size = len(target)
    height, width = pixels.shape[:2]
    if height > size or width > size:
        smaller = (min(width, size), min(height, size))
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    if pixels.shape == target.shape:
        target[:] = pixels
    else:
        cv2.resize(pixels, (size, size), dst=target, interpolation=cv2.INTER_CUBIC)


def _format(data: bytes) -> str:
    """What a file's first bytes say it is."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return f"{data[8:12].decode('ascii', 'replace').strip()} (HEIC, AVIF or MP4)"
    for start, kind in FOREIGN:
        if data.startswith(start):
            return kind
    text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data[:64])
    return "text" if text else f"it starts with {data[:8].hex(' ')}"


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after a time; decoders are interrupted between two pieces.

    Only the main thread hears the alarm; elsewhere the limits on pixels and scans bound the time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
