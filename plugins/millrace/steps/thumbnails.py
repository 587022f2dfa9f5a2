"""Small copies of raw images, to stand inside a page."""

from __future__ import annotations

import base64
import io
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from millrace.steps.run import Run

log = logging.getLogger(__name__)

SIDE = 96  # pixels


def thumbnails(run: Run, paths: Iterable[str]) -> dict[str, str]:
    """Data URIs by path, for the images of the run's partition that can be shown.

    The images gave features before, so they are whole and within the limits.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="millrace-images-") as folder:
        for path in paths:
            try:
                local = run.store.local(f"{run.place('raw')}/{path}", Path(folder))
                found[path] = _data_uri(local)
            except (OSError, ValueError) as error:  # deleted or replaced since
                log.warning("%s cannot be shown in the report: %s", path, error)
    return found


def _data_uri(path: Path) -> str:
    from PIL import Image, ImageOps

    with Image.open(path, formats=("JPEG", "PNG")) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        small = ImageOps.exif_transpose(image).convert("RGB")
    small.thumbnail((SIDE, SIDE))
    target = io.BytesIO()
    small.save(target, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(target.getvalue()).decode()}"
