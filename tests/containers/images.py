"""Images as `make images` builds them, and what they say of themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

from millrace import __version__
from millrace.settings import PROJECT
from tests.containers.podman import Podman, build_options
from tests.on_upload.test_image import pins


def base_of(dockerfile: Path) -> str:
    """The image that a Dockerfile begins with."""
    found = re.search(r"^ARG BASE=(\S+)$", dockerfile.read_text(), re.M)
    assert found, f"{dockerfile} has no ARG BASE"
    return found[1]


def built(podman: Podman, name: str, **variables: str) -> str:
    """Build an image as `make images` does; its name and tag."""
    options = build_options(podman.environment)
    done = podman.run("scripts/images.sh", name, BUILD_OPTIONS=options, **variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return f"localhost/millrace-{name}:{__version__}"


def stand_in(podman: Podman, folder: Path, *names: str) -> None:
    """Build what stands in for images of others, under their names."""
    base = f"BASE={base_of(PROJECT / 'Dockerfile')}"
    tags = [f"--tag={name}" for name in names]
    podman("build", "--format", "docker", *build_options(podman.environment).split(),
           "--build-arg", base, *tags, folder)  # fmt: skip


def revision_of(podman: Podman, image: str) -> str:
    """The commit that an image says it was built from."""
    label = "org.opencontainers.image.revision"
    return podman("inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', image)


def says_what_it_holds(podman: Podman, image: str, folder: Path, *base: str) -> None:
    """The labels name version and commit, and a list of packages: those locked and the base's."""
    labels = json.loads(podman("inspect", image))[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert re.match("[0-9a-f]{40}|unknown", labels["org.opencontainers.image.revision"])
    file = podman("run", "--rm", "--network", "none", "--entrypoint", "cat", image,
                  labels["org.millrace.sbom"])  # fmt: skip
    parts = json.loads(file)["components"]
    listed = {part["name"].lower().replace("_", "-"): part["version"] for part in parts}
    locked = pins(folder / "requirements.txt")
    assert {part: listed[part] for part in listed if part not in base}.items() <= locked.items()
    text = (folder / "requirements.txt").read_text()
    everywhere = set(re.findall(r"^([\w.-]+)==\S+ \\$", text, re.M))  # not those with a marker
    assert len(everywhere) > 20
    assert everywhere <= listed.keys()
