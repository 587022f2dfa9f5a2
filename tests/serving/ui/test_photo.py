"""The page of a picture names it as `make name-image` does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from millrace.name_image import name_image
from millrace.steps.run import Run
from serving.guard import PHOTO
from serving.sources import BUNDLE
from tests.serving.ui.conftest import PICTURE, Pressed, Shown, a_photo, sent


@pytest.fixture
def page(serve: Shown, drawn: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch) -> Pressed:
    run, folder = drawn
    monkeypatch.setenv("MILLRACE_HOME", str(run.settings.home))  # where the random network is kept
    client, _ = serve(folder=folder, pages=True, pages_lake=run.store.root)
    return Pressed(client, "photos")


def test_a_picture_is_named_as_everywhere(page: Pressed, drawn: tuple[Run, Path]) -> None:
    run, folder = drawn
    photo = a_photo(run)
    picture = {PICTURE: sent(page.client, photo.read_bytes())}
    answer, reasons = page.press("What is it?", **picture)
    wanted = name_image(folder / "photos" / BUNDLE, run.store, photo)[:3]
    assert re.findall(r"<li><span>(.*?)</span>", answer) == [name for name, _ in wanted]
    shares = [float(each) for each in re.findall(r"width:([\d.]+)%", answer)]
    assert shares == pytest.approx([100 * share for _, share in wanted], abs=0.06)
    [reasons] = page.press("Why?", **picture)
    assert "the margin of the named class" in reasons


def test_what_is_no_picture_is_told(page: Pressed) -> None:
    answer, _ = page.press("What is it?")
    assert "Choose a picture first." in answer
    broken = {PICTURE: sent(page.client, b"\xff\xd8no")}
    answer, _ = page.press("What is it?", **broken)
    assert "cannot be named" in answer and str(broken[PICTURE]["path"]) not in answer


def test_pictures_may_be_larger_than_other_requests_but_not_by_any_size(page: Pressed) -> None:
    assert sent(page.client, b"x" * 2 * 2**20)["path"]
    place = "/ui/photos/gradio_api/upload"
    refused = page.client.post(place, content=b"x" * (PHOTO + 1))
    assert refused.status_code == 413 and f"{PHOTO:,}" in refused.text


def test_without_a_lake_the_page_says_what_to_set(serve: Shown, drawn: tuple[Run, Path]) -> None:
    client, _ = serve(folder=drawn[1], pages=True)
    page = Pressed(client, "photos")
    picture = {PICTURE: sent(client, b"x")}
    answer, _ = page.press("What is it?", **picture)
    assert "MILLRACE_LAKE" in answer
