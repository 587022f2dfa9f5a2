"""The function's handler on S3's event documents."""

from __future__ import annotations

import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from millrace.settings import PROJECT
from millrace.steps.preprocess import preprocess
from millrace.steps.validate_raw import validate_raw
from tests.arrivals.documents import TEST_EVENT, from_event_bridge, notification, record
from tests.on_upload.conftest import DAY, Lake
from tests.test_image_specs import GOOD


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    path = PROJECT / "include" / "lambda" / "handler.py"
    spec = importlib.util.spec_from_file_location("on_upload_handler", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="millrace")
    return caplog


def test_the_dag_finds_the_work_done(
    handler: ModuleType, lake: Lake, everything: Any, said: pytest.LogCaptureFixture
) -> None:
    key = lake.deliver(f"orchard/{DAY}/the rows+100%.csv")
    assert handler.handle(notification(record(key)), None)["prepared"] == [f"orchard/{DAY}"]
    assert lake.published(f"orchard/{DAY}") == everything(f"orchard/{DAY}")
    said.clear()
    run = lake.run("orchard")
    validate_raw(run)
    preprocess(run)
    assert said.text.count("Nothing to do") == 3
    assert "Published" not in said.text


def test_what_is_no_upload_is_ignored_and_said(
    handler: ModuleType, lake: Lake, said: pytest.LogCaptureFixture
) -> None:
    deleted = record(f"{lake.prefix}/raw/orchard/{DAY}/a.csv", name="ObjectRemoved:Delete")
    nothing = {"prepared": [], "waiting": [], "too_large": []}
    assert handler.handle(notification(deleted), None) == nothing
    assert handler.handle(TEST_EVENT, None) == nothing
    assert "a.csv: deleted" in said.text
    assert "s3:TestEvent" in said.text


def test_several_files_of_a_partition_are_prepared_once(
    handler: ModuleType, lake: Lake, said: pytest.LogCaptureFixture
) -> None:
    rows = lake.deliver(f"orchard/{DAY}/a.csv")
    more = lake.deliver(f"orchard/{DAY}/b.csv")
    other = lake.deliver("orchard/2026-01-06/a.csv")
    done = handler.handle(notification(*map(record, (rows, more, rows, other))), None)
    assert done["prepared"] == [f"orchard/{DAY}", "orchard/2026-01-06"]
    assert "Nothing to do" not in said.text


def test_a_partition_without_its_marker_is_left_alone(
    handler: ModuleType, lake: Lake, said: pytest.LogCaptureFixture
) -> None:
    key = lake.deliver(f"vineyard/{DAY}/a.csv")
    assert handler.handle(notification(record(key)), None)["waiting"] == [f"vineyard/{DAY}"]
    assert "no file like _READY yet" in said.text
    assert lake.published(f"vineyard/{DAY}") == []
    marker = lake.deliver(f"vineyard/{DAY}/_READY", "")
    assert handler.handle(from_event_bridge(marker), None)["prepared"] == [f"vineyard/{DAY}"]


def test_bad_data_fails_by_name_after_all_others_are_prepared(
    handler: ModuleType, lake: Lake, everything: Any, said: pytest.LogCaptureFixture
) -> None:
    bad = lake.deliver("orchard/2026-01-01/a.csv", "tree,height\n1,2\n")
    good = lake.deliver(f"orchard/{DAY}/a.csv")
    with pytest.raises(
        handler.UploadFailed, match=r"orchard/2026-01-01: .*cannot be used"
    ) as error:
        handler.handle(notification(record(bad), record(good)), None)
    assert DAY not in str(error.value)
    assert "no such column" in said.text
    assert lake.published("orchard/2026-01-01") == ["reports/orchard/2026-01-01/validation"]
    assert lake.published(f"orchard/{DAY}") == everything(f"orchard/{DAY}")


def test_a_spec_that_cannot_be_used_fails_its_own_uploads_only(
    handler: ModuleType, lake: Lake
) -> None:
    (lake.datasets / "vineyard.yaml").write_text("target: {}\n")
    keys = [lake.deliver(f"vineyard/{DAY}/_READY"), lake.deliver(f"orchard/{DAY}/a.csv")]
    with pytest.raises(handler.UploadFailed, match=f"vineyard/{DAY}: .*required"):
        handler.handle(notification(*map(record, keys)), None)
    assert len(lake.published(f"orchard/{DAY}")) == 3


def test_invocations_at_once_publish_once(handler: ModuleType, lake: Lake, everything: Any) -> None:
    event = notification(record(lake.deliver(f"orchard/{DAY}/a.csv")))
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: handler.handle(event, None), range(3)))
    assert [each["prepared"] for each in done] == [[f"orchard/{DAY}"]] * 3
    assert lake.published(f"orchard/{DAY}") == everything(f"orchard/{DAY}")
    assert len(lake.attempts(f"orchard/{DAY}")) == 1


@pytest.mark.parametrize(("memory", "named"), [("128", "MemorySize"), ("10240", None)])
def test_a_partition_too_large_for_the_memory_is_left_to_the_dag(
    handler: ModuleType, lake: Lake, said: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, memory: str, named: str | None,
) -> None:  # fmt: skip
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)
    key = lake.deliver(f"orchard/{DAY}/a.csv")
    done = handler.handle(notification(record(key)), None)
    assert done["too_large" if named else "prepared"] == [f"orchard/{DAY}"]
    assert (named in said.text) if named else ("to the DAG" not in said.text)


def test_a_partition_too_large_for_the_disk_is_left_to_the_dag(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MEMORY", 0)
    huge = handler.Arrival("orchard", DAY, "0", 1, 2**60, 0.0)
    assert "EphemeralStorage" in handler.what_is_lacking(huge)


def test_images_are_left_to_their_dag(
    handler: ModuleType, lake: Lake, said: pytest.LogCaptureFixture
) -> None:
    for name, slip in (("photos", ""), ("broken_photos", "colour: red\n")):
        (lake.datasets / f"{name}.yaml").write_text(GOOD + slip)
    keys = [lake.deliver(f"{name}/{DAY}/photos/rose/1.png", "x")
            for name in ("photos", "broken_photos")]  # fmt: skip
    became = handler.handle(notification(*(record(key) for key in keys)), None)
    assert became == {"prepared": [], "waiting": [], "too_large": []}
    assert f"Left photos/{DAY} to its DAG: it holds images." in said.text
    assert f"Left broken_photos/{DAY} to its DAG" in said.text
    assert lake.published(f"photos/{DAY}") == []
