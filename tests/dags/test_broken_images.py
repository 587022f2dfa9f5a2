"""A broken spec of images has its DAG that says so, like one of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.errors import MillraceError
from millrace.settings import PROJECT
from tests.dags.conftest import parse


def test_a_broken_spec_of_images_has_a_dag_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = PROJECT / "include" / "datasets"
    (tmp_path / "titanic.yaml").write_text((specs / "titanic.yaml").read_text())
    fruits = (specs / "fruits.yaml").read_text()
    (tmp_path / "slip.yaml").write_text(fruits.replace("metric: accuracy", "metric: acuracy"))
    monkeypatch.setenv("MILLRACE_DATASETS", str(tmp_path))
    dags = parse()
    assert {"titanic", "slip"} <= set(dags)
    assert "did you mean 'accuracy'?" in dags["slip"].doc_md
    assert set(dags["slip"].tags) == {"images", "broken spec"}
    with pytest.raises(MillraceError, match="acuracy"):
        dags["slip"].get_task("read_spec").python_callable()
