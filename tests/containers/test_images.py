"""The images, built and run by podman: the service alone, and the whole of docker-compose.yaml.

Everything that needs podman stands in this file: tests run side by side, one file a process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from millrace import __version__
from millrace.airflow_api import AirflowApi
from millrace.samples import write_sample
from millrace.settings import PROJECT
from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from serving.sources import load_baked
from tests.containers.conftest import base_of
from tests.containers.podman import Podman, build_options
from tests.containers.stack import NEEDED, STANDINS, Compose, stand_in_images
from tests.on_upload.test_image import pins
from tests.serving.waiting import until
from tests.tracking.conftest import GOOD
from tests.tracking.mlflow_server import MlflowServer, free_port

pytestmark = [pytest.mark.containers, pytest.mark.integration]

SERVING = PROJECT / "include" / "serving"
NAME = f"localhost/millrace-service:{__version__}"
RECORD = {"visits": 3.0, "fee": 30.0, "club": "north", "name": "Roe, Mr. R."}
LARGEST = 950  # megabytes on top of the base; 250 of them for the pages
PARTITION = "2026-03-01"


@pytest.fixture(scope="module")
def image(podman: Podman, baked: Path) -> Iterator[str]:
    """The service's image with a model in it."""
    options = build_options(podman.environment)
    done = podman.run(
        "scripts/images.sh", "service", MODELS=str(baked / "good"), BUILD_OPTIONS=options
    )
    assert done.returncode == 0, done.stderr[-3000:]
    yield NAME
    podman("rmi", "--force", NAME)


@contextmanager
def running(podman: Podman, image: str, **variables: str) -> Iterator[tuple[str, str]]:
    """A container that may do nothing but serve; its name and address."""
    port = free_port()
    name = f"millrace-test-{port}"
    settings = [f"--env={key}={value}" for key, value in variables.items()]
    podman(
        "run", "--detach", "--name", name, "--network", "host", "--read-only", "--tmpfs", "/tmp",
        "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "1g", *settings,
        image, "python", "-m", "serving", "--port", str(port),
    )  # fmt: skip
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        print(podman.run("podman", "logs", name).stderr)
        podman("rm", "--force", "--time", "0", name)


def is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


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


def answers(url: str) -> bool:
    try:
        return bool(requests.get(url, timeout=5).status_code)
    except requests.RequestException:
        return False


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


def test_a_setting_that_cannot_be_used_ends_it(podman: Podman, image: str) -> None:
    done = podman.run("podman", "run", "--rm", "--network", "none", "--read-only",
                      "--env", "MILLRACE_MODEL_FOLDER=", image)  # fmt: skip
    assert done.returncode == 2
    assert "error: the service has no models" in done.stderr


def test_what_the_image_says_of_itself(podman: Podman, image: str) -> None:
    told: dict[str, Any] = json.loads(podman("inspect", image))[0]["Config"]
    assert told["User"] == "10001:10001"
    assert set(told["ExposedPorts"]) == {"8000/tcp"}
    labels = told["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert re.match("[0-9a-f]{40}|unknown", labels["org.opencontainers.image.revision"])
    file = podman("run", "--rm", "--network", "none", image, "cat", labels["org.millrace.sbom"])
    parts = json.loads(file)["components"]
    listed = {part["name"].lower().replace("_", "-"): part["version"] for part in parts}
    locked = pins(SERVING / "requirements.txt")
    assert listed.items() <= locked.items()
    text = (SERVING / "requirements.txt").read_text()
    everywhere = set(re.findall(r"^([\w.-]+)==\S+ \\$", text, re.M))  # not those with a marker
    assert len(everywhere) > 50
    assert everywhere <= listed.keys()


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


@pytest.fixture(scope="module")
def compose(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """docker-compose with all images that docker-compose.yaml names, as far as they can be had."""
    if os.environ.get("MILLRACE_TEST_STACK") != "yes":
        pytest.skip("builds Airflow's image and runs the stack, 6 to 10 minutes, where"
                    " MILLRACE_TEST_STACK is yes")  # fmt: skip
    options = build_options(podman.environment)
    done = podman.run("scripts/images.sh", BUILD_OPTIONS=options)
    assert done.returncode == 0, done.stderr[-3000:]
    tags = [part for name in stand_in_images() for part in ("--tag", name)]
    base = f"BASE={base_of(PROJECT / 'Dockerfile')}"
    podman("build", "--format", "docker", *options.split(), "--build-arg", base, *tags, STANDINS)
    yield Compose(podman, tmp_path_factory.mktemp("compose"))
    podman(
        "rmi",
        "--force",
        "--ignore",
        *stand_in_images(),
        f"localhost/millrace-airflow:{__version__}",
    )


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
            until(lambda: not late(compose), seconds=300)
            deliver(compose, tmp_path)
            api = AirflowApi(
                compose.url("AIRFLOW"), "admin", compose.variables["MILLRACE_ADMIN_PASSWORD"]
            )
            api.wait_for_dags(["titanic"])
            api.unpause("titanic")
            run = api.trigger("titanic", {"partition": PARTITION})
            assert api.wait("titanic", run, 600)["state"] == "success"
            until(lambda: is_ready(compose.url("SERVICE")))
            model = requests.get(f"{compose.url('SERVICE')}/titanic/model", timeout=10).json()
            answer = requests.post(
                f"{compose.url('SERVICE')}/titanic/predict", json=model["example"], timeout=10
            )
            assert answer.json()["version"] == model["version"]
            assert "execute_workload" in podman("logs", compose.container("worker"))
        except BaseException:
            print(compose.logs())
            raise
    assert "millrace-test" not in podman("ps", "--all", "--format", "{{.Names}}")


def late(compose: Compose) -> set[str]:
    """Services that are not healthy; the model service has no model yet."""
    return {name for name, state in compose.health().items() if state != "healthy"} - {"service"}


def deliver(compose: Compose, folder: Path) -> None:
    """Put the sample of titanic into the lake as anybody would, by a client of S3."""
    write_sample("titanic", folder)
    s3 = boto3.client(
        "s3", endpoint_url=compose.url("STORE"), region_name="us-east-1",
        aws_access_key_id=compose.variables["MILLRACE_STORE_KEY"],
        aws_secret_access_key=compose.variables["MILLRACE_STORE_SECRET"],
    )  # fmt: skip
    for file in (path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(file), "lake", f"raw/titanic/{PARTITION}/{file.name}")
