# shellcheck shell=bash
# Sourced by the scripts that work with images: docker, or podman where no docker engine answers.

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$1" >&2
    exit 1
}

find_engine() {
    if docker info >/dev/null 2>&1; then
        echo docker
    elif command -v podman >/dev/null; then
        echo podman
    else
        fail "neither a docker engine nor podman is here. Start docker, or install podman ('apt-get install podman')."
    fi
}

version() {
    sed -n 's/^__version__ = "\(.*\)"/\1/p' plugins/millrace/__init__.py
}
