"""What becomes of image files of every colour mode, and of files that are none."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import images
from images import BadImage, Limits, decode
from tests.spark.conftest import drawn, encoded

SIZE = 32


def pixels_of(data: bytes, size: int = SIZE, limits: Limits | None = None) -> np.ndarray:
    target = np.full((size, size, 3), 77, np.uint8)
    decode(data, target, limits or Limits())
    return target


def reason_of(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(BadImage) as caught:
        pixels_of(data, limits=limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("1", "PNG"),
        ("I;16", "PNG"), ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"),
    ],
)  # fmt: skip
def test_every_colour_mode_gives_the_colours_seen(mode: str, kind: str) -> None:
    shown = drawn(3, SIZE, SIZE)
    grey = mode in ("L", "LA", "1", "I;16")
    if mode == "I;16":
        sixteen = np.asarray(shown.convert("L")).astype(np.uint16) * 257
        image = Image.fromarray(sixteen)
    elif mode == "P":
        image = shown.quantize(64, dither=Image.Dither.NONE)
    elif mode == "1":
        image = shown.convert("1", dither=Image.Dither.NONE)
    else:
        image = shown.convert("L").convert(mode) if grey else shown.convert(mode)
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" and mode != "CMYK" else {}
    found = pixels_of(encoded(image, kind, **options)).astype(int)
    wanted = image.convert("RGB") if mode == "1" else shown
    expected = np.asarray(wanted.convert("L").convert("RGB") if grey else wanted).astype(int)
    assert np.abs(found - expected).mean() < (0.1 if kind == "PNG" else 6)


def test_inverted_cmyk_of_adobe_is_turned_back() -> None:
    red = encoded(Image.new("CMYK", (SIZE, SIZE), (0, 255, 255, 0)), "JPEG")
    assert b"Adobe" in red  # Pillow writes it as Adobe does: inverted, and marked
    assert np.abs(pixels_of(red).astype(int) - (255, 0, 0)).max() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(mode: str) -> None:
    if mode in ("RGBA", "LA"):
        data = encoded(Image.new(mode, (SIZE, SIZE), (10,) * (len(mode) - 1) + (0,)), "PNG")
    else:
        image = Image.new("RGB", (SIZE, SIZE), (10, 10, 10))
        image = image.quantize(2) if mode == "P" else image.convert(mode)
        data = encoded(image, "PNG", transparency={"P": 0, "L": 10, "RGB": (10, 10, 10)}[mode])
    assert (pixels_of(data) == 255).all()


def test_half_transparent_is_half_white() -> None:
    data = encoded(Image.new("RGBA", (SIZE, SIZE), (255, 0, 0, 128)), "PNG")
    assert np.abs(pixels_of(data).astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    shown = drawn(5, 60, 40)
    data = encoded(shown, "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright.size == ((60, 40) if orientation < 5 else (40, 60))
    found = pixels_of(data).astype(int)
    assert np.abs(found - pixels_of(encoded(upright, "PNG"))).mean() < 2
    if orientation > 1:
        assert np.abs(found - pixels_of(encoded(shown, "PNG"))).mean() > 4


def test_resizing_is_close_to_pillows() -> None:
    small, big = drawn(7, 20, 24), drawn(8, 400, 300)
    for image, method, most in (
        (small, Image.Resampling.BICUBIC, 1.0), (big, Image.Resampling.BOX, 1.0),
    ):  # fmt: skip
        expected = np.asarray(image.resize((SIZE, SIZE), method)).astype(int)
        assert np.abs(pixels_of(encoded(image, "PNG")).astype(int) - expected).mean() < most
    same = drawn(9, SIZE, SIZE)
    np.testing.assert_array_equal(pixels_of(encoded(same, "PNG")), np.asarray(same))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (40_000, 2), (31, 33)])
def test_odd_shapes_are_squeezed(width: int, height: int) -> None:
    data = encoded(Image.new("RGB", (width, height), (9, 200, 90)), "PNG")
    assert np.abs(pixels_of(data).astype(int) - (9, 200, 90)).max() <= 1


def test_a_big_photo_is_decoded_at_a_fraction() -> None:
    image = drawn(11, 1600, 1200).resize((3200, 2400))
    data = encoded(image, "JPEG", quality=95)
    expected = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)).astype(int)
    assert np.abs(pixels_of(data).astype(int) - expected).mean() < 3


def test_every_truncation_is_told() -> None:
    for kind in ("JPEG", "PNG"):
        data = encoded(drawn(1, 64, 64), kind)
        for cut in range(8, len(data) - 60, 41):
            assert reason_of(data[:cut]).startswith(f"broken {kind} file"), cut


def test_no_damage_goes_further_than_a_reason() -> None:
    """Flipped bytes give pixels or a reason, never another error."""
    random = np.random.default_rng(0)
    outcomes = set()
    for kind in ("JPEG", "PNG"):
        whole = encoded(drawn(2, 48, 48), kind)
        for _ in range(150):
            data = bytearray(whole)
            for place in random.integers(2, len(data), 3):
                data[place] = random.integers(0, 256)
            try:
                pixels_of(bytes(data))
                outcomes.add("pixels")
            except BadImage:
                outcomes.add("reason")
    assert outcomes == {"pixels", "reason"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (encoded(drawn(1), "GIF"), "not a JPEG or PNG image: GIF"),
        (encoded(drawn(1), "BMP"), "not a JPEG or PNG image: BMP"),
        (encoded(drawn(1), "TIFF"), "not a JPEG or PNG image: TIFF"),
        (encoded(drawn(1), "WEBP"), "not a JPEG or PNG image: WebP"),
        (b"\0\0\0\x1cftypheic....", "not a JPEG or PNG image: heic (HEIC, AVIF or MP4)"),
        (b"%PDF-1.7 ...", "not a JPEG or PNG image: PDF"),
        (b"<html>not found</html>", "not a JPEG or PNG image: HTML"),
        (b"no image\n", "not a JPEG or PNG image: text"),
        (b"\1\2\3\4\5\6\7\x08\x09", "not a JPEG or PNG image: it starts with 01 02 03 04"),
        (b"\xff\xd8\xff\xe0", "broken JPEG file: its header cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    assert reason_of(data).startswith(reason)


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def test_a_bomb_is_refused_by_its_header() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    assert reason_of(bomb).startswith("too many pixels: 50,000 x 50,000")


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(drawn(1), "JPEG", progressive=True)
    scans = data + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 500
    assert reason_of(scans) == "a JPEG of more than 200 scans, made to take long"
    assert pixels_of(data).any()


def test_decoding_is_stopped_after_a_time() -> None:
    slow = encoded(drawn(1, 3000, 3000), "PNG")
    limits = Limits(seconds=0.02)
    assert reason_of(slow, limits) == "took longer than 0.02 s to decode"
    assert pixels_of(slow).any()


def test_sizes_are_limited() -> None:
    data: Any = encoded(drawn(1))
    assert reason_of(data, Limits(bytes=100)).startswith("too many bytes: ")
    assert reason_of(data, Limits(pixels=100)).startswith("too many pixels: 40 x 40")
