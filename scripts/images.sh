#!/usr/bin/env bash
# Builds the container images with docker, or with podman where no docker engine answers.
#   scripts/images.sh [service|airflow|on-upload ...]
# MODELS=<folder of `make bake`> puts models into the service's image; BASE=<image> is a mirror of the
# base image; BUILD_OPTIONS are passed on.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/engine.sh

declare -rA DOCKERFILES=(
    [airflow]=Dockerfile
    [service]=include/serving/Dockerfile
    [on-upload]=include/lambda/Dockerfile
)

build() {
    local name=$1 file=${DOCKERFILES[$1]:-} options=()
    [[ -n $file ]] || fail "there is no image '$name'; there are: ${!DOCKERFILES[*]}"
    # podman's own format has no health checks, and it does not look for the ignore file
    [[ $ENGINE == podman ]] && options+=(--format docker --ignorefile "$(ignore_file "$file")")
    [[ $name == service && -n ${MODELS:-} ]] && options+=(--build-context "models=$(models)")
    for variable in BASE PIP_INDEX_URL UV_DEFAULT_INDEX; do
        [[ -n ${!variable:-} ]] && options+=(--build-arg "$variable=${!variable}")
    done
    # shellcheck disable=SC2086 - options are words
    "$ENGINE" build --file "$file" --tag "millrace-$name:$VERSION" \
        --build-arg VERSION="$VERSION" --build-arg REVISION="$REVISION" \
        "${options[@]}" ${BUILD_OPTIONS:-} . ||
        fail "millrace-$name could not be built (see above). Where an image or a package cannot be fetched, check the network; BASE names a mirror of the base image, PIP_INDEX_URL and UV_DEFAULT_INDEX one of PyPI."
    printf 'images: built millrace-%s:%s\n' "$name" "$VERSION"
}

ignore_file() {
    [[ -f $1.dockerignore ]] && echo "$1.dockerignore" || echo .dockerignore
}

models() {
    compgen -G "$MODELS/*/source.json" >/dev/null ||
        fail "there are no models in '$MODELS' (MODELS); 'make bake INTO=$MODELS' writes the champions there."
    realpath "$MODELS"
}

ENGINE=$(find_engine)
VERSION=$(version)
REVISION=$(git describe --always --abbrev=40 --dirty=+changes --exclude='*' 2>/dev/null || echo unknown)
readonly ENGINE VERSION REVISION

[[ $# -gt 0 ]] || set -- airflow service
for name in "$@"; do
    build "$name"
done
