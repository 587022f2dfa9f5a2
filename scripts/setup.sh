#!/usr/bin/env bash
# Makes .venv with exactly what requirements.txt locks, or [FOLDER] with what [LOCKED] locks.
# Called by make; safe to call at any time: it does nothing when the environment is up to date,
# and repairs one whose installation was interrupted.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=${1:-.venv}
readonly LOCKED=${2:-requirements.txt}
readonly UV_VENV=.venv-uv
readonly STAMP=$VENV/.millrace-stamp
readonly INSTALLED="${3:-2.2 GB}"
readonly NEEDED_MB=${4:-3584} # installed, compiled bytecode, and uv's cache
readonly STEPS=3

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

step() {
    printf '[%d/%d] %s (%d s)\n' "$1" "$STEPS" "$2" "$SECONDS"
}

# The version of a Python that really runs (a pyenv shim may exist and not run), else nothing.
version_of() {
    "$1" -c 'import sys, venv, ensurepip, sqlite3, ssl; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null
}

# Prints the path of the first Python with this minor version, such as 3.12.
find_minor() {
    local candidate
    for candidate in "$(command -v "python$1" || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python \
        "$(command -v python3 || true)"; do
        if [[ -n $candidate && "$(version_of "$candidate")" == "$1".* ]]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

find_python() {
    find_minor 3.12 || find_minor 3.13 || python_from_uv ||
        fail "Python 3.12 (or 3.13) is needed and was not found. Install it, with its venv module: 'apt-get install python3.12 python3.12-venv', 'brew install python@3.12' or 'pyenv install 3.12'; then run the command again."
}

python_from_uv() {
    command -v uv >/dev/null || return 1
    uv python install --quiet 3.12 2>/dev/null && uv python find 3.12 2>/dev/null
}

# Prints the path of uv; puts it into a small environment of its own when there is none.
find_uv() {
    if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
        command -v uv
        return
    fi
    if ! "$UV_VENV/bin/uv" --version >/dev/null 2>&1; then
        rm -rf "$UV_VENV"
        mkdir "$UV_VENV" && echo '*' >"$UV_VENV/.gitignore"
        "$1" -m venv "$UV_VENV" >&2 || fail "'$1 -m venv' failed; install the venv module of this Python (Debian: python3-venv)."
        "$UV_VENV/bin/python" -m pip install -qq --disable-pip-version-check uv >&2 ||
            fail "uv cannot be installed: the package registry is unreachable or refuses. $(network_hint)"
    fi
    printf '%s\n' "$UV_VENV/bin/uv"
}

network_hint() {
    printf '%s' "Check the network, HTTPS_PROXY and, for a mirror, UV_DEFAULT_INDEX and PIP_INDEX_URL; then run the command again."
}

require_disk() {
    local free_mb
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    if ((free_mb < NEEDED_MB)); then
        fail "the disk is too full: $free_mb MB are free in $PWD, $NEEDED_MB MB are needed. Free some space and run the command again."
    fi
}

fingerprint() {
    cksum "$LOCKED" scripts/setup.sh | cut -d' ' -f1,2 | tr '\n' ' '
}

up_to_date() {
    [[ -f $STAMP && "$(<"$STAMP")" == "$(fingerprint)" ]] && "$VENV/bin/python" -c '' 2>/dev/null
}

install() {
    local python=$1 uv=$2 log
    # An environment without the stamp is half made; one of another Python cannot be updated.
    if [[ ! -f $STAMP ]] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
        rm -rf "$VENV"
        "$uv" venv --quiet --python "$python" "$VENV"
    fi
    rm -f "$STAMP"
    log=$(mktemp)
    # uv's progress is seen as it comes, but for its list of what it installed, and kept for the error
    if ! UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-60} "$uv" pip sync --python "$VENV/bin/python" \
        --require-hashes --compile-bytecode "$LOCKED" 2> >(tee "$log" | grep --line-buffered -v "^ [+-] " >&2); then
        install_failed "$log"
    fi
    rm -f "$log"
    fingerprint >"$STAMP"
}

install_failed() {
    local said reason
    said=$(<"$1")
    rm -f "$1"
    case $said in
    *[Nn]o\ space\ left*) reason="the disk filled up while installing: $NEEDED_MB MB are needed." ;;
    *Hash\ mismatch* | *hash\ mismatch*) reason="a package is not the one $LOCKED locks (see above); nothing was installed from it." ;;
    *error\ sending\ request* | *[Ff]ailed\ to\ fetch* | *dns\ error* | *[Cc]onnect* | *timed\ out*)
        reason="the package registry is unreachable. $(network_hint)"
        ;;
    *) reason="uv could not install $LOCKED (see above)." ;;
    esac
    fail "$reason"
}

main() {
    if up_to_date; then
        return
    fi
    # One set-up at a time: a second one waits, and finds the work done.
    if command -v flock >/dev/null; then
        exec 9<"scripts/setup.sh"
        flock 9
        if up_to_date; then
            return
        fi
    fi
    local python uv
    require_disk
    python=$(find_python)
    step 1 "Python $(version_of "$python"): $python"
    uv=$(find_uv "$python")
    step 2 "$("$uv" --version); installing the locked packages into $VENV ($INSTALLED)"
    install "$python" "$uv"
    step 3 "$VENV is ready"
}

main "$@"
