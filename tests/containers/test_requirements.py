"""The images have the workers' versions, and what the code imports."""

from __future__ import annotations

import re
from pathlib import Path

from millrace.settings import PROJECT
from tests.on_upload.test_image import pins

SERVICE = PROJECT / "include" / "serving" / "requirements"
AIRFLOW = PROJECT / "requirements-containers"


def named(path: Path) -> set[str]:
    """The packages a requirements.in names, without those for tests and the local stack."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {
        found[0]
        for line in lines
        if (found := re.match(r"[\w.-]+", line)) and not re.search("# (tests|style|type)", line)
    }


def test_the_service_has_the_workers_versions_and_nothing_else() -> None:
    image, workers = pins(SERVICE.with_suffix(".txt")), pins(PROJECT / "requirements.txt")
    assert len(image) > 50
    assert image.items() <= workers.items()


def test_airflow_s_containers_have_the_versions_of_this_machine() -> None:
    image, here = pins(AIRFLOW.with_suffix(".txt")), pins(PROJECT / "requirements.txt")
    both = image.keys() & here.keys()
    assert len(both) > 200
    assert {name: image[name] for name in both} == {name: here[name] for name in both}


def test_the_lock_files_hold_what_is_asked_for() -> None:
    for stem in (SERVICE, AIRFLOW):
        assert named(stem.with_suffix(".in")) <= pins(stem.with_suffix(".txt")).keys()


def test_what_runs_here_runs_in_the_containers_too() -> None:
    service = {"fastapi", "fastapi-offline", "gradio", "prometheus-client", "uvicorn"}
    local = {"supervisor", *service}
    asked = named(PROJECT / "requirements.in") - local
    assert asked <= named(AIRFLOW.with_suffix(".in"))
