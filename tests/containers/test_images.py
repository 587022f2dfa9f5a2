"""The images, built and run by podman: the service and the function alone, and the whole stack.

Everything that uses these images stands in this file: tests run side by side, one file a process.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from millrace import __version__
from millrace.lake import Place, require_published
from millrace.lake.code import code_fingerprint
from millrace.lake.manifest import MANIFEST
from millrace.name_image import name_image
from millrace.samples import write_sample
from millrace.settings import PROJECT
from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from serving.sources import BUNDLE, load_baked
from tests.arrivals.documents import notification, record
from tests.containers.function import function
from tests.containers.images import base_of, built, revision_of, says_what_it_holds, stand_in
from tests.containers.podman import Podman
from tests.containers.service import answers, is_ready, running
from tests.containers.stack import NEEDED, STANDINS, Compose, stand_in_images
from tests.on_upload.conftest import DAY, Lake
from tests.serving.ui.conftest import PICTURE, Pressed, a_photo, sent
from tests.serving.waiting import until
from tests.tracking.conftest import GOOD
from tests.tracking.mlflow_server import MlflowServer

pytestmark = [pytest.mark.containers, pytest.mark.integration]

SERVING = PROJECT / "include" / "serving"
RECORD = {"visits": 3.0, "fee": 30.0, "club": "north", "name": "Roe, Mr. R."}
LARGEST = 1200  # megabytes on top of the base; 250 of them for the pages, 270 for those of photos
PARTITION = "2026-03-01"


@pytest.fixture(scope="module")
def image(podman: Podman, baked: Path) -> str:
    """The service's image with a model in it."""
    return built(podman, "service", MODELS=str(baked / "good"))


@pytest.fixture(scope="module")
def on_upload(podman: Podman) -> str:
    """The image of the function, on a stand-in for AWS's base."""
    stand_in(podman, STANDINS / "lambda", base_of(PROJECT / "include" / "lambda" / "Dockerfile"))
    return built(podman, "on-upload")


def test_it_predicts_and_explains_as_the_model_does_here(
    podman: Podman, image: str, baked: Path
) -> None:
    model = load_baked(baked / "good" / "club")
    with running(podman, image) as (name, url):
        until(lambda: is_ready(url))
        for explained in (False, True):
            answer = requests.post(
                f"{url}/club/predict", params={"explain": explained}, json=RECORD, timeout=30
            )
            assert answer.json() == model.answer([RECORD], explained=explained)[0]
        assert podman("exec", name, "id", "-u") == "10001"
        assert "Read-only" in podman.run("podman", "exec", name, "touch", "/app/x").stderr
        written = podman("exec", name, "find", "/tmp", "-type", "f")
        assert written == "", "nothing is left behind by a prediction"
        began = time.monotonic()
        podman("stop", "--time", "30", name)
        assert time.monotonic() - began < 10, "it was told to end, and ended by itself"
        assert podman("inspect", "--format", "{{.State.ExitCode}}", name) in ("0", "143")


def test_the_health_check_tells_a_service_with_models_from_one_without(
    podman: Podman, image: str
) -> None:
    for variables, expected in (({}, 0), ({"MILLRACE_MODELS": "club,gym"}, 1)):
        with running(podman, image, **variables) as (name, url):
            until(lambda url=url: answers(url))  # type: ignore[misc]
            until(lambda url=url: "version" in requests.get(url, timeout=5).text)  # type: ignore[misc]
            command = json.loads(
                podman("inspect", "--format", "{{json .Config.Healthcheck}}", name)
            )
            probe = [part.replace(":8000", url[-6:]) for part in command["Test"][1:]]
            assert podman.run("podman", "exec", name, *probe).returncode == expected


def test_the_health_check_runs_as_the_engine_runs_it(podman: Podman, image: str) -> None:
    """On the port of the image, in a network of its own."""
    podman("run", "--detach", "--name", "millrace-test-health", "--network", "none",
           "--read-only", image)  # fmt: skip
    try:
        until(lambda: podman.run(
            "podman", "healthcheck", "run", "millrace-test-health").returncode == 0)  # fmt: skip
    finally:
        podman("rm", "--force", "--volumes", "--time", "0", "millrace-test-health")


