#!/usr/bin/env bash
# Pushes an image of `make images` to repositories, under a dated tag and as `latest`.
#   TO="docker.io/our/millrace-service 123456789012.dkr.ecr.eu-central-1.amazonaws.com/millrace/service" \
#       scripts/push.sh service
# TAG=<tag> in place of the date; PUSH_OPTIONS are passed on. The engine must be logged in to the
# registries before (`docker login`).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/engine.sh

push() {
    # shellcheck disable=SC2086 - options are words
    "$ENGINE" push ${PUSH_OPTIONS:-} "$1" ||
        fail "$1 could not be pushed (see above). Where the registry refuses it: log in ('$ENGINE login ${1%%/*}'), see that the repository is there and you may write to it; a tag that is there already may be one that must not change."
    printf 'push: %s\n' "$1"
}

NAME=${1:-}
[[ -n $NAME ]] || fail "which image? Write ONLY=airflow, service or on-upload."
ENGINE=$(find_engine)
IMAGE=millrace-$NAME:$(version)
TAG=${TAG:-$(date -u +%Y-%m-%d--%H-%M-%S)}
readonly NAME ENGINE IMAGE TAG
read -ra REPOSITORIES <<<"${TO:-}"

[[ ${#REPOSITORIES[@]} -gt 0 ]] ||
    fail "where to? Write TO=<repository>, or several in quotes, such as TO=docker.io/our/millrace-$NAME."
[[ $TAG =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ && $TAG != latest ]] ||
    fail "the tag is '$TAG' (TAG); write letters, digits, '.', '_' and '-', and another than latest."
for repository in "${REPOSITORIES[@]}"; do
    [[ ${repository##*/} != *[:@]* ]] ||
        fail "'$repository' (TO) names a tag; write the repository alone, the tag is $TAG."
done
"$ENGINE" image inspect "$IMAGE" >/dev/null 2>&1 ||
    fail "there is no image $IMAGE here; 'make images ONLY=$NAME' builds it."

# `latest` moves only once every repository has the dated tag.
for tag in "$TAG" latest; do
    for repository in "${REPOSITORIES[@]}"; do
        "$ENGINE" tag "$IMAGE" "$repository:$tag"
        push "$repository:$tag"
    done
done
