"""The model of photos: a floor on quality on the real ones, and what must not change its answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from millrace.datasets import load_image_spec
from millrace.name_image import name_image
from millrace.promotion import check_gates
from millrace.settings import PROJECT
from millrace.steps.evaluate import evaluate
from millrace.steps.run import Run
from millrace.steps.split_components import split_components
from millrace.steps.train import train, transform
from millrace.training import MODEL, unpacked
from tests.photos import computed, deliver, photo_run, photo_spec, publish_features

EACH = 5  # real photos are this many times as many


def judged(run: Run, found: dict[str, Any]) -> dict[str, Any]:
    publish_features(run, found)
    for candidate in split_components(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    return evaluate(run)


@pytest.mark.real_data
@pytest.mark.integration
def test_the_gates_hold_on_real_photos(real_data: Path, tmp_path: Path) -> None:
    """A fifth of 3,840 photos of 24 varieties; on all of them accuracy is 0.96 to 0.98."""
    photos = sorted((real_data / "fruits").glob("images/*/*.jpg"))
    if not photos:
        pytest.skip(f"no photos below {real_data / 'fruits'}")
    spec = load_image_spec(PROJECT / "include" / "datasets" / "fruits.yaml")
    run = photo_run(tmp_path, spec)
    for photo in photos[::EACH]:
        place = f"{run.place('raw')}/{photo.relative_to(real_data / 'fruits')}"
        target = Path(run.store.uri(place))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(photo)
    facts = judged(run, computed(run, tmp_path / "cache"))
    assert len(run.processed().facts["classes"]) == 24
    assert all(gate["holds"] for gate in check_gates(spec.gates, facts["metrics"])), facts


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec = photo_spec(candidates={"plain": photo_spec().candidates["plain"]})
    run = photo_run(tmp_path_factory.mktemp("drawn"), spec)
    deliver(run, views=6)
    judged(run, computed(run, run.settings.home / "cache" / "networks"))
    return run


@pytest.fixture
def name(drawn: Run, tmp_path: Path) -> Any:
    """Ask the model for the name of a photo given as bytes."""
    answers = drawn.published("models", "plain", "train")
    with unpacked(answers.path(MODEL)) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_HOME", str(drawn.settings.home))

        def ask(content: bytes) -> dict[str, float]:
            (tmp_path / "photo").write_bytes(content)
            return dict(name_image(folder, drawn.store, tmp_path / "photo"))

        yield ask


def raw(drawn: Run, path: str) -> Image.Image:
    return Image.open(drawn.store.uri(f"{drawn.place('raw')}/images/{path}")).convert("RGB")


def saved(photo: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    photo.save(target, kind, **options)
    return target.getvalue()


def test_the_same_pixels_get_the_same_answer_in_any_file(drawn: Run, name: Any) -> None:
    photo = raw(drawn, "Tomato/r0_56_100.jpg")
    wanted = name(saved(photo, "PNG"))
    assert max(wanted, key=wanted.__getitem__) == "Tomato"
    clear = photo.convert("RGBA")
    clear.putalpha(255)
    turned = photo.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert name(saved(clear, "PNG")) == wanted
    assert name(saved(turned, "PNG", exif=exif)) == wanted


@pytest.mark.parametrize("variety", ["Plum", "Lemon"])
def test_small_changes_keep_the_name(drawn: Run, name: Any, variety: str) -> None:
    photo = raw(drawn, f"{variety}/r0_56_100.jpg")
    noise = np.random.default_rng(0).normal(0, 2, (100, 100, 3))
    pixels = np.asarray(photo, dtype=float)
    for changed in (
        saved(photo, "JPEG", quality=60),
        saved(photo.resize((200, 200), Image.Resampling.BICUBIC), "PNG"),
        saved(Image.fromarray(np.clip(pixels * 0.97, 0, 255).astype("uint8")), "PNG"),
        saved(Image.fromarray(np.clip(pixels + noise, 0, 255).astype("uint8")), "PNG"),
    ):
        answer = name(changed)
        assert max(answer, key=answer.__getitem__) == variety


def test_a_redder_fruit_looks_more_like_a_tomato_than_a_lemon(drawn: Run, name: Any) -> None:
    """The direction that colour must have, whatever the weights of the network."""
    lemon = np.asarray(raw(drawn, "Lemon/r0_56_100.jpg"), dtype=float)
    share = []
    for red in (0.0, 1.0):
        changed = lemon * [1, 1 - 0.8 * red, 1] * (lemon.min(axis=2, keepdims=True) < 230) + (
            lemon * (lemon.min(axis=2, keepdims=True) >= 230)
        )
        answer = name(saved(Image.fromarray(changed.clip(0, 255).astype("uint8")), "PNG"))
        share.append(answer["Tomato"] / answer["Lemon"])
    assert share[1] > 3 * share[0]
