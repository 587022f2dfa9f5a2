"""Podman with a storage of its own, in which base images are made here: no registry is asked.

The stand-in for `python:<version>-slim-bookworm` is Debian bookworm by debootstrap with the Python
that runs the tests in /usr/local, where Docker's image has its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = CACHES / "millrace-containers"
PACKAGES = Path(os.environ.get("UV_CACHE_DIR") or CACHES / "uv")  # what `make setup` has fetched
TOOLS = {
    "podman": "podman", "buildah": "buildah", "runc": "runc", "debootstrap": "debootstrap",
    "docker-compose": "docker-compose", "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/lib/cni/dnsname": "golang-github-containernetworking-plugin-dnsname",
}  # fmt: skip
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
MIRROR = "http://deb.debian.org/debian"
PYTHON_NEEDS = (
    "ca-certificates", "netbase", "tzdata", "libbz2-1.0", "libexpat1", "libffi8", "liblzma5",
    "libncursesw6", "libnsl2", "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
)  # fmt: skip


class Podman:
    """Podman over a folder of its own.

    Args:
        folder: for configuration and what runs.
        images: where the images stand.
        driver: how; `vfs` is slow with large ones, but mounts nothing that would have to be undone.
    """

    def __init__(
        self, folder: Path, images: Path = CACHE / "storage", driver: str = "overlay"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        configuration, storage = folder / "containers.conf", folder / "storage.conf"
        configuration.write_text(
            '[engine]\nruntime="runc"\n[containers]\n'
            'default_ulimits=["nofile=20000:20000","nproc=4096:4096"]\n'
        )
        storage.write_text(
            f'[storage]\ndriver="{driver}"\ngraphroot="{images}"\nrunroot="{folder / "run"}"\n'
        )
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(configuration),
            "CONTAINERS_STORAGE_CONF": str(storage),
            "DOCKER_HOST": "unix:///nowhere",  # no docker engine: podman is meant
        }

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        """Run a command of podman; returns what it writes."""
        done = self.run("podman", *arguments)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command that uses podman."""
        return subprocess.run(
            [str(part) for part in command], env={**self.environment, **variables},
            capture_output=True, text=True,
        )  # fmt: skip

    def has(self, image: str) -> bool:
        """Whether an image is in the storage."""
        return self.run("podman", "image", "exists", image).returncode == 0

    def base(self, name: str, packages: tuple[str, ...], fill: Callable[[Path], object]) -> None:
        """Make a Debian image under a name, unless it is there; `fill` adds to its files."""
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.has(name):
                return
            root = CACHE / "root"
            shutil.rmtree(root, ignore_errors=True)
            try:
                debootstrap(root, packages)
                fill(root)
                shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
                pack = f"tar -C {root} -cf - . | podman import -q - {name}"
                done = self.run("bash", "-o", "pipefail", "-c", pack)
                assert done.returncode == 0, done.stderr
            finally:
                shutil.rmtree(root, ignore_errors=True)


def installed(tools: Mapping[str, str] = TOOLS) -> None:
    """See that all tools are there; skips where they cannot be.

    Args:
        tools: by command Debian's package.

    Debian's own podman 4.3 runs containers on machines without systemd by runc only.
    """
    if os.geteuid() != 0:
        pytest.skip("containers are made by root only: debootstrap and overlay mounts need it")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("this root may not mount anything, as inside a container without privileges")
    absent = [package for tool, package in tools.items() if not shutil.which(tool)]
    if not absent:
        return
    if not shutil.which("apt-get"):
        pytest.skip(f"{', '.join(absent)} not installed, and there is no apt-get to do it")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, capture_output=True)
    done = subprocess.run(
        ["apt-get", "install", "-qq", "--no-install-recommends", *absent],
        env=quiet, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{', '.join(absent)} cannot be installed: {done.stderr[-300:]}")


def debootstrap(root: Path, packages: tuple[str, ...]) -> None:
    """A minimal Debian bookworm with some packages more; skips where the mirror is silent."""
    include = ["--include", ",".join(packages)] if packages else []
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", *include, "bookworm", str(root), MIRROR],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode and "Couldn't download" in done.stdout + done.stderr:
        pytest.skip(f"Debian's mirror {MIRROR} does not answer")
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]


def with_python(root: Path) -> None:
    """Put this Python's files where Docker's image has them."""
    source = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = root / "usr" / "local"
    shutil.copytree(
        source / "lib" / version, target / "lib" / version, symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "test", "site-packages", "config-3*"),
    )  # fmt: skip
    (target / "lib" / version / "site-packages").mkdir()
    for library in Path(str(sysconfig.get_config_var("LIBDIR"))).glob("libpython3*.so*"):
        shutil.copy(library, target / "lib", follow_symlinks=False)
    shutil.copy(source / "bin" / version, target / "bin" / version)
    for name in ("python3", "python"):
        (target / "bin" / name).symlink_to(version)
    for command in (["ldconfig"], ["/usr/local/bin/python", "-m", "ensurepip"]):
        subprocess.run(["chroot", root, *command], check=True, capture_output=True)


def build_options(environment: Mapping[str, str]) -> str:
    """Options under which a build here finds its base, the network, this machine's CAs and uv's
    cache: what the tests' own environment has is not fetched again.
    """
    PACKAGES.mkdir(parents=True, exist_ok=True)
    kept = "--layers --pull=never --network host"
    mounts = f"--volume {CERTIFICATES}:{CERTIFICATES}:ro --volume {PACKAGES}:/root/.cache/uv"
    return f"{kept} {mounts} {environment.get('BUILD_OPTIONS', '')}".strip()