def test_a_champion_of_the_registry_comes_through_the_slim_client(
    podman: Podman, image: str, run_of: Callable[..., Run], mlflow_server: MlflowServer
) -> None:
    run = run_of(GOOD, promote="yes")
    log_to_mlflow(run)
    assert promote(run)["champion"]
    variables = {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MILLRACE_MODEL_FOLDER": "/none"}
    with running(podman, image, **variables) as (_, url):
        until(lambda: is_ready(url))
        assert requests.get(url, timeout=5).json()["models"]["club"]["source"] == "registry"
        assert requests.post(f"{url}/club/predict", json=RECORD, timeout=30).ok


def test_its_pages_know_the_models_and_a_photo(
    podman: Podman, image: str, drawn: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a network of random weights, as where nobody has put another into the lake."""
    run, folder = drawn
    monkeypatch.setenv("MILLRACE_HOME", str(run.settings.home))
    photo, lake = a_photo(run), Path(run.store.root)
    wanted = name_image(folder / "photos" / BUNDLE, run.store, photo)[:3]
    subprocess.run(["chmod", "--recursive", "a+rX", folder, lake], check=True)
    variables = {"MILLRACE_MODEL_FOLDER": "/models", "MILLRACE_LAKE": "/lake"}
    with (
        running(podman, image, {folder: "/models", lake: "/lake"},
                MILLRACE_SERVICE_PAGES="yes", **variables) as (_, url),
        httpx2.Client(base_url=url, timeout=60) as client,
    ):  # fmt: skip
        until(lambda: is_ready(url))
        until(lambda: '<a href="photos/">' in client.get("/ui/").text)  # made after it is ready
        picture = {PICTURE: sent(client, photo.read_bytes())}
        answer, _ = Pressed(client, "photos").press("What is it?", **picture)
    assert re.findall(r"<li><span>(.*?)</span>", answer) == [name for name, _ in wanted]


def test_a_setting_that_cannot_be_used_ends_it(podman: Podman, image: str) -> None:
    done = podman.run("podman", "run", "--rm", "--network", "none", "--read-only",
                      "--env", "MILLRACE_MODEL_FOLDER=", image)  # fmt: skip
    assert done.returncode == 2
    assert "error: the service has no models" in done.stderr


def test_what_the_image_says_of_itself(podman: Podman, image: str) -> None:
    told: dict[str, Any] = json.loads(podman("inspect", image))[0]["Config"]
    assert told["User"] == "10001:10001"
    assert set(told["ExposedPorts"]) == {"8000/tcp"}
    says_what_it_holds(podman, image, SERVING)


def test_the_image_is_small_and_has_no_tools_and_no_airflow(podman: Podman, image: str) -> None:
    sizes = [int(podman("inspect", "--format", "{{.Size}}", name))
             for name in (image, base_of(SERVING / "Dockerfile"))]  # fmt: skip
    size = (sizes[0] - sizes[1]) / 1e6
    print(f"the service's image has {size:.0f} MB on top of its base")
    assert size < LARGEST
    absent = "for tool in gcc make git curl uv; do command -v $tool; done; true"
    assert podman("run", "--rm", "--network", "none", image, "sh", "-c", absent) == ""
    code = "import importlib.util as u; print([n for n in ('airflow', 'pyspark', 'pytest', 'uv')" \
        " if u.find_spec(n)])"  # fmt: skip
    assert podman("run", "--rm", "--network", "none", image, "python", "-c", code) == "[]"


def test_an_image_that_cannot_be_built_says_what_to_do(podman: Podman, tmp_path: Path) -> None:
    done = podman.run("scripts/images.sh", "service", BASE="registry.invalid/python:3.12.12")
    assert done.returncode == 1
    assert "registry.invalid" in done.stderr
    assert "images: millrace-service could not be built" in done.stderr.splitlines()[-1]
    done = podman.run("scripts/images.sh", "service", MODELS=str(tmp_path))
    assert (done.returncode, done.stderr.count("make bake INTO=")) == (1, 1)
    assert shutil.which("podman")


def test_an_upload_is_prepared_by_the_function_in_its_image(
    podman: Podman, on_upload: str, lake: Lake, everything: Callable[[str], list[str]]
) -> None:
    with function(podman, on_upload, lake) as running_function:
        event = notification(record(lake.deliver(f"orchard/{DAY}/rows.csv")))
        kind, answer = running_function.invoke(event)
        assert (kind, answer["prepared"]) == ("response", [f"orchard/{DAY}"])
        bad = notification(
            record(lake.deliver("orchard/2026-01-01/rows.csv", "tree,height\n1,2\n"))
        )
        assert running_function.invoke(bad)[0] == "error"
        assert "no such column" in running_function.log()
    assert lake.published(f"orchard/{DAY}") == everything(f"orchard/{DAY}")
    manifest = require_published(lake.store, Place("processed", "orchard", DAY), "-").manifest
    assert manifest.code == code_fingerprint(), "the DAG finds its work done"
    assert manifest.git_commit == revision_of(podman, on_upload) != "unknown"


def test_what_the_image_of_the_function_says_of_itself(podman: Podman, on_upload: str) -> None:
    of_the_base = ("pip", "awslambdaric", "simplejson", "snapshot-restore-py")
    says_what_it_holds(podman, on_upload, PROJECT / "include" / "lambda", *of_the_base)
    absent = "for tool in gcc git curl uv; do command -v $tool; done; true"
    done = podman("run", "--rm", "--network", "none", "--entrypoint", "sh", on_upload, "-c", absent)
    assert done == ""


@pytest.fixture(scope="module")
def compose(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Compose:
    """docker-compose with all images that docker-compose.yaml names, as far as they can be had."""
    for name in ("airflow", "service"):
        built(podman, name)
    stand_in(podman, STANDINS, *stand_in_images())
    return Compose(podman, tmp_path_factory.mktemp("compose"))


def test_nothing_starts_without_its_secrets(compose: Compose) -> None:
    assert compose("config", "--quiet").returncode == 0
    for name in NEEDED:
        done = compose("config", "--quiet", **{name: ""})
        assert done.returncode == 1
        assert "run make secrets" in done.stderr


def test_a_pipeline_runs_on_a_celery_worker_and_its_champion_answers(
    compose: Compose, podman: Podman, tmp_path: Path
) -> None:
    with compose.up():
        try:
            s3 = compose.lake()
            write_sample("titanic", tmp_path)
            s3.upload_file(tmp_path / "train.csv", "lake", f"raw/titanic/{PARTITION}/train.csv")
            run_titanic(compose)
            manifest = s3.get_object(Bucket="lake", Key=f"processed/titanic/{PARTITION}/{MANIFEST}")
            commit = json.loads(manifest["Body"].read())["git_commit"]
            assert commit == revision_of(podman, f"localhost/millrace-airflow:{__version__}")
            assert "execute_workload" in podman("logs", compose.container("worker"))
            answers_for_titanic(compose.url("SERVICE"))
            until(lambda: set(compose.health().values()) == {"healthy"}, seconds=120)
        except BaseException:
            print(compose.health(), compose.logs())
            raise
    assert "millrace-test" not in podman("ps", "--all", "--format", "{{.Names}}")


def run_titanic(compose: Compose) -> None:
    """Start a run as soon as Airflow answers, and wait for its end."""
    until(lambda: answers(f"{compose.url('AIRFLOW')}/api/v2/version"), seconds=180)
    api = compose.airflow()
    api.wait_for_dags(["titanic"])
    api.unpause("titanic")
    run = api.trigger("titanic", {"partition": PARTITION})
    assert api.wait("titanic", run, 600)["state"] == "success"


def answers_for_titanic(url: str) -> None:
    """The new champion answers programs and people."""
    until(lambda: is_ready(url))
    model = requests.get(f"{url}/titanic/model", timeout=10).json()
    answer = requests.post(f"{url}/titanic/predict", json=model["example"], timeout=10).json()
    assert answer["version"] == model["version"]
    assert '<a href="titanic/">' in requests.get(f"{url}/ui/", timeout=10).text
    page = requests.get(f"{url}/ui/titanic/", timeout=60).text
    assert "<title>Would this passenger have survived?</title>" in page
