"""`make push` to registries that run here: a dated tag that stays, and `latest` that moves.

With a storage of its own, beside the tests that build the images.
"""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from millrace import __version__
from millrace.settings import PROJECT
from tests.containers.podman import Podman, installed
from tests.serving.waiting import until

NAME = "of-a-test"
DATED = r"\d{4}-\d\d-\d\d--\d\d-\d\d-\d\d"


@contextmanager
def registry(folder: Path, *, readonly: bool = False) -> Iterator[str]:
    """Debian's registry of images; its address."""
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {folder}}}\n"
        f"  maintenance: {{readonly: {{enabled: {str(readonly).lower()}}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n"
    )
    said = folder / "log"
    with said.open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"],
                                   stdout=log, stderr=log)  # fmt: skip
        try:
            until(lambda: "listening on" in said.read_text())
            yield re.findall(r"listening on (127\.0\.0\.1:\d+)", said.read_text())[0]
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def podman(tmp_path: Path) -> Podman:
    """Podman without an image."""
    installed()
    return Podman(tmp_path / "podman", tmp_path / "images", "vfs")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A repository of a registry, and one of a registry that takes nothing."""
    installed({"docker-registry": "docker-registry"})
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
    with registry(tmp_path / "open") as here, registry(tmp_path / "closed", readonly=True) as there:
        yield f"{here}/our/millrace-{NAME}", f"{there}/our/millrace-{NAME}"


Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def push(podman: Podman, tmp_path: Path) -> Push:
    """The command, with an image that no one has seen yet."""

    def command(*repositories: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "file").write_text(uuid.uuid4().hex)
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
        podman("build", "-q", "--tag", f"millrace-{NAME}:{__version__}", tmp_path)
        return podman.run(
            PROJECT / "scripts" / "push.sh", NAME, TO=" ".join(repositories),
            PUSH_OPTIONS="--tls-verify=false", **variables,
        )  # fmt: skip

    return command


def tags(repository: str) -> dict[str, str]:
    """The tags of a repository, with the digest that each stands for."""
    host, _, name = repository.partition("/")
    found = requests.get(f"http://{host}/v2/{name}/tags/list", timeout=10).json().get("tags") or []
    kind = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    return {
        tag: requests.get(f"http://{host}/v2/{name}/manifests/{tag}", headers=kind, timeout=10)
        .headers["Docker-Content-Digest"]
        for tag in found
    }  # fmt: skip


def test_the_dated_tag_stays_and_latest_moves(push: Push, places: tuple[str, str]) -> None:
    here, _ = places
    done = push(here)
    assert done.returncode == 0, done.stderr
    dated, latest = re.findall(r"^push: (\S+)$", done.stdout, re.M)
    assert re.fullmatch(rf"{here}:{DATED}", dated) and latest == f"{here}:latest"
    before = tags(here)
    assert {*before} == {dated.rpartition(":")[2], "latest"} and len({*before.values()}) == 1
    assert push(here, TAG="2031-01-02--03-04-05").returncode == 0
    after = tags(here)
    assert after["2031-01-02--03-04-05"] == after["latest"] != before["latest"]
    assert after[dated.rpartition(":")[2]] == before["latest"]


def test_latest_moves_nowhere_before_all_have_the_dated_tag(
    push: Push, places: tuple[str, str]
) -> None:
    here, closed = places
    done = push(here, closed, TAG="2031-01-02--03-04-05")
    assert done.returncode == 1
    assert f"push: {closed}:2031-01-02--03-04-05 could not be pushed (see above)." in done.stderr
    assert "log in" in done.stderr
    assert {*tags(here)} == {"2031-01-02--03-04-05"}


@pytest.mark.parametrize(
    ("repositories", "variables", "said"),
    [
        ((), {}, "where to? Write TO=<repository>"),
        (("our/service:1",), {}, "'our/service:1' (TO) names a tag; write the repository alone"),
        (("our/service",), {"TAG": "latest"}, "the tag is 'latest' (TAG); write letters"),
    ],
)
def test_what_is_missing_is_named(
    push: Push, repositories: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    done = push(*repositories, **variables)
    assert (done.returncode, done.stdout) == (1, "") and said in done.stderr


def test_an_image_that_was_not_built_is_named(podman: Podman) -> None:
    done = podman.run(PROJECT / "scripts" / "push.sh", "nothing", TO="our/service")
    assert done.returncode == 1
    assert "there is no image millrace-nothing:" in done.stderr
    assert "'make images ONLY=nothing' builds it" in done.stderr
